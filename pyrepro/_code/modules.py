"""The modules and module bodies that are loaded in this process, and the files that they, and functions, come from."""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import os
import stat
import sys
import time
import types
import zipimport
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyrepro._code import consoles, imports
from pyrepro._code.caches import holds
from pyrepro._code.links import leads_out
from pyrepro._code.start import DIRECTORY, IMPORTED, STARTED, working_directory
from pyrepro._paths import is_plainly_installed

# In every directory that sysconfig names, on whatever platform: lib/python3.12, Lib, bin, Scripts.
_IN_INSTALLED = (f"{os.sep}lib", f"{os.sep}bin{os.sep}", f"{os.sep}scripts{os.sep}", "python", "pypy")


def module_bodies() -> list[tuple[dict[str, Any], types.CodeType]]:
    """The module bodies that run now, in any thread, with their namespaces: each behind those that it calls."""
    bodies = []
    innermost: types.FrameType | None = None
    frame: types.FrameType | None = None
    for innermost in sys._current_frames().values():
        frame = innermost
        while frame is not None:
            if frame.f_code.co_name == "<module>":
                bodies.append((frame.f_globals, frame.f_code))
            frame = frame.f_back
    # This frame is among them, and a frame that holds itself would keep what all its callers hold.
    del innermost
    return bodies


def is_installed(file: str) -> bool:
    """Whether a file belongs to an installed environment."""
    if is_plainly_installed(file):
        return True
    return can_be_installed(file) and file.startswith(_installed_prefixes())


def can_be_installed(file: str) -> bool:
    """Whether a file can be in a directory that sysconfig names, whose import takes 2 ms."""
    text = file.lower()
    return any(part in text for part in _IN_INSTALLED)


def _is_kept_in_environment(name: str, file: str) -> bool:
    """Whether a module belongs to an installed environment, and not to what is linked into it."""
    return is_installed(file) and not leads_out(file, is_top="." not in name)


def is_linked_alone(module: object) -> bool:
    """Whether the file of a module is itself a link in an installed environment.

    Some installers keep all files in a cache, and link each of them.
    """
    file = imports.namespace_of(module).get("__file__")
    return isinstance(file, str) and is_installed(file) and os.path.islink(file)


@functools.cache
def _installed_prefixes() -> tuple[str, ...]:
    import sysconfig

    known = sysconfig.get_paths()
    paths = [known[name] for name in ("purelib", "platlib", "stdlib", "platstdlib", "scripts")]
    return tuple({os.path.join(path, "") for given in paths for path in (given, os.path.realpath(given))})


def without_partials(function: Any) -> Any:
    """The function that partials of it call."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def function_file(function: object) -> str | None:
    """The file of a function's own module, None where it has none, a relative path where that is unknown."""
    function = without_partials(function)
    namespace = getattr(function, "__globals__", {})
    if namespace.get("__name__") == getattr(function, "__module__", None):
        return file_of_code(function.__code__, namespace)  # type: ignore[attr-defined]
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return file_of_module(module)


def file_of_module(module: object) -> str | None:
    """The file that a module was loaded from, None where there is none."""
    namespace = imports.namespace_of(module)
    spec: Any = namespace.get("__spec__")
    return _file_in(namespace) or (_found(spec.origin, namespace) if getattr(spec, "has_location", False) else None)


def spec_of(module: object) -> object:
    """What is another object after a module was loaded again."""
    return imports.namespace_of(module).get("__spec__")


class LoadedModule:
    """A loaded module outside installed environments.

    Args:
        name: its name in sys.modules.
        module: the module.
        spec: its spec, a new one after it was loaded again.
        file: the real one; of a module in an archive, the archive.
        seen_after: what was written later than this, in nanoseconds, may not be what was loaded.
        original: the file in the work tree that is read, where this is another copy of it.
        target: of a link over which the module was found, what the link said; the file is the link.
    """

    # Not a Value, which takes five times as long to make: they are many.
    __slots__ = ("file", "module", "name", "original", "seen_after", "spec", "target")

    def __init__(
        self,
        name: str,
        module: types.ModuleType,
        spec: object,
        file: str,
        seen_after: int,
        original: str | None = None,
        target: str | None = None,
    ) -> None:
        self.name, self.module, self.spec, self.file = name, module, spec, file
        self.seen_after, self.original, self.target = seen_after, original, target

    def standing_for(self, file: str, *, original: str | None = None, target: str | None = None) -> LoadedModule:
        """The module in another place of the work tree: that of a copy, or of a link over which it was found."""
        return LoadedModule(self.name, self.module, self.spec, file, self.seen_after, original, target)


class Gone(types.ModuleType):
    """Stands for a module that was loaded and is no longer in sys.modules, or for a run in none.

    To be told by its type: isinstance() makes a module load that LazyLoader has put off.
    """

    ran_in: dict[str, Any] | None = None  # the namespace, where that is known


_GONE = Gone("gone")


_bodies_at_import: list[tuple[dict[str, Any], str]] = []
"""The files of the bodies that ran when pyrepro was imported, whatever has become of them, and of the directory."""

_last_look: tuple[list[Any], list[int]] = [], []
"""The modules of the last look, and the positions of those to look at again: most are installed, and stay so."""

_time_of_last_look = STARTED
_seen_after: dict[str, tuple[object, object, int]] = {}


def loaded_modules() -> list[LoadedModule]:
    """The loaded modules outside installed environments."""
    global _last_look, _time_of_last_look
    consoles.watch_runs()
    imports.confirm_loads()
    now = time.time_ns()
    present = dict(sys.modules)
    names, modules = [*present], [*present.values()]
    before, positions = _last_look
    # The same objects in the same order are told by their addresses alone: to touch them all would take longer.
    if len(before) > len(modules) or not all(map(operator.is_, before, modules)):
        before, positions = [], []
    loaded = []
    still_open = []
    real_directories: dict[str, str] = {}
    for position in itertools.chain(positions, range(len(before), len(modules))):
        module = modules[position]
        spec = spec_of(module)
        # First the load, which most have; what has no spec may be a console, which is in no file.
        load = None if spec is None else imports.load_of(names[position], module, spec)
        file = None if load is not None else file_of_module(module)
        if file is not None and spec is None:
            load = imports.load_of(names[position], module, spec)
        if load is not None:
            real: str | None = load.file
        else:
            is_of_environment = file is None or _is_kept_in_environment(names[position], file)
            real = None if file is None or is_of_environment else _real_file(file, real_directories)
        if real is not None and not is_installed(real):
            loaded.append(
                LoadedModule(names[position], module, spec, real, _time_before_load(names[position], module, spec))
            )
            still_open.append(position)
        elif not _is_settled(module, spec):
            still_open.append(position)
    _last_look = modules, still_open
    _time_of_last_look = now
    gone = [(name, load) for name, load in imports.loads_without_module() if not is_installed(load.file)]
    ran = [path for path in consoles.files_run() if not imports.is_run_seen(path) and not is_installed(path)]
    return [
        *loaded,
        *(LoadedModule(name, _GONE, load.spec, load.file, now) for name, load in gone),
        *map(unseen_run, ran),
    ]


_SPEC = itertools.repeat("__spec__")


class ModulesThen:
    """The modules of one moment, to see which of them were loaded since.

    Args:
        keys: how many modules were loaded then, and the last of them.
        loaded: those whose code the commit could hold.
    """

    def __init__(self, keys: tuple[int, str | None, int], loaded: Sequence[LoadedModule]) -> None:
        self._number, self._last, self._count_of_loads = keys
        # By identity: specs may be equal. The specs are kept alive, so that no other one gets the same id.
        self._loads = {module.name: (id(module.spec), type(module.module)) for module in loaded}
        self._kept_alive = loaded
        present = [module for module in loaded if type(module.module) is not Gone]
        self._names = [module.name for module in present]
        self._modules = [module.module for module in present]
        self._specs = [module.spec for module in present]
        # A module that LazyLoader has put off gets another class when it is loaded, and nothing else.
        self._classes = [type(module.module) for module in present]

    def are_loaded(self) -> bool:
        """Whether these very modules are loaded now, and no others."""
        known = sys.modules
        return (
            self._number == len(known)
            and self._last == next(reversed(known), None)
            and self._count_of_loads == imports.count_of_loads()
            and (not self._names or self._are_the_same(known))
        )

    def _are_the_same(self, known: dict[str, types.ModuleType]) -> bool:
        return (
            all(map(operator.is_, map(known.get, self._names), self._modules))
            and all(map(operator.is_, map(type, self._modules), self._classes))
            and all(
                map(operator.is_, map(dict.get, map(imports.namespace_of_module, self._modules), _SPEC), self._specs)
            )
        )

    def others(self, loaded: Sequence[LoadedModule]) -> list[LoadedModule]:
        """The modules that are not among these, or were loaded again."""
        return [one for one in loaded if self._loads.get(one.name) != (id(one.spec), type(one.module))]


def keys_of_modules() -> tuple[int, str | None, int]:
    """How many modules are loaded, the last of them, and how many loads were seen."""
    return len(sys.modules), next(reversed(sys.modules), None), imports.count_of_loads()


_numbers = itertools.count()
_last_runs: dict[str, Gone] = {}
"""What stands for the module of the last run of each file that ran in none, unseen."""


def unseen_run(path: str, namespace: dict[str, Any] | None = None) -> LoadedModule:
    """A file that runs, or has run, in no module that is there, unseen.

    Args:
        path: the file.
        namespace: where it runs, None for wherever it ran last: in another one it may be another code.
    """
    last = _last_runs.get(path)
    if last is None or (namespace is not None and last.ran_in is not namespace):
        _last_runs[path] = last = Gone(f"gone {next(_numbers)}")
        last.ran_in = namespace
    return LoadedModule(imports.name_of_run(path), last, None, path, STARTED)


def modules_loaded_before_pyrepro() -> list[LoadedModule]:
    """The modules that were loaded before this one, outside of what is plainly installed.

    To be called at the import of pyrepro, which must not cost a look at what sysconfig says.
    """
    global _time_of_last_look
    with contextlib.suppress(Exception):  # the import never fails because of this
        consoles.watch_runs()
    found = []
    real_directories: dict[str, str] = {}
    for name, module in list(sys.modules.items()):
        file = file_of_module(module)
        if file is not None and not (is_plainly_installed(file) and not leads_out(file, is_top="." not in name)):
            spec = spec_of(module)
            _seen_after[name] = module, spec, STARTED
            found.append(LoadedModule(name, module, spec, _real_file(file, real_directories), STARTED))
    # A profiler may run the program in a namespace that is of no module.
    for namespace, code in module_bodies():
        file = _file_in(namespace, code)
        if file is not None and not is_plainly_installed(file):
            _bodies_at_import.append((namespace, file))
            found.append(unseen_run(_real_file(file, real_directories), namespace))
    _time_of_last_look = IMPORTED
    return found


def _time_before_load(name: str, module: object, spec: object) -> int:
    """A time at which a module was not loaded yet: the last look that did not have it, or the start of the process."""
    known = _seen_after.get(name)
    if known is None or known[0] is not module or known[1] is not spec:
        # The program is there from the start, whenever it is looked at.
        is_program = name in ("__main__", "__mp_main__")
        _seen_after[name] = known = module, spec, STARTED if is_program else _time_of_last_look
    return known[2]


def _is_settled(module: object, spec: object) -> bool:
    """Whether where a module comes from will not turn out otherwise: it has a full path, or is part of Python."""
    file = imports.namespace_of(module).get("__file__")
    if file is None:
        return getattr(spec, "origin", None) in ("built-in", "frozen")
    return isinstance(file, str) and os.path.isabs(file)


def real_files(files: Iterable[str]) -> Iterator[str]:
    """Files without symbolic links, or the archives that hold them; those whose place is unknown left out."""
    real_directories: dict[str, str] = {}
    return (_real_file(file, real_directories) for file in files if os.path.isabs(file))


def _real_file(file: str, real_directories: dict[str, str]) -> str:
    directory, name = os.path.split(file)
    if directory not in real_directories:
        real_directories[directory] = os.path.realpath(directory)
    real = os.path.join(real_directories[directory], name)
    try:
        target = os.path.realpath(real) if stat.S_ISLNK(os.lstat(real).st_mode) else real
        # A link that leads nowhere has taken the place of the file: what it names was never loaded.
        return target if target == real or os.path.isfile(target) else real
    except (OSError, ValueError):  # a made-up name may hold anything
        return _archive_of(real) or real


def _archive_of(file: str) -> str | None:
    while (above := os.path.dirname(file)) != file:
        if os.path.isfile(above):
            return above
        file = above
    return None


def file_of_code(code: types.CodeType, namespace: dict[str, Any]) -> str | None:
    """The file of code that runs in a namespace, None where it has none, a relative path where that is not known."""
    if consoles.is_console_name(code.co_filename):
        return None
    found = _file_in(namespace, code) or _found(code.co_filename, namespace, code)
    if consoles.is_console_namespace(namespace):
        return found
    given = namespace.get("__file__")
    # Consoles make such names up: <stdin>.
    return given if found is None and isinstance(given, str) and not given.startswith("<") else found


def _file_in(namespace: dict[str, Any], code: types.CodeType | None = None) -> str | None:
    """The file of a module's namespace: an absolute path, or where a relative one is known to lead."""
    file = namespace.get("__file__")
    if not isinstance(file, str) or consoles.is_console_namespace(namespace):
        return None
    if os.path.isabs(file):
        return file
    at_import = next((path for other, path in _bodies_at_import if other is namespace), None)
    return _noted_file(namespace) or at_import or _found(file, namespace, code)


def _noted_file(namespace: dict[str, Any]) -> str | None:
    """The file that a module was seen to be loaded from, wherever the process has gone to since."""
    name = namespace.get("__name__", "")
    module = sys.modules.get(name)
    if not isinstance(module, types.ModuleType) or imports.namespace_of(module) is not namespace:
        return None
    load = imports.load_of(name, module, namespace.get("__spec__"))
    return None if load is None else load.file


def _found(file: object, namespace: dict[str, Any], code: types.CodeType | None = None) -> str | None:
    """The path of a file that is there, if it is absolute; else of the one that the code of a namespace comes from.

    The process may have gone elsewhere, and some modules carry a made-up relative name as their file.
    """
    if not isinstance(file, str) or os.path.isabs(file):
        return file if isinstance(file, str) and os.path.isfile(file) else None
    # First where it was: if another directory holds the same code, the process has gone there.
    directories = [directory for directory in (DIRECTORY, working_directory()) if directory]
    paths = [os.path.normpath(os.path.join(directory, file)) for directory in directories]
    sources = {path: source for path in paths if (source := _source_at(path)) is not None}
    if not sources:
        return None
    # The body says most, if it runs; the same function may stand in several files.
    running = [body for other, body in module_bodies() if other is namespace][-1:]
    given = [] if code is None else [code]
    parts = running or given or [each.__code__ for each in namespace.values() if isinstance(each, types.FunctionType)]
    return next((path for path, source in sources.items() if any(holds(source, part) for part in parts)), None)


def _source_at(path: str) -> bytes | None:
    """The bytes of a file, or of one in an archive; None where there is none."""
    try:
        if not os.path.isfile(path):
            archive = _archive_of(path)
            return None if archive is None else zipimport.zipimporter(archive).get_data(path)
        with open(path, "rb", buffering=0) as opened:
            return opened.read()
    except (OSError, zipimport.ZipImportError):
        return None
