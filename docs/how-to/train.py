import sys

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict)
def train(outpath, lr):
    with open(outpath, "w") as outf:
        outf.write(f"a model trained with lr={lr}\n")
    return outpath


print(train("model.txt", lr=float(sys.argv[1])))
