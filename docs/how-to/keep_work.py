from pathlib import Path

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, cache=True, code=["keep_work.py", "limit.txt"])
def square(outpath, number):
    print("runs")
    limit = int(Path("limit.txt").read_text())
    Path(outpath).write_text(str(min(number**2, limit)))


print(square("square.txt", number=3))
