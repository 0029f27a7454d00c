from pathlib import Path

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, inputs="table")
def quick_plot(table, outpath):
    Path(outpath).write_text(f"a plot of {table}")
    return outpath


@Artifact(
    keyword="outpath",
    config=dict,
    inputs="table",
    ignore="n_jobs",
    cache=True,
    code="options.py",
)
def model(table, outpath, depth=3, n_jobs=4):
    Path(outpath).write_text(f"a model of depth {depth}")


@Artifact(keyword="outpath", config=dict, inputs="model", record=True)
def figure_for_the_paper(model, outpath, dpi=300):
    Path(outpath).write_text(f"a figure of {Path(model).read_text()}")
    return outpath


if __name__ == "__main__":
    print(quick_plot("raw.txt", "plot.txt"))
    trained = model("raw.txt", "out/model.txt", n_jobs=8)
    print(trained)
    print(figure_for_the_paper(trained, "figures/model.txt"))
