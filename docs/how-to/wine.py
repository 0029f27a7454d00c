import pickle
import sys
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, inputs="table")
def train(table, outpath, depth):
    wines = pd.read_csv(table)
    model = RandomForestClassifier(max_depth=depth, random_state=0)
    model.fit(wines.drop(columns="target"), wines.target)
    Path(outpath).parent.mkdir(exist_ok=True)
    Path(outpath).write_bytes(pickle.dumps(model))
    return outpath


if __name__ == "__main__":
    print(train("data/wine.csv", "out/model.pkl", depth=int(sys.argv[1])))
