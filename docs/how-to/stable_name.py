import os

import pyrepro
from pyrepro import Artifact


@Artifact(keyword="outpath", config={"dpi": 150}, atomic=True)
def plot(outpath):
    with open(outpath, "w") as outf:
        outf.write('<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>')


def link_to_newest(path):
    newest = pyrepro.find(path)[0]
    link = f"{path}.link"
    os.symlink(os.path.basename(newest), link)
    os.replace(link, path)
    return newest


plot("figures/bills.svg")
print(link_to_newest("figures/bills.svg"))
