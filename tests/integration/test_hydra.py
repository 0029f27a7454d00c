"""Hydra: its configuration, many runs, and objects that it makes."""

from __future__ import annotations

from pathlib import Path

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
    path = named(repository, {"__class__": "optimizers:SGD", "lr": 0.1, "momentum": 0.0}, 5)
    assert (done.stdout, done.stderr) == (f"{path}\n", "")
    assert (repository.path / path).read_text() == "SGD(lr=0.1, momentum=0.0) for 5 epochs\n"


def test_each_of_many_runs_has_its_own_name_and_none_makes_the_next_dirty(guide: Guide) -> None:
    repository = guide(*PROGRAM)
    (repository.path / "out").mkdir()
    options = ["--multirun", "lr=0.1,0.2", "optimizer._target_=optimizers.SGD,optimizers.Adam"]
    done = repository.run("hydra_app.py", *options)
    momentum = {"SGD": {"momentum": 0.0}, "Adam": {}}
    expected = [
        named(repository, {"__class__": f"optimizers:{kind}", "lr": lr, **momentum[kind]}, 3)
        for lr in (0.1, 0.2)
        for kind in ("SGD", "Adam")
    ]
    assert [line for line in done.stdout.splitlines() if line.startswith("out/")] == expected, done.stderr


TREE = ("hydra_tree.py", "conf_tree/config.yaml", "conf_tree/model/resnet.yaml", "conf_tree/model/vit.yaml")


def test_a_composed_tree_is_found_again_without_its_run_directory_and_devices(guide: Guide) -> None:
    repository = guide(*TREE)
    (repository.path / "out").mkdir()
    names = {}
    for model, depth in (("resnet", 18), ("vit", 12)):
        cfg = {"model": {"name": model, "depth": depth, "epochs": 3}, "trainer": {"epochs": 3}}
        names[model] = Tag(repository.head[:12], None, config_hash({"cfg": cfg})[:12]).put("out/model.txt")
    shown = [
        repository.run("hydra_tree.py", *options).stdout.splitlines()
        for options in ([], ["trainer.devices=8"], ["model=vit"])
    ]
    assert [lines[-1] for lines in shown] == [names["resnet"], names["resnet"], names["vit"]]
    assert [sum(line.startswith("training in ") for line in lines) for lines in shown] == [1, 0, 1]


def test_a_run_directory_that_is_not_ignored_is_warned_of(guide: Guide) -> None:
    repository = guide(*TREE)
    (repository.path / "out").mkdir()
    program = (repository.path / "hydra_tree.py").read_text()
    repository.write("hydra_tree.py", program.replace('"cfg.paths", ', '"cfg.paths.root", '))
    repository.commit()
    done = repository.run("hydra_tree.py")
    warning = [line for line in done.stdout.splitlines() if "will not be found again" in line]
    assert len(warning) == 1
    assert "cfg.paths.run = " in warning[0]
    assert "which holds today's time" in warning[0]
    assert warning[0].endswith("add ignore=['cfg.paths.run'], or name files to read in inputs=")


def test_an_edited_configuration_file_makes_the_tree_dirty_and_an_override_does_not(guide: Guide) -> None:
    repository = guide(*TREE)
    assert repository.run("hydra_tree.py", "model.depth=34").stderr == ""
    file = repository.path / "conf_tree/model/resnet.yaml"
    file.write_text(file.read_text().replace("depth: 18", "depth: 34"))
    refused = repository.run("hydra_tree.py")
    assert refused.stderr.splitlines()[-3:-1] == [
        f"pyrepro.DirtyRepositoryError: the work tree {repository.path} has changes that commit "
        f"{repository.head[:12]} does not hold:",
        "  conf_tree/model/resnet.yaml",
    ]
    allowed = repository.run("hydra_tree.py", env={"PYREPRO_ALLOW_DIRTY": "1"})
    assert "-dirty-" in allowed.stdout


def test_an_experiment_in_a_file_of_its_own_runs_in_a_clean_tree(guide: Guide, tmp_path: Path) -> None:
    repository = guide(*TREE)
    experiment = tmp_path / "experiments/model/tiny.yaml"
    experiment.parent.mkdir(parents=True)
    experiment.write_text("name: tiny\ndepth: 2\nepochs: ${trainer.epochs}\n")
    cfg = {"model": {"name": "tiny", "depth": 2, "epochs": 3}, "trainer": {"epochs": 3}}
    path = Tag(repository.head[:12], None, config_hash({"cfg": cfg})[:12]).put("out/model.txt")
    outside = repository.run("hydra_tree.py", "--config-dir", tmp_path / "experiments", "model=tiny")
    assert outside.stdout.splitlines()[-1] == path, outside.stderr
    repository.write("conf_tree/model/small.yaml", experiment.read_text())
    inside = repository.run("hydra_tree.py", "model=small")
    assert (inside.stdout.splitlines()[-1], inside.stderr) == (path, "")
