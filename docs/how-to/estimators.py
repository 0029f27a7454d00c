import pickle
from pathlib import Path

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from pyrepro import Artifact, to_json


@to_json.register(make_column_selector)
def selector_to_json(selector):
    return {"__class__": "make_column_selector", **vars(selector)}


@Artifact(
    keyword="outpath", config=dict, cache=True, ignore=["model.memory", "model.verbose"]
)
def train(model, outpath):
    print("training")
    table, target = load_iris(return_X_y=True, as_frame=True)
    Path(outpath).write_bytes(pickle.dumps(model.fit(table, target)))


def make_model(c):
    scale = ColumnTransformer(
        [("scale", StandardScaler(), make_column_selector(dtype_include="number"))]
    )
    return Pipeline(
        [("columns", scale), ("classify", LogisticRegression(C=c, max_iter=500))]
    )


if __name__ == "__main__":
    for c in (1.0, 0.1, 1.0):
        print(train(make_model(c), outpath="out/model.pkl"))
