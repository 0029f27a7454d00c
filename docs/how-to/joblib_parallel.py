from joblib import Parallel, delayed
from simulate import simulate

if __name__ == "__main__":
    paths = Parallel(n_jobs=2)(
        delayed(simulate)(seed, "out/pi.txt") for seed in (1, 2, 1, 2)
    )
    print(*paths, sep="\n")
