import random
from pathlib import Path

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, cache=True)
def simulate(seed, outpath, samples=10_000):
    with open("runs.log", "a") as log:
        print(seed, file=log)
    dice = random.Random(seed)
    inside = sum(dice.random() ** 2 + dice.random() ** 2 < 1 for _ in range(samples))
    Path(outpath).write_text(f"{4 * inside / samples}\n")
