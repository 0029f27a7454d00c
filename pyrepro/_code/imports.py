"""The finder: which bytes each module was loaded from; the process's start.

Git is asked about files; what runs is in memory. What ties the two is noted here, just before a module is loaded.

Sources: importlib.abc.MetaPathFinder; PEP 552 for compiled caches; proc_pid_stat(5).
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import os
import sys
import time
import types
from _thread import get_ident
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from typing import Any

Fingerprint = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of modification and of change in nanoseconds."""

TICK = 10_000_000
"""Nanoseconds: the kernel counts the starts of processes and the changes of files in ticks of a coarse clock."""

_LONGEST_COMPILATION = 5_000_000_000
"""Nanoseconds between the reading of a source and the writing of its compiled cache: edits in between go unseen."""

_LARGEST_HASHED = 2**26
"""Bytes of an archive or an extension module: of larger ones a touch alone is taken for another content."""

_STANDARD_LIBRARY = os.path.join(os.path.dirname(os.__file__), "")


# Not vars(), which makes a module load that LazyLoader has put off.
namespace_of_module: Any = vars(types.ModuleType)["__dict__"].__get__


def namespace_of(module: object) -> dict[str, Any]:
    """The namespace of a module; empty of what stands in sys.modules and is none, or only says so."""
    # Not isinstance, which mocks of modules pass.
    return namespace_of_module(module) or {} if issubclass(type(module), types.ModuleType) else {}


class Load:
    """One load of a module: what stood in its file just before.

    Args:
        file: the file, or the archive that holds it.
        spec: the spec that it was loaded with; the module itself where it has none, as the program has.
        cached: the compiled cache that Python may take instead of the source, or None.
        links: the links over which it was found, and what each of them said.

    Raises:
        OSError: the file cannot be read.
    """

    __slots__ = (
        *("content", "digest", "doubtful_cache", "during", "file", "fingerprint", "gap", "is_confirmed", "is_import"),
        *("is_reload", "is_run", "links", "mode", "noted_at", "order", "spec", "thread"),
    )

    def __init__(
        self, file: str, spec: Any, *, cached: str | None = None, links: Mapping[str, str] = types.MappingProxyType({})
    ) -> None:
        self.file, self.spec, self.links = file, spec, links
        self.noted_at = time.time_ns()
        self.is_import = False  # whether it is executed as soon as it is found
        self.is_run = False  # whether as a program, by runpy, whatever sys.modules has under its name
        self.thread = get_ident()
        self.order = _next_order(self.noted_at)
        self.is_reload = False  # whether into the module object that was there
        self.during: frozenset[str] = frozenset()  # the modules whose bodies ran, where it was not the first load
        self.gap = ""  # an id, where the loads just before this one are not known
        self.is_confirmed = False  # whether Python has read the file, too, while it was the same
        self.content: bytes | None = None  # None of what is not kept: extension modules and archives
        self.digest: bytes | None = None  # of those
        self.doubtful_cache: bytes | None = None
        if file.endswith((".py", ".pyw", ".pyc")):
            with open(file, "rb", buffering=0) as opened:
                status = os.fstat(opened.fileno())
                self.content = opened.read()
        else:
            status = os.stat(file)
            self.digest = digest_of(file)
        self.mode = status.st_mode
        self.fingerprint = fingerprint_of(status)
        if cached is not None and self.content is not None:
            self.doubtful_cache = doubtful_cache(cached, status)

    def may_use(self, cache: bytes | None) -> bool:
        """Whether a compiled cache that Python would take, if there is one, is of this source."""
        if cache is None or self.content is None:
            return True
        return is_cache_of(cache, self.content, self.file, getattr(self.spec, "loader", None))


@functools.lru_cache(maxsize=1000)
def _digest_of(file: str, fingerprint: Fingerprint) -> bytes | None:
    import hashlib  # for archives and extension modules of the user's own only

    with open(file, "rb") as opened:
        digest = hashlib.sha256(opened.read()).digest()
        return digest if fingerprint_of(os.fstat(opened.fileno())) == fingerprint else None


def digest_of(file: str) -> bytes | None:
    """The SHA-256 digest of a file, None where it is large or is written meanwhile."""
    status = os.stat(file)
    return _digest_of(file, fingerprint_of(status)) if status.st_size <= _LARGEST_HASHED else None


_last_order = 0


def _next_order(now: int) -> int:
    """A place in the order of all loads: the time, also where the clock stands still or is set back."""
    global _last_order
    _last_order = max(now, _last_order + 1)
    return _last_order


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """What is another when a file was written, replaced, or given other times."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


# ---------------------------------------------------------------------------------------------- compiled caches


def doubtful_cache(cached: str, source: os.stat_result) -> bytes | None:
    """A compiled cache that Python takes for a source although it may be from another; None where there is none.

    Python compares the size and the whole seconds of the time of modification, or nothing (PEP 552).
    """
    try:
        with open(cached, "rb", buffering=0) as opened:
            header = opened.read(16)
            written = os.fstat(opened.fileno()).st_mtime_ns
            if len(header) < 16 or not is_magic(header):
                return None  # Python does not take it
            flags, modified, size = (int.from_bytes(header[start : start + 4], "little") for start in (4, 8, 12))
            if flags & 1:
                # With the second bit Python itself compares the hash of the source.
                return None if flags & 2 else header
            if modified != int(source.st_mtime) & 0xFFFFFFFF or size != source.st_size & 0xFFFFFFFF:
                return None  # Python compiles the source
            if written > source.st_ctime_ns + _LONGEST_COMPILATION:
                return None  # what it was compiled from was read after the source was changed last
            return header + opened.read()
    except OSError:
        return None


def is_cache_of(cache: bytes, source: bytes, file: str, loader: Any) -> bool:
    """Whether a compiled cache of this version of Python is what a source compiles to."""
    if cache[4] & 1:
        return bool(importlib.util.source_hash(source) == cache[8:16])

    import marshal

    try:
        taken, fresh = marshal.loads(cache[16:]), compiled(source, file, loader)
        # The second for constants that do not equal themselves, as NaN; in the last version that knows no references,
        # which depend on what else holds an object.
        return bool(taken == fresh or marshal.dumps(taken, 2) == marshal.dumps(fresh, 2))
    except (SyntaxError, ValueError, EOFError, TypeError):
        return False


def is_magic(cache: bytes) -> bool:
    """Whether a compiled cache is of this version of Python."""
    return cache[:4] == importlib.util.MAGIC_NUMBER


def compiled(source: bytes, file: str, loader: Any = None) -> Any:
    """What a source compiles to, by the rules of its loader."""
    import warnings

    compile_source = getattr(loader, "source_to_code", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler has warned of it when it was loaded
        return compile_source(source, file) if compile_source else compile(source, file, "exec", dont_inherit=True)


def holds(source: bytes, code: types.CodeType) -> bool:
    """Whether a code object is what a source compiles to, or a part of it."""
    try:
        return _is_part(code, compiled(source, code.co_filename))
    except (SyntaxError, ValueError):
        return False


def _is_part(code: types.CodeType, whole: types.CodeType) -> bool:
    return code == whole or any(_is_part(code, part) for part in whole.co_consts if isinstance(part, types.CodeType))


# -------------------------------------------------------------------------------------------------- the finder


def is_plainly_installed(path: str) -> bool:
    """Whether a path is in an installed environment at first sight, without asking sysconfig."""
    path = path.replace(os.sep, "/") if os.sep != "/" else path
    return "/site-packages/" in path or "/dist-packages/" in path or path.startswith(_STANDARD_LIBRARY)


_linked: tuple[str, ...] = ()


def leads_out(file: str, *, is_top: bool = True) -> bool:
    """Whether a file in an installed environment is, or its package's directory is, a link that leads out of it.

    Such links are how ``flit install --symlink``, or a person, installs what is being worked on.

    Args:
        file: the file, as a module gives it.
        is_top: whether its package may be a link that has not been looked at.
    """
    global _linked
    package = os.path.dirname(file)
    # Not where the environment itself stands behind a link.
    for path, end in ((file, ""), (package, os.sep)) if is_top else ():
        if os.path.islink(path) and is_plainly_installed(path):
            target = os.path.join(os.path.realpath(path), end)
            if path + end not in _linked and not is_plainly_installed(target):
                _linked += (path + end,)
    return file.startswith(_linked)


class Finder:
    """Asks the finders behind it, passes on what they give, and notes the source of what is about to be loaded."""

    def __init__(self) -> None:
        self._asking: set[tuple[str, int]] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The spec that the other finders give."""
        confirm_loads()
        # A submodule of an installed package is left to the others: most imports are of these. A top-level name is
        # not, for a user's own test.py comes before the one of the standard library.
        if path is not None and _are_plainly_installed(path):
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


def _are_plainly_installed(path: Any) -> bool:
    try:
        # A namespace package may hold links of its own.
        entries = [os.path.join(entry, "") for entry in path] if type(path) is list else [""]
        return all(is_plainly_installed(entry) and not entry.startswith(_linked) for entry in entries)
    except Exception:  # whatever a package has made of its __path__, the other finders are asked
        return False


_KEPT = 10  # loads of one module: the first, and the last ones

_loads: dict[str, list[Load]] = {}
_loaded_otherwise: set[str] = set()
_links_followed: set[str] = set()
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
    # The compiled cache whatever the loader: one may stand before the one that reads it.
    load = Load(_file_or_archive(real), spec, cached=getattr(spec, "cached", None), links=links)
    # Of a package, runpy runs another module.
    load.is_run = spec.submodule_search_locations is None and _is_run(asking)
    load.is_import = load.is_run or _is_import(asking)
    if load.doubtful_cache is not None:
        if load.may_use(load.doubtful_cache):
            os.utime(spec.cached)  # so that it is not doubtful forever where the times of sources were changed
        else:
            os.unlink(spec.cached)  # before Python reads it: then it compiles what stands in the file
        load.doubtful_cache = None
    load.is_reload = is_reload
    if name in _loads:
        load.during = _running_modules()
    _keep(name, load)
    _unconfirmed[name] = load
    if load.is_run:
        _keep_run(copy.copy(load))
    if len(_unconfirmed) > _MOST_UNCONFIRMED:
        _unconfirmed.pop(next(iter(_unconfirmed)), None)


def name_of_run(path: str) -> str:
    """What the run of a file that is in no module is called, as IPython calls it."""
    return f"%run {path}"


def _keep_run(load: Load) -> None:
    """Keep what was run: what it has defined may live on, whatever becomes of the module that it ran in."""
    name = name_of_run(load.file)
    # A module is used again for the next run of the same script, so each run has a spec of its own.
    load.spec = importlib.util.spec_from_loader(name, None, origin=load.file)
    load.is_import = True
    _keep(name, load)
    _unconfirmed[name] = load


def is_run_seen(path: str) -> bool:
    """Whether the last run of a file that is in no module was noted."""
    return any(load.is_import for load in _loads.get(name_of_run(path), ())[-1:])


def note_run(file: Any, module: Any) -> None:
    """Note a script that is about to run in a session, in a module that it may leave again, or None.

    Raises:
        OSError: it cannot be read.
    """
    real, links = followed(os.path.abspath(os.path.expanduser(file)))
    load = Load(real, None, links=links)
    _keep_run(load)
    if module is not None:
        keep_unseen(module.__name__, module, None, copy.copy(load), load.order)
        _loads[module.__name__][-1].is_import = False


def confirm_loads() -> None:
    """Confirm the loads whose files are still the same, now that Python has read them, too."""
    here = get_ident()
    for name, load in list(_unconfirmed.items()):
        is_there = namespace_of(sys.modules.get(name)).get("__spec__") is load.spec
        # A thread that asks for another module has read the last one that it imported, or is in the midst of its body.
        if (load.thread == here and load.is_import) or (is_there and not getattr(load.spec, "_initializing", False)):
            _unconfirmed.pop(name, None)
            with contextlib.suppress(OSError):
                load.is_confirmed = fingerprint_of(os.stat(load.file)) == load.fingerprint


def cache_of(spec: Any) -> str | None:
    """The compiled cache that the loader of a spec reads; other loaders keep their own."""
    loader = getattr(spec, "loader", None)
    is_standard = isinstance(loader, SourceFileLoader) and type(loader).get_code is SourceFileLoader.get_code
    return spec.cached if is_standard else None


def followed(path: str) -> tuple[str, dict[str, str]]:
    """A path without links, and the links on its way with what each of them says.

    Args:
        path: an absolute path.
    """
    real = os.path.realpath(path)
    if real == path or os.name == "nt":  # where paths are also written in several ways, and links are rare
        return real, {}
    links: dict[str, str] = {}
    real = _followed(path, links)
    _links_followed.update(links)
    return real, links


def _followed(path: str, links: dict[str, str]) -> str:
    above, name = os.path.split(path)
    if above == path:
        return path
    above = _followed(above, links)
    if name in ("", os.curdir, os.pardir):
        return os.path.dirname(above) if name == os.pardir else above
    here = os.path.join(above, name)
    if here in links or not os.path.islink(here):
        return os.path.realpath(here)  # also of links that lead to themselves
    links[here] = os.readlink(here)
    return _followed(os.path.join(above, links[here]), links)


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
    alike = [one for one in loads if one.file == load.file]
    if len(alike) == 1 and load.is_reload:
        load.gap = os.urandom(20).hex()  # the first load was not seen
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


def is_any_behind_links() -> bool:
    """Whether any module was found over a link."""
    return bool(_links_followed)


def is_any_loaded_otherwise() -> bool:
    """Whether any module was loaded again from other bytes."""
    return bool(_loaded_otherwise)


def loads_like(name: str, load: Load) -> list[Load]:
    """The loads of a module from the file of one of them, as they followed each other."""
    alike = [one for one in _loads.get(_name_in(load.spec, name), ()) if one.file == load.file]
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
        file = os.path.realpath(str(namespace_of(module).get("__file__")))
        found = next((load for load in _loads.get("__mp_main__", ()) if load.file == file), None)
    return found


def loads_without_module() -> list[tuple[str, Load]]:
    """The last loads of modules that were imported and are gone from sys.modules, or have put something else there."""
    last = [(name, loads[-1]) for name, loads in list(_loads.items()) if loads[-1].is_import]
    gone = [one for one in last if not _is_noted(one[0], sys.modules.get(one[0]))]
    specs = {id(namespace_of(module).get("__spec__")) for module in list(sys.modules.values())} if gone else set()
    return [(name, load) for name, load in gone if id(load.spec) not in specs]


def _is_noted(name: str, module: object) -> bool:
    spec = namespace_of(module).get("__spec__")
    return spec is not None and load_of(name, module, spec) is not None


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


# ----------------------------------------------------------------------------------------- the start of the process


def _start_of_process() -> int:
    """When the program began that runs here, or in the parent of a fork, in nanoseconds on the clock of files."""
    try:
        fields = _stat_of_process("self")
        started = int(fields[19])
        # The addresses of code and stack are random for each program that is started, and a fork has its parent's.
        while int(fields[1]) > 1 and fields[25] != "0":
            fields_of_parent = _stat_of_process(fields[1])
            if fields_of_parent[23:26] != fields[23:26]:
                break
            fields = fields_of_parent
            started = int(fields[19])
        return _boot() + started * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return _start_by_psutil() or time.time_ns()


def _boot() -> int:
    """When the machine was started, on the clock of files: the best of some looks at both clocks."""
    looks = []
    for _ in range(5):
        before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        now = time.time_ns()
        after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        looks.append((after - before, now - (before + after) // 2))
    # The shortest look: another process may run in the midst of one.
    return min(looks)[1]


def _stat_of_process(pid: str) -> list[str]:
    """The fields of proc_pid_stat(5) from the third on: the second, a name, may hold anything."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _start_by_psutil() -> int | None:
    try:
        import psutil  # type: ignore[import-untyped]
    except ImportError:
        return None
    return int(psutil.Process().create_time() * 1_000_000_000)


IMPORTED = time.time_ns()
"""When pyrepro was imported."""

STARTED = _start_of_process()
"""When the process started; taken here, so that forks keep it."""


def working_directory() -> str | None:
    """The working directory, None where it was deleted."""
    try:
        return os.getcwd()
    except OSError:
        return None


DIRECTORY = working_directory()
"""Where pyrepro was imported."""

sys.meta_path.insert(0, Finder())
