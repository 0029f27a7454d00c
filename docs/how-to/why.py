import logging
import sys
from pathlib import Path

from pyrepro import Artifact

logging.basicConfig(format="%(message)s", stream=sys.stdout)
logging.getLogger("pyrepro").setLevel(logging.INFO)


@Artifact(keyword="outpath", config=dict, cache=True)
def train(outpath, alpha=1.0, depth=3):
    Path(outpath).write_text(f"a model with {alpha} and {depth}")


train("out/model.txt", alpha=float(sys.argv[1]))
