import multiprocessing
import sys

from simulate import simulate

if __name__ == "__main__":
    method = sys.argv[1]  # spawn, fork or forkserver
    with multiprocessing.get_context(method).Pool(2) as pool:
        paths = pool.starmap(simulate, [(seed, "out/pi.txt") for seed in (1, 2, 1, 2)])
    print(*paths, sep="\n")
