"""A call under way: what is passed to the function, what its paths say, and whether they still say it at its end."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from pyrepro._code.state import CodeState
from pyrepro._code.tracker import first_ten
from pyrepro._code.workers import Moment
from pyrepro._config.forms import JSON
from pyrepro._paths import paths_in, split_text
from pyrepro._tag import DIGITS, Tag

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pyrepro._code.tracker import Tracker
    from pyrepro._config.inputs import Input

    class _Options(Protocol):
        """What a call needs to know of what the decorator was told."""

        @property
        def paths(self) -> tuple[str, ...]: ...

    class _Naming(Protocol):
        """How the calls of one function are named: only what a call needs of it, because imports point down."""

        name: str
        function: Callable[..., Any]
        tracker: Tracker
        maker: str | None

        @property
        def binding(self) -> Any: ...  # a Binding, for which pyright does not take a cached property

        @property
        def options(self) -> _Options: ...


_logger = logging.getLogger("pyrepro")


@functools.lru_cache(maxsize=1024)
def tag_of(state: CodeState, config: str) -> Tag:
    """The tag of a state of the code and the hash of a configuration."""
    changes = None if state.changes is None else state.changes[:DIGITS]
    return Tag(state.commit[:DIGITS], changes, config[:DIGITS])


class Configuration:
    """A configuration in JSON, and its hash.

    Args:
        canonical: its canonical JSON, from which its form is made when that is needed.
    """

    def __init__(self, canonical: bytes) -> None:
        self._canonical = canonical
        self.hash = hashlib.sha256(canonical).hexdigest()

    @functools.cached_property
    def form(self) -> JSON:
        import json

        return json.loads(self._canonical)  # type: ignore[no-any-return]


class Call:
    """A call under way: what is passed to the function, and what its paths say.

    Args:
        naming: how the calls of the function are named.
        arguments: what is passed, by name, with the tagged paths.
        state: the state of the code that the paths name.
        configuration: the configuration that they name.
        inputs: what the function reads, as it was hashed.
        started: when the call began, in nanoseconds on the clock of files.
        clock: the same in seconds on the clock that nobody sets.
        directory: the working directory then.
    """

    # As plain as it can be: every hit makes one.
    def __init__(
        self,
        naming: _Naming,
        arguments: dict[str, Any],
        state: CodeState,
        configuration: Configuration,
        inputs: list[Input],
        started: int,
        clock: float,
        directory: str,
    ) -> None:
        self.naming = naming
        self.arguments = arguments
        self.state = state
        self.configuration = configuration
        self.inputs = inputs
        self.started = started
        self.clock = clock
        self.directory = directory
        self.process = os.getpid()

    def run(self) -> Any:
        """Call the function with the tagged paths."""
        __tracebackhide__ = True
        return self.naming.binding.call(self.naming.function, self.arguments)

    def tags(self) -> tuple[Tag, Tag]:
        """The tag that its paths carry, and the one of the code that has run."""
        states = self.state, self.naming.tracker.after_call()
        old, new = (tag_of(state, self.configuration.hash) for state in states)
        return old, new

    def changed_input(self) -> tuple[str, str] | None:
        """The first input that is not what was hashed, and what has become of it."""
        for one in self.inputs:
            if (change := one.change()) is not None:
                return one.name, change
        return None

    def changed_meanwhile(self, children: Moment | None = None) -> tuple[str, ...] | None:
        """The files that changed while a call ran, which is warned of; None if that is unknown.

        Args:
            children: what child processes there were when the function began: after those, which load code of their
                own, it is looked at after a short call, too. None if they are not asked for.
        """
        # A child that was forked while the function ran ends the call, too; its parent looks.
        if self.process != os.getpid():
            return ()
        tracker = self.naming.tracker
        # Asked before git is started, which is a child, too.
        had_children = children is not None and children.have_children_run_since()
        reloaded = () if children is None else tracker.reloaded_before(children)
        changed = tracker.changed_meanwhile(time.perf_counter() - self.clock, had_children=had_children)
        then = "" if self.naming.maker is None else ", so later calls will make it again"
        if changed:
            _logger.warning(
                "files of the work tree %s have changed since the code of %s was loaded or read:\n%s\n"
                "What %s read or started while it ran may have been other code than its name says%s.",
                *(tracker.work_tree, self.naming.name, first_ten(changed), self.naming.name, then),
            )
        if reloaded:
            _logger.warning(
                "worker processes were started before these files of the work tree %s were loaded again:\n%s\n"
                "What %s computed in them may be of other code than its name says%s; end the workers (those of joblib "
                "by joblib.externals.loky.get_reusable_executor().shutdown()), and call it again.",
                *(tracker.work_tree, first_ten(reloaded), self.naming.name, then),
            )
        return None if changed is None else tuple(dict.fromkeys([*changed, *reloaded]))

    def end(self) -> None:
        """Give the artifacts their true names if the function loaded code that no commit holds.

        Raises:
            DirtyRepositoryError: it did, and that is not allowed; the artifacts were renamed.
            InputChangedError: an input changed meanwhile; the artifacts were renamed.
        """
        if self.inputs and (changed := self.changed_input()) is not None:
            from pyrepro._publish.rename import input_changed, unnamed  # imported where a name was false

            kept = self._rename(self.tags()[0], unnamed(self._directories()))
            raise input_changed(self.naming.name, *changed, [os.path.join(self.directory, path) for path in kept])
        self.changed_meanwhile()
        if self.naming.tracker.after_call() == self.state:
            return
        renamed = self._rename_truly()
        refusal = self.naming.tracker.refusal()
        if refusal is not None:
            written = f"what it wrote was renamed to {', '.join(renamed)}" if renamed else "no local file was renamed"
            refusal.args = (f"{refusal}\n{self.naming.name} loaded them while it ran; {written}.",)
            raise refusal

    def fail(self) -> None:
        """Give what the function wrote before it raised its true name; its own error is what propagates."""
        try:
            if self.naming.tracker.after_call() == self.state:
                return
            renamed = self._rename_truly()
        except Exception as error:  # whatever it is, it must not hide why the function failed
            _logger.error("what %s wrote before it ended early may carry a false name: %s", self.naming.name, error)
            return
        if renamed:
            _logger.warning(
                "%s loaded code that no commit holds and ended early; what it wrote was renamed to %s",
                self.naming.name,
                ", ".join(renamed),
            )

    def _rename_truly(self) -> list[str]:
        old, new = self.tags()
        return self._rename(old, str(new))

    def _paths(self) -> list[Any]:
        return paths_in([self.arguments[name] for name in self.naming.options.paths])

    def _directories(self) -> list[str]:
        local = [os.fsdecode(path) for path in self._paths() if isinstance(path, (str, bytes, os.PathLike))]
        return [os.path.join(self.directory, split_text(path)[0]) for path in local]

    def _rename(self, old: Tag, new: str) -> list[str]:
        """Rename the local artifacts and what belongs to them; their new names."""
        from pyrepro._publish.rename import rename_tagged  # imported where a name was false

        # A child that was forked while the function ran ends the call, too; its parent may still write.
        is_ours = self.process == os.getpid()
        return rename_tagged(self._paths(), self.directory, self.started, old, new) if is_ours else []
