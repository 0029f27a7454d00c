"""Ray: worker processes on this machine."""

from __future__ import annotations

from systems import SEEDS, Guide, names, needs, runs

pytestmark = needs("ray")


def test_every_worker_writes_what_the_driver_names_and_each_artifact_is_made_once(guide: Guide) -> None:
    repository = guide("simulate.py", "ray_tasks.py")
    done = repository.run("ray_tasks.py", env={"RAY_DEDUP_LOGS": "0"})
    assert [line for line in done.stdout.splitlines() if line.startswith("out/")] == names(repository), done.stderr
    assert runs(repository) == sorted(set(SEEDS))


def test_workers_that_are_sent_the_files_without_the_repository_are_told_its_state(guide: Guide) -> None:
    repository = guide("simulate.py", "ray_tasks.py")
    program = (repository.path / "ray_tasks.py").read_text()
    repository.write("ray_tasks.py", program.replace("runtime_env={", 'runtime_env={"working_dir": ".", '))
    repository.commit()
    done = repository.run("ray_tasks.py")
    assert [line for line in done.stdout.splitlines() if line.startswith("out/")] == names(repository), done.stderr
    assert not (repository.path / "out").exists()
