import lab

import pyrepro


@pyrepro.Artifact(keyword="outpath", config={"lr": 0.1, "lab": pyrepro.code_state(lab)})
def train(outpath):
    with open(outpath, "w") as outf:
        outf.write(f"{lab.LAYERS} layers\n")
    return outpath


print(train("model.txt"))
