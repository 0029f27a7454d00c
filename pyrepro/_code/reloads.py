"""Which modules were left behind: they took something of a module before that was loaded again from other bytes.

Sources of modules and the order of their loads in, who is left behind out; nothing here looks at the process.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_PROGRAM = ("__main__", "__mp_main__")
_SET_BY_IMPORT = ("__cached__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__")
"""What a source does not give its module, unless it sets out to mislead."""


class SourceLoad(NamedTuple):
    """One load of a module."""

    order: int  # of all loads, as they began
    content: bytes
    is_reload: bool = False  # into the module object that was there
    during: frozenset[str] = frozenset()  # the modules whose bodies ran, where it was not the first load
    gap: str = ""  # an id, where the loads just before this one are not known


class History(NamedTuple):
    """The loads of a module from one file, in their order, and the one that runs now."""

    name: str
    package: str
    loads: Sequence[SourceLoad]
    now: SourceLoad
    own_name: str  # what the module itself takes for its name, under which its body runs


class Behind(NamedTuple):
    """A module that was left behind."""

    id: str  # of the contents that it took, and those that run now
    remark: str


class Use(NamedTuple):
    """What the body of a module does with the name of another module, or with a name from it."""

    path: str  # from the top, with dots
    is_value: bool  # else the module object alone
    is_late: bool = False  # after the body itself had that module loaded again, or took it out of sys.modules
    base: str = ""  # a module, whatever its package calls by its name
    local: str = ""  # what an import calls it
    is_early: bool = False  # before the body itself took that module out of sys.modules


class Body(NamedTuple):
    """What a module does when it is loaded."""

    uses: tuple[Use, ...]
    bound: Mapping[str, str]  # local names, and where from-imports took them from; empty for what is defined here


_Node = tuple[str, SourceLoad]


def left_behind(histories: Iterable[History]) -> dict[str, Behind]:
    """The modules of which what they took is not what another load would give them, by name.

    A load is stale when its source is not the one that runs now, or when it took something of a stale load.
    """
    known = {history.name: history for history in histories}
    taken: dict[_Node, dict[_Node, str]] = {}
    to_see: list[_Node] = [(history.name, history.now) for history in known.values()]
    while to_see:
        node = to_see.pop()
        if node not in taken:
            taken[node] = _taken_by(*node, known)
            to_see += taken[node]
    stale = {node for node in taken if node[1].content != known[node[0]].now.content}
    while more := {node for node, others in taken.items() if node not in stale and stale & others.keys()}:
        stale |= more
    return {
        name: Behind(
            _id_of((name, history.now), taken, stale, known), _remark((name, history.now), taken, stale, known)
        )
        for name, history in known.items()
        if (name, history.now) in stale
    }


def _id_of(
    node: _Node, taken: Mapping[_Node, Mapping[_Node, str]], stale: set[_Node], known: Mapping[str, History]
) -> str:
    """The same for the same contents, in whatever process they were loaded."""
    seen: set[_Node] = set()
    lines: set[str] = set()
    to_see = [node]
    while to_see:
        one = to_see.pop()
        if one not in seen:
            seen.add(one)
            others = stale & taken[one].keys()
            to_see += others
            lines.update(f"{_line(one, known)} {_line(other, known)}\n" for other in others)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _line(node: _Node, known: Mapping[str, History]) -> str:
    name, load = node
    contents = (load.content, known[name].now.content)
    return " ".join([name, *(hashlib.sha256(content).hexdigest() for content in contents)])


def _remark(
    node: _Node, taken: Mapping[_Node, Mapping[_Node, str]], stale: set[_Node], known: Mapping[str, History]
) -> str:
    found = []
    for (name, load), what in sorted((other, what) for other, what in taken[node].items() if other in stale):
        is_old = load != known[name].now
        found.append(f"{what} before that was loaded again" if is_old else f"{what}, which is to be loaded again first")
    is_program = node[0] in _PROGRAM
    remedy = "start the program again" if is_program else f"type importlib.reload({node[0]})"
    return f"took {' and '.join(found)}; {remedy}"


# ------------------------------------------------------------------------------------------ which load was taken


def _taken_by(name: str, load: SourceLoad, known: Mapping[str, History]) -> dict[_Node, str]:
    """The loads that a load of a module took something of, and what."""
    own = known[name]
    until = min((one.order for one in own.loads if one.order > load.order), default=sys.maxsize)
    found: dict[_Node, str] = {}
    for use, owner, attribute in _used_by(own, load, known):
        if owner.name == name or attribute in _SET_BY_IMPORT:
            continue
        nested = [one for one in owner.loads if load.order < one.order < until and own.own_name in one.during]
        if use.is_late and nested:
            base, lost = owner.loads.index(nested[-1]), None
        else:
            # What was there before the body imported it anew is no longer in sys.modules, and may live on.
            skipped = [one for one in nested if one.is_reload] if use.is_early else nested
            base, lost = _base(owner, load, skipped)
        if use.is_value or attribute:
            taken = lost or owner.loads[base]
        else:
            # The object goes through each reload, and is a new one after the module was imported anew.
            last = base
            while last + 1 < len(owner.loads) and owner.loads[last + 1].is_reload:
                last += 1
            # Also through the first that was seen, of which it is not known what was there before.
            is_through = last > base or (owner.loads[base].order > load.order and owner.loads[base].is_reload)
            taken = owner.loads[last] if is_through or lost is None else lost
            if taken == owner.now:
                continue
        found.setdefault((owner.name, taken), f"{attribute} of {owner.name}" if attribute else owner.name)
    return found


def _base(owner: History, load: SourceLoad, nested: Sequence[SourceLoad]) -> tuple[int, SourceLoad | None]:
    """Which load of a module another module found there or caused, with a made-up one where that is not known."""
    anew = next((one for one in nested if not one.is_reload), None)
    if anew is not None:
        return owner.loads.index(anew), None
    before = sum(one.order < load.order for one in owner.loads)
    after = owner.loads[before] if before < len(owner.loads) else None
    if after is None or not after.gap:
        return max(before - 1, 0), None
    return max(before - 1, 0), SourceLoad(load.order, f"{after.gap} {load.order}".encode())


def _used_by(own: History, load: SourceLoad, known: Mapping[str, History]) -> Iterator[tuple[Use, History, str]]:
    for use in _body_in(own, load).uses:
        owner, attribute = _owner_of(use, known)
        if owner is not None:
            yield use, owner, attribute
            for module in _behind_getattr(owner, attribute, known):
                yield use, module, attribute


def _behind_getattr(owner: History, attribute: str, known: Mapping[str, History]) -> list[History]:
    """The modules below a package that its ``__getattr__`` (PEP 562) may have fetched a name from."""
    bound = _body_in(owner, owner.now).bound
    if not attribute or attribute in bound or "__getattr__" not in bound:
        return []
    below = [module for name, module in known.items() if name.startswith(f"{owner.name}.")]
    # A package may give a name of its own to what a module calls otherwise; a version comes from elsewhere.
    by_name = [module for module in below if attribute in _body_in(module, module.now).bound]
    return by_name if by_name or attribute.startswith("__") else below


def _owner_of(use: Use, known: Mapping[str, History]) -> tuple[History | None, str]:
    """The module that a path leads into, and the name that it has there; none for the module itself."""
    owner, attribute = use.path, ""
    while owner:
        above, _, name = owner.rpartition(".")
        if owner in known and (owner == use.base or not _is_hidden(owner, above, name, known)):
            return known[owner], attribute
        owner, attribute = above, name
    return None, ""


def _is_hidden(path: str, package: str, name: str, known: Mapping[str, History]) -> bool:
    """Whether a package gives something else the name of its module."""
    if package not in known:
        return False
    return _body_in(known[package], known[package].now).bound.get(name, path) != path


# --------------------------------------------------------------------------------------- what a body does at load


def _body_in(history: History, load: SourceLoad) -> Body:
    return read_body(load.content, history.package, is_program=history.name in _PROGRAM)


@functools.lru_cache(maxsize=1000)
def read_body(content: bytes, package: str, *, is_program: bool = False) -> Body:
    """What a source does when it is loaded.

    Args:
        content: the source.
        package: what its relative imports start from.
        is_program: whether it runs as ``__main__``.
    """
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return Body((), {})
    reader = _Reader(package, is_program=is_program)
    reader.visit(tree)
    return Body(tuple(reader.uses), reader.bound)


class _Reader(ast.NodeVisitor):
    """Follows what runs at load: not the bodies of functions, but only of functions that are called by name."""

    def __init__(self, package: str, *, is_program: bool) -> None:
        self.uses: list[Use] = []
        self.bound: dict[str, str] = {}
        self._package, self._is_program = package, is_program
        self._modules: dict[str, str] = {}
        self._functions: dict[str, list[ast.stmt]] = {}
        self._reloaded: list[str] = []
        self._are_annotations_read = sys.version_info < (3, 14)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self._modules[alias.asname or top] = alias.name if alias.asname else top
            parts = alias.name.split(".")
            for end in range(1, len(parts) + 1):
                path = ".".join(parts[:end])
                self._use(path, is_value=False, base=path, local=alias.asname or top)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module == "__future__":
            self._are_annotations_read &= all(alias.name != "annotations" for alias in node.names)
            return
        parts = self._package.split(".")
        above = parts[: len(parts) + 1 - node.level] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            path, local = f"{base}.{alias.name}", alias.asname or alias.name
            self._modules[local] = self.bound[local] = path
            self._use(path, is_value=False, base=base, local=local)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use_of(node)
        else:
            self._bind(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        imported = _imported_by(node.value)
        if imported is not None:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self._modules[target.id] = imported

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not self._use_of(node):
            self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            for one in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                if isinstance(one, ast.Subscript) and self._path_of(one.value) == "sys.modules":
                    self._drop(one.slice)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "pop" and self._path_of(called.value) == "sys.modules":
            self._drop(node.args[0] if node.args else node)
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        imported = _imported_by(node)
        if imported is not None:
            self._use(imported, is_value=False, base=imported)
            return
        path = self._path_of(node.args[0]) if name in ("reload", "exec_module") and node.args else None
        if path is not None:
            self._reloaded.append(path)
            return
        self.generic_visit(node)
        self._call(called)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._bind(node.name)
        self._functions[node.name] = node.body
        self._visit_decorators(node.decorator_list)
        self._visit_arguments(node.args)
        if node.returns is not None:
            self._visit_annotation(node.returns)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_arguments(node.args)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_decorators(node.decorator_list)
        functions, bound = self._functions, self.bound
        self._functions, self.bound = dict(functions), {}
        for part in (*node.bases, *node.keywords, *node.body):
            self.visit(part)
        start = self._functions.get("__init__", [])
        self._functions, self.bound = functions, bound
        self._functions[node.name] = start
        self._bind(node.name)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._visit_annotation(node.annotation)
        for part in (node.value, node.target):
            if part is not None:
                self.visit(part)

    def visit_If(self, node: ast.If) -> None:
        is_for_types = getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING"
        is_for_programs = ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__")
        self.visit(node.test)
        does_not_run = is_for_types or (is_for_programs and not self._is_program)
        for part in (*([] if does_not_run else node.body), *node.orelse):
            self.visit(part)

    def _visit_decorators(self, decorators: Iterable[ast.expr]) -> None:
        for decorator in decorators:
            self.visit(decorator)
            self._call(decorator)

    def _visit_arguments(self, arguments: ast.arguments) -> None:
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self.visit(default)
        for argument in _every_argument(arguments):
            if argument.annotation is not None:
                self._visit_annotation(argument.annotation)

    def _visit_annotation(self, annotation: ast.expr) -> None:
        if self._are_annotations_read:
            self.visit(annotation)

    def _call(self, called: ast.expr) -> None:
        """Go through a function of this module that is called; once, which ends recursion, too."""
        for part in self._functions.pop(getattr(called, "id", ""), ()):
            self.visit(part)

    def _bind(self, name: str) -> None:
        self._modules.pop(name, None)
        self.bound[name] = ""

    def _path_of(self, node: ast.expr) -> str | None:
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        top = self._modules.get(node.id) if isinstance(node, ast.Name) else _imported_by(node)
        return None if top is None else ".".join([top, *reversed(names)])

    def _use_of(self, node: ast.expr) -> bool:
        path = self._path_of(node)
        if path is not None:
            self._use(path, is_value=True)
        return path is not None

    def _use(self, path: str, *, is_value: bool, base: str = "", local: str = "") -> None:
        is_late = any(_is_of(path, module) for module in self._reloaded)
        if is_late and local:
            # The name is bound anew, so what it stood for before does not live on by it.
            self.uses = [use for use in self.uses if (use.path, use.local) != (path, local)]
        self.uses.append(Use(path, is_value, is_late, base, local))

    def _drop(self, key: ast.expr) -> None:
        """Note that a module is taken out of sys.modules, which may be any where its name is computed."""
        module = str(key.value) if isinstance(key, ast.Constant) else ""
        self._reloaded.append(module)
        self.uses = [use._replace(is_early=use.is_early or _is_of(use.path, module)) for use in self.uses]


def _is_of(path: str, module: str) -> bool:
    return not module or f"{path}.".startswith(f"{module}.")


def _imported_by(node: ast.expr) -> str | None:
    """The module that a call of ``importlib.import_module`` imports, None where its name is computed."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.Constant):
        called, name = node.func, node.args[0].value
        is_import = getattr(called, "attr", getattr(called, "id", "")) == "import_module"
        return name if is_import and isinstance(name, str) else None
    return None


def _every_argument(arguments: ast.arguments) -> Iterator[ast.arg]:
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)
