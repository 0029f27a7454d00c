"""The code key: what an artifact depends on, whatever the history; and the guard of ``code=``.

Source: git-ls-tree(1). A clone that is shallow, a merge, a squash, a rebase and an amended message all keep
what it lists, where ``git log`` gives other commits.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from shlex import quote
from typing import NamedTuple

from pyrepro._code.entries import directories_above, in_portions, on_disk
from pyrepro._code.git import run_git
from pyrepro._code.links import followed
from pyrepro._code.modules import is_installed
from pyrepro._code.porcelain import ABSENT, LINK, SUBMODULE, Entry, parse_entries
from pyrepro._code.sources import links_of
from pyrepro._code.state import CodeState, Reading, digested_path, loaded_paths
from pyrepro._paths import is_inside, relative_to
from pyrepro.errors import CodeStateError


class CodePaths(NamedTuple):
    """What an artifact depends on: paths from the top of the work tree, and those that are left out."""

    included: tuple[bytes, ...]  # none: all the rest
    excluded: tuple[bytes, ...]

    def cover(self, path: bytes) -> bool:
        """Whether an artifact depends on a path."""
        return (not self.included or _is_below(path, self.included)) and not self.leave_out(path)

    def leave_out(self, path: bytes) -> bool:
        """Whether a path is left out in so many words."""
        return _is_below(path, self.excluded)

    @property
    def texts(self) -> list[str]:
        """The paths as they were given."""
        return [*map(_text, self.included), *("!" + _text(path) for path in self.excluded)]


EVERYTHING = CodePaths((), ())


def code_paths_of(texts: Iterable[str]) -> CodePaths:
    """The paths that ``code=`` names; one that begins with ``!`` is left out.

    Raises:
        ValueError: a path is empty or absolute, leads out of the work tree, or is git's own directory.
    """
    included: list[bytes] = []
    excluded: list[bytes] = []
    for text in texts:
        path = os.path.normpath(text.removeprefix("!")) if text.removeprefix("!") else ""
        # Git's own directory is no part of what it tracks, and to leave that out is right.
        outside = (os.pardir,) if text.startswith("!") else (os.pardir, ".git")
        if not path or "\0" in path or os.path.isabs(path) or path.split(os.sep)[0] in outside:
            raise ValueError(
                f"code={text!r} is not a path in the work tree; "
                f"pass paths from its top, such as 'src' or '!docs', or '.' for all of it"
            )
        name = b"" if path == os.curdir else os.fsencode(path.replace(os.sep, "/"))
        (excluded if text.startswith("!") else included).append(name)
    for one in included or [b""]:
        for out in excluded:
            if _is_below(one, [out]):
                raise ValueError(
                    f"code={'!' + _text(out)!r} leaves out {_text(one)!r}, so no key would cover it; leave out less"
                )
    return CodePaths(tuple(included), tuple(excluded))


def check_code_paths(reading: Reading, code: CodePaths) -> None:
    """Check that there is something at each path.

    Raises:
        CodeStateError: git cannot say.
        ValueError: there is nothing, or nothing that git tracks.
    """
    top = reading.work_tree
    asked = sorted({*code.included, *code.excluded} - {b""})
    if top is None or not asked:
        return
    committed: dict[bytes, str] = {}
    for some in in_portions(sorted({*asked, *(above for path in asked for above in directories_above(path))})):
        # -t: git lists a directory of which a part is asked for, too, by its parts alone.
        listed = parse_entries(run_git(top, ["ls-tree", "-t", "-z", "--full-tree", reading.state.commit, "--", *some]))
        committed.update((path, mode) for path, (mode, _) in listed)
    for path in asked:
        found = _why_uncovered(reading, top, path, committed, is_excluded=path in code.excluded)
        if found is not None:
            text = ("!" if path in code.excluded else "") + os.fsdecode(path)
            raise ValueError(
                f"code={text!r}, looked up in the work tree {top} at commit {reading.state.commit[:12]}, {found}"
            )


def _why_uncovered(
    reading: Reading, top: str, path: bytes, committed: Mapping[bytes, str], *, is_excluded: bool
) -> str | None:
    """Why no key would cover a path, and what to pass; None if one does, or what is left out is there."""
    text, place = os.fsdecode(path), on_disk(top, path)
    if path in committed or any(_is_below(change, [path]) for change in reading.changes):
        return None if is_excluded or not os.path.islink(place) else _why_link_leads_nowhere(reading, top, place)
    submodule = next((one for one in directories_above(path) if committed.get(one) == SUBMODULE), None)
    # What git ignores is there in some clones, and not yet in others.
    if is_excluded and (submodule is not None or os.path.lexists(place) or _is_ignored(top, path)):
        return None
    if submodule is not None:
        return f"is in the submodule {os.fsdecode(submodule)}, which counts as its commit; pass that"
    if (target := _behind_link(top, path)) is not None:
        return f"is behind a link; pass {target!r}"
    if os.path.lexists(place):
        if _is_ignored(top, path):
            return "is ignored by git, so no key would cover it; name in inputs= what is read there"
        return f"is not tracked, so no key would cover it; type: git -C {quote(top)} add {quote(text)}"
    if re.search(r"[*?]|\[.+\]", text):
        return "is not in it, and patterns are not resolved; pass paths from its top, a directory for all that is in it"
    import difflib  # imported where a path was wrong

    listed = parse_entries(run_git(top, ["ls-tree", "-r", "-t", "-z", "--full-tree", reading.state.commit]))
    names = {os.fsdecode(one).casefold(): os.fsdecode(one) for one, _ in listed}
    # In a project in a directory of the work tree, paths are taken for those from there.
    nested = [name for name in names if name.endswith(f"/{text.casefold()}")]
    close = nested or difflib.get_close_matches(text.casefold(), names, 1)
    return "is not in it; pass paths from its top" + (f", such as {names[close[0]]!r}" if close else "")


def _is_ignored(top: str, path: bytes) -> bool:
    # Where nothing is there might be a directory, which a pattern that ends in a slash is about.
    end = "" if os.path.lexists(on_disk(top, path)) else "/"
    try:
        run_git(top, ["--no-literal-pathspecs", "check-ignore", "--quiet", "--", f"./{os.fsdecode(path)}{end}"])
    except CodeStateError:  # how it says no
        return False
    return True


def _why_link_leads_nowhere(reading: Reading, top: str, link: str) -> str | None:
    """Why no key would cover what a link leads to; None if one does."""
    target = os.path.realpath(link)
    if target != top and not is_inside(target, top):
        return f"is a link that leads out of it, to {target}; name in inputs= what is read there"
    path = b"" if target == top else os.fsencode(relative_to(target, top))
    if _covered(reading, CodePaths((path,), ())) or _submodules_above(reading, [path]):
        return None
    return f"is a link to {os.fsdecode(path)!r}, which is not tracked; name in inputs= what is read there"


def _behind_link(top: str, path: bytes) -> str | None:
    """Where a path is that leads through a link, relative to the top of the work tree; None if it is none."""
    above = os.path.dirname(on_disk(top, path))
    target = os.path.join(os.path.realpath(above), os.path.basename(on_disk(top, path)))
    return relative_to(target, top) if os.path.realpath(above) != above and is_inside(target, top) else None


class CodeKey(NamedTuple):
    """What an artifact depends on in one state of the code.

    Attributes:
        state: the state.
        paths: what counts: what ``code=`` names, and what links in it lead to.
        text: the key, 64 hex digits: SHA-256 over the canonical JSON of ``[path, mode, id]`` of everything that counts;
            None where it is unknown what runs, or no work tree can be read.
    """

    state: CodeState
    paths: CodePaths
    text: str | None

    @classmethod
    def of(cls, reading: Reading, code: CodePaths) -> CodeKey:
        """The key of what is checked out and what differs from it.

        Raises:
            CodeStateError: git cannot say.
        """
        top = reading.work_tree
        if top is None or reading.snapshot.unknown:
            return cls(reading.state, code, None)
        entries = _covered(reading, code)
        # What a link holds is only where it leads to, and a function reads what is there.
        while links := _targets(top, entries, code):
            code = code._replace(included=(*code.included, *links, *_submodules_above(reading, links)))
            entries = _covered(reading, code)
        import json  # slow to import, and not needed by what is not cached

        found = sorted([digested_path(path), *entry] for path, entry in entries.items())
        # All of it is ASCII, of which this is the canonical form, and a hundred thousand entries are many.
        text = json.dumps(found, separators=(",", ":"))
        return cls(reading.state, code, hashlib.sha256(text.encode()).hexdigest())

    def unguarded_modules(self, reading: Reading) -> list[str]:
        """The files of loaded modules of the work tree that neither count nor are left out, and the links to them.

        Raises:
            CodeStateError: git cannot say which links it tracks.
        """
        paths = filter(self._is_unguarded, loaded_paths(reading) - reading.snapshot.ignored)
        # A link says which of several files is loaded, all of which may count.
        links = filter(self._is_unguarded, _links_to_loaded(reading))
        return sorted(map(os.fsdecode, {*paths, *_tracked(reading, links)}))

    def _is_unguarded(self, path: bytes) -> bool:
        return not self.paths.cover(path) and not self.paths.leave_out(path)


def _links_to_loaded(reading: Reading) -> set[bytes]:
    """The links of the work tree over which modules were found, relative to its top, untracked ones included."""
    top = reading.work_tree or ""
    links = (link.file for link in links_of(reading.loaded) if is_inside(link.file, top))
    return {os.fsencode(relative_to(link, top)) for link in links if not is_installed(link)}


def _tracked(reading: Reading, paths: Iterable[bytes]) -> list[bytes]:
    """Those of some paths that the commit holds, or a change."""
    asked = tuple(paths)  # most often none
    entries = _covered(reading, CodePaths(asked, ())) if asked else {}
    return [path for path in asked if path in entries]


def _covered(reading: Reading, code: CodePaths) -> dict[bytes, Entry]:
    """What counts: the entries of the commit, with the changes laid over them."""
    assert reading.work_tree is not None
    listed = ["ls-tree", "-r", "-z", "--full-tree", reading.state.commit]
    named = [] if b"" in code.included else sorted(code.included)
    entries: dict[bytes, Entry] = {}
    for some in in_portions(named) if named else [[]]:
        entries.update(parse_entries(run_git(reading.work_tree, [*listed, *(["--", *some] if some else [])])))
    entries.update(reading.changes)
    # What was typed has no path.
    return {path: entry for path, entry in entries.items() if (not path or code.cover(path)) and entry != ABSENT}


def _submodules_above(reading: Reading, paths: Iterable[bytes]) -> list[bytes]:
    """The submodules that hold some paths: in them, the commit of the work tree has no entries."""
    assert reading.work_tree is not None
    above = sorted({one for path in paths for one in directories_above(path)})
    entries: dict[bytes, Entry] = {}
    for some in in_portions(above):
        listed = ["ls-tree", "-t", "-z", "--full-tree", reading.state.commit, "--", *some]
        entries.update(parse_entries(run_git(reading.work_tree, listed)))
    entries.update(reading.changes)
    return [path for path in above if entries.get(path, ABSENT)[0] == SUBMODULE]


def _targets(top: str, entries: dict[bytes, Entry], code: CodePaths) -> set[bytes]:
    """What links lead to in the work tree, as far as it does not count yet."""
    found = set()
    for path, (mode, _) in entries.items():
        target, links = followed(on_disk(top, path)) if mode == LINK else ("", {})
        # The links on the way, too, each of which says what is behind it.
        for one in (target, *links):
            if one == top or is_inside(one, top):
                found.add(os.fsencode(relative_to(one, top)))
    return {path for path in found if not code.cover(path) and not code.leave_out(path)}


def _text(path: bytes) -> str:
    return os.fsdecode(path) or os.curdir


def _is_below(path: bytes, directories: Iterable[bytes]) -> bool:
    return any(not one or path == one or path.startswith(one + b"/") for one in directories)
