import sys

import pyrepro

unused = pyrepro.unused("out/", keep=1)
for path in unused:
    print(path)
if "--remove" in sys.argv:
    pyrepro.remove(unused)
