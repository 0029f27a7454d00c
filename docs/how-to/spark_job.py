from pyspark.sql import SparkSession
from simulate import simulate

if __name__ == "__main__":
    state = {"spark.executorEnv.PYREPRO_CODE_STATE": str(simulate.code_state)}
    session = SparkSession.builder.master("local[2]").config(map=state).getOrCreate()
    seeds = session.sparkContext.parallelize([1, 2, 1, 2], 4)
    print(*seeds.map(lambda seed: simulate(seed, "out/pi.txt")).collect(), sep="\n")
    session.stop()
