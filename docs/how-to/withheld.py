from pathlib import Path

from pyrepro import Artifact, read_record


@Artifact(keyword="outpath", config=dict, record=True, secret=["pin", "login.code"])
def save(outpath, pin, login):
    Path(outpath).write_text(f"a table for {login['user']}\n")
    return outpath


if __name__ == "__main__":
    path = save(
        "out/table.txt", pin="open sesame", login={"user": "ann", "code": "hunter"}
    )
    print(read_record(path).withheld)
