"""Makers: which function makes an artifact, and functions that look alike."""

from __future__ import annotations

import inspect
import os
import re
import sys
import types
from collections.abc import Collection
from typing import Any, NamedTuple

from pyrepro._code import modules, process
from pyrepro._code.state import SESSION
from pyrepro._paths import is_inside, relative_to
from pyrepro._publish.closures import Held, chain_of, classes_of, held_by

_UNKNOWN_WORK_TREE = ".../"
"""How a maker begins whose work tree is not known: what follows is the end of the path of its file, and before that,
where the state of the code was declared, a digest of what that file holds."""

_CONTENT = re.compile(r"\[([0-9a-f]{12})\]/")

_LINE = re.compile(r":[0-9]+(?=$|:[0-9a-f]{12}$)")

_AND = " with "
"""What stands between a function and what it closes over."""


def is_same_maker(one: str, other: str) -> bool:
    """Whether two makers can be one function: where a work tree is not known, the ends of the paths decide."""
    places, others = one.split(_AND), other.split(_AND)
    return len(places) == len(others) and all(map(_is_same_place, places, others))


def or_ignore(one: str, other: str) -> str:
    """What to do about two makers beside giving them two files, where they differ in values that one function holds."""
    differing = {*one.split(_AND)} ^ {*other.split(_AND)}
    names = sorted({text.partition("=")[0] for text in differing})
    if not all("=" in text for text in differing):
        return ""
    return f", or name what changes nothing in ignore={names!r}"


def _is_same_place(one: str, other: str) -> bool:
    if not (one.startswith(_UNKNOWN_WORK_TREE) or other.startswith(_UNKNOWN_WORK_TREE)):
        return one == other
    ends = [place.removeprefix(_UNKNOWN_WORK_TREE) for place in (one, other)]
    # Two files of one name in a container: nothing else tells them apart.
    if len({content[1] for content in map(_CONTENT.match, ends) if content is not None}) > 1:
        return False
    if len({_LINE.search(end) is None for end in ends}) > 1:  # an installed copy, and the file in the work tree
        ends = [_LINE.sub("", end) for end in ends]
    short, long = sorted((_CONTENT.sub("", end, count=1) for end in ends), key=len)
    return f"/{long}".endswith(f"/{short}")


def maker_of(function: Any, work_tree: str | None, ignored: Collection[str] = ()) -> str:
    """Which function makes an artifact.

    Args:
        function: the function.
        work_tree: the work tree whose state the names carry, None if that state was declared.
        ignored: the variables that it closes over which do not change the artifact.

    Returns:
        The path relative to the work tree, the qualified name and, of what is not installed, the line where the code
        begins, separated by colons, and of code that stands in no file a digest; behind "with", the same of each
        function, class and module that it closes over, the names and digests of values that these and its decorators
        have with them, and the names and classes of objects that it closes over.

    Raises:
        TypeError: it cannot be told from another function that the same code has decorated.
    """
    chain = chain_of(function)
    held = held_by(function, ignored)
    parts = [chain[-1], *(one.value for one in held if not (one.is_hidden or one.text) and _is_named(one.value))]
    values = [*(_value_text(one, work_tree) for one in held if one.text), *classes_of(held)]
    # A class method that is decorated from outside its class is a new one for each class.
    owners = [one.__self__ for one in chain if inspect.ismethod(one)]
    _refuse_look_alike(chain, owners, _text(parts, [], None))
    return _text([*parts, *owners], values, work_tree)


def _text(parts: list[Any], values: list[str], work_tree: str | None) -> str:
    return _AND.join(dict.fromkeys([*(_place(part, work_tree) for part in parts), *values]))


def _value_text(held: Held, work_tree: str | None) -> str:
    """The name and digest of a value; of a path in the work tree where it is there, the same in each clone."""
    path = os.fsdecode(held.value) if isinstance(held.value, (str, os.PathLike)) else ""
    if work_tree is None or not is_inside(os.path.join(path, ""), work_tree):
        return held.text
    return f"{held.name}={relative_to(path, work_tree)}"


def _is_named(value: object) -> bool:
    return isinstance(value, types.ModuleType) or hasattr(value, "__qualname__")


def _place(thing: Any, work_tree: str | None) -> str:
    """Where a function, a class or a module stands in the code."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    code = getattr(thing, "__code__", None)
    given = modules.function_file(thing)
    file = next(modules.real_files([given]), None) if given else None
    is_installed = file is not None and modules.is_installed(file)
    name = thing.__qualname__
    # Another version of a library, of which the name of an artifact says nothing, has the function elsewhere.
    if code is not None and (not is_installed or name.endswith("<lambda>")):
        name += f":{code.co_firstlineno}"
    # What was made of a text stands in no file, and the text may be another each time. What was typed is in the state.
    if code is not None and code.co_filename.startswith("<") and not (file is None and thing.__module__ == "__main__"):
        name += f":{_digest_of(code)}"
    if file is None:
        return f"{SESSION}:{name}"
    # An environment may be in the work tree, and another one elsewhere in the next.
    if work_tree is not None and is_inside(file, work_tree) and not is_installed:
        return f"{relative_to(file, work_tree)}:{name}"
    # Without a work tree, only as many steps of the path as the module's name has: the rest differs between machines.
    steps = file.split(os.sep)
    module = getattr(thing, "__module__", None) or "__main__"
    known = 1 if module in ("__main__", "__mp_main__") else 1 + module.count(".") + (steps[-1] == "__init__.py")
    content = f"[{_digest_of_source(file)}]/" if work_tree is None and not is_installed else ""
    return f"{_UNKNOWN_WORK_TREE}{content}{'/'.join(steps[-known:])}:{name}"


def _digest_of_source(file: str) -> str:
    """What a file holds, in twelve hex digits: the same in each copy of it, whatever its line ends."""
    import hashlib  # needed where no git tells one file from another

    with open(file, "rb") as source:
        return hashlib.sha256(source.read().replace(b"\r\n", b"\n")).hexdigest()[:12]


def _digest_of(code: types.CodeType) -> str:
    """What a code does, in twelve hex digits: the same in each process of one version of Python."""
    import hashlib  # as rarely needed as code that stands in no file

    return hashlib.sha256(repr(_content_of(code)).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _content_of(constant: Any) -> Any:
    if isinstance(constant, types.CodeType):
        return constant.co_code, constant.co_names, [*map(_content_of, constant.co_consts)]
    # The order of a set is that of this process.
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant


class _Decoration(NamedTuple):
    """What was decorated, and in which run of which code."""

    text: str
    codes: list[types.CodeType]
    line: int | None
    run: tuple[object, ...]
    instruction: int

    def is_other_than(self, other: _Decoration, bound: object) -> bool:
        """Whether two decorations are of different functions, and not of one that was loaded again.

        Args:
            other: the earlier one of the same name in the same file.
            bound: what the name stands for where this one is made.
        """
        if any(one is not another for one, another in zip(self.run, other.run, strict=True)):
            return False
        if self.line != other.line:
            return other.codes == _codes(chain_of(bound))[-len(other.codes) :]
        # What one instruction decorates, as that of a factory, is told apart by what it closes over.
        return self.instruction != other.instruction if self.text != other.text else self.codes != other.codes


_decorations: dict[tuple[object, ...], _Decoration] = {}
"""The last decoration of each name in each file; of lambdas, of each line."""


def _refuse_look_alike(chain: list[Any], owners: list[Any], text: str) -> None:
    """Refuse a function that would be taken for another that the same run of the same code has decorated.

    A reload, a cell that is run again and a test module that is imported again decorate the same name, too: what they
    run was compiled anew. A factory decorates the same function again.
    """
    own, codes = chain[-1], _codes(chain)
    name, module = own.__qualname__, getattr(own, "__module__", None)
    line = codes[-1].co_firstlineno if codes else None
    frame = process.caller_frame()
    run = frame.f_code, _body(frame), modules.spec_of(sys.modules.get(module or ""))
    now = _Decoration(text, codes, line, run, frame.f_lasti)
    file = modules.function_file(own)
    key = module, file, name, *owners, line if own.__name__ == "<lambda>" else None
    then = _decorations.get(key)
    if then is not None and now.is_other_than(then, frame.f_locals.get(own.__name__)):
        raise TypeError(
            f"Artifact cache=True cannot tell {name} in line {line} of {file or 'what was typed'} from the function of "
            f"this name in line {then.line} that was decorated before it, so a call of one could be given what the "
            f"other made; give each a name of its own: write a def in place of a lambda, and use functools.wraps in "
            f"decorators"
        )
    _decorations[key] = now


def _codes(chain: list[Any]) -> list[types.CodeType]:
    """The code of a function and its wrappers, but for our own, which change nothing but paths."""
    functions = (one for one in chain if isinstance(one, types.FunctionType))
    return [one.__code__ for one in functions if one.__globals__.get("__name__") != "pyrepro._wrapper"]


def _body(frame: types.FrameType | None) -> types.CodeType | None:
    """The code of the innermost module body or cell that runs in a stack."""
    while frame is not None and not frame.f_code.co_name.startswith(("<module>", "<cell line")):
        frame = frame.f_back
    return None if frame is None else frame.f_code
