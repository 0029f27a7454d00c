import sys
from pathlib import Path

import pyrepro
from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, inputs="model", record=True)
def predict(model, outpath):
    Path(outpath).write_text(f"predicted by {Path(model).read_text()}")
    return outpath


models = Path(sys.argv[1], "out/model.txt")
newest = pyrepro.find(models, where={"alpha": 1.0}, dirty=False)[0]
path = predict(newest, "out/prediction.txt")
print(path)
print(pyrepro.read_record(path).inputs["model"]["artifact"])
