import logging
from pathlib import Path

from pyrepro import Artifact

HERE = Path(__file__).resolve().parent


@Artifact(keyword="outpath", config=dict, inputs="raw", cache=True, record=True)
def report(raw, outpath):
    numbers = [float(line) for line in Path(raw).read_text().split()]
    Path(outpath).write_text(f"{len(numbers)} numbers, {sum(numbers)} in all\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    print(report(HERE / "raw.txt", HERE / "out" / "report.txt"))
