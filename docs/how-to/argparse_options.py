import argparse
from pathlib import Path

from pyrepro import Artifact

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--workers", type=int, default=4)
parser.add_argument("--out", default="out/model.txt")
options = parser.parse_args()


@Artifact(keyword="outpath", config=options, ignore=("workers", "out"))
def train(outpath):
    Path(outpath).write_text(f"{options.lr}\n")
    return outpath


print(train(options.out))
