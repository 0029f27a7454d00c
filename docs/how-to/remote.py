import fsspec

from pyrepro import Artifact


@Artifact(keyword="url", config={"lr": 0.1})
def save(model, url):
    with fsspec.open(url, "w", auto_mkdir=True) as outf:
        outf.write(model)
    return url
