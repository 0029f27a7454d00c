import logging
from pathlib import Path

from pyrepro import Artifact

logger = logging.getLogger("pyrepro")
logger.setLevel(logging.INFO)
terminal = logging.StreamHandler()
terminal.setLevel(logging.WARNING)
file = logging.FileHandler("pyrepro.log")
file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
for handler in (terminal, file):
    logger.addHandler(handler)


@Artifact(keyword="outpath", config=dict, cache=True)
def train(outpath, alpha=1.0, depth=3):
    Path(outpath).write_text(f"a model with {alpha} and {depth}")


train("out/model.txt")
