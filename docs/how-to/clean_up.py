import sys

import pyrepro

unused = pyrepro.unused("out/", keep=1)
print(*unused, sep="\n")
if "--remove" in sys.argv:
    pyrepro.remove(unused)
