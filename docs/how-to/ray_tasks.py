import ray
from simulate import simulate

if __name__ == "__main__":
    state = {"PYREPRO_CODE_STATE": str(simulate.code_state)}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": state})
    task = ray.remote(simulate)
    print(*ray.get([task.remote(seed, "out/pi.txt") for seed in (1, 2, 1, 2)]), sep="\n")
