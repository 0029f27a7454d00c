from pathlib import Path

import pyrepro


@pyrepro.Artifact(keyword="outpath", config=dict, cache=True, record=True)
def train(outpath, alpha=1.0, depth=3):
    Path(outpath).write_text(f"a model with {alpha} and {depth}\n")


def path_of_table(path):
    return pyrepro.tag({"lr": 0.1}).put(path)
