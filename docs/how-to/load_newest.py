from pathlib import Path

import pyrepro

newest, *older = pyrepro.find("out/model.txt", where={"alpha": 1.0}, dirty=False)
print(Path(newest).read_text())
