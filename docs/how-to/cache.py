from pathlib import Path

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, inputs="raw", ignore="verbose", cache=True)
def clean(raw, outpath, minimum=0.0, verbose=True):
    if verbose:
        print("cleaning", raw)
    lines = Path(raw).read_text().splitlines()
    Path(outpath).write_text("\n".join(line for line in lines if float(line) >= minimum))


@Artifact(keyword="outpath", config=dict, inputs="table", cache=True)
def total(table, outpath):
    print("adding up")
    Path(outpath).write_text(str(sum(map(float, Path(table).read_text().split()))))


Path("raw.txt").write_text("1\n-2\n3\n")
print(total(clean("raw.txt", "out/clean.txt"), "out/total.txt"))
