"""The interpreter that makes an artifact again: this one, a given one, or one with the recorded versions.

Sources: the pip manual on requirements and constraints files; the uv manual on uv sync and uv venv.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from typing import Any

from pyrepro._record.checkout import reproduce_error
from pyrepro._record.record import Record, is_requirement, printable
from pyrepro._record.request import Making, link

_logger = logging.getLogger("pyrepro")

_ITSELF = ("GitPython", "filelock", "rfc8785")
"""What pyrepro needs, which comes along itself."""

COMES_ALONG = {"gitpython": "git", "gitdb": "gitdb", "smmap": "smmap", "filelock": "filelock", "rfc8785": "rfc8785"}
"""What another interpreter is lent where it does not have it: packages by the names of their distributions."""

_ASKED = """\
import sys
if sys.version_info < (3, 10):
    sys.exit("it is Python %d.%d, and pyrepro needs 3.10" % sys.version_info[:2])
from importlib import metadata, util
for name in sys.argv[2:]:
    if name not in sys.argv[1].split():
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            print(name)
    elif util.find_spec(name) is None:
        print(name)
"""

_MISSING = re.compile(
    r"(?i)(?:No matching distribution found for|there is no version of|Could not find a version that satisfies the "
    r"requirement|there are no versions of|cannot find) ([\w.-]+)|because ([\w.-]+) was not found"
)


def interpreter_for(record: Record, making: Making, tree: str, scratch: str) -> str:
    """The interpreter that runs the recorded code.

    Args:
        record: the record.
        making: what the user says.
        tree: the clone, which may hold a lock file.
        scratch: a directory for a virtual environment.

    Raises:
        ReproduceError: it is not there, or cannot be made.
    """
    if making.python is not None:
        found = shutil.which(making.python)
        if found is None:
            raise reproduce_error(record, f"there is no interpreter {making.python}; pass the path of one as python=")
        return os.path.abspath(found)
    return _recorded_environment(record, tree, scratch) if making.uses_recorded else sys.executable


def lend(record: Record, interpreter: str, directory: str) -> None:
    """Put what an interpreter does not have into a directory for it.

    That is what pyrepro needs, and the metadata of distributions that were installed editable: their code is in the
    clone, and may ask for its own version.

    Args:
        record: the record.
        interpreter: what is to run the recorded code.
        directory: an empty one.

    Raises:
        OSError: it cannot be started.
        ReproduceError: it cannot run pyrepro.
    """
    packages = [] if interpreter == sys.executable else [*COMES_ALONG.values()]
    environment = record.environment
    versions = {
        name: environment["packages"].get(name, "")
        for name, origin in environment["origins"].items()
        if origin.startswith("editable ") and name not in ("pyrepro", *COMES_ALONG.values())
    }
    versions = {name: version for name, version in versions.items() if is_requirement(name, version)}
    if not packages and not versions:
        return
    command = [interpreter, "-c", _ASKED, " ".join(packages), *packages, *versions]
    asked = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if asked.returncode:
        said = asked.stderr.strip().rpartition("\n")[2] or asked.returncode
        raise reproduce_error(
            record, f"the interpreter {interpreter} cannot run pyrepro: {said}; pass the path of another as python="
        )
    missing = {*asked.stdout.split()}  # it may print something of its own as it starts
    for name in missing.intersection(versions):
        _write_metadata(directory, name, versions[name])
    for name in missing.intersection(packages):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        link(os.path.dirname(spec.origin), os.path.join(directory, name))


def _write_metadata(directory: str, name: str, version: str) -> None:
    # Source: the specification of the database of installed projects.
    place = os.path.join(directory, f"{re.sub('[-_.]+', '_', name)}-{version}.dist-info")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "METADATA"), "w", encoding="utf-8") as file:
        file.write(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def _recorded_environment(record: Record, tree: str, scratch: str) -> str:
    environment = os.path.join(scratch, "environment")
    python = os.path.join(environment, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))
    uv = shutil.which("uv")
    version = record.environment["python"].rpartition(" ")[2]
    if not re.fullmatch(r"[0-9][0-9a-z.+]*", version):  # uv would run the file of a path
        raise reproduce_error(record, f"its version of Python, {version}, is not one; pass an interpreter as python=")
    if uv is not None:
        made = _virtual_environment_of_uv(uv, version, environment)
    else:
        made = _run([sys.executable, "-m", "venv", environment])
    if made.returncode:
        raise reproduce_error(record, f"its environment cannot be made:\n{made.stdout.strip()}")
    lock = record.environment["lock"]
    if uv is not None and lock == "uv.lock" and os.path.isfile(os.path.join(tree, lock)):
        command = [uv, "sync", "--quiet", "--frozen", "--no-install-project", "--all-extras", "--directory", tree]
        made = _run(command, UV_PROJECT_ENVIRONMENT=environment)
        if made.returncode:
            raise reproduce_error(record, f"its environment cannot be made from {lock}:\n{made.stdout.strip()}")
        _install(record, uv, python, list(_ITSELF), [], scratch)
        return python
    if lock is not None:
        _logger.warning(
            "%s is not followed, since only uv reads lock files, and only uv.lock; the recorded versions are installed",
            printable(lock),
        )
    lines = [line for line in record.requirements().splitlines() if not line.startswith("#")]
    wanted_lines = [line for line in lines if _name_in(line) != "pyrepro"]
    named = {_name_in(line) for line in wanted_lines}
    origins, packages = record.environment["origins"], record.environment["packages"]
    constraints = [
        f"{name}=={version}"
        for name, version in packages.items()
        if name not in origins and name.lower() not in named and is_requirement(name, version)
    ]
    wanted_lines += [name for name in _ITSELF if name.lower() not in named]
    _install(record, uv, python, wanted_lines, constraints, scratch)
    return python


def _virtual_environment_of_uv(uv: str, version: str, environment: str) -> Any:
    """Of the very version where it is there or uv finds it, else of the same minor one, else of this one."""
    import platform

    first = sys.executable if platform.python_version() == version else version
    made = _run([uv, "venv", "--quiet", "--python", first, environment])
    for wanted in (version.rpartition(".")[0], sys.executable):
        if made.returncode == 0:
            break
        made = _run([uv, "venv", "--quiet", "--python", wanted, environment])
    return made


def _install(
    record: Record, uv: str | None, python: str, lines: list[str], constraints: list[str], scratch: str
) -> None:
    """Install what can be had; what cannot shows among the differences."""
    command = [uv, "pip", "install", "--quiet", "--python", python] if uv else [python, "-m", "pip", "install", "-q"]
    while True:
        files = [os.path.join(scratch, name) for name in ("requirements.txt", "constraints.txt")]
        for file, content in zip(files, (lines, constraints), strict=True):
            with open(file, "w", encoding="utf-8") as opened:
                opened.write("".join(f"{line}\n" for line in content))
        made = _run([*command, "-r", files[0], "-c", files[1]])
        if made.returncode == 0:
            return
        found = [one or other for one, other in _MISSING.findall(made.stdout)]
        missing = {name.partition("=")[0].lower() for name in found}
        left = _without(lines, missing)
        if left == lines and constraints:
            # What the others need in turn: better in another version than not at all.
            constraints = []
            continue
        if left == lines:
            raise reproduce_error(record, f"its environment cannot be made:\n{made.stdout.strip()}")
        lines, constraints = left, _without(constraints, missing)


def _without(lines: list[str], missing: set[str]) -> list[str]:
    """Requirements without what no index has.

    Of a local version (2.1+cpu) the public one may be there, and of what pyrepro itself needs any version will do.
    """
    left = []
    for line in lines:
        if _name_in(line) not in missing:
            left.append(line)
        elif "+" in line and "@" not in line:
            left.append(line.partition("+")[0])
        elif _name_in(line) in map(str.lower, _ITSELF):
            left.append(line.partition("=")[0])
    return left


def _name_in(line: str) -> str:
    return re.split(r"[=@ ]", line, maxsplit=1)[0].lower()


def _run(command: list[str], **variables: str) -> Any:
    return subprocess.run(
        command,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
