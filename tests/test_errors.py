"""The tree of errors is part of the interface."""

from __future__ import annotations

import inspect
import pickle

import pytest

import pyrepro
from pyrepro import errors


def test_every_error_has_one_root_and_a_fitting_builtin() -> None:
    tree = {name: cls.__bases__ for name, cls in inspect.getmembers(errors, inspect.isclass)}
    assert tree == {
        "PyreproError": (Exception,),
        "ArtifactMismatchError": (pyrepro.PyreproError, FileExistsError),
        "ArtifactMissingError": (pyrepro.PyreproError, FileNotFoundError),
        "CodeStateError": (pyrepro.PyreproError, RuntimeError),
        "ConfigError": (pyrepro.PyreproError, ValueError),
        "DirtyRepositoryError": (pyrepro.PyreproError, RuntimeError),
        "InputChangedError": (pyrepro.ConfigError,),
        "NotTaggedError": (pyrepro.PyreproError, ValueError),
        "PublishError": (pyrepro.PyreproError, OSError),
        "RecordError": (pyrepro.PyreproError, ValueError),
        "ReproduceError": (pyrepro.PyreproError, RuntimeError),
    }


def test_every_error_and_every_public_name_is_exported() -> None:
    assert set(errors.__all__) <= set(pyrepro.__all__)
    assert all(hasattr(pyrepro, name) for name in pyrepro.__all__)


@pytest.mark.parametrize(
    "error",
    [
        pyrepro.ArtifactMismatchError("m", path="/p", maker="train.py:save"),
        pyrepro.ArtifactMissingError("m", path="/p"),
        pyrepro.CodeStateError("m", work_tree="/w"),
        pyrepro.ConfigError("m", place="config"),
        pyrepro.DirtyRepositoryError("m", commit="c", changes="d", work_tree="/w", paths=("p",)),
        pyrepro.InputChangedError("m", path="/p", input="raw"),
        pyrepro.NotTaggedError("m", name="n"),
        pyrepro.PublishError("m", path="/p", kept=("/k",)),
        pyrepro.RecordError("m", path="/p"),
        pyrepro.ReproduceError("m", path="/p"),
    ],
)
def test_an_error_carries_its_data_through_a_pickle(error: pyrepro.PyreproError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, vars(copy)) == (type(error), error.args, vars(error))
