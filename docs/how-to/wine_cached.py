import pickle
import sys
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, inputs="table", cache=True, record=True)
def train(table, outpath, depth):
    print("training")
    wines = pd.read_csv(table)
    model = RandomForestClassifier(max_depth=depth, random_state=0)
    model.fit(wines.drop(columns="target"), wines.target)
    Path(outpath).write_bytes(pickle.dumps(model))


if __name__ == "__main__":
    print(train("data/wine.csv", "out/model.pkl", depth=int(sys.argv[1])))
