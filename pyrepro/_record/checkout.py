"""A record and a repository -> a clone of the code that ran. Nothing is written into the repository.

Sources: gitrepository-layout(5) on borrowed objects and shallow; git-clone(1), git-apply(1), gitsubmodules(7).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
from typing import NamedTuple

from pyrepro._code import state as _code
from pyrepro._code import work_tree as _work_tree
from pyrepro._code.git import run_git, words_of
from pyrepro._paths import is_url
from pyrepro._record.record import Record, printable
from pyrepro._record.secrets import without_url_credentials
from pyrepro.errors import CodeStateError, ReproduceError

_NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
"""Hooks of a template would run code that is not the function's."""

_NO_PROMPT = {"GIT_TERMINAL_PROMPT": "0"}

_PATIENCE = 24 * 3600.0
"""Seconds that git may take to fetch or check out a repository, of whatever size it is."""

_LOCAL_SETTINGS = r"^(filter\..*|core\.(autocrlf|eol|safecrlf|symlinks|filemode)|lfs\..*)$"
"""The settings of a repository that decide what a checkout holds, and what counts as changed."""

_SCP_LIKE = re.compile(r"(?!-)(?:[\w.-]+@)?(?!-)[\w.-]{2,}:(?!//)[\w./~-]+")
_REMOTE = re.compile(
    r"(?!.*(?:^|://|@)-)(?:(?:https?|ssh|git|file)://|~?/|(?:[\w.-]+@)?[\w.-]{2,}:(?!:))[\w./~@:%+=,-]*", re.ASCII
)
"""Remotes that may stand in a line to type: no option, no command, no control character, no other transport."""

_PROMISOR = r"^(extensions\.partialclone|remote\..*\.(url|promisor|partialclonefilter))$"
"""The settings of a partial clone that say where its missing objects are; git-config(1), partial-clone.txt."""


class Repository(NamedTuple):
    """A repository that has the commit."""

    place: str  # where it was found
    git_dir: str  # what its work trees share
    top: str | None  # the work tree, where there is one

    @property
    def directory(self) -> str:
        """Where git is run: it takes the owner of the work tree, which the user has said to be safe."""
        return self.top or self.git_dir


def reproduce_error(record: Record, reason: str) -> ReproduceError:
    # What the record says, and what its code printed, must not reach a terminal as commands to it.
    name = printable(record.artifact["name"])  # on one line, whatever it holds
    text = "\n".join(map(printable, f"{name} cannot be made again: {reason}".split("\n")))
    return ReproduceError(text, path=record.path)


def repository_of(record: Record, repo: str | None, scratch: str) -> Repository:
    """The repository that has the commit of a record.

    Args:
        record: the record.
        repo: a path in it, or its URL, or None for the one around the record or the working directory.
        scratch: a directory for what is fetched.

    Raises:
        ReproduceError: there is none.
    """
    commit = record.code["commit"]
    if repo is not None and not os.path.exists(repo) and (is_url(repo) or _SCP_LIKE.fullmatch(repo)):
        return _fetched(record, repo, os.path.join(scratch, "fetched.git"))
    looked_at: list[Repository] = []
    words = ""
    for place in [repo] if repo is not None else [os.path.dirname(os.path.abspath(record.path)), os.curdir]:
        # A place in no repository, or in one without the commit: the next may have it.
        try:
            found = _repository_at(place)
            # Before the commit is looked for, so that the error can name each repository that does not have it.
            looked_at.append(found)
            _find_commit(found.directory, commit)
            return found
        except CodeStateError as error:
            words = words_of(error)
    remote = record.code["remote"]
    source = shlex.quote(remote) if remote and _REMOTE.fullmatch(remote) else None
    if not looked_at:
        clone = f"type git clone {source}, and pass its path as repo=" if source else "pass its path or URL as repo="
        where = f"at {repo}: {words}" if repo is not None else "beside it or around the working directory"
        separator = "\n" if "\n" in where else "; "  # git's advice is a line of its own, which is to be copied
        raise reproduce_error(record, f"no repository was found {where}{separator}{clone}")
    places = list(dict.fromkeys(one.directory for one in looked_at))
    raise reproduce_error(
        record,
        f"the commit {commit} is not in {' or '.join(places)}; type "
        f"git -C {shlex.quote(places[0])} fetch {source or '<where it was committed>'} {commit}, or pass repo=",
    )


def _find_commit(directory: str, commit: str) -> None:
    # A partial clone would fetch what it does not hold, and be written into.
    run_git(directory, ["cat-file", "-e", f"{commit}^{{commit}}"], environment={"GIT_NO_LAZY_FETCH": "1"})


def _repository_at(place: str) -> Repository:
    path = os.path.realpath(place)
    directory = path if os.path.isdir(path) else os.path.dirname(path)
    output = run_git(directory, ["rev-parse", "--git-common-dir"], is_top=False)
    git_dir = os.path.realpath(os.path.join(directory, os.fsdecode(output.rstrip(b"\n"))))
    top = None
    with contextlib.suppress(CodeStateError):  # a bare repository has none
        top = _code.work_tree_of(path)
    return Repository(place, git_dir, top)


def _fetched(record: Record, url: str, git_dir: str) -> Repository:
    """A repository with what a URL has: the commit alone where the server gives it, else all of it."""
    commit = record.code["commit"]
    _init(git_dir, commit, "--bare")
    fetch = ["fetch", "--quiet", "--no-tags"]
    try:
        try:
            run_git(git_dir, [*fetch, "--depth=1", "--", url, commit], environment=_NO_PROMPT, seconds=_PATIENCE)
        except CodeStateError:
            run_git(git_dir, [*fetch, "--", url, "+refs/*:refs/fetched/*"], environment=_NO_PROMPT, seconds=_PATIENCE)
        _find_commit(git_dir, commit)
    except CodeStateError as error:
        # As git says it, without the password: messages go into logs.
        reason = f"the commit {commit} cannot be fetched from {without_url_credentials(url)}: {words_of(error)}"
        raise reproduce_error(record, reason) from error
    run_git(git_dir, ["config", "remote.origin.url", url])
    return Repository(url, git_dir, None)


def _init(directory: str, commit: str, *options: str) -> None:
    os.makedirs(directory)
    kind = ["--object-format=sha256"] if len(commit) == 64 else []
    run_git(directory, ["init", "--quiet", "--template=", *kind, *options], is_top=False)


def check_out(record: Record, repository: Repository, tree: str) -> None:
    """Make a clone at the commit of a record, with its patch, and its submodules as far as they are at hand.

    Args:
        record: the record.
        repository: what has the commit.
        tree: where the clone is to be, a real path in an existing directory.

    Raises:
        ReproduceError: it cannot be made.
    """
    code = record.code
    try:
        _check_out(repository, code["commit"], tree)
        state = _code.state_of_work_tree(tree)
    except CodeStateError as error:
        raise reproduce_error(record, f"its commit cannot be checked out: {words_of(error)}") from error
    # Git goes on where an object is missing, and so it does where a filter is.
    if (state.commit, state.changes) != (code["commit"], None):
        raise reproduce_error(
            record,
            f"its commit cannot be checked out whole, since objects or filters of "
            f"{without_url_credentials(repository.place)} are missing; "
            f"see what 'git -C {shlex.quote(repository.git_dir)} fsck' says",
        )
    if code["changes"] is not None:
        _apply_patch(record, tree)


def _check_out(repository: Repository, commit: str, tree: str) -> None:
    # As git clone --shared does, which needs a branch that leads to the commit, and a repository that is not shallow.
    _init(tree, commit)
    borrowed = os.path.join(tree, ".git", "objects", "info", "alternates")
    os.makedirs(os.path.dirname(borrowed), exist_ok=True)
    with open(borrowed, "wb") as file:
        file.write(os.fsencode(os.path.join(repository.git_dir, "objects")) + b"\n")
    shallow = os.path.join(repository.git_dir, "shallow")
    if os.path.isfile(shallow):
        shutil.copyfile(shallow, os.path.join(tree, ".git", "shallow"))
    for key, value in _local_settings(repository.directory, _LOCAL_SETTINGS):
        run_git(tree, ["config", "--add", key, value])
    attributes = os.path.join(repository.git_dir, "info", "attributes")
    if os.path.isfile(attributes):
        os.makedirs(os.path.join(tree, ".git", "info"), exist_ok=True)
        shutil.copyfile(attributes, os.path.join(tree, ".git", "info", "attributes"))
    # Where filters such as git-lfs look for what this clone does not hold.
    run_git(tree, ["config", "remote.origin.url", _origin_of(repository)])
    promisor = _local_settings(repository.directory, _PROMISOR)
    if any(not key.endswith(".url") for key, _ in promisor):
        # What a partial clone does not hold is fetched into this one, and not into the user's.
        for key, value in [("core.repositoryformatversion", "1"), *promisor]:
            run_git(tree, ["config", key, value])
    checkout = [*_NO_HOOKS, "checkout", "--quiet", "--detach", commit]
    run_git(tree, checkout, environment=_NO_PROMPT, seconds=_PATIENCE)
    for path, submodule in _work_tree.submodules_of(tree):
        source = _submodule_at(repository, tree, path, submodule)
        # A submodule that was never fetched cannot be checked out here, and the function may not need it.
        if source is not None:
            os.rmdir(os.path.join(tree, path))  # the empty directory that git made for it
            _check_out(source, submodule, os.path.join(tree, path))
        elif is_url(repository.place):
            # Fetched by their URLs as the repository was; git itself refuses transports that run commands.
            with contextlib.suppress(CodeStateError):
                command = ["submodule", "--quiet", "update", "--init", "--recursive", "--", path]
                run_git(tree, [*_NO_HOOKS, *command], environment=_NO_PROMPT, seconds=_PATIENCE)


def absent_submodules(tree: str) -> list[str]:
    """The submodules of a clone that could not be checked out, or that hold such a one."""
    return [path for path, _ in _work_tree.submodules_of(tree) if _is_absent(os.path.join(tree, path))]


def _is_absent(submodule: str) -> bool:
    return not os.path.lexists(os.path.join(submodule, ".git")) or bool(absent_submodules(submodule))


def _origin_of(repository: Repository) -> str:
    return repository.place if is_url(repository.place) else repository.git_dir


def _local_settings(directory: str, pattern: str) -> list[tuple[str, str]]:
    try:
        output = run_git(directory, ["config", "--local", "-z", "--get-regexp", pattern])
    except CodeStateError:  # as git says that there are none
        return []
    pairs = [entry.decode(errors="surrogateescape").partition("\n") for entry in output.split(b"\0")[:-1]]
    return [(key, value) for key, _, value in pairs]


def _submodule_at(repository: Repository, tree: str, path: str, commit: str) -> Repository | None:
    """A repository that has the commit of a submodule."""
    names = []
    with contextlib.suppress(CodeStateError):
        lines = run_git(tree, ["config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"])
        entries = [entry.decode(errors="surrogateescape").partition("\n") for entry in lines.split(b"\0")[:-1]]
        names = [key[len("submodule.") : -len(".path")] for key, _, value in entries if value == path]
    places = [os.path.join(repository.git_dir, "modules", name) for name in names if ".." not in name.split("/")]
    if repository.top is not None and os.path.lexists(os.path.join(repository.top, path, ".git")):
        places.insert(0, os.path.join(repository.top, path))
    for place in filter(os.path.isdir, places):
        with contextlib.suppress(CodeStateError, OSError):
            found = _repository_at(place)
            _find_commit(found.directory, commit)
            return found
    return None


def _apply_patch(record: Record, tree: str) -> None:
    """Turn a clone of the commit into the code that ran; its digest says which patch does."""
    code = record.code
    assert code["patch"] is not None  # what has none is refused before
    beside = os.path.dirname(os.path.abspath(record.path))
    found: str | None = None
    problem = ""  # as text: an error would keep its frames, and what they hold, until the next collection of garbage
    for content in _patches(record, beside, code["patch"]):
        try:
            # Git refuses paths that lead out of the work tree, into .git, or beyond a link. --index, so that new files
            # count as changes; --whitespace, since apply.whitespace of the user could change or refuse the patch.
            run_git(tree, ["apply", "--index", "--binary", "--whitespace=nowarn", "-"], stdin=content)
        except CodeStateError as error:
            problem = problem or f"its patch {code['patch']} cannot be applied: {words_of(error)}"
            continue
        # The patch may have been edited, or be that of another commit: only the recorded state is run.
        state = _code.state_of_work_tree(tree)
        if (state.commit, state.changes) == (code["commit"], code["changes"]):
            return
        found = found or str(state.changes)
        run_git(tree, [*_NO_HOOKS, "reset", "--quiet", "--hard", code["commit"]])
        run_git(tree, ["clean", "--quiet", "-ffdx"])
    if found is None:
        raise reproduce_error(record, problem)
    raise reproduce_error(
        record, f"its patch {code['patch']} gives the changes {found}, but the record names {code['changes']}"
    )


def _patches(record: Record, beside: str, name: str) -> list[bytes]:
    """What the patch may be: as it stands beside the record, under the name a mailer gave it, with other line ends."""
    digits = (record.code["changes"] or "")[:12]
    try:
        others = sorted(one for one in os.listdir(beside) if digits in one and ".patch" in one and one != name)
        with contextlib.ExitStack() as stack:
            files = []
            for one in [name, *others]:
                if one != name or os.path.lexists(os.path.join(beside, one)) or not others:
                    files.append(stack.enter_context(open(os.path.join(beside, one), "rb")))
            contents = [file.read() for file in files]
    except OSError as error:
        raise reproduce_error(record, f"its patch cannot be read: {error}; put it back beside the record") from error
    variants = [variant for content in contents for variant in (content, content.replace(b"\r\n", b"\n"))]
    return list(dict.fromkeys(variants))
