import sys
from pathlib import Path

from dask.distributed import Client

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, atomic=True)
def simulate(seed, outpath):
    Path(outpath).write_text(f"{seed}\n")
    return outpath


if __name__ == "__main__":
    print(simulate.tagged(1, "out/pi.txt"))
    print(Client(scheduler_file=sys.argv[1]).submit(simulate, 1, "out/pi.txt").result())
