from pathlib import Path

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, inputs="raw", cache=True)
def clean(raw, outpath, minimum=0.0):
    lines = Path(raw).read_text().split()
    Path(outpath).write_text(
        "".join(f"{line}\n" for line in lines if float(line) >= minimum)
    )


@Artifact(keyword="outpath", config=dict, inputs="table", cache=True)
def total(table, outpath):
    Path(outpath).write_text(f"{sum(map(float, Path(table).read_text().split()))}\n")
