import sys

import pyrepro

one, other = map(pyrepro.read_record, sys.argv[1:])
print(one.differences(other))
