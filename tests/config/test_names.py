"""A function or class has one name: the shortest public one, on every Python, whatever else is loaded."""

from __future__ import annotations

import asyncio
import concurrent.futures
import datetime
import heapq
import io
import operator
import os
import pathlib
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.special
import sklearn.linear_model
import sklearn.metrics
from conftest import Repository

from pyrepro import ConfigError, canonical_json


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (pathlib.Path, "pathlib:Path"),
        (pathlib.PurePosixPath, "pathlib:PurePosixPath"),
        (open, "builtins:open"),
        (io.BytesIO, "io:BytesIO"),
        (operator.add, "operator:add"),
        (operator.itemgetter, "operator:itemgetter"),
        (heapq.heappush, "heapq:heappush"),
        (os.getpid, "os:getpid"),
        (os.path.join, f"{os.path.__name__}:join"),
        (asyncio.Queue, "asyncio:Queue"),
        (concurrent.futures.Future, "concurrent.futures:Future"),
        (
            concurrent.futures.TimeoutError,
            "builtins:TimeoutError" if sys.version_info >= (3, 11) else "concurrent.futures:TimeoutError",
        ),
        (TimeoutError, "builtins:TimeoutError"),
        (datetime.datetime.now, "datetime:datetime.now"),
        (datetime.date.isoformat, "datetime:date.isoformat"),
        (dict.fromkeys, "builtins:dict.fromkeys"),
        (str.upper, "builtins:str.upper"),
        (np.ndarray.mean, "numpy:ndarray.mean"),
        (np.linalg.norm, "numpy.linalg:norm"),
        (np.log1p, "numpy:log1p"),
        (np.bool_, "numpy:bool"),
        (np.longdouble, "numpy:longdouble"),
        (np.clongdouble, "numpy:clongdouble"),
        (scipy.special.expit, "scipy.special:expit"),
        (np.random.default_rng, "numpy.random:default_rng"),
        (sklearn.metrics.f1_score, "sklearn.metrics:f1_score"),
        (sklearn.linear_model.Ridge, "sklearn.linear_model:Ridge"),
        (sklearn.linear_model.Ridge.fit, "sklearn.linear_model:Ridge.fit"),
    ],
)
def test_the_name_is_the_shortest_public_one(value: Any, name: str) -> None:
    assert canonical_json(value).decode() == f'"{name}"'


def test_a_ufunc_of_ones_own_has_no_name() -> None:
    with pytest.raises(ConfigError, match="which has no stable JSON form"):
        canonical_json(np.frompyfunc(len, 1, 1))


def test_a_name_does_not_depend_on_who_else_imports_what_it_leads_to(repository: Repository) -> None:
    repository.write("pkg/__init__.py", "")
    repository.write("pkg/_impl.py", "def act(): pass\n")
    repository.write("pkg/cli.py", "from pkg._impl import act\n")
    for imports in ("pkg._impl", "pkg.cli, pkg._impl"):
        done = repository.run("-c", f"import {imports}, pyrepro; print(pyrepro.to_json(pkg._impl.act))")
        assert (done.stdout, done.stderr) == ("pkg._impl:act\n", "")


def test_a_package_that_keeps_its_code_in_a_private_one_gives_the_public_name(repository: Repository) -> None:
    repository.write("pkg/__init__.py", "from pkg import nn\n")
    repository.write("pkg/nn.py", "from pkg._src.nn.acts import relu\n")
    for name in ("pkg/_src/__init__.py", "pkg/_src/nn/__init__.py"):
        repository.write(name, "")
    repository.write("pkg/_src/nn/acts.py", "def relu(): pass\n")
    done = repository.run("-c", "import pkg.nn, pyrepro; print(pyrepro.to_json(pkg.nn.relu))")
    assert (done.stdout, done.stderr) == ("pkg.nn:relu\n", "")


def test_a_lazy_module_that_fails_holds_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    above, below = ModuleType("lazy"), ModuleType("lazy.inner")

    def load(name: str) -> Any:
        raise ImportError(f"cannot load {name}")

    above.__getattr__ = load  # type: ignore[method-assign]
    exec("def act(): pass", vars(below))
    monkeypatch.setitem(sys.modules, "lazy", above)
    monkeypatch.setitem(sys.modules, "lazy.inner", below)
    assert canonical_json(below.act) == b'"lazy.inner:act"'


def test_a_function_of_a_module_that_is_not_loaded_is_refused() -> None:
    module = ModuleType("gone")
    exec("def act(): pass", vars(module))
    with pytest.raises(ConfigError):
        canonical_json(module.act)
