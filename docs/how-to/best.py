import json
import pickle
from pathlib import Path

import pyrepro


def test_score(record):
    scores = Path(record.path).with_name(record.artifact["name"])
    return json.loads(scores.read_text())["test"]


best = max(pyrepro.records("out/scores.json"), key=test_score)
depth = best.config["model"]["max_depth"]
[path] = pyrepro.find("out/model.pkl", best.config)
print(f"the best depth is {depth}, and its model is {path}")
print(pickle.loads(Path(path).read_bytes()))
