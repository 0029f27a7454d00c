"""From the raw table to a model and its scores: two steps, and what each writes."""

import json
import pickle
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from pyrepro import Artifact

CODE = ["flowers", "!sweep.py", "!best.py"]


@Artifact(
    keyword="outpath", config=dict, inputs="raw", cache=True, record=True, code=CODE
)
def split(raw, outpath, test_size=0.25, seed=0):
    parts = train_test_split(pd.read_csv(raw), test_size=test_size, random_state=seed)
    Path(outpath).mkdir()
    for name, part in zip(("train", "test"), parts, strict=True):
        part.to_csv(Path(outpath, f"{name}.csv"), index=False)


@Artifact(
    keyword=["model_path", "scores_path"],
    config=dict,
    inputs="tables",
    ignore="model.n_jobs",
    cache=True,
    record=True,
    code=CODE,
)
def fit(tables, model, model_path, scores_path):
    train, test = (pd.read_csv(Path(tables, f"{name}.csv")) for name in ("train", "test"))
    model.fit(train.drop(columns="target"), train.target)
    scores = {}
    for name, part in (("train", train), ("test", test)):
        scores[name] = model.score(part.drop(columns="target"), part.target)
    Path(model_path).write_bytes(pickle.dumps(model))
    Path(scores_path).write_text(json.dumps(scores))
