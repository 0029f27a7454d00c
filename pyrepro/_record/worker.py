"""The interpreter that makes an artifact again: started by reproduce, in a work tree of the recorded code.

It reads a request from standard input, imports the function, and calls it if
the configuration of that call is the recorded one. The answer goes into a
file: what the function prints is not mixed up with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

_TYPES: dict[str, Any] = {"str": str, "bytes": os.fsencode, "path": Path}


class _RefusalError(Exception):
    """Why the artifact cannot be made again."""


def _answer_to(request: dict[str, Any]) -> dict[str, Any]:
    _enter_tree(request)
    decorated = _decorated_function(request)
    arguments = _laid_out_arguments(request, decorated._naming.signature)
    # Checked before the call, which may take hours.
    _check_configuration(request, decorated._naming, arguments)
    decorated._naming.binding.call(decorated, arguments)
    return {"written": _tagged_paths(decorated._naming, arguments)}


def _enter_tree(request: dict[str, Any]) -> None:
    # Before anything of the tree is imported: a module may read sys.argv and open files while it is loaded.
    sys.argv = request["argv"] or [""]
    # In the place of the directory that this was started in, and before the chdir, after which a relative entry would
    # mean another directory.
    sys.path[:1] = request["path"]
    os.chdir(request["tree"])


def _decorated_function(request: dict[str, Any]) -> Any:
    try:
        decorated = _imported_function(request)
    except ImportError as error:
        raise _RefusalError(f"{request['file']} cannot be imported: {error}; install what it needs") from error
    # The decorator may have been taken off, or another one put around it.
    if getattr(decorated, "_naming", None) is None:
        raise _RefusalError(f"{request['function']} is no decorated function of {request['file']} any more")
    return decorated


def _laid_out_arguments(request: dict[str, Any], signature: inspect.Signature) -> dict[str, Any]:
    """All arguments by name, in the order of the parameters: what was recorded over what is the default."""
    parameters = signature.parameters
    arguments = {name: parameter.default for name, parameter in parameters.items()}
    # For *args and **kwargs the default is inspect's mark for none: they are empty unless recorded.
    arguments |= {name: () for name, parameter in parameters.items() if parameter.kind is parameter.VAR_POSITIONAL}
    arguments |= {name: {} for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD}
    arguments |= request["arguments"]
    for name, value in request["paths"].items():
        if name not in parameters:
            continue  # an input that is a key of the configuration, which the code finds itself
        arguments[name] = _as_passed(value, request["types"].get(name, "str"))
    return arguments


def _check_configuration(request: dict[str, Any], naming: Any, arguments: dict[str, Any]) -> None:
    """Refuse before the call: with another configuration the function would make another artifact."""
    config_hash = naming.config_hash(arguments)
    if config_hash != request["config_hash"]:
        raise _RefusalError(
            f"the configuration of the call hashes to {config_hash}, and the record says {request['config_hash']}; "
            f"what else it depends on is not recorded"
        )


def _tagged_paths(naming: Any, arguments: dict[str, Any]) -> list[str | None]:
    """The paths that the call wrote, in the order of the path parameters; None for one that was not passed."""
    # Asked after the call, so that asking cannot change what the call does.
    tagged = naming.binding.call(naming.tagged, arguments)
    written = [tagged[name] for name in naming.options.paths] if isinstance(tagged, dict) else [tagged]
    flat = [path for item in written for path in (item if isinstance(item, (list, tuple)) else [item])]
    return [None if path is None else os.fsdecode(path) for path in flat]


def _imported_function(request: dict[str, Any]) -> Any:
    module_name, _, qualname = request["function"].partition(":")
    if module_name in ("__main__", "__mp_main__"):
        # A script is loaded as a module, so what stands under if __name__ == "__main__" does not run.
        name = os.path.splitext(os.path.basename(request["file"]))[0]
        spec = importlib.util.spec_from_file_location(name, request["file"])
        assert spec is not None
        assert spec.loader is not None
        found: Any = importlib.util.module_from_spec(spec)
        # Before it is executed, as import does: pickle and dataclasses look the module up by its name.
        sys.modules[name] = found
        spec.loader.exec_module(found)
    else:
        found = importlib.import_module(module_name)
    for step in qualname.split("."):
        if not hasattr(found, step):
            raise _RefusalError(f"{request['file']} has no {qualname}, or makes it only while it runs")
        found = getattr(found, step)
    return found


def _as_passed(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_as_passed(item, kind) for item in value]
    if isinstance(value, dict):
        return {key: _as_passed(item, kind) for key, item in value.items()}
    return None if value is None else _TYPES[kind](value)


if __name__ == "__main__":  # pragma: no branch
    _request = json.load(sys.stdin)
    try:
        _answer = _answer_to(_request)
    except _RefusalError as refusal:
        _answer = {"refusal": str(refusal)}
    # Last: a worker that is ended before this leaves no answer, which reproduce takes for a failure.
    Path(_request["answer"]).write_text(json.dumps(_answer), encoding="utf-8")
