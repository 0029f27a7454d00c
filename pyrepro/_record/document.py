"""A call -> its record."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import posixpath
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pyrepro._code import state as _code
from pyrepro._code.git import run_git
from pyrepro._code.patch import Patch
from pyrepro._code.start import real_path
from pyrepro._code.state import Reading
from pyrepro._code.uncovered import other_work_trees
from pyrepro._config.file_hash import digests_of
from pyrepro._config.forms import JSON, json_form
from pyrepro._config.inputs import Input, flat
from pyrepro._paths import is_inside, paths_in, relative_to, text_of, without_staging
from pyrepro._record.cleaning import clean
from pyrepro._record.environment import lock_file, packages_of_process, python_now
from pyrepro._record.record import SUFFIX, RecordedInput
from pyrepro._record.secrets import without_credentials, without_home
from pyrepro._stores import is_in_store, store_of
from pyrepro.errors import CodeStateError, ConfigError

if TYPE_CHECKING:
    from pyrepro._record.program import Layout


_logger = logging.getLogger("pyrepro")


class RecordedCall(NamedTuple):
    """What is recorded of a call, apart from its artifacts."""

    function: str
    paths: Mapping[str, Any]
    inputs: list[Input]
    arguments: dict[str, Any]  # as recorded_arguments gives them
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
        meanwhile: the files that changed while it ran, None if that is unknown.

    Returns:
        JSON in UTF-8, its keys sorted.
    """
    import datetime

    from pyrepro._record.program import import_layout, import_name  # for records only

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
            "import": import_name(call.function.partition(":")[0], module),
            "declared": top is None,
            **_portable_layout(import_layout(top, reading.loaded), top),
            "others": {
                package: None if isinstance(state, CodeStateError) else str(state)
                for package, (_, state) in other_states(reading).items()
            },
            "patch": None if patch.content is None else patch_name(reading),
            "patch_size": patch.size,
            "left_out": [_unicode(path) for path in patch.left_out],
            "changed_meanwhile": None if meanwhile is None else [_unicode(path) for path in meanwhile],
        },
        "made_at": None,
        "config": call.form,
        "config_hash": call.config_hash,
        "inputs": {one.name: _recorded_input(one, call.directory, top) for one in call.inputs},
        "call": {
            "function": call.function,
            "paths": {name: recorded_paths(argument, top) for name, argument in call.paths.items()},
            "types": {
                name: _path_type(argument)
                for name, argument in {**call.paths, **{one.name: one.value for one in call.inputs}}.items()
                if paths_in(argument)
            },
            "argv": [without_home(text) for text in _argv(top, call.directory)],
            **_run(call, module, top),
            **call.arguments,
            "defaults": sorted(call.defaults),
        },
        "environment": {**python_now(), **packages_of_process(), "lock": None if top is None else lock_file(top)},
        "started": f"{when.isoformat(timespec='milliseconds')}Z",
        "seconds": seconds,
    }
    document, in_hash, unknown = clean(document, call.secret)
    _warn_of_secrets(call.function, in_hash, unknown)
    return _text_of(document)


def document_of_copy(original: bytes, document: bytes) -> bytes:
    """The record of a copy: that of what was copied, with the code of today.

    Args:
        original: the record of what was copied.
        document: a record of the copy, as if a call today had made it.

    Returns:
        JSON in UTF-8, its keys sorted.
    """
    old, today = json.loads(original), json.loads(document)
    made_at = old["made_at"] or {name: old["code"][name] for name in ("commit", "changes")}
    return _text_of(old | {name: today[name] for name in ("artifact", "code")} | {"made_at": made_at})


def _text_of(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    # Names of directories need not be UTF-8.
    return f"{text}\n".encode(errors="replace")


@functools.cache
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


def _argv(top: str | None, directory: str) -> list[str]:
    """The command line, with paths in the work tree as they are to be read from where the program is run again."""
    directory = real_path(directory)
    inner = relative_to(directory, top) if top is not None and is_inside(directory, top) else ""

    def portable(argument: str) -> str:
        # A path alone, or the value of --option=path or key=path; relative ones already are, as they were given.
        option, path = re.fullmatch("([^/=]*=)?(.*)", argument, re.DOTALL).groups(default="")  # type: ignore[union-attr]
        inside = _inside(path, top) if os.path.isabs(path) else None
        # Of absolute ones, which need no working directory: it may be gone.
        return _portable(argument, None) if inside is None else option + posixpath.relpath(f"/{inside}", f"/{inner}")

    # Where Python is embedded in another program there may be none.
    return [*(_portable(program, top) for program in sys.argv[:1]), *map(portable, sys.argv[1:])]


def _run(call: RecordedCall, module: str | None, top: str | None) -> dict[str, Any]:
    """How the program was run, apart from its arguments."""
    from pyrepro._record.program import interpreter_flags, program_now

    program = program_now(call.function.partition(":")[0], module)
    if program is not None and program["kind"] == "script":
        program["name"] = _portable(program["name"], top)
    real = real_path(call.directory)
    is_within = top is not None and (real == top or is_inside(real, top))
    return {
        "program": program,
        "directory": (relative_to(real, top) or ".") if is_within and top is not None else None,
        "flags": interpreter_flags(),
        # These alone of all variables: they change what Python computes, and are nobody's secret.
        "hash_seed": os.environ.get("PYTHONHASHSEED") or None,
        "timezone": os.environ.get("TZ") or None,
    }


def _portable_layout(layout: Layout, top: str | None) -> Layout:
    """Where modules are found; without a work tree, by paths that can be compared with those of the commit."""
    if top is not None:
        return layout
    path, late = ([_portable(entry, None) for entry in layout[name]] for name in ("path", "path_late"))
    return {"path": path, "path_late": late, "packages": {}}


def recorded_arguments(arguments: Mapping[str, Any], defaults: Iterable[str], top: str | None) -> dict[str, Any]:
    """The arguments of a call as they are now, whatever is done to them later.

    Args:
        arguments: the arguments by name.
        defaults: the names of those that are the defaults of their parameters.
        top: the work tree of the function.

    Returns:
        ``arguments``, ``typed`` and ``unrecorded``, as they are recorded.
    """
    from pyrepro._record.typed import UnrecordedError, is_exact, typed_form

    recorded: dict[str, JSON] = {}
    typed: dict[str, JSON] = {}
    unrecorded: dict[str, str] = {}
    for name, value in arguments.items():
        with contextlib.suppress(ConfigError):
            recorded[name] = json_form(value)
            # Only now: what contains itself has no form, and would be followed without an end.
            if is_exact(value):
                recorded[name] = json.loads(json.dumps(value))
                continue
        if name in defaults:  # a default comes back from the code
            continue
        try:
            typed[name] = typed_form(value, lambda path: _portable(path, top))
        except UnrecordedError:
            unrecorded[name] = f"{type(value).__module__}.{type(value).__qualname__}"
    return {"arguments": recorded, "typed": typed, "unrecorded": unrecorded}


def _recorded_input(one: Input, directory: str, top: str | None) -> RecordedInput | list[RecordedInput] | None:
    """The paths of an input, and the hashes of their content, which stand in the configuration."""
    parts: list[RecordedInput] = []
    for key, value, digest in flat(one.places, one.content):  # of the value the function may have taken some
        part: RecordedInput = {"path": None, "hash": digest, "artifact": None}
        if is_in_store(value):
            store, url = store_of(value)
            part["path"], part["artifact"] = url, _name_in(functools.partial(store.read, url + SUFFIX))
        elif isinstance(value, (str, bytes, os.PathLike)):
            file = os.path.normpath(os.path.join(directory, os.fsdecode(value)))
            part["path"], part["artifact"] = _portable(file, top), _name_in_record(file)
        if key is not None:
            part["key"] = key
        parts.append(part)
    if one.content is None:
        return None
    return parts if isinstance(one.content, (list, dict)) else parts[0]


def _name_in_record(file: str) -> str | None:
    """The name of a file as an artifact, None where it has no record."""

    def content() -> bytes:
        with open(file + SUFFIX, "rb") as opened:
            return opened.read()

    return _name_in(content)


def _name_in(content: Callable[[], bytes | None]) -> str | None:
    try:
        found = json.loads(content() or b"")["artifact"]["name"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if isinstance(found, str) else None


def recorded_paths(argument: Any, top: str | None) -> JSON:
    """The plain paths of an argument, as they were passed."""
    if isinstance(argument, (list, tuple)):
        return [_portable(text_of(path), top) for path in paths_in(argument)]
    return None if argument is None else _portable(text_of(argument), top)


def _path_type(argument: Any) -> str:
    """What a path was passed as; of several, the first."""
    path = paths_in(argument)[0]
    return "bytes" if isinstance(path, bytes) else "path" if hasattr(path, "with_name") else "str"


def _portable(path: str, top: str | None) -> str:
    """A path that means the same elsewhere, where it can: relative to the work tree, or to the home directory."""
    path = without_staging(path)  # of a call that called this one, and is still at it
    inside = _inside(path, top)
    return without_home(_unicode(path)) if inside is None else inside


def _inside(path: str, top: str | None) -> str | None:
    """A path in the work tree relative to it, None of another."""
    # As passed first, so that a link within the work tree keeps its name.
    for real in (path, os.path.realpath(path) if os.path.isabs(path) else path):
        if top is not None and is_inside(os.path.join(real, ""), top):
            return _unicode(relative_to(real, top)) or "."
    return None


def _unicode(text: str) -> str:
    return os.fsencode(text).decode(errors="replace")


def _size(path: str) -> int:
    if not os.path.isdir(path):
        return _size_of_entry(path)
    return sum(_size_of_entry(os.path.join(above, name)) for above, _, names in os.walk(path) for name in names)


def _size_of_entry(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # a link that leads nowhere
        return 0


def _remote_url(top: str) -> str | None:
    """Where the commits of a work tree may be fetched from, read anew: a remote can be set at any time."""
    try:
        output = run_git(top, ["config", "-z", "--get-regexp", r"^remote\..*\.url$"])
    except CodeStateError:
        return None  # git config fails where no key matches, and without a remote a record is still of use
    urls = dict(entry.decode(errors="replace").split("\n", 1) for entry in output.split(b"\0")[:-1])
    return without_credentials(urls.get("remote.origin.url") or next(iter(urls.values())))


def other_states(reading: Reading) -> dict[str, tuple[str, _code.CodeState | CodeStateError]]:
    """The other work trees whose modules are loaded, by package: each with its state, or why it has none."""
    packages = other_work_trees(reading.work_tree, reading.loaded)
    # Each is read once: modules beside each other are packages of one work tree, and there may be many.
    states = {top: _state_of(top) for top in {*packages.values()}}
    return {package: (top, states[top]) for package, top in packages.items()}


def _state_of(top: str) -> _code.CodeState | CodeStateError:
    try:
        return _code.code_state(top)
    except CodeStateError as error:
        return error
