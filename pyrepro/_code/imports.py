"""The finder: which bytes each module was loaded from.

Git is asked about files; what runs is in memory. What ties the two is noted here, just before a module is loaded.

Sources: importlib.abc.MetaPathFinder; sys.path_hooks, which runpy.run_path asks, too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import types
from _thread import get_ident
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, SourceFileLoader
from typing import Any, NoReturn

from pyrepro._code import workers
from pyrepro._code.caches import own_caches
from pyrepro._code.links import are_plainly_installed, followed, leads_out
from pyrepro._code.load import Load, fingerprint_of
from pyrepro._code.start import real_path
from pyrepro._paths import is_plainly_installed

# Not vars(), which makes a module load that LazyLoader has put off.
namespace_of_module: Any = vars(types.ModuleType)["__dict__"].__get__


def namespace_of(module: object) -> dict[str, Any]:
    """The namespace of a module; empty of what stands in sys.modules and is none, or only says so."""
    # Not isinstance, which mocks of modules pass.
    return namespace_of_module(module) or {} if issubclass(type(module), types.ModuleType) else {}


class Finder:
    """Asks the finders behind it, passes on what they give, and notes the source of what is about to be loaded."""

    def __init__(self) -> None:
        self._asking: set[tuple[str, int]] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the other finders give."""
        confirm_loads()
        # A submodule of an installed package is left to the others: most imports are of these. A top-level name is
        # not, for a user's own test.py comes before the one of the standard library.
        if path is not None and are_plainly_installed(path):
            return None
        asking = name, get_ident()
        if asking in self._asking:
            return None  # one of the finders that are asked asks back
        self._asking.add(asking)
        try:
            spec = self._spec_of_others(name, path, target)
        finally:
            self._asking.discard(asking)
        if spec is not None:
            # An import never fails because of this: what cannot be noted counts as loaded unseen.
            with contextlib.suppress(Exception):
                _note(name, spec, sys._getframe(2), is_reload=target is not None)
        return spec

    def _spec_of_others(self, name: str, path: Any, target: Any) -> Any:
        finders = list(sys.meta_path)
        for finder in finders[finders.index(self) + 1 :] if self in finders else ():
            find_spec = getattr(finder, "find_spec", None)
            if find_spec is None:
                return None  # of the kind before Python 3.4, which the import system asks in its own way
            spec = find_spec(name, path, target)
            if spec is not None:
                return spec
        return None


_KEPT = 10  # loads of one module: the first, and the last ones

_loads: dict[str, list[Load]] = {}
_loaded_otherwise: set[str] = set()
_unconfirmed: dict[str, Load] = {}
_MOST_UNCONFIRMED = 100
_count = 0


def _is_import(frame: types.FrameType | None) -> bool:
    """Whether a spec is asked for by an import or a reload, and not by one who may execute it later, or never."""
    return frame is not None and frame.f_code.co_name in ("_find_and_load_unlocked", "reload")


def _is_run(frame: types.FrameType | None) -> bool:
    """Whether a spec is asked for by runpy, which executes it in a module of its own."""
    caller = None if frame is None or frame.f_code.co_name != "find_spec" else frame.f_back
    return caller is not None and caller.f_code.co_name == "_get_module_details"


def _note(name: str, spec: Any, asking: types.FrameType | None, *, is_reload: bool) -> None:
    """Note what a module is about to be loaded from."""
    origin = spec.origin
    if not spec.has_location or not isinstance(origin, str):
        return
    if is_plainly_installed(origin) and not leads_out(origin):
        return
    # Where the links lead later does not change what is loaded now, but what its commit leads to.
    real, links = followed(origin)
    load = Load(_file_or_archive(real), spec, links=links)
    # Of a package, runpy runs another module.
    load.is_run = spec.submodule_search_locations is None and _is_run(asking)
    load.is_import = load.is_run or _is_import(asking)
    _settle_caches(load, getattr(spec, "cached", None), spec.loader)
    load.is_reload = is_reload
    if is_reload and type(spec.loader) is SourceFileLoader:
        _watch_reload(load, _loads.get(name, [])[-1:], spec.loader)
    if name in _loads:
        load.during = _running_modules()
    _keep(name, load)
    _unconfirmed[name] = load
    if load.is_run:
        _keep_run(_copied(load))
    if len(_unconfirmed) > _MOST_UNCONFIRMED:
        _unconfirmed.pop(next(iter(_unconfirmed)), None)


def _settle_caches(load: Load, cached: str | None, loader: Any) -> None:
    """Remove the compiled caches of another source before they are read: then what stands in the file is compiled."""
    # The standard one whatever the loader: one may stand before the one that reads it.
    for cache in () if cached is None else (cached, *own_caches(cached, loader)):
        is_stale = load.has_stale(cache, loader)
        if is_stale:
            os.unlink(cache)
        elif is_stale is not None:
            # So that it is not doubtful forever; of another user, or on a read-only file system, it stays so.
            with contextlib.suppress(OSError):
                os.utime(cache)


def _watch_reload(load: Load, before: list[Load], loader: Any) -> None:
    """Note whether a reload fails: its module stays, with a part of what was there before."""
    is_the_same = any(one.content == load.content and not one.mixed for one in before)

    def exec_module(module: types.ModuleType) -> None:
        del loader.exec_module
        try:
            loader.exec_module(module)
        except BaseException:
            load.mixed = "" if is_the_same else "and its reload failed"
            raise

    loader.exec_module = exec_module


def _copied(load: Load) -> Load:
    import copy  # for what runpy and %run execute only

    return copy.copy(load)


def name_of_run(path: str) -> str:
    """What the run of a file that is in no module is called, as IPython calls it."""
    return f"%run {path}"


def _keep_run(load: Load) -> None:
    """Keep what was run: what it has defined may live on, whatever becomes of the module that it ran in."""
    name = name_of_run(load.file)
    # A module is used again for the next run of the same script, so each run has a spec of its own.
    load.spec = ModuleSpec(name, None, origin=load.file)
    load.is_import = True
    _keep(name, load)
    _unconfirmed[name] = load


def is_run_seen(path: str) -> bool:
    """Whether the last run of a file that is in no module was noted."""
    return any(load.is_import for load in _loads.get(name_of_run(path), ())[-1:])


def note_run(file: Any, module: Any) -> Load:
    """Note a script that is about to run in a session, in a module that it may leave again, or None.

    Returns:
        What was noted, to be confirmed when it has run.

    Raises:
        OSError: it cannot be read.
    """
    real, links = followed(os.path.abspath(os.path.expanduser(file)))
    load = Load(real, None, links=links)
    _keep_run(load)
    if module is not None:
        keep_unseen(module.__name__, module, None, _copied(load), load.order)
        _loads[module.__name__][-1].is_import = False
    return load


def note_execution(loader: SourceFileLoader, asking: types.FrameType) -> list[Load]:
    """Note what a loader is about to make code of.

    Args:
        loader: the loader.
        asking: the frame that asks it for the code, which tells in which module that will run.

    Returns:
        The loads that are to be confirmed when it has done so.

    Raises:
        OSError: the file cannot be read.
    """
    # As most are; links lead out of an environment by its top.
    if is_plainly_installed(loader.path) and not leads_out(loader.path, is_top="." not in loader.name):
        return []
    known = [load for load in _loads.get(loader.name, ()) if getattr(load.spec, "loader", None) is loader][-1:]
    if known and known[0].is_import and not known[0].is_executed and _is_still(known[0]):
        known[0].is_executed = True
        if type(loader) is not SourceFileLoader:  # the finder may have seen another one, in whose place this one is
            _settle_caches(known[0], known[0].spec.cached, loader)
        return known
    # The finder was not asked for it, or for another execution, or long before.
    from importlib.util import cache_from_source

    file = os.path.abspath(loader.path)
    real, links = followed(file)
    load = Load(real, None, links=links)
    _settle_caches(load, cache_from_source(file) if sys.implementation.cache_tag else None, loader)
    load.is_executed = True
    loads = [load, _copied(load)]
    _keep_run(load)
    module: Any = asking.f_locals.get("module") if asking.f_code.co_name == "exec_module" else None
    spec = namespace_of(module).get("__spec__")
    if spec is not None:
        keep_unseen(loader.name, module, spec, loads[1], load.order)
        # The run alone counts when its module is gone.
        loads[1].is_import, loads[1].is_reload = False, bool(known)
        loads[1].during = _running_modules()
    return loads


def confirm(load: Load) -> None:
    """Confirm a load if its file is still the same, now that Python has read it, too."""
    with contextlib.suppress(OSError):
        load.is_confirmed = load.is_confirmed or _is_still(load)


def _is_still(load: Load) -> bool:
    return fingerprint_of(os.stat(load.file)) == load.fingerprint


def note_patch(module: types.ModuleType, before: str, after: str) -> None:
    """Note that a module was patched in place with what differs between two sources.

    Raises:
        OSError: its file cannot be read.
    """
    from importlib.util import decode_source  # for sessions only

    name, spec = module.__name__, namespace_of(module).get("__spec__")
    load = load_of(name, module, spec)
    if load is None or load.content is None:
        return  # a file that was written since it was loaded unseen counts as unknown
    now = Load(load.file, load.spec, links=load.links)
    now.is_reload = True
    texts = (decode_source(content or b"") for content in (load.content, now.content))
    if tuple(texts) != (before, after):
        now.mixed = "and %autoreload patched only a part of it into the module"
    now.mixed = load.mixed or now.mixed
    keep_unseen(name, module, load.spec, now, now.order)


def confirm_loads() -> None:
    """Confirm the loads whose files are still the same, now that Python has read them, too."""
    here = get_ident()
    for name, load in list(_unconfirmed.items()):
        is_there = namespace_of(sys.modules.get(name)).get("__spec__") is load.spec
        # A thread that asks for another module has read the last one that it imported, or is in the midst of its body.
        if (load.thread == here and load.is_import) or (is_there and not getattr(load.spec, "_initializing", False)):
            _unconfirmed.pop(name, None)
            confirm(load)


def caches_of(spec: Any) -> list[str]:
    """The compiled caches that the loader of a spec may have taken."""
    loader, cached = getattr(spec, "loader", None), getattr(spec, "cached", None)
    if cached is None:
        return []
    is_standard = isinstance(loader, SourceFileLoader) and type(loader).get_code is SourceFileLoader.get_code
    # Who keeps caches of their own do not take the standard one.
    return own_caches(cached, loader) or ([cached] if is_standard else [])


def _file_or_archive(file: str) -> str:
    """The file, or the archive in which it stands."""
    above = file
    while not os.path.isfile(above) and above != os.path.dirname(above):
        above = os.path.dirname(above)
    return above


def _keep(name: str, load: Load) -> None:
    global _count
    _count += 1
    loads = _loads.setdefault(name, [])
    if loads and loads[-1].content == load.content:
        load.content = loads[-1].content  # once for all that are equal
    loads.append(load)
    # Other modules of the same name, as every conftest is, are no other loads of it.
    alike = [one for one in loads if one.found_at == load.found_at]
    if len(alike) == 1 and load.is_reload:
        load.gap = os.urandom(20).hex()  # the first load was not seen
    if load.gap or (len(alike) > 1 and alike[-2].content != load.content):
        # An import never fails because of this.
        with contextlib.suppress(Exception):
            workers.note_reload(load.file)
    if load.gap or any(one.content != load.content for one in alike):
        _loaded_otherwise.add(name)
    if len(alike) > _KEPT:
        first, dropped, after = alike[:3]
        after.is_reload = after.is_reload and dropped.is_reload
        if dropped.gap or dropped.content != first.content:
            after.gap = os.urandom(20).hex()
        loads.remove(dropped)


def count_of_loads() -> int:
    """How many loads were noted: more of them after each import of one of the user's modules."""
    return _count


def _running_modules() -> frozenset[str]:
    """The names of the modules whose bodies run in this thread."""
    names = set()
    frame: types.FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            names.add(str(frame.f_globals.get("__name__")))
        frame = frame.f_back
    return frozenset(names)


def is_any_loaded_otherwise() -> bool:
    """Whether any module was loaded again from other bytes."""
    return bool(_loaded_otherwise)


def loads_like(name: str, load: Load) -> list[Load]:
    """The loads of a module from the place of one of them, as they followed each other."""
    alike = [one for one in _loads.get(_name_in(load.spec, name), ()) if one.found_at == load.found_at]
    # A spec that was found but not executed is not a load.
    found = [one for one in alike if one is load or (not one.is_run and (one.is_import or one.is_confirmed))]
    return sorted(found, key=lambda one: one.order)


def load_of(name: str, module: object, spec: object) -> Load | None:
    """The load that a module comes from, None where it was not seen."""
    key = module if spec is None else spec
    # By identity: module objects are used again, and specs may be equal.
    found = next((load for load in reversed(_loads.get(_name_in(spec, name), ())) if load.spec is key), None)
    if found is None and spec is None and name in ("__main__", "__mp_main__"):
        # A worker copies the namespace in which its program has run, once, into another module.
        file = real_path(str(namespace_of(module).get("__file__")))
        found = next((load for load in _loads.get("__mp_main__", ()) if load.file == file), None)
    return found


def loads_without_module() -> list[tuple[str, Load]]:
    """The last loads, from each place, of modules that are gone from sys.modules, or have put something else there."""
    last = [(name, load) for name, loads in list(_loads.items()) for load in _last_imports(loads)]
    gone = [one for one in last if not _is_there(*one)]
    specs = {id(namespace_of(module).get("__spec__")) for module in list(sys.modules.values())} if gone else set()
    return [(name, load) for name, load in gone if id(load.spec) not in specs]


def _last_imports(loads: list[Load]) -> Iterable[Load]:
    if len(loads) == 1:  # as most modules have
        return loads if loads[0].is_import else ()
    return {load.found_at: load for load in loads if load.is_import}.values()


def _is_there(name: str, load: Load) -> bool:
    """Whether a module of this name is there that was loaded from the same place."""
    module = sys.modules.get(name)
    spec = namespace_of(module).get("__spec__")
    present = None if spec is None else load_of(name, module, spec)
    return present is not None and present.found_at == load.found_at


def keep_unseen(name: str, module: object, spec: object, load: Load, seen_after: int) -> None:
    """Keep what a module that was loaded unseen, after some time, is known to have been loaded from."""
    load.order = seen_after
    load.spec = module if spec is None else spec
    load.is_confirmed = True
    load.is_import = spec is not None  # so that it counts when its module is taken out of sys.modules, too
    _keep(_name_in(spec, name), load)


def _name_in(spec: object, name: str) -> str:
    """The name that a module was found by; it may be listed under another, too."""
    if issubclass(type(spec), types.ModuleType):
        return name  # it stands for its spec, and its variables may be called anything
    try:
        return str(getattr(spec, "name", name))
    except Exception:  # whatever stands there as a spec
        return name


def _note_run_path(path: str) -> NoReturn:
    """Note a file that runpy.run_path is about to run: it asks first whether anything can import from there."""
    asking = sys._getframe(1)
    caller = asking.f_back
    if asking.f_code.co_name == "get_importer" and caller is not None and caller.f_code.co_name == "run_path":
        # The run never fails because of this.
        with contextlib.suppress(Exception):
            note_run(path, None)
    raise ImportError(path)  # as path hooks say that they import nothing


_finder = Finder()


def _leave() -> None:
    # ValueError: somebody may have taken it out.
    with contextlib.suppress(ValueError):
        sys.meta_path.remove(_finder)
    with contextlib.suppress(ValueError):
        sys.path_hooks.remove(_note_run_path)


sys.meta_path.insert(0, _finder)
sys.path_hooks.append(_note_run_path)  # behind those that take directories and archives
# What a finder reaches outlives the garbage collection at the end of a process, and each module of it is then cleared
# for itself, which takes longer than half of pyrepro took to import.
atexit.register(_leave)
