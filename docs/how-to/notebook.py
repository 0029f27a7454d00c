# %%
from pathlib import Path

from pyrepro import Artifact


# %%
@Artifact(keyword="outpath", config={"bins": 3}, allow_dirty=True, record=True)
def histogram(numbers, outpath):
    Path(outpath).write_text(
        " ".join(str(sum(low <= n < low + 1 for n in numbers)) for low in range(3))
    )
    return outpath


# %%
path = histogram([0.5, 1.5, 1.7], "out/histogram.txt")
print(path)

# %%
from pyrepro import read_record

read_record(path)
