"""Three kinds of artifact on real data: a cleaned table, a plot and a model.

The Palmer penguins were measured by Dr. Kristen Gorman at Palmer Station,
Antarctica; the package palmerpenguins carries the table.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from palmerpenguins import load_penguins
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pyrepro import Artifact, Tag

OUTPUT = Path(__file__).parent / "output"
MEASURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
COLORS = {"Adelie": "#c1440e", "Chinstrap": "#6a3d9a", "Gentoo": "#1b7837"}


@Artifact(keyword="outpath", config={"measures": MEASURES}, record=True)
def clean_table(outpath: Path) -> Path:
    """An ETL step: the penguins whose measures are all there."""
    load_penguins().dropna(subset=MEASURES)[["species", *MEASURES]].to_csv(outpath, index=False)
    return outpath


@Artifact(keyword="outpath", config=dict, inputs="table", record=True)
def plot_bills(table: Path, outpath: Path, dpi: int = 150) -> Path:
    """A plot: the bills of the three species."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for species, group in pd.read_csv(table).groupby("species"):
        axes.scatter(
            group.bill_length_mm,
            group.bill_depth_mm,
            s=18,
            alpha=0.8,
            label=species,
            color=COLORS[species],
        )
    axes.set(title="Bills of the Palmer penguins")
    axes.set(xlabel="bill length (mm)", ylabel="bill depth (mm)")
    axes.legend(frameon=False)
    # The tag goes into the file's own metadata, too, where it survives a renaming.
    tag = str(Tag.from_path(outpath))
    figure.savefig(outpath, dpi=dpi, metadata={"Description": tag})
    plt.close(figure)
    return outpath


@Artifact(keyword="outpath", config=dict, inputs="table", record=True)
def train_model(table: Path, outpath: Path, c: float = 1.0) -> Path:
    """A trained model: the species that has these measures."""
    penguins = pd.read_csv(table)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c)).fit(penguins[MEASURES], penguins.species)
    outpath.write_bytes(pickle.dumps(model))
    return outpath


if __name__ == "__main__":
    OUTPUT.mkdir(exist_ok=True)
    table = clean_table(outpath=OUTPUT / "penguins.csv")
    plot = plot_bills(table, outpath=OUTPUT / "bills.png")
    model = train_model(table, outpath=OUTPUT / "species.pkl")
    for plain, written in (("penguins.csv", table), ("bills.png", plot), ("species.pkl", model)):
        print(f"{plain:12} -> {written.name}")
