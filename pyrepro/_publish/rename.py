"""What carries a tag that turned out to be false gets another name."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pyrepro._code.load import clock_of_files, grain_of
from pyrepro._paths import split_text
from pyrepro._publish.files import last_change, move_into_place, own_path_in, remove_tree, unlink_if_possible
from pyrepro._tag import Tag
from pyrepro.errors import InputChangedError, NotTaggedError


def rename_tagged(paths: Iterable[Any], directory: str, since: int, old: Tag, new: str) -> list[str]:
    """Rename what was written under a tag: what stands beside the paths, and what is in it.

    Args:
        paths: the paths that carry the tag.
        directory: the directory that relative paths start from.
        since: when the call began, by the clock of local files, in nanoseconds. What has not been changed since is
            another call's, and stays.
        old: the tag.
        new: the text that takes its place.

    Returns:
        The new paths beside the given ones, relative if those are.

    Raises:
        OSError: something could not be renamed.
    """
    renamed: list[str] = []
    # Once for each directory: the first path in it finds what belongs to the others.
    heads: dict[str, str] = {}
    for path in paths:
        if isinstance(path, (str, bytes, os.PathLike)):
            head, name, _ = split_text(os.fsdecode(path))
            heads.setdefault(head, name)
    renamings = {}
    for head, name in heads.items():
        place = os.path.join(directory, head)
        renamings[place] = renaming = _Renaming(_on_clock_of(place, since), old, new)
        names = sorted(renaming.names_in(place))
        names.sort(key=renaming.changed(name).__ne__)  # the one of the path first
        renamed += [head + new_name for new_name in names]
    for place, renaming in renamings.items():
        renaming.lead_links_on(place)
    return renamed


def _on_clock_of(directory: str, moment: int) -> int:
    """A moment by the clock of the file system of a directory: the one of a server may go otherwise."""
    path = own_path_in(directory)
    # OSError: nothing can be made there, nor renamed.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            return moment + os.fstat(descriptor).st_mtime_ns - clock_of_files()
        finally:
            os.close(descriptor)
            unlink_if_possible(path)
    return moment


def unnamed(directories: Iterable[str], is_taken: Callable[[str], bool] = lambda text: False) -> str:
    """What takes the place of a tag where no name would be true: no longer than one, and new in some directories.

    Args:
        directories: local ones.
        is_taken: whether it is not new elsewhere.
    """
    # None of its parts can be read as a hash, and it fits wherever a tag did.
    names = [entry.name for directory in {*directories} for entry in _entries(directory)]
    seconds = (int(time.time()) + number for number in itertools.count())
    texts = (time.strftime("unnamed-%Y%m%dT%H%M%SZ", time.gmtime(second)) for second in seconds)
    return next(text for text in texts if not any(text in name for name in names) and not is_taken(text))


def input_changed(function: str, parameter: str, now: str, kept: list[str]) -> InputChangedError:
    """The error that says that an input changed, and where the output is."""
    output = (
        f"so what it wrote has no true name and is kept as {', '.join(kept)}; use or remove that"
        if kept
        else "and no local file was renamed; remove what it wrote, whose name is false"
    )
    return InputChangedError(
        f"the input {parameter} of {function} {now} after it was hashed for the name, {output}. Then call again when "
        f"nothing else writes to the input; if {function} itself changes it, let it write to another path",
        path=kept[0] if kept else None,
        input=parameter,
    )


class _Renaming:
    """One tag, the text that takes its place, and since when what was written counts."""

    def __init__(self, since: int, old: Tag, new: str) -> None:
        self._since = since
        self._old = old
        self._new = new

    def changed(self, name: str) -> str:
        """The name with the new text in the place of the tag; the same if it carries another tag, or none."""
        # The last tag is what is read, and what stands before it may be the beginning of another.
        with contextlib.suppress(NotTaggedError):
            if Tag.from_path(name) == self._old:
                return name.replace(f"-{self._old}", f"-{self._new}")
        return name

    def names_in(self, directory: str) -> list[str]:
        """Rename the entries of a directory, and what is in them; the new names of the entries."""
        renamed = []
        tagged = [(entry, self.changed(entry.name)) for entry in _entries(directory)]
        # All of them are looked at before the first is renamed, which links may lead to.
        for entry, new_name in [one for one in tagged if one[1] != one[0].name and self._is_written(one[0])]:
            self._rename_inside(entry)
            aside = own_path_in(directory)
            move_into_place(entry.path, os.path.join(directory, new_name), aside)
            remove_tree(aside)
            renamed.append(new_name)
        return renamed

    def _rename_inside(self, entry: os.DirEntry[str]) -> None:
        if entry.is_dir(follow_symlinks=False):
            self.names_in(entry.path)
            for inner in _entries(entry.path):
                # Those that were renamed just now have been looked into.
                if f"-{self._new}" not in inner.name:
                    self._rename_inside(inner)

    def _is_written(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry, what it leads to, or something in it was written since."""
        if self._is_since(entry.stat(follow_symlinks=False)):
            return True
        if entry.is_dir(follow_symlinks=False):
            return any(map(self._is_written, _entries(entry.path)))
        # OSError: a link that leads nowhere.
        with contextlib.suppress(OSError):
            return self._is_since(entry.stat())
        return False

    def _is_since(self, status: os.stat_result) -> bool:
        changed = last_change(status.st_mtime_ns, status.st_ctime_ns)
        return changed + grain_of(changed) >= self._since

    def lead_links_on(self, directory: str) -> None:
        """Let the links in a directory, and in what was renamed there, lead to what was renamed."""
        for entry in _entries(directory):
            if entry.is_symlink():
                self._lead_on(entry.path)
            elif f"-{self._new}" in entry.name:
                for link in _links_in(entry):
                    self._lead_on(link)

    def _lead_on(self, link: str) -> None:
        place, target = os.path.dirname(link), os.readlink(link)
        new_target = ""
        for part in target.split(os.sep):
            # Only what is no longer there: an artifact of this tag from another call keeps its name.
            is_there = os.path.lexists(os.path.join(place, new_target + part))
            new_target += (part if is_there else self.changed(part)) + os.sep
        new_target = new_target[: -len(os.sep)]
        if new_target != target and os.path.lexists(os.path.join(place, new_target)):
            os.unlink(link)
            os.symlink(new_target, link)


def _entries(directory: str) -> list[os.DirEntry[str]]:
    """What is in a directory, by name; nothing if there is no such directory."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)
    return []


def _links_in(entry: os.DirEntry[str]) -> Iterator[str]:
    if entry.is_symlink():
        yield entry.path
    elif entry.is_dir():
        for inner in _entries(entry.path):
            yield from _links_in(inner)
