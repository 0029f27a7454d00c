import sys

from dask.distributed import Client
from simulate import simulate

client = Client(scheduler_file=sys.argv[1])
print(client.submit(simulate, 1, "out/pi.txt").result())
