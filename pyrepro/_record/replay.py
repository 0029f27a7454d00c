"""In an interpreter that makes an artifact again: where calls write, what they read, and when it ends.

What is here is in force in every process that inherits the variable PYREPRO_REPRODUCTION, workers included.
"""

from __future__ import annotations

import contextlib
import functools
import json
import operator
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from pyrepro import _environ
from pyrepro._code.modules import file_of_module, is_installed
from pyrepro._code.state import Reading
from pyrepro._config.file_hash import digests_of
from pyrepro._config.place import leaves_of
from pyrepro._paths import is_inside, is_path, is_url, made_like, text_of, without_user
from pyrepro._record.document import RecordedCall, other_states, recorded_paths
from pyrepro._record.environment import packages_of_process, python_now
from pyrepro._stores import is_in_store
from pyrepro.errors import CodeStateError

_NOT_OF_REPOSITORY = ("pyrepro", "__main__", "__mp_main__")
"""The library that makes the artifact again is the one that runs, and programs are started by their files."""


@functools.lru_cache(maxsize=1)
def request() -> dict[str, Any]:
    """What this process is to make; see :func:`pyrepro._record.reproduce.request_of`."""
    assert _environ.REPRODUCTION is not None
    with open(_environ.REPRODUCTION, encoding="utf-8") as file:
        return json.load(file)  # type: ignore[no-any-return]


def in_scratch(path: Any) -> Any:
    """Where a call writes in place of a path: the same below the clone, else below the scratch directory."""
    tree, scratch = request()["tree"], request()["scratch"]
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
    stripped = text.rstrip("/") if is_url(text) else text.rstrip(os.sep)
    if is_url(text):
        steps = [step for step in stripped.replace(":", "").split("/") if step not in ("", ".", "..")]
        place = os.path.join(scratch, "elsewhere", *steps)
    else:
        place = os.path.abspath(stripped)
        parent = os.path.realpath(os.path.dirname(place))
        if parent in (tree, scratch) or is_inside(parent, tree) or is_inside(parent, scratch):
            os.makedirs(parent, exist_ok=True)
            return path
        place = os.path.join(scratch, "elsewhere", os.path.splitdrive(place)[1].lstrip(os.sep))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    place += text[len(stripped) :]
    if isinstance(path, bytes):
        return os.fsencode(place)
    # A path of an object store has no local form.
    if isinstance(path, pathlib.PurePath):
        return type(path)(place)
    return place if isinstance(path, str) else pathlib.Path(place)


def in_clone(path: str) -> str:
    """The clone in place of a work tree that code names: that one has moved on, or is on another computer."""
    tree: str = request()["tree"]
    return path if is_inside(os.path.realpath(path), tree) else tree


def recorded_input(name: str, value: Any) -> Any:
    """An input of a call with each path in it where the content that the record names was found."""
    if isinstance(value, (list, tuple)) or type(value) is dict:
        old = [*value.values()] if isinstance(value, dict) else [*value]
        new = [recorded_input(name, item) for item in old]
        # By identity: whether two tables are equal is not one yes or no.
        if all(map(operator.is_, old, new)):
            return value
        return dict(zip(value, new, strict=True)) if isinstance(value, dict) else made_like(value, new)
    return _recorded_place(name, value) if is_path(value) else value


def put_recorded_input(name: str, config: Any, keys: tuple[str, ...], value: Any) -> Any:
    """An input that is a key of the configuration, which gets the paths of here: the function reads them from it."""
    here = recorded_input(name, value)
    if here is value:
        return value
    *above, last = keys
    for key in above:
        config = config[key] if hasattr(type(config), "__getitem__") else getattr(config, key)
    # What is frozen stays as it is: the function says itself which file it misses.
    with contextlib.suppress(Exception):
        if hasattr(type(config), "__setitem__"):
            config[last] = here
        else:
            setattr(config, last, here)
    return here


def _recorded_place(name: str, path: Any) -> Any:
    text = without_user(text_of(path)) if is_in_store(path) else os.path.abspath(os.fsdecode(path))
    place = request()["places"].get(text)
    if place is None and not os.path.exists(text):
        # The program may name another path here, as from a variable; the content is known by its parameter.
        among = [one for one in request()["inputs"].get(name, []) if os.path.basename(one) == os.path.basename(text)]
        place = among[0] if among else None
    if place is None or place == text:
        return path
    if isinstance(path, bytes):
        return os.fsencode(place)
    if isinstance(path, pathlib.PurePath):
        return type(path)(place)
    return place if isinstance(path, str) else pathlib.Path(place)


def end_with(reading: Reading, qualname: str, call: RecordedCall | Exception | None, written: list[str]) -> None:
    """End the process if a call has made the recorded artifact; else note what it has made."""
    wanted = request()
    files = [path.rstrip(os.sep) for path in written]
    named = [path for path in files if os.path.basename(path) == wanted["artifact"]]
    path = None
    if isinstance(call, RecordedCall) and (call.config_hash, qualname) == (wanted["config_hash"], wanted["qualname"]):
        _refuse_other_code(reading)
        path = _most_alike(named, wanted["sha256"]) if named else None
        # With what was passed or the content it is certain; else another call may fit better, and the end of the
        # program decides.
        if path is not None and (_is_as_passed(call, wanted) or digests_of(path) == wanted["sha256"]):
            answer_and_exit({"written": path})
    with open(wanted["answer"] + ".made", "a", encoding="utf-8") as file:
        file.write(json.dumps([path, *map(os.path.basename, files)]) + "\n")


def _is_as_passed(call: RecordedCall, wanted: Mapping[str, Any]) -> bool:
    """Whether a call is the recorded one, and not the same with another number, as of a checkpoint's epoch."""
    plain = {name: recorded_paths(argument, wanted["tree"]) for name, argument in call.paths.items()}
    then, now = _numbers_in(wanted["passed"]), _numbers_in(call.arguments["arguments"])
    return wanted["paths"] is None or (wanted["paths"] == plain and then.items() <= now.items())


def _numbers_in(arguments: Mapping[str, Any]) -> dict[str, float]:
    """What is the same on each computer of the arguments of a call, as a text that may be a path need not be."""
    return {key: value for key, value in leaves_of(arguments).items() if isinstance(value, (int, float))}


def _most_alike(paths: list[str], sha256: Any) -> str:
    """Of the artifacts of one name that a call writes into several directories, the recorded one."""
    return next((path for path in paths if digests_of(path) == sha256), paths[0])


def answer_and_exit(answer: dict[str, Any]) -> NoReturn:
    """Give the answer, and end this process before it does anything else."""
    write_answer(answer)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def write_answer(answer: dict[str, Any]) -> None:
    """Give the answer, whole or not at all: it is looked for while it is written."""
    file = request()["answer"]
    environment = {**python_now(), **packages_of_process()}
    temporary = f"{file}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as opened:
        json.dump({**answer, "environment": environment, "process": os.getpid()}, opened)
    os.replace(temporary, file)


def refuse(reason: str, *, is_final: bool = True) -> NoReturn:
    """End, and say why the artifact cannot be made again; where that is not final, its program may make it."""
    answer_and_exit({"refusal": reason, "final": is_final})


def refuse_other_modules() -> None:
    """Refuse modules of the repository that were loaded from elsewhere: they are not the recorded code."""
    found = next(_modules_from_elsewhere(), None)
    if found is not None:
        name, file = found
        refuse(
            f"its module {name} was loaded from {file}, not from the recorded commit; "
            f"uninstall that copy, or pass environment='recorded'"
        )


def _modules_from_elsewhere() -> Iterator[tuple[str, str]]:
    """The loaded modules of the repository that are not those of the clone, and their files."""
    wanted = request()
    for name, module in list(sys.modules.items()):
        package = name.partition(".")[0]
        file = file_of_module(module)
        if file is None or not os.path.isabs(file) or package in _NOT_OF_REPOSITORY:
            continue
        real = os.path.realpath(file)
        if is_inside(real, wanted["tree"]) or is_inside(real, wanted["scratch"]):
            continue
        top = wanted["top"]
        is_in_work_tree = top is not None and is_inside(real, top) and not is_installed(real)
        is_stdlib = package in sys.stdlib_module_names
        if is_in_work_tree or (not is_stdlib and _is_in_clone(name.split("."), wanted["roots"])):
            yield name, real


def _is_in_clone(names: list[str], roots: list[str]) -> bool:
    """Whether the recorded path leads to a module of this name in the clone."""
    files = (os.path.join(root, *names) for root in roots)
    return any(os.path.isfile(file + ".py") or os.path.isfile(os.path.join(file, "__init__.py")) for file in files)


def _refuse_other_code(reading: Reading) -> None:
    wanted = request()
    refuse_other_modules()
    found = (reading.state.commit, reading.state.changes)
    if found != (wanted["commit"], wanted["changes"]):
        lines = "\n  ".join(reading.lines)
        refuse(f"the code that ran is at {reading.state}, which is not what was recorded:\n  {lines}")
    for package, (top, state) in other_states(reading).items():
        recorded = wanted["others"].get(package)
        now = f"unknown: {state}" if isinstance(state, CodeStateError) else str(state)
        if recorded is not None and recorded != now:
            refuse(
                f"{package} was loaded from the work tree {top}, which is at {now}, but was at {recorded}; "
                f"check that out, and try again"
            )
