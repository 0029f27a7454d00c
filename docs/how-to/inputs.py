import argparse
from pathlib import Path

from pyrepro import Artifact

options = argparse.Namespace(raw="raw.txt", minimum=0.0)


@Artifact(keyword="outpath", config=options, inputs="raw", cache=True)
def clean(outpath):
    lines = Path(options.raw).read_text().splitlines()
    Path(outpath).write_text(
        "\n".join(line for line in lines if float(line) >= options.minimum)
    )


@Artifact(keyword="outpath", config=dict, inputs="tables", cache=True)
def total(outpath, tables):
    sums = {
        name: sum(map(float, Path(path).read_text().split()))
        for name, path in tables.items()
    }
    Path(outpath).write_text(
        "\n".join(f"{name}: {value}" for name, value in sums.items())
    )


table = clean("out/clean.txt")
print(total("out/total.txt", {"clean": table, "raw": options.raw}))
