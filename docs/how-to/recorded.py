import sys
from pathlib import Path

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, record=True)
def train(outpath, alpha=1.0):
    Path(outpath).write_text(f"a model with {alpha}")
    return outpath


print(train("out/model.txt", alpha=float(sys.argv[1])))
