"""Configurations as people have them: trees, estimators, models, flags and command lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Repository
from systems import Guide, needs

from pyrepro import Artifact, ConfigError, Tag, canonical_json, config_hash


def form_of(value: object) -> Any:
    return json.loads(canonical_json(value))


@needs("sklearn")
def test_a_pipeline_with_a_column_transformer_is_found_again(guide: Guide) -> None:
    repository = guide("estimators.py")
    (repository.path / "out").mkdir()
    done = repository.run("estimators.py")
    assert done.stderr == ""
    first, second, third = (line for line in done.stdout.splitlines() if line != "training")
    assert (first == third, first == second, done.stdout.count("training\n")) == (True, False, 2)
    again = repository.run("estimators.py")
    assert (again.stdout, again.stderr) == (f"{first}\n{second}\n{first}\n", "")


@needs("transformers")
@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("LlamaConfig", {"quantization_config": {"bits": 4}}),
        ("BertConfig", {"pooling": "mean"}),
        ("GPT2Config", {"my_own": [1, 2]}),
    ],
)
def test_what_is_passed_beyond_the_fields_of_a_model_counts(kind: str, more: dict[str, Any]) -> None:
    import transformers

    make = getattr(transformers, kind)
    plain, changed = form_of(make()), form_of(make(**more))
    assert changed == plain | more
    assert plain["__class__"] == f"transformers:{kind}"
    assert form_of(make()) == plain


@needs("transformers")
def test_a_model_that_was_read_knows_which_version_wrote_it_and_is_otherwise_the_one_that_was_saved(
    tmp_path: Path,
) -> None:
    import transformers

    made = transformers.GPT2Config(n_layer=3)
    made.save_pretrained(tmp_path)
    read = form_of(transformers.GPT2Config.from_pretrained(tmp_path))
    assert read == form_of(made) | {"transformers_version": transformers.__version__, "model_type": "gpt2"}


@needs("transformers")
def test_training_arguments_differ_where_they_are_set_differently(repository: Repository) -> None:
    from transformers import TrainingArguments

    @Artifact("outpath", config=dict, ignore="args.output_dir", repo=repository.path)
    def train(args: Any, outpath: str) -> str:
        return outpath

    names = [
        train(TrainingArguments(output_dir=directory, learning_rate=rate), "model")
        for directory, rate in (("a", 1e-4), ("b", 1e-4), ("a", 1e-3))
    ]
    assert (names[0] == names[1], names[0] == names[2]) == (True, False)


@needs("unyt")
def test_a_quantity_is_refused_with_how_to_pass_it() -> None:
    import unyt

    length = 5 * unyt.km
    with pytest.raises(ConfigError) as error:
        config_hash({"length": length})
    assert str(error.value) == (
        f"config['length'] is {length!r} of type unyt.array.unyt_quantity, which may carry more than its numbers, "
        'such as a unit or a mask; pass {"value": value.value, "units": str(value.units)}'
    )
    hashes = {config_hash({"value": one.value, "units": str(one.units)}) for one in (length, 5 * unyt.m)}
    assert len(hashes) == 2


@needs("xarray")
def test_data_of_xarray_are_passed_as_the_message_says() -> None:
    import xarray

    # Without variables, a Dataset is an empty mapping.
    for data in (xarray.Dataset(coords={"x": [1]}), xarray.DataArray([1])):
        with pytest.raises(ConfigError) as error:
            config_hash({"data": data})
        assert str(error.value) == (
            f"config['data'] is {type(data).__module__}.{type(data).__name__}, which is data, not configuration; "
            "pass its .to_dict()"
        )
        assert form_of(data.to_dict()) == json.loads(json.dumps(data.to_dict()))


@needs("xarray")
def test_an_input_of_xarray_is_passed_as_the_message_says(repository: Repository) -> None:
    import xarray

    @Artifact("outpath", inputs="grid", repo=repository.path)
    def save(outpath: str, grid: Any) -> str:
        return outpath

    # Without variables, a Dataset is an empty mapping.
    grids = [xarray.Dataset(coords={"x": [1, step]}) for step in (2, 3)]
    for data in (*grids, xarray.DataArray([1], name="values")):
        with pytest.raises(TypeError) as error:
            save("foo", data)
        assert str(error.value) == (
            f"the input grid is {repr(data)[:77]}... of type {type(data).__name__}; pass .to_dataframe() of it; it is an "
            f"argument of {save.__qualname__}"
        )
    assert len({save("foo", grid.to_dataframe()) for grid in grids}) == 2


@needs("jsonargparse")
def test_a_namespace_of_jsonargparse_is_its_attributes() -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--model.units", type=int, default=3)
    assert form_of(parser.parse_args(["--model.units=4"])) == {"lr": 0.1, "model": {"units": 4}}


LIGHTNING = """\
seed_everything: 3
trainer:
  accelerator: auto
  devices: 8
  max_epochs: 10
  callbacks:
    - class_path: lightning.pytorch.callbacks.EarlyStopping
      init_args: {monitor: val_loss}
model:
  class_path: project.Net
  init_args: {units: 64}
"""


@needs("yaml")
def test_the_file_of_a_lightning_command_line_is_its_tree(repository: Repository) -> None:
    import yaml

    config = yaml.safe_load(LIGHTNING)

    @Artifact("outpath", config=config, ignore="trainer.devices", repo=repository.path)
    def train(outpath: str) -> str:
        return outpath

    rest = yaml.safe_load(LIGHTNING.replace("  devices: 8\n", ""))
    assert Tag.from_path(train("model")).config == config_hash(rest)[:12]


@needs("ml_collections")
def test_a_config_dict_is_its_tree_frozen_or_not() -> None:
    import ml_collections

    config = ml_collections.ConfigDict({"lr": 0.1, "model": {"units": [3, 4]}})
    config.model.depth = config.get_ref("lr")
    expected = {"lr": 0.1, "model": {"units": [3, 4], "depth": 0.1}}
    assert form_of(config) == form_of(ml_collections.FrozenConfigDict(config)) == expected


@needs("msgspec")
def test_structs_of_msgspec_read_from_a_file_are_those_made_in_the_program() -> None:
    import msgspec

    inner = msgspec.defstruct("Inner", [("units", int)], module=__name__)
    outer = msgspec.defstruct("Outer", [("inner", inner), ("lr", float, 0.1)], module=__name__)
    read = msgspec.json.decode('{"inner": {"units": 3}}', type=outer)
    assert form_of(read) == {
        "__class__": f"{__name__}:Outer",
        "inner": {"__class__": f"{__name__}:Inner", "units": 3},
        "lr": 0.1,
    }


FLAGS_PROGRAM = """\
from absl import app, flags

from pyrepro import Artifact

FLAGS = flags.FLAGS
flags.DEFINE_float("lr", 0.1, "learning rate")


@Artifact("outpath", config=lambda call: FLAGS.flag_values_dict(), ignore=["verbosity", "v"])
def train(outpath):
    return outpath


def main(argv):
    print(train("model"))


if __name__ == "__main__":
    app.run(main)
"""


@needs("absl")
def test_flags_of_absl_are_read_when_they_are_parsed(repository: Repository) -> None:
    repository.commit(train=FLAGS_PROGRAM)
    done = [repository.run("train.py", *options) for options in ([], ["--verbosity=1"], ["--lr=0.2"])]
    assert [one.stderr for one in done] == ["", "", ""]
    assert (done[0].stdout == done[1].stdout, done[0].stdout == done[2].stdout) == (True, False)


@needs("absl")
def test_flags_of_absl_that_are_passed_as_they_are_are_refused(repository: Repository) -> None:
    repository.commit(train=FLAGS_PROGRAM.replace("lambda call: FLAGS.flag_values_dict()", "FLAGS"))
    assert repository.run("train.py").stderr.splitlines()[-1] == (
        "pyrepro.ConfigError: config is absl.flags._flagvalues.FlagValues, whose flags have no values before they "
        "are parsed; pass config=lambda call: FLAGS.flag_values_dict()"
    )
