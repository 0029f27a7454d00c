"""Every deliberate error of pyrepro, under one root."""

from __future__ import annotations

__all__ = [
    "ArtifactMismatchError",
    "ArtifactMissingError",
    "CodeStateError",
    "ConfigError",
    "DirtyRepositoryError",
    "InputChangedError",
    "NotTaggedError",
    "PublishError",
    "PyreproError",
    "RecordError",
    "ReproduceError",
]


class PyreproError(Exception):
    """The root of every error that pyrepro raises on purpose.

    A wrong argument of a call is a plain :class:`TypeError` or
    :class:`ValueError` instead, as everywhere in Python.
    """


def without_inner_frames(error: Exception) -> Exception:
    """An error on its way out of pyrepro, without the frames of pyrepro that it comes from.

    Its message says all that there is to know, and a notebook shows several lines of each frame. What comes after
    a frame of another package stays, since that may be the mistake: a callable configuration's, or a converter's.
    """
    kept = error.__traceback__
    while kept is not None and str(kept.tb_frame.f_globals.get("__name__")).startswith("pyrepro."):
        kept = kept.tb_next
    return error.with_traceback(kept)


class ArtifactMismatchError(PyreproError, FileExistsError):
    """An artifact under the same name was made by another function.

    Attributes:
        path: the artifact.
        maker: the function that made it: its file in the work tree, its qualified name, and the line where its code
            begins.
    """

    def __init__(self, message: str, *, path: str | None = None, maker: str | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.maker = maker


class ArtifactMissingError(PyreproError, FileNotFoundError):
    """A function returned without writing its artifact.

    Attributes:
        path: the artifact that is missing.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class CodeStateError(PyreproError, RuntimeError):
    """The code state cannot be determined, so no name would be true.

    Attributes:
        work_tree: the directory that was looked at, or None.
    """

    def __init__(self, message: str, *, work_tree: str | None = None) -> None:
        super().__init__(message)
        self.work_tree = work_tree


class DirtyRepositoryError(PyreproError, RuntimeError):
    """The code that runs is not what the commit holds, and that was not allowed.

    Attributes:
        commit: the full commit that the work tree is at.
        changes: the full changes digest.
        work_tree: the top directory of the work tree, or None for a declared state.
        paths: every changed path, relative to the work tree.
    """

    def __init__(
        self,
        message: str,
        *,
        commit: str | None = None,
        changes: str | None = None,
        work_tree: str | None = None,
        paths: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.commit = commit
        self.changes = changes
        self.work_tree = work_tree
        self.paths = paths


class ConfigError(PyreproError, ValueError):
    """A configuration, or a part of it, has no stable JSON form.

    Attributes:
        place: where in the configuration, as Python would write it.
    """

    def __init__(self, message: str, *, place: str | None = None) -> None:
        super().__init__(message)
        self.place = place


class InputChangedError(ConfigError):
    """An input was changed between the call and the end of the function, so no name would be true.

    What the function wrote is kept under a name without a tag.

    Attributes:
        path: what was kept, None where the function wrote no local file.
        input: the parameter of the input.
    """

    def __init__(
        self,
        message: str,
        *,
        place: str | None = None,
        path: str | None = None,
        input: str | None = None,  # noqa: A002 - its attribute has the name of the option
    ) -> None:
        super().__init__(message, place=place)
        self.path = path
        self.input = input


class NotTaggedError(PyreproError, ValueError):
    """A name carries no tag.

    Attributes:
        name: the name that was read.
    """

    def __init__(self, message: str, *, name: str | bytes | None = None) -> None:
        super().__init__(message)
        self.name = name


class PublishError(PyreproError, OSError):
    """Something that a function wrote, or its record, could not be put in place; nothing of it was removed.

    Attributes:
        path: the artifact; the message says whether it is in place.
        kept: where everything is that was not put in place.
    """

    def __init__(self, message: str, *, path: str | None = None, kept: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.kept = kept


class RecordError(PyreproError, ValueError):
    """There is no record of an artifact, or it cannot be read.

    Attributes:
        path: the record.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class ReproduceError(PyreproError, RuntimeError):
    """An artifact cannot be made again.

    Attributes:
        path: its record.
    """

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path
