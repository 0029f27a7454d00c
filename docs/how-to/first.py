from pyrepro import Artifact


@Artifact(keyword="outpath", config={"lr": 0.1})
def save_thing(outpath):
    with open(outpath, "w") as outf:
        outf.write("good job")


save_thing(outpath="foo.txt")
