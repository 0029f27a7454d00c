"""A call -> its record."""

from __future__ import annotations

import functools
import logging
import math
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyrepro._code import state as _code
from pyrepro._code.git import run_git
from pyrepro._code.patch import Patch
from pyrepro._code.state import Reading
from pyrepro._code.uncovered import other_work_trees
from pyrepro._config.file_hash import digests_of
from pyrepro._config.forms import JSON, json_form
from pyrepro._paths import is_inside, paths_in, relative_to
from pyrepro._record.environment import loaded_packages, python_now
from pyrepro._record.record import RecordedInput
from pyrepro._record.secrets import clean, without_credentials, without_home
from pyrepro.errors import CodeStateError, ConfigError


_logger = logging.getLogger("pyrepro")


class RecordedCall(NamedTuple):
    """What is recorded of a call, apart from its artifacts."""

    function: str
    paths: Mapping[str, Any]
    inputs: Mapping[str, Any]
    arguments: Mapping[str, Any]
    defaults: list[str]
    secret: tuple[str, ...]
    directory: str
    form: JSON
    config_hash: str


def document_of(
    name: str,
    staged: str,
    call: RecordedCall,
    reading: Reading,
    patch: Patch,
    module: str | None,
    started: float,
    seconds: float,
    meanwhile: Iterable[str] | None,
) -> bytes:
    """The record of one artifact.

    Args:
        name: its name.
        staged: where it stands now.
        call: the call that made it.
        reading: the code that ran.
        patch: what turns the commit into it.
        module: the file of the function.
        started: when it was called, in seconds since 1970.
        seconds: how long it ran.
        meanwhile: the files that changed while it ran, None if nobody knows.

    Returns:
        JSON in UTF-8, its keys sorted.
    """
    import datetime
    import json

    top, state = reading.work_tree, reading.state
    # Where it stands now: its final path is only written after its record.
    files = digests_of(staged)
    when = datetime.datetime.fromtimestamp(started, datetime.timezone.utc).replace(tzinfo=None)
    document = {
        "pyrepro": 1,
        "artifact": {"name": _unicode(name), "size": _size(staged), "sha256": files},
        "code": {
            "commit": state.commit,
            "changes": state.changes,
            "remote": None if top is None else _remote_url(top),
            "module": None if module is None else _portable(module, top),
            "others": _other_states(reading),
            "patch": None if patch.content is None else patch_name(reading),
            "patch_size": patch.size,
            "left_out": [_unicode(path) for path in patch.left_out],
            "changed_meanwhile": None if meanwhile is None else [_unicode(path) for path in meanwhile],
        },
        "config": call.form,
        "config_hash": call.config_hash,
        "inputs": {name: _recorded_input(argument, call, name, top) for name, argument in call.inputs.items()},
        "call": {
            "function": call.function,
            "paths": {name: _recorded_paths(argument, top) for name, argument in call.paths.items()},
            "types": {
                name: _path_type(argument)
                for name, argument in {**call.paths, **call.inputs}.items()
                if paths_in(argument)
            },
            "argv": [without_home(_portable(argument, top)) for argument in sys.argv],
            **_arguments(call.arguments, call.defaults),
            "defaults": sorted(call.defaults),
        },
        "environment": {**python_now(), "packages": loaded_packages()},
        "started": f"{when.isoformat(timespec='milliseconds')}Z",
        "seconds": seconds,
    }
    document, in_hash, unknown = clean(document, call.secret)
    _warn_of_secrets(call.function, in_hash, unknown)
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


@functools.lru_cache(maxsize=None)
def _warn_of_secrets(function: str, in_hash: tuple[str, ...], unknown: tuple[str, ...]) -> None:
    """Warn once for each function of what its records cannot hide."""
    if in_hash:  # where there are few guesses, a hash tells which is right
        _logger.warning(
            "the records of %s leave out %s, whose values are part of the configuration hash; "
            "where they do not change the artifact, pass ignore=%r",
            *(function, ", ".join(in_hash), list(in_hash)),
        )
    if unknown:
        _logger.warning(
            "secret names %s, which is neither a parameter of %s nor a key of its configuration; correct the name",
            *(" and ".join(map(repr, unknown)), function),
        )


def patch_name(reading: Reading) -> str:
    """The name of the file that holds the patch of a state, once for all its records."""
    return f"{reading.state}.patch"


def _arguments(arguments: Mapping[str, Any], defaults: Iterable[str]) -> dict[str, Any]:
    recorded: dict[str, JSON] = {}
    inexact: list[str] = []
    unrecorded: dict[str, str] = {}
    for name, value in arguments.items():
        try:
            form = json_form(value)
        except ConfigError:
            if name not in defaults:  # a default comes back from the code
                unrecorded[name] = f"{type(value).__module__}.{type(value).__qualname__}"
            continue
        recorded[name] = value if _is_exact(value) else form
        if name not in defaults and not _is_exact(value):
            inexact.append(name)
    return {"arguments": recorded, "inexact": sorted(inexact), "unrecorded": unrecorded}


def _is_exact(value: Any) -> bool:
    """Whether JSON gives a value back as it was."""
    kind = type(value)
    if kind is list:
        return all(map(_is_exact, value))
    if kind is dict:
        return all(type(key) is str for key in value) and all(map(_is_exact, value.values()))
    return value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value))


def _recorded_input(
    argument: Any, call: RecordedCall, name: str, top: str | None
) -> RecordedInput | list[RecordedInput] | None:
    """The paths of an input, and the hashes of their content, which stand in the configuration."""
    assert isinstance(call.form, dict)

    def with_hash(path: Any, digest: str) -> RecordedInput:
        return {"path": _portable(os.path.join(call.directory, os.fsdecode(path)), top), "hash": digest}

    if isinstance(argument, (list, tuple)):
        return [with_hash(path, digest) for path, digest in zip(argument, call.form[name], strict=True)]
    return None if argument is None else with_hash(argument, call.form[name])


def _recorded_paths(argument: Any, top: str | None) -> JSON:
    """The plain paths of an argument, as they were passed."""
    if isinstance(argument, (list, tuple)):
        return [_portable(os.fsdecode(path), top) for path in paths_in(argument)]
    return None if argument is None else _portable(os.fsdecode(argument), top)


def _path_type(argument: Any) -> str:
    """What a path was passed as; of several, the first."""
    path = paths_in(argument)[0]
    return "bytes" if isinstance(path, bytes) else "path" if hasattr(path, "with_name") else "str"


def _portable(path: str, top: str | None) -> str:
    """A path that means the same elsewhere, where it can: relative to the work tree, or to the home directory."""
    # As passed first, so that a link within the work tree keeps its name.
    for real in (path, os.path.realpath(path) if os.path.isabs(path) else path):
        if top is not None and is_inside(real, top):
            return _unicode(relative_to(real, top))
    return without_home(_unicode(path))


def _unicode(text: str) -> str:
    return os.fsencode(text).decode(errors="replace")


def _size(path: str) -> int:
    if not os.path.isdir(path):
        return os.stat(path).st_size
    return sum(os.stat(os.path.join(above, name)).st_size for above, _, names in os.walk(path) for name in names)


def _remote_url(top: str) -> str | None:
    """Where the commits of a work tree may be fetched from, read anew: a remote can be set at any time."""
    try:
        output = run_git(top, ["config", "-z", "--get-regexp", r"^remote\..*\.url$"])
    except CodeStateError:
        return None  # git config fails where no key matches, and without a remote a record is still of use
    urls = dict(entry.decode(errors="replace").split("\n", 1) for entry in output.split(b"\0")[:-1])
    return without_credentials(urls.get("remote.origin.url") or next(iter(urls.values())))


def _other_states(reading: Reading) -> dict[str, str | None]:
    """The states of other work trees whose modules are loaded, by package."""
    states: dict[str, str | None] = {}
    for package, top in other_work_trees(reading.work_tree, reading.loaded).items():
        try:
            states[package] = str(_code.code_state(top))
        except CodeStateError:
            states[package] = None  # it cannot be determined
    return states
