import sys

import pyrepro

paths = pyrepro.find("out/model.txt", where={"alpha": 100})
if "--remove" in sys.argv:
    pyrepro.remove(paths)
for path in paths:
    print("removed" if "--remove" in sys.argv else "would remove", path)
