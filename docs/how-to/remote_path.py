from upath import UPath

from pyrepro import Artifact


@Artifact(keyword="outpath", config={"lr": 0.1})
def save(model: str, outpath: UPath) -> UPath:
    outpath.write_text(model)
    return outpath
