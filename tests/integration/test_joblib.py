"""joblib: the worker processes of loky."""

from __future__ import annotations

from systems import SEEDS, Guide, names, needs, runs

pytestmark = needs("joblib")


def test_every_worker_writes_what_the_driver_names_and_each_artifact_is_made_once(guide: Guide) -> None:
    repository = guide("simulate.py", "joblib_parallel.py")
    done = repository.run("joblib_parallel.py")
    assert (done.stdout.splitlines(), done.stderr) == (names(repository), "")
    assert runs(repository) == sorted(set(SEEDS))
