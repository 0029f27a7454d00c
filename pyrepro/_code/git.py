"""Git processes; the only file that knows GitPython.

Sources: git(1); waitpid(2).
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyrepro import _environ
from pyrepro.errors import CodeStateError

# Nothing that a user, a clone or a machine can set may change what is read:
_UNIFORM = (
    "--no-replace-objects",  # a replaced tree would read as clean
    "--literal-pathspecs",
    "--no-optional-locks",  # status must not race with the user's own commits
    *("-c", "core.useReplaceRefs=false"),  # --no-replace-objects, handed down to submodules
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.trustctime=true"),
    *("-c", "core.checkStat=default"),
    *("-c", "diff.ignoreSubmodules=none"),
    # Git sets it in each clone by what the file system there does. Where letters match in either case, too, a
    # .gitignore means what it means everywhere else, or one tree would have two names.
    *("-c", "core.ignoreCase=false"),
)
# The variables of git(1) that make git read another repository, or paths in another way. Those that
# carry configuration stay: they are the user's, and what they could hide is set above.
_FOREIGN = (
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
)

# A handler that waits for any child cannot take what is written: the exit status ends the error output.
_WITH_STATUS = ("sh", "-c", '"$@"; echo "$?" >&2', "sh")

# Compiled when git fails, which it does in few processes.
_FAILED_FILTER = r"(?m)^fatal: (?P<file>.+): clean filter '(?P<name>.+)' failed$"
_REFUSED_LINE_ENDS = r"(?m)^fatal: (?:CRLF|LF) would be replaced by (?:CRLF|LF) in (?P<file>.+)$"


@contextlib.contextmanager
def start_git(
    directory: str,
    commands: Sequence[Sequence[str]],
    *,
    is_top: bool = True,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[list[Any]]:
    """Git processes side by side; none outlives the block.

    Args:
        directory: where git shall run, the top of a work tree if ``is_top``.
        commands: the arguments of each.
        is_top: whether the repository is known to be here, so that git must not look further up for one.
        stdin: what :func:`finish_git` will pass to them, or None.
        environment: variables that are theirs alone.
    """
    processes: list[Any] = []
    with _exit_statuses(directory) as prefix:
        try:
            for command in commands:
                processes.append(
                    _start(prefix, directory, command, is_top=is_top, stdin=stdin, environment=environment or {})
                )
            yield processes
        finally:
            for process in processes:
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream is not None:
                        stream.close()
                if process.poll() is None:
                    process.kill() if process.args[0] != _WITH_STATUS[0] else os.killpg(process.pid, signal.SIGKILL)
                    getattr(process, "proc", process).wait()


@contextlib.contextmanager
def _exit_statuses(directory: str) -> Iterator[tuple[str, ...]]:
    """Keep exit statuses for git: where others take them, a git that failed looks like one that succeeded.

    The kernel drops them where SIGCHLD is ignored, and a handler may wait for any child. Gives what is to stand before
    each command.
    """
    number: int = getattr(signal, "SIGCHLD", 0)  # Windows has no such signal
    handler = signal.getsignal(number) if number else None
    if handler in (None, signal.SIG_DFL):
        yield ()
        return
    try:
        signal.signal(number, signal.SIG_DFL)
    except ValueError:  # in no other thread than the main one
        if handler is signal.SIG_IGN:
            raise CodeStateError(
                f"git cannot read the code state of {directory} in this thread: the process ignores SIGCHLD, "
                f"so a failure of git would go unnoticed; type signal.signal(signal.SIGCHLD, signal.SIG_DFL) in the "
                f"main thread, or declare the state with PYREPRO_CODE_STATE",
                work_tree=directory,
            ) from None
        yield _WITH_STATUS
        return
    try:
        yield ()
    finally:
        signal.signal(number, handler)
        # A child of the user's own may have ended meanwhile, of which the handler has not heard.
        if callable(handler) and _is_child_waiting():
            signal.raise_signal(number)


def _is_child_waiting() -> bool:
    """Whether a child has ended that nobody has waited for."""
    with contextlib.suppress(ChildProcessError):
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return False


def run_git(
    directory: str,
    command: Sequence[str],
    *,
    is_top: bool = True,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> bytes:
    """The output of one git process that succeeds; for the arguments see :func:`start_git` and :func:`finish_git`."""
    with start_git(directory, [command], is_top=is_top, stdin=stdin, environment=environment) as [process]:
        return finish_git(process, stdin, seconds)


def _start(
    prefix: tuple[str, ...],
    directory: str,
    command: Sequence[str],
    *,
    is_top: bool,
    stdin: bytes | None,
    environment: Mapping[str, str],
) -> Any:
    """A started git process: a Popen, or what GitPython wraps around one."""
    try:
        import git
        import git.exc
    except ImportError as error:
        reason = str(error).strip().partition("\n")[0]
        raise _no_git(directory, reason) from error
    line = [
        *prefix,
        _found(str(git.Git.GIT_PYTHON_GIT_EXECUTABLE), os.environ.get("PATH")),
        "-C",
        directory,
        *_UNIFORM,
        *command,
    ]
    # Git must not look further up when the repository that was found here turns out to be none.
    own = {"GIT_CEILING_DIRECTORIES": os.path.dirname(directory), **environment} if is_top else {**environment}
    source = None if stdin is None else subprocess.PIPE
    foreign = [name for name in _FOREIGN if name in os.environ]
    own_session = bool(prefix)  # so that git can be ended together with what stands before it
    try:
        if not foreign:
            return git.Git(directory).execute(
                line, istream=source, as_process=True, env=own, start_new_session=own_session
            )
        # GitPython can set variables for git and cannot unset any, and an empty GIT_DIR is an error to git.
        variables = {name: value for name, value in os.environ.items() if name not in foreign}
        variables |= {"LANGUAGE": "C", "LC_ALL": "C", **own}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            line,
            stdin=source or subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            env=variables,
            start_new_session=own_session,
        )
    except (git.exc.GitCommandNotFound, OSError) as error:
        raise _no_git(directory, str(error).strip().partition("\n")[0]) from error


@functools.lru_cache(maxsize=8)
def _found(name: str, path: str | None) -> str:
    """The file of a program, so that not every process has to try every directory of the search path."""
    return shutil.which(name, path=path) or name


def _no_git(directory: str, reason: str) -> CodeStateError:
    return CodeStateError(
        f"git could not be started to read the work tree {directory}: {reason}; "
        f"install git, or declare the state with PYREPRO_CODE_STATE",
        work_tree=directory,
    )


def finish_git(process: Any, stdin: bytes | None = None, seconds: float | None = None) -> bytes:
    """The output of a process that succeeds within so many seconds, by default those of PYREPRO_GIT_TIMEOUT."""
    return finish_git_with_words(process, stdin, seconds)[0]


def finish_git_with_words(
    process: Any, stdin: bytes | None = None, seconds: float | None = None
) -> tuple[bytes, bytes]:
    """The output of a process that succeeds, as :func:`finish_git` gives it, and what it has said beside it."""
    seconds = seconds or _environ.git_timeout()
    tells_status = process.args[0] == _WITH_STATUS[0]
    line = process.args[len(_WITH_STATUS) :] if tells_status else process.args
    top, command = line[2], " ".join(line[3 + len(_UNIFORM) :])
    popen = getattr(process, "proc", process)
    if os.name != "nt" and not tells_status:
        popen.wait = functools.partial(_wait, popen)
    try:
        output, errors = process.communicate(stdin, timeout=seconds)
    except ChildProcessError:
        raise CodeStateError(
            f"git {command} in {top} has ended, but another thread of this process, which waits for any child, took "
            f"its exit status; let that wait for its own children alone, as os.waitpid(<pid>, 0) does",
            work_tree=top,
        ) from None
    except subprocess.TimeoutExpired:
        raise CodeStateError(
            f"git {command} in {top} did not end within {seconds:g} seconds; see what holds it up with "
            f"'git -C {top} status', or allow it more time with PYREPRO_GIT_TIMEOUT=<seconds>",
            work_tree=top,
        ) from None
    finally:
        vars(popen).pop("wait", None)  # what is left to do is to end it
    status = process.returncode
    if tells_status:
        errors, _, told = errors.rstrip().rpartition(b"\n")
        status = int(told) if told.isdigit() else -signal.SIGKILL
    if status < 0:
        raise CodeStateError(f"git {command} in {top} was killed by signal {-status:d}; run again", work_tree=top)
    if status:
        words = errors.decode(errors="replace").strip() or f"exit status {status}"
        raise CodeStateError(
            f"git cannot read the code state of {top}: {words}\n"
            f"{_remedy(top, words)}, or declare the state with PYREPRO_CODE_STATE.",
            work_tree=top,
        )
    return output, errors


def _wait(process: subprocess.Popen[bytes], timeout: float = math.inf) -> int:
    """Wait for a process as its own method does, which takes an exit status that is lost for 0.

    The subprocess of gevent waits without a time, once its output has ended.

    Raises:
        ChildProcessError: something else in this process has waited for it.
        subprocess.TimeoutExpired: it has not ended.
    """
    end = time.monotonic() + timeout
    pause = 0.0005
    while process.returncode is None:
        ended, status = os.waitpid(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > end:
            raise subprocess.TimeoutExpired(process.args, timeout)
        else:
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
    return process.returncode


def words_of(error: CodeStateError) -> str:
    """What git itself has said, for whoever asked it for something else than a code state."""
    text = str(error)
    return text.partition(": ")[2].rpartition("\n")[0] or text


def _remedy(top: str, words: str) -> str:
    """What makes git work that failed with these words."""
    # Status does not show these two: it leaves the content of many changed files unread.
    if failed := re.search(_FAILED_FILTER, words):
        name, file = shlex.quote(f"filter.{failed['name']}"), shlex.quote(failed["file"])
        return (
            f"Git must pass {failed['file']} through the filter {failed['name']}, which fails: install or repair the "
            f"program that 'git -C {top} config --get-regexp {name}' shows, until "
            f"'git -C {top} hash-object -- {file}' works"
        )
    if refused := re.search(_REFUSED_LINE_ENDS, words):
        return (
            f"The setting core.safecrlf makes git refuse the line ends of {refused['file']}: give the file those that "
            f"a checkout would give it, or let git only warn, with 'git -C {top} config core.safecrlf warn'"
        )
    return f"Make 'git -C {top} status' work"
