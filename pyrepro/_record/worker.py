"""The interpreter that makes an artifact again: started by reproduce, beside a clone of the recorded code.

It lays out the path of imports, and either calls the function with the recorded arguments or runs the recorded program.
The answer goes into a file: what the program prints is not mixed up with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from pyrepro._record.program import is_site
from pyrepro._record.replay import refuse, refuse_other_modules, request, write_answer
from pyrepro._record.typed import UnrecordedError, value_of

_TYPES: dict[str, Any] = {"str": str, "bytes": os.fsencode, "path": Path}


def _lay_out() -> None:
    # Before anything of the tree is imported: a module may read sys.argv and open files while it is loaded.
    wanted = request()
    sys.argv = [*wanted["argv"]]
    # Behind what is installed, as then, and before what .pth files of editable installs add there.
    ends = [index + 1 for index, entry in enumerate(sys.path) if is_site(entry)]
    place = ends[0] if ends else len(sys.path)
    sys.path[place:place] = wanted["late"]
    # In the place of the directory that this was started in, and before the chdir, after which a relative entry would
    # mean another directory.
    sys.path[:1] = wanted["path"]
    own = [*wanted["own"], *wanted["path"], *wanted["late"]]
    # For the processes that it starts.
    os.environ["PYTHONPATH"] = os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])])
    os.chdir(wanted["directory"])


def _run_program() -> None:
    kind, name = request()["program"]
    if kind == "script":
        sys.path.insert(0, os.path.dirname(name))
        runpy.run_path(name, run_name="__main__")
    elif kind == "module":
        sys.path.insert(0, os.getcwd())
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        module, _, attribute = name.partition(":")
        target: Any = importlib.import_module(module)
        for step in attribute.split("."):
            target = getattr(target, step)
        sys.exit(target())


def _call_function() -> None:
    decorated = _decorated_function()
    naming = decorated._naming
    arguments = _laid_out_arguments(naming)
    refuse_other_modules()
    # Checked before the call, which may take hours.
    config_hash = naming.config_hash(arguments)
    if config_hash != request()["config_hash"]:
        given = ", ".join(request()["given"])
        why = f"what arguments= gives may not be what was passed then: {given}" if given else ""
        refuse(
            f"the configuration of the call hashes to {config_hash}, but the record says {request()['config_hash']}; "
            f"{why or 'what else it depends on is not recorded'}",
            is_final=False,
        )
    result = naming.binding.call(decorated, arguments)
    if inspect.iscoroutine(result):
        import asyncio

        asyncio.run(result)


def _decorated_function() -> Any:
    try:
        found = _imported_module()
    except (Exception, SystemExit) as error:
        # What the program puts into sys.path, or imports first, may be missing.
        refuse(f"{request()['file']} cannot be imported: {type(error).__name__}: {error}", is_final=False)
    for step in request()["qualname"].split("."):
        if not hasattr(found, step):
            refuse(
                f"{request()['file']} has no {request()['qualname']}, or defines it only while it runs", is_final=False
            )
        found = getattr(found, step)
    # The decorator may have been taken off, or another put around it.
    if getattr(found, "_naming", None) is None:
        refuse(f"{request()['function']} is no longer a decorated function of {request()['file']}", is_final=False)
    return found


def _imported_module() -> Any:
    name, file = request()["import"], request()["file"]
    if name is None:
        # A script is loaded as a module, so what stands under if __name__ == "__main__" does not run.
        name = os.path.splitext(os.path.basename(file))[0]
        sys.path.insert(0, os.path.dirname(file))
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        # Before it is executed, as import does: pickle and dataclasses look the module up by its name.
        sys.modules[name] = found
        spec.loader.exec_module(found)
        return found
    return importlib.import_module(name)


def _laid_out_arguments(naming: Any) -> dict[str, Any]:
    """All arguments by name, in the order of the parameters: what was recorded over what is the default."""
    parameters, options, wanted = naming.signature.parameters, naming.options, request()
    arguments = {name: parameter.default for name, parameter in parameters.items()}
    # For *args and **kwargs the default is inspect's mark for none: they are empty unless recorded.
    arguments |= {name: () for name, parameter in parameters.items() if parameter.kind is parameter.VAR_POSITIONAL}
    arguments |= {name: {} for name, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD}
    given = dict(wanted["arguments"])
    for name, form in wanted["typed"].items():
        try:
            given[name] = value_of(form, _class_named, _located)
        except UnrecordedError as error:
            refuse(f"the argument {name} cannot be given back: {error}", is_final=False)
    for name, value in wanted["arguments_of_paths"].items():
        # An input that is a key of the configuration is found by the code itself.
        if name in parameters or name not in options.inputs:
            given[name] = _as_passed(value, wanted["types"].get(name, "str"))
    in_memory = [name for name in wanted["in_memory"] if name in parameters]
    if in_memory:
        refuse(
            f"its input {in_memory[0]} was data in memory, which no record holds; write it to a file, and pass that",
            is_final=False,
        )
    unknown = [name for name in given if name not in arguments]
    if unknown:
        refuse(f"{wanted['function']} has no parameter {unknown[0]!r}")
    return arguments | given


def _class_named(name: str) -> Any:
    """A class that is loaded: nothing is imported because a record says so."""
    module, _, qualname = name.partition(":")
    imported = request()["import"] or os.path.splitext(os.path.basename(request()["file"]))[0]
    found: Any = sys.modules.get(imported if module in ("__main__", "__mp_main__") else module)
    if found is None:
        raise UnrecordedError(f"the module {module} of its class is not loaded")
    for step in qualname.split("."):
        found = getattr(found, step)
    return found


def _located(path: str) -> str:
    """Where a recorded path is here."""
    place = os.path.normpath(os.path.join(request()["tree"], os.path.expanduser(path)))
    return request()["places"].get(place, place)  # type: ignore[no-any-return]


def _as_passed(value: Any, kind: str) -> Any:
    if isinstance(value, list):
        return [_as_passed(item, kind) for item in value]
    if isinstance(value, dict):
        return {key: _as_passed(item, kind) for key, item in value.items()}
    return None if value is None else _TYPES[kind](value)


def _from_the_recorded_code_on(error: BaseException) -> BaseException:
    """An error whose traceback begins where that of the program begins when it is started by hand."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(request()["tree"]):
        trace = trace.tb_next
    return error.with_traceback(trace or error.__traceback__)


def main() -> None:
    """Make the artifact; the process ends as soon as it is there."""
    _lay_out()
    try:
        if request()["program"] is None:
            _call_function()
        else:
            _run_program()
    except SystemExit as error:
        if error.code not in (None, 0):
            sys.stderr.write(f"{error.code}\n")
            write_answer({"failed": True})
            return
    except BaseException as error:
        traceback.print_exception(_from_the_recorded_code_on(error))
        # The versions that ran, since they may be why.
        write_answer({"failed": True})
        return
    write_answer({"ended": True})


if __name__ == "__main__":  # pragma: no branch - processes that it starts anew import it under another name
    main()
