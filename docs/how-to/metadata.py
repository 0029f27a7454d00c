import matplotlib.pyplot as plt

from pyrepro import Artifact, Tag


@Artifact(keyword="outpath", config=dict)
def plot(outpath, dpi=150):
    figure, axes = plt.subplots()
    axes.plot([1, 4, 9])
    tag = str(Tag.from_path(outpath))
    figure.savefig(outpath, dpi=dpi, metadata={"Description": tag})
    return outpath


if __name__ == "__main__":
    print(plot("squares.png"))
