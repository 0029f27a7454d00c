"""Ray: worker processes on this machine."""

from __future__ import annotations

from systems import SEEDS, Guide, names, needs, runs

pytestmark = needs("ray")


def test_every_worker_writes_what_the_driver_names_and_each_artifact_is_made_once(guide: Guide) -> None:
    repository = guide("simulate.py", "ray_tasks.py")
    done = repository.run("ray_tasks.py", env={"RAY_DEDUP_LOGS": "0"})
    assert [line for line in done.stdout.splitlines() if line.startswith("out/")] == names(repository), done.stderr
    assert runs(repository) == sorted(set(SEEDS))
