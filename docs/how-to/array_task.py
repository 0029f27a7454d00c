import os

from simulate import simulate

seed = int(os.environ["SLURM_ARRAY_TASK_ID"])
print(simulate(seed, "out/pi.txt"))
