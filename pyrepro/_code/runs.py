"""What runs, or has run, in no module that is there: under exec and runpy, unregistered, with something in its place.

Sources: runpy, which asks no finder for a module that is loaded already, and runs what its file holds by then;
importlib.abc.InspectLoader.get_code, which exec_module asks, whoever calls it.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import types
from importlib.machinery import PathFinder, SourceFileLoader
from typing import Any

from pyrepro._code import consoles, imports, modules, process
from pyrepro._code.load import Load
from pyrepro._code.modules import LoadedModule, module_bodies
from pyrepro._code.start import STARTED
from pyrepro._paths import is_plainly_installed


def replaced_before_pyrepro() -> list[LoadedModule]:
    """The modules that have put something else in their place before pyrepro was imported.

    Nothing of them is left to tell their files, but that import finds these by their names.
    """
    for name, module in list(sys.modules.items()):
        if module is None or issubclass(type(module), types.ModuleType):
            continue
        package = imports.namespace_of(sys.modules.get(name.rpartition(".")[0]))
        if "." in name and "__path__" not in package:
            continue
        with contextlib.suppress(Exception):  # the import never fails because of this
            spec = PathFinder.find_spec(name, package.get("__path__"))
            file = spec.origin if spec is not None and spec.has_location else None
            if file is not None and not is_plainly_installed(file):
                real = next(modules.real_files([file]))
                _replaced.append(LoadedModule(name, modules.Gone(name), spec, real, STARTED))
    return _replaced


_replaced: list[LoadedModule] = []


def running() -> list[LoadedModule]:
    """The files whose bodies run now, in any thread, in a namespace that is of no module; and what was replaced."""
    found = (_unseen_run(namespace, code) for namespace, code in module_bodies())
    return [*_replaced, *(run for run in found if run is not None)]


def runs_of(function: object) -> list[LoadedModule]:
    """What has run in no module and made a function, or the calling code; and what modules these hold unregistered."""
    frame = process.caller_frame()
    function = modules.without_partials(function)
    code: Any = getattr(function, "__code__", None)
    makers = [(frame.f_globals, frame.f_code)]
    if isinstance(code, types.CodeType):
        makers.append((getattr(function, "__globals__", {}), code))
    found = [run for maker in makers if (run := _unseen_run(*maker)) is not None]
    return [*found, *(each for namespace, _ in makers for each in _unregistered_in(namespace))]


def _get_code(loader: SourceFileLoader, fullname: str) -> Any:
    """The code that a loader makes of its file, noted: whoever loads by hand asks no finder."""
    loads: list[Load] = []
    # Nothing is loaded less because of this.
    with contextlib.suppress(Exception):
        loads = imports.note_execution(loader, sys._getframe(1))
    code = _get_code_of_loader(loader, fullname)
    for load in loads:
        imports.confirm(load)
    return code


_get_code_of_loader = SourceFileLoader.get_code
SourceFileLoader.get_code = _get_code  # type: ignore[assignment]


# For the reason that the finder leaves for.
atexit.register(setattr, SourceFileLoader, "get_code", _get_code_of_loader)


def _unseen_run(namespace: dict[str, Any], code: types.CodeType) -> LoadedModule | None:
    """The run of a file in a namespace that no load that was seen has made."""
    # Made-up names, as those of doctests, are of no file.
    file = None if code.co_filename.startswith("<") else modules.file_of_code(code, namespace)
    real = next(modules.real_files([file]), None) if file else None
    # A function that was pickled by value has a namespace of its own, in which no body ever ran.
    name = getattr(code, "co_qualname", code.co_name).partition(".")[0]
    is_by_value = name not in ("<module>", *namespace) and all(each is not namespace for each, _ in module_bodies())
    if real is None or is_by_value or modules.is_installed(real) or _is_of_module(namespace):
        return None
    spec = namespace.get("__spec__")
    load = None if spec is None else imports.load_of(str(namespace.get("__name__")), None, spec)
    is_seen = imports.is_run_seen(real) if load is None else load.is_run or not _is_of_another_module(namespace, spec)
    # What %run has run counts as it was run last, wherever that was.
    return None if is_seen else modules.unseen_run(real, None if real in consoles.files_run() else namespace)


def _is_of_module(namespace: dict[str, Any]) -> bool:
    if consoles.is_console_namespace(namespace):
        return False  # any number of files may run there
    name = str(namespace.get("__name__"))
    # Multiprocessing copies the namespace in which a program has run, once, into a module.
    return name == "__mp_main__" or imports.namespace_of(sys.modules.get(name)) is namespace


def _is_of_another_module(namespace: dict[str, Any], spec: Any) -> bool:
    """Whether the module that has a spec is there, and has another namespace: this one is of a later run."""
    module = sys.modules.get(str(getattr(spec, "name", "")))
    other = imports.namespace_of(module)
    return other is not namespace and other.get("__spec__") is spec


def _unregistered_in(namespace: dict[str, Any]) -> list[LoadedModule]:
    """The modules in a namespace that are not in sys.modules, as those that are made from their spec by hand."""
    held = [value for value in list(namespace.values()) if type(value) is types.ModuleType]
    found = []
    for module in held:
        name, file = str(imports.namespace_of(module).get("__name__")), None
        if sys.modules.get(name) is not module:
            file = next(modules.real_files(filter(None, [modules.file_of_module(module)])), None)
        if file is not None and not modules.is_installed(file):
            found.append(LoadedModule(name, module, modules.spec_of(module), file, STARTED))
    return found
