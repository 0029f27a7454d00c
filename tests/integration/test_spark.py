"""Apache Spark: the Python workers of a local session."""

from __future__ import annotations

import sys

from systems import SEEDS, Guide, names, needs, needs_program, runs

pytestmark = [needs("pyspark"), needs_program("java")]


def test_every_worker_writes_what_the_driver_names_and_each_artifact_is_made_once(guide: Guide) -> None:
    repository = guide("simulate.py", "spark_job.py")
    done = repository.run("spark_job.py", env={"PYSPARK_PYTHON": sys.executable})
    assert done.stdout.splitlines() == names(repository), done.stderr
    assert runs(repository) == sorted(set(SEEDS))
