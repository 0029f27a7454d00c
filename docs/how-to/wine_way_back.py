import pickle
from pathlib import Path

import pyrepro

[path] = pyrepro.find("out/model.pkl", where={"depth": 3}, dirty=False)
model = pickle.loads(Path(path).read_bytes())
print(path, "has", len(model.estimators_), "trees")
print(pyrepro.read_record(path))
print("the same when made again:", pyrepro.reproduce(path).same)
