"""OmegaConf, pydantic, attrs, argparse, NumPy, pandas and PyTorch in configurations."""

from __future__ import annotations

import pytest
from systems import Guide, needs, written

from pyrepro import Tag, config_hash


@needs("omegaconf")
def test_an_omegaconf_configuration_is_its_resolved_value(guide: Guide) -> None:
    repository = guide("omegaconf_values.py")
    (repository.path / "out").mkdir()
    done = repository.run("omegaconf_values.py", "lr=0.2")
    whole = Tag(repository.head[:12], None, config_hash({"lr": 0.2, "warmup": 0.2, "data": {"split": 0.8}})[:12])
    part = Tag(repository.head[:12], None, config_hash({"split": 0.8})[:12])
    assert (done.stderr, written(repository)) == ("", sorted([whole.put("model.txt"), part.put("split.txt")]))


def test_options_of_the_command_line_are_the_configuration(guide: Guide) -> None:
    repository = guide("argparse_options.py")
    (repository.path / "out").mkdir()
    done = repository.run("argparse_options.py", "--lr", "0.2", "--workers", "8")
    tag = Tag(repository.head[:12], None, config_hash({"lr": 0.2})[:12])
    assert (done.stdout, done.stderr) == (f"{tag.put('out/model.txt')}\n", "")


@pytest.mark.parametrize(
    ("program", "canonical"),
    [
        pytest.param(
            "settings_objects.py",
            '{"__class__":"settings_objects:Model","data":{"__class__":"settings_objects:Data","seed":3,"split":0.8},'
            '"layers":[64,10]}',
            marks=[needs("pydantic"), needs("attrs")],
        ),
        pytest.param(
            "arrays.py",
            '{"dtype":"numpy:float32","layers":[64,10],"lr":0.5,"since":"2026-01-01T00:00:00",'
            '"splits":[{"share":0.8,"split":"train"},{"share":0.2,"split":"test"}]}',
            marks=[needs("numpy"), needs("pandas")],
        ),
        pytest.param(
            "tensors.py",
            '{"init":"torch.nn.init:zeros_","optimizer":"torch.optim:SGD","weights":[0.5,2]}',
            marks=needs("torch"),
        ),
    ],
)
def test_objects_with_fields_and_arrays_have_one_canonical_form(guide: Guide, program: str, canonical: str) -> None:
    done = guide(program).run(program)
    assert (done.stdout, done.stderr) == (f"{canonical}\n", "")
