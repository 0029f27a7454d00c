"""Hydra: its configuration, many runs, and objects that it makes."""

from __future__ import annotations

from conftest import Repository
from systems import Guide, needs

from pyrepro import Tag, config_hash

pytestmark = needs("hydra")

PROGRAM = ("hydra_app.py", "optimizers.py", "conf/config.yaml")


def named(repository: Repository, optimizer: dict[str, object], epochs: int) -> str:
    tag = Tag(repository.head[:12], None, config_hash({"optimizer": optimizer, "epochs": epochs})[:12])
    return tag.put("out/model.txt")


def test_objects_that_hydra_makes_are_the_configuration(guide: Guide) -> None:
    repository = guide(*PROGRAM)
    (repository.path / "out").mkdir()
    done = repository.run("hydra_app.py", "epochs=5")
    path = named(repository, {"__class__": "SGD", "lr": 0.1, "momentum": 0.0}, 5)
    assert (done.stdout, done.stderr) == (f"{path}\n", "")
    assert (repository.path / path).read_text() == "SGD(lr=0.1, momentum=0.0) for 5 epochs\n"


def test_each_of_many_runs_has_its_own_name_and_none_makes_the_next_dirty(guide: Guide) -> None:
    repository = guide(*PROGRAM)
    (repository.path / "out").mkdir()
    options = ["--multirun", "lr=0.1,0.2", "optimizer._target_=optimizers.SGD,optimizers.Adam"]
    done = repository.run("hydra_app.py", *options)
    momentum = {"SGD": {"momentum": 0.0}, "Adam": {}}
    expected = [
        named(repository, {"__class__": kind, "lr": lr, **momentum[kind]}, 3)
        for lr in (0.1, 0.2)
        for kind in ("SGD", "Adam")
    ]
    assert [line for line in done.stdout.splitlines() if line.startswith("out/")] == expected, done.stderr
