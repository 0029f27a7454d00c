"""The worker: started, waited for until it has made the artifact, and ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from pyrepro._record.checkout import reproduce_error
from pyrepro._record.interpreter import lend
from pyrepro._record.record import Record
from pyrepro._record.request import link

_POLL = 0.02  # seconds between two looks for an answer, which a process of the program's own may give


def run_worker(record: Record, request: Mapping[str, Any], interpreter: str) -> dict[str, Any]:
    """What the worker answers.

    Args:
        record: the record.
        request: what it is to make.
        interpreter: the Python that runs it.

    Returns:
        ``written``, the path of the artifact; or ``refusal``, why not, which is ``final`` where no other way can lead
        there. With both, the ``environment`` that it ran in, where it could tell.

    Raises:
        ReproduceError: it cannot be started.
    """
    place = os.path.join(request["scratch"], "request.json")
    with open(place, "w", encoding="utf-8") as file:
        json.dump(request, file)
    output = os.path.join(request["scratch"], "output.txt")
    for left in (request["answer"], request["answer"] + ".made"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(left)  # of another way
    with open(output, "wb") as stdout:
        try:
            lent = _made(request["scratch"], "lent")
            lend(record, interpreter, lent)
            process = subprocess.Popen(
                [interpreter, *request["flags"], "-m", "pyrepro._record.worker"],
                # Outside of the tree: -m searches the working directory first, and the tree may hold a json.py.
                cwd=_made(request["scratch"], "start"),
                env=_variables(request, place, lent),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that what it has started can be ended with it
            )
        except OSError as error:
            raise reproduce_error(record, f"the interpreter {interpreter} cannot be started: {error}") from error
        try:
            while process.poll() is None and not os.path.exists(request["answer"]):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL)
            if _answers(request, process.pid):
                process.wait()  # it ends by itself, at once
        finally:
            _end(process)
    with open(output, "rb") as file_of_output:
        text = file_of_output.read().decode(errors="replace").strip()
    return _answer(request, text, process.returncode)


def _answers(request: Mapping[str, Any], process: int) -> bool:
    """Whether it is the worker itself that has given the answer, and no process that it has started."""
    try:
        with open(request["answer"], encoding="utf-8") as file:
            return bool(json.load(file)["process"] == process)
    except OSError:
        return False


def _answer(request: Mapping[str, Any], output: str, status: int) -> dict[str, Any]:
    what = "function" if request["program"] is None else "program"
    try:
        with open(request["answer"], encoding="utf-8") as file:
            answer: dict[str, Any] = json.load(file)
    except OSError:
        # Without an answer the worker was ended by an exit or a signal: its output may tell which.
        return {"refusal": f"its {what} failed:\n{output or status}"}
    if "failed" in answer:
        answer["refusal"] = f"its {what} failed:\n{output}"
    elif "ended" in answer:
        named, others = _made_by(request)
        there = {path for path in named if os.path.lexists(path)}
        if len(there) == 1:
            return answer | {"written": there.pop()}
        if named and not there:
            answer["refusal"] = f"its {what} made it, and moved or removed it afterwards"
            return answer
        answer["refusal"] = f"its {what} did not write it, but {', '.join(named or others) or 'nothing'}"
    return answer


def _made_by(request: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The artifacts of the recorded name that were made, though other paths were passed, and the names of all."""
    try:
        with open(request["answer"] + ".made", encoding="utf-8") as file:
            made = [json.loads(line) for line in file]
    except OSError:
        return [], []
    return [path for path, *_ in made if path is not None], [name for _, *names in made for name in names]


def _variables(request: Mapping[str, Any], place: str, lent: str) -> dict[str, str]:
    # A declared state would stand in the tag in place of that of the recorded code; a safe path would leave the
    # directory of the program out.
    left_out = ("PYREPRO_CODE_STATE", "PYTHONHASHSEED", "PYTHONSAFEPATH", "PYTHONHOME")
    variables = {name: value for name, value in os.environ.items() if name not in left_out}
    # This very library, whichever the interpreter has: the clone may hold another version, and so may the commit.
    own = _made(request["scratch"], "own")
    link(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), os.path.join(own, "pyrepro"))
    path = [own, *filter(None, [variables.get("PYTHONPATH")]), lent]
    variables |= {
        "PYREPRO_REPRODUCTION": place,
        # The patch makes the tree dirty, as it was then; bytecode of a temporary tree is of no use to anyone.
        "PYREPRO_ALLOW_DIRTY": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(path),
    }
    recorded = {"PYTHONHASHSEED": request["hash_seed"], "TZ": request["timezone"]}
    return variables | {name: value for name, value in recorded.items() if value is not None}


def _made(directory: str, name: str) -> str:
    path = os.path.join(directory, name)
    os.makedirs(path, exist_ok=True)
    return path


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the worker, and what it has started and is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # pragma: no cover - Windows
            process.kill()
    process.wait()
