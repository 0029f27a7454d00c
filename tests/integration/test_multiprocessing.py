"""multiprocessing: pools of every start method."""

from __future__ import annotations

import multiprocessing

import pytest
from systems import SEEDS, Guide, names, runs


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_every_worker_writes_what_the_driver_names_and_each_artifact_is_made_once(guide: Guide, method: str) -> None:
    repository = guide("simulate.py", "process_pool.py")
    done = repository.run("process_pool.py", method)
    assert (done.stdout.splitlines(), done.stderr) == (names(repository), "")
    assert runs(repository) == sorted(set(SEEDS))


def test_workers_are_refused_with_the_driver_when_the_code_is_not_committed(guide: Guide) -> None:
    repository = guide("simulate.py", "process_pool.py")
    repository.write("process_pool.py", (repository.path / "process_pool.py").read_text() + "# edited\n")
    done = repository.run("process_pool.py", "spawn")
    assert done.stderr.count("DirtyRepositoryError") == 1
    assert not (repository.path / "out").exists()
