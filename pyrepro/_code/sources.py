"""What counts for a module: the bytes that it was loaded from, the disk where that holds them, or unknown.

To be asked after git has read the disk: what is written later is then seen as another fingerprint.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import sys
import time
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from pyrepro._code import consoles, imports, modules
from pyrepro._code.caches import compiled, is_magic
from pyrepro._code.links import followed, is_any_behind_links
from pyrepro._code.load import TICK, Load, digest_of, grain_of
from pyrepro._code.modules import LoadedModule, module_bodies
from pyrepro._code.start import IMPORTED, STARTED, real_path
from pyrepro._value import Value

if TYPE_CHECKING:
    from pyrepro._code.reloads import Behind, SourceLoad

_MARGIN_OF_LOAD = 5_000_000
"""Nanoseconds after the note of an import in which its file was perhaps written before Python read it."""


class Kept(Value):
    """A file as it was loaded, which the disk no longer holds."""

    mode: int | None  # as os.stat gives it; None of another copy, whose mode says nothing
    content: bytes


class Unknown(Value):
    """What runs is unknown."""

    reason: str
    id: str  # random: a change that no other state shares


Counted = Union[Kept, Unknown, None]
"""None: the disk holds what was loaded."""

Sources = Mapping[bytes, list[LoadedModule]]
"""The loaded modules of a work tree by their files, as git writes paths."""


Bodies = Mapping[int, list[types.CodeType]]
"""The code of the module bodies that run now, in any thread, by the address of their namespace."""


def note_loaded_modules(loaded: Iterable[LoadedModule]) -> None:
    """Note what was loaded before pyrepro was imported, as far as it is known."""
    bodies = running_bodies()
    for module in loaded:
        # The import of pyrepro never fails because of this: what cannot be noted is looked at again when it counts.
        with contextlib.suppress(Exception):
            _load_of(module, bodies)


def counted(some: Sequence[LoadedModule], bodies: Bodies) -> Counted:
    """What counts at a path from which some modules were loaded.

    Args:
        some: the modules; there may be none.
        bodies: the module bodies that run, see :func:`running_bodies`.
    """
    found = [_counted_copy(module, bodies) if module.original else _counted(module, bodies) for module in some]
    unknown = [one for one in found if isinstance(one, Unknown)]
    if unknown:
        return unknown[0]
    if any(module.original for module in some) and len(set(found)) > 1:
        return _counted_copies(some, found)
    if len(set(found)) > 1:
        return _unknown(
            ("several", *sorted({_identity(module) for module in some})),
            f"{' and '.join(sorted({module.name for module in some}))} were loaded from {some[0].file}, which "
            f"{_last_write(some[0].file)}, and held something else between their loads; start the program again",
        )
    return found[0] if found else None


def links_of(loaded: Iterable[LoadedModule]) -> list[LoadedModule]:
    """The links over which modules were found, each in the place of its module."""
    found: list[LoadedModule] = []
    for module in loaded if is_any_behind_links() else ():  # as in few programs, of which some load thousands
        load = imports.load_of(module.name, module.module, module.spec)
        for link, target in () if load is None else load.links.items():
            found.append(module.standing_for(link, target=target))
    return found


def are_links_as_then(some: Sequence[LoadedModule]) -> bool:
    """Whether what was used of a path is only a link, which still says what it said."""
    return bool(some) and all(module.target is not None and _counted_link(module) is None for module in some)


def _counted_link(module: LoadedModule) -> Kept | None:
    assert module.target is not None
    # OSError: it is gone, or something else.
    with contextlib.suppress(OSError):
        if os.readlink(module.file) == module.target:
            return None
    return Kept(mode=stat.S_IFLNK, content=os.fsencode(module.target))


def left_behind() -> dict[str, Behind]:
    """The loaded modules that were left behind when others were loaded again, by name."""
    if not imports.is_any_loaded_otherwise():
        return {}
    from pyrepro._code import reloads  # where something was loaded again

    histories: dict[str, reloads.History] = {}
    for module in modules.loaded_modules():
        load = imports.load_of(module.name, module.module, module.spec)
        # A module may be gone of whose name another one is there, which comes first.
        if load is not None and module.name not in histories:
            package = getattr(module.spec, "parent", None) or ""
            loads = {id(one): _source_load(one) for one in imports.loads_like(module.name, load)}
            # A module may be listed under another name, too, as multiprocessing lists the program.
            own_name = str(imports.namespace_of(module.module).get("__name__", module.name))
            histories[module.name] = reloads.History(
                module.name, package, tuple(loads.values()), loads[id(load)], own_name
            )
    return reloads.left_behind(histories.values())


def _source_load(load: Load) -> SourceLoad:
    from pyrepro._code.reloads import SourceLoad  # where something was loaded again

    # Of what is not kept the fingerprint tells whether it is another.
    content = repr(load.fingerprint).encode() if load.content is None else load.content
    return SourceLoad(load.order, content, load.is_reload, load.during, load.gap)


def running_bodies() -> Bodies:
    """The module bodies that run now; of each namespace the innermost first."""
    bodies: dict[int, list[types.CodeType]] = {}
    for namespace, code in module_bodies():
        bodies.setdefault(id(namespace), []).append(code)
    return bodies


def _counted_copy(module: LoadedModule, bodies: Bodies) -> Counted:
    """What counts for a module of another copy: never what the work tree holds."""
    found = _counted(module, bodies)
    if isinstance(found, Unknown):
        return found
    content = _content_of(module.file) if found is None else found.content
    gone = f"{module.file} can no longer be read; start the program again"
    return _unknown_module(module, gone) if content is None else Kept(mode=None, content=content)


def _counted_copies(modules: Sequence[LoadedModule], found: Sequence[Counted]) -> Counted:
    """What counts where several copies of one file were loaded."""
    loaded = {
        one.content if isinstance(one, Kept) else _content_of(module.file)
        for module, one in zip(modules, found, strict=True)
    }
    if len(loaded) == 1:
        return next(one for one in found if isinstance(one, Kept))
    files = " and ".join(sorted({module.file for module in modules}))
    return _unknown(
        ("copies", *(id(module.spec) for module in modules)),
        f"{files} were loaded, copies of one file that differ; install the project with pip install -e, "
        f"and start the program again",
    )


def _counted(module: LoadedModule, bodies: Bodies) -> Counted:
    if module.target is not None:
        return _counted_link(module)
    load = _load_of(module, bodies)
    if isinstance(load, Unknown):
        return load
    if load.mixed:
        return _unknown_load(module, load, load.mixed)
    status = _status_of(module.file)
    if status is not None and load.is_of(status):
        return None
    if _is_lazy(module.spec) and not load.is_executed:
        # Nothing of it has run as long as it has a class of its own: when it does, Python reads what then stands there.
        has_run = type(module.module) is types.ModuleType
        return _unknown_load(module, load, "and is loaded at its first use, which was not seen") if has_run else None
    if load.content is None:
        if load.digest is not None and status is not None and digest_of(module.file) == load.digest:
            return None  # touched, or written with the same bytes
        return _unknown_load(module, load, "and what such files held is not kept")
    content = _content_of(module.file)
    if content == load.content and status is not None and status.st_mode == load.mode:
        return None  # touched, or written with the same bytes
    is_close = status is not None and status.st_ctime_ns <= load.noted_at + _MARGIN_OF_LOAD
    if content != load.content and not load.is_confirmed and (is_close or not load.is_import):
        return _unknown_load(module, load, "and when Python read it is not known")
    return Kept(mode=load.mode, content=load.content)


def _content_of(file: str) -> bytes | None:
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read()
    except OSError:
        return None


def _is_lazy(spec: object) -> bool:
    """Whether a module was put off by LazyLoader, which leaves its own state in the spec."""
    state = getattr(spec, "loader_state", None)
    return isinstance(state, dict) and "__class__" in state


def _load_of(module: LoadedModule, bodies: Bodies) -> Load | Unknown:
    """The load that a module comes from: seen, or unseen and still known."""
    load = imports.load_of(module.name, module.module, module.spec)
    if load is not None:
        return _run_anew(module, load, bodies) or load
    try:
        load = Load(module.file, module.spec, links=_links_to(module))
        retargeted = max((os.lstat(link).st_ctime_ns for link in load.links), default=0)
    except OSError as error:
        return _unknown_module(
            module,
            f"{module.file} cannot be read ({error.strerror}), and the module {module.name} was loaded from it before "
            f"pyrepro could see it; start the program again, with import pyrepro above the other imports",
        )
    loader, caches = getattr(module.spec, "loader", None), imports.caches_of(module.spec)
    stale = next((cached for cached in caches if load.has_stale(cached, loader)), None)
    if stale is not None:
        return _unknown_module(
            module,
            f"Python took {stale}, which {_last_write(stale)}, for {module.file}, which {_last_write(module.file)}, "
            f"but it was compiled from another source; delete {os.path.dirname(stale)}, and start the program again",
        )
    written = max(load.fingerprint[4], retargeted)
    is_from_start = module.seen_after == STARTED
    latest = module.seen_after + (TICK if is_from_start else -TICK)
    is_late = written + grain_of(written) - TICK > latest
    if is_late and not (
        _is_running(module, load, bodies) or any(_is_in_cache(module, load, retargeted, each) for each in caches)
    ):
        return _unknown_module(module, _written_too_late(module, written, is_from_start=is_from_start))
    imports.keep_unseen(module.name, module.module, module.spec, load, module.seen_after)
    return load


def _run_anew(module: LoadedModule, load: Load, bodies: Bodies) -> Load | Unknown | None:
    """What runs now in the place of what a module was loaded from, as exec or runpy runs it; None of most."""
    # Not what is typed in a console, in whose namespace a file runs, or %run has left the spec.
    running = bodies.get(id(_namespace_of(module)), ())
    code = next((code for code in reversed(running) if real_path(code.co_filename) == module.file), None)
    if code is None or load.content is None or getattr(load.spec, "_initializing", False):
        return None  # of a module that is imported, a loader may have made something else of its source
    status = _status_of(module.file)
    if (status is not None and load.is_of(status)) or _compiles_to(load.content, code):
        return None
    now = None if status is None else Load(module.file, module.spec, links=load.links)
    if now is not None and now.content is not None and _compiles_to(now.content, code):
        if module.spec is None:  # with a spec, the module itself may be another one
            imports.keep_unseen(module.name, module.module, None, now, now.order)
        return now
    if module.name in _PROGRAM or not (load.is_import or module.spec is None):
        return None
    # Of another run of the same module more may be unknown.
    unknown = _unknown_load(module, load, "and something else runs in its place")
    return Unknown(reason=unknown.reason, id=os.urandom(20).hex())


def _links_to(module: LoadedModule) -> dict[str, str]:
    file = modules.file_of_module(module.module)
    return {} if file is None else followed(file)[1]


def _namespace_of(module: LoadedModule) -> dict[str, Any] | None:
    """Where the body of a module runs, None of one that is gone."""
    return module.module.ran_in if type(module.module) is modules.Gone else imports.namespace_of(module.module)


def _is_running(module: LoadedModule, load: Load, bodies: Bodies) -> bool:
    """Whether a file holds the very code that runs as the body of its module."""
    namespace = _namespace_of(module)
    codes = bodies.get(id(namespace), [])
    if namespace is None:
        codes = [code for some in bodies.values() for code in some if real_path(code.co_filename) == module.file]
    loader = getattr(module.spec, "loader", None)
    return load.content is not None and any(_compiles_to(load.content, code, loader) for code in codes)


def _compiles_to(content: bytes, code: types.CodeType, loader: Any = None) -> bool:
    try:
        return bool(compiled(content, code.co_filename, loader) == code) or _is_app_of_streamlit(content, code)
    except Exception:  # also of what changes sources, and may be anybody's
        return False


def _is_app_of_streamlit(content: bytes, code: types.CodeType) -> bool:
    """Whether Streamlit, which shows the value of each expression of a script, compiles this code of it."""
    magic = sys.modules.get("streamlit.runtime.scriptrunner.magic")
    with contextlib.suppress(Exception):  # whatever that is in other versions
        if magic is not None:
            from importlib.util import decode_source

            tree = magic.add_magic(decode_source(content), code.co_filename)
            return bool(compile(tree, code.co_filename, "exec", dont_inherit=True) == code)
    return False


def _is_in_cache(module: LoadedModule, load: Load, retargeted: int, cached: str) -> bool:
    """Whether a compiled cache, written when the module was loaded, is of what stands in the file.

    Before a link was retargeted, another cache may have been taken.
    """
    status, cache = _status_of(cached), _content_of(cached)
    if status is None or cache is None or not is_magic(cache) or status.st_mtime_ns < retargeted:
        return False
    # Written before pyrepro was imported, as the module was; or, of one that was loaded later, before this look at it.
    # Of one that nobody registered it is not known when it was loaded.
    is_unregistered = module.module is not sys.modules.get(module.name) and type(module.module) is not modules.Gone
    is_of_then = is_unregistered or module.seen_after != STARTED or status.st_mtime_ns <= IMPORTED
    return is_of_then and load.is_in(cache, getattr(module.spec, "loader", None))


def _written_too_late(module: LoadedModule, written: int, *, is_from_start: bool) -> str:
    found = f"{module.file} was written at {_clock(written)}"
    if written > time.time_ns() + TICK:
        return f"{found}, {_future(module)}"
    then = "this process started" if is_from_start else "the loaded modules were last looked at"
    perhaps = "" if written > module.seen_after else "by a clock of whole seconds, so perhaps "
    since = f"{found}, {perhaps}after {then} at {_clock(module.seen_after)}"
    if type(module.module) is modules.Gone:
        return f"{since}, so something else may have been run; {_remedy(module)}"
    remedy = _remedy(module)
    if module.name not in _PROGRAM:
        remedy += "; import pyrepro above the other imports settles it for the next time"
    return f"{since}, so the module {module.name} may have been loaded from something else; {remedy}"


_PROGRAM = ("__main__", "__mp_main__")


def _remedy(module: LoadedModule) -> str:
    """What to type where it is unknown what runs."""
    if module.name == imports.name_of_run(module.file):
        is_console = consoles.ipython_shell() is not None
        return f"type {module.name} again" if is_console else "start the program again"
    again = "start the program again"
    return again if module.name in _PROGRAM else f"{again}, or in a session type importlib.reload({module.name})"


def _clock(nanoseconds: int) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{rest // 1_000_000:03}"


def _status_of(file: str) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def _unknown_load(module: LoadedModule, load: Load, why: str) -> Unknown:
    found = _last_write(module.file)
    status = _status_of(module.file)
    if status is not None and status.st_ctime_ns > time.time_ns() + TICK:
        return _unknown_module(module, f"{module.file} {found}, {_future(module)}")
    what = module.name if module.name == imports.name_of_run(module.file) else f"the module {module.name}"
    return _unknown_module(
        module,
        f"{module.file} {found}, after {what} was found at {_clock(load.noted_at)}, {why}; {_remedy(module)}",
    )


def _last_write(file: str) -> str:
    status = _status_of(file)
    return "is gone" if status is None else f"was written at {_clock(status.st_ctime_ns)}"


def _future(module: LoadedModule) -> str:
    return (
        f"which is in the future: by this computer's clock it is {_clock(time.time_ns())}, so that clock or the one of "
        f"the file system is wrong; set it right, type: touch {shlex.quote(module.file)}, and {_remedy(module)}"
    )


def _unknown_module(module: LoadedModule, reason: str) -> Unknown:
    return _unknown((module.name, _identity(module)), reason)


def _identity(module: LoadedModule) -> str:
    """What no other load or run has, as long as the process lives."""
    if type(module.module) is modules.Gone and module.spec is None:
        return module.module.__name__  # it may be gone itself, and another have its id
    return str(id(module.module if module.spec is None else module.spec))


_unknown_ids: dict[tuple[Any, ...], str] = {}


def _unknown(key: tuple[Any, ...], reason: str) -> Unknown:
    # One load has one id as long as the process lives, so that its artifacts match each other.
    return Unknown(reason=reason, id=_unknown_ids.setdefault(key, os.urandom(20).hex()))
