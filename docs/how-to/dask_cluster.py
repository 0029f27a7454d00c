from dask.distributed import Client, LocalCluster
from simulate import simulate

if __name__ == "__main__":
    state = {"PYREPRO_CODE_STATE": str(simulate.code_state)}
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, env=state
    ) as cluster:
        client = Client(cluster)
        futures = [
            client.submit(simulate, seed, "out/pi.txt", pure=False)
            for seed in (1, 2, 1, 2)
        ]
        print(*client.gather(futures), sep="\n")
