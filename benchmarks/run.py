"""What pyrepro costs, as ratios measured side by side in one process; see docs/performance.rst."""

from __future__ import annotations

import dataclasses
import datetime
import importlib
import itertools
import logging
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import git as gitpython
from measure import Cases, git, repository, side_by_side

from pyrepro import Artifact, code_state, config_hash, file_hash
from pyrepro._publish.files import Target
from pyrepro._publish.marker import Origin, StagedContents
from pyrepro._publish.reuse import reusable

# Heavy libraries are imported where they are measured, after the code state was read in a process without them.

RESULTS = Path(__file__).parent / "results"
NESTED = {"model": {"layers": [64, 64, 10], "act": "relu"}, "lr": 0.1, "seed": 3, "amp": True, "name": "base",
          "decay": None, "data": {"split": 0.8}, "epochs": 20}  # fmt: skip


class Row(NamedTuple):
    """A line of the table: a ratio, and the one to reach."""

    what: str
    beside: str
    ratio: float
    goal: str


class Curve(NamedTuple):
    """How a cost grows: seconds at each amount of work."""

    work: str
    amounts: list[int]
    seconds: dict[str, list[float]]


@dataclasses.dataclass
class Settings:
    """A configuration with fields."""

    values: dict[str, float]


def reading(trees: dict[int, Path]) -> tuple[list[Row], Curve]:
    rows, goals = [], {100: "1.7", 10_000: "1.25", 100_000: "1.15"}
    curve = Curve("tracked files", [], {"pyrepro": [], "git status": [], "GitPython": []})
    for files, tree in trees.items():
        median = side_by_side(_readings(tree), rounds=max(9, 20_000 // files))
        curve.amounts.append(files)
        for name in curve.seconds:
            curve.seconds[name].append(median[name])
        what = f"reading the code state, {files:,} tracked files"
        rows.append(Row(what, "git status", median["pyrepro"] / median["git status"], f"≤ {goals[files]}"))
        rows.append(Row(what, "GitPython head.commit + is_dirty()", median["pyrepro"] / median["GitPython"], "< 1"))
    return rows, curve


def _readings(tree: Path) -> Cases:
    def through_gitpython() -> bool:
        repo = gitpython.Repo(tree)
        return bool(repo.head.commit.hexsha) and repo.is_dirty()

    status = ["git", "-C", str(tree), "status", "--porcelain=v2", "-uno"]
    return {
        "git status": lambda: subprocess.run(status, capture_output=True, check=True),
        "pyrepro": lambda: code_state(tree),
        "GitPython": through_gitpython,
    }


def loaded_modules(tree: Path) -> Curve:
    curve = Curve("loaded modules of the work tree", [0, 10, 100, 1_000], {"pyrepro": [], "git status": []})
    names = [path.stem for path in sorted(tree.glob("d*/*.py"))[: curve.amounts[-1]]]
    directories = sorted({str(path.parent) for path in tree.glob("d*/*.py")})[:20]
    sys.path.extend(directories)
    for before, amount in itertools.pairwise([0, *curve.amounts]):
        for name in names[before:amount]:
            importlib.import_module(name)
        _add(curve, side_by_side(_readings(tree), rounds=15))
    del sys.path[-len(directories) :]
    for name in names:
        del sys.modules[name]
    return curve


def dirty_files(tree: Path) -> Curve:
    curve = Curve("dirty files", [0, 10, 100, 1_000], {"pyrepro": [], "git status": []})
    files = sorted(tree.glob("d*/*.py"))
    for before, amount in itertools.pairwise([0, *curve.amounts]):
        for file in files[before:amount]:
            file.write_text("x = 'dirty'\n")
        _add(curve, side_by_side(_readings(tree), rounds=15))
    git(tree, "checkout", "-q", ".")
    return curve


def decorations(tree: Path) -> Curve:
    curve = Curve("decorations in one module", [1, 3, 10, 30, 100], {"pyrepro": [], "git status": []})
    for amount in curve.amounts:
        body = "".join(
            f"@Artifact('outpath', repo={str(tree)!r})\ndef f{n}(outpath): return outpath\n" for n in range(amount)
        )
        code = compile(f"from pyrepro import Artifact\n{body}", str(tree / "module.py"), "exec")
        cases = _readings(tree) | {"pyrepro": lambda code=code: exec(code, {"__name__": "module"})}
        _add(curve, side_by_side(cases, rounds=25))
    return curve


def _add(curve: Curve, median: dict[str, float]) -> None:
    for name, seconds in curve.seconds.items():
        seconds.append(median[name])


def calls(tree: Path, directory: Path) -> list[Row]:
    numbers = itertools.count()

    def bare(outpath: str) -> str:
        return outpath

    def write() -> None:
        with open(directory / f"{next(numbers)}.txt", "w") as outf:
            outf.write("good job")

    def rewrite() -> None:
        with open(directory / "same.txt", "w") as outf:
            outf.write("good job")

    import taggedartifacts

    os.chdir(tree)
    ancestor = taggedartifacts.Artifact(keyword="outpath", config=NESTED)(bare)
    decorated = Artifact("outpath", config=NESTED, repo=tree)(bare)
    cases = {
        "bare": lambda: bare(outpath="foo.txt"),
        "pyrepro": lambda: decorated(outpath="foo.txt"),
        "taggedartifacts": lambda: ancestor(outpath="foo.txt"),
        "write": write,
        "rewrite": rewrite,
    }
    median = side_by_side(cases, rounds=40, number=100)
    cost = median["pyrepro"] - median["bare"]
    what = "a decorated call over the bare one, eight-entry nested config"
    return [
        Row(what, "writing a small file", cost / median["write"], "≤ 0.1"),
        Row(what, "writing a small file over an old one", cost / median["rewrite"], "≤ 0.1"),
        Row(
            what, "taggedartifacts 0.1.1, which hashes nothing", cost / (median["taggedartifacts"] - median["bare"]), ""
        ),
    ]


def many_calls(tree: Path) -> Curve:
    def bare(outpath: str) -> str:
        return outpath

    curve = Curve("calls", [1, 10, 100, 1_000, 10_000], {"pyrepro": [], "bare": []})
    functions = {"pyrepro": Artifact("outpath", config=NESTED, repo=tree)(bare), "bare": bare}
    for amount in curve.amounts:
        cases: Cases = {
            name: lambda function=function, amount=amount: [function("foo.txt") for _ in range(amount)]
            for name, function in functions.items()
        }
        _add(curve, side_by_side(cases, rounds=25))
    return curve


def configurations(tree: Path) -> Curve:
    import numpy as np

    curve = Curve("entries of the configuration", [0, 8, 100, 10_000], {})
    for amount in curve.amounts:
        plain = {f"key{number}": number * 0.5 for number in range(amount)}
        changing = dict(plain)
        kinds: dict[str, Any] = {
            "unchanged": plain,
            "changed before each call": changing,
            "dataclass": Settings(plain),
            "NumPy": {key: np.float64(value) for key, value in plain.items()},
        }
        counter = itertools.count()

        def call(kind: str, decorated: Any, changing: Any = changing, counter: Any = counter) -> None:
            if kind == "changed before each call":
                changing["changing"] = next(counter)
            decorated("foo.txt")

        cases: Cases = {}
        for kind, config in kinds.items():
            decorated = Artifact("outpath", config=config, repo=tree)(lambda outpath: outpath)
            cases[kind] = lambda kind=kind, decorated=decorated: call(kind, decorated)
        median = side_by_side(cases, rounds=15, number=max(1, 400 // (amount + 1)))
        for kind in kinds:
            curve.seconds.setdefault(kind, []).append(median[kind])
    return curve


def cache_hits(tree: Path, directory: Path) -> list[Row]:
    import joblib

    @Artifact("outpath", config=NESTED, repo=tree, cache=True)
    def ours(outpath: str) -> None:
        Path(outpath).write_text("good job")

    @Artifact("outpath", config=lambda call: call["config"], repo=tree, cache=True)
    def ours_changing(outpath: str, config: dict[str, Any]) -> None:
        Path(outpath).write_text("good job")

    memory = joblib.Memory(directory / "joblib", verbose=0)
    theirs = memory.cache(_returns_path)
    path, changing = str(directory / "foo.txt"), str(directory / "changing.txt")
    written = ours(path)
    configs = [NESTED | {"seed": seed} for seed in range(500)]
    # The second call reads what has just been made, since it could have been changed in the same tick of the clock, and
    # the third reads the marker that says so.
    for config in configs * 3:
        ours_changing(changing, config)
        theirs(changing, config)
    our_configs, their_configs = itertools.cycle(configs), itertools.cycle(configs)
    cases = {
        "pyrepro": lambda: ours(path),
        "joblib": lambda: theirs(path, NESTED),
        "exists": lambda: os.path.exists(written),
        "pyrepro, changing": lambda: ours_changing(changing, next(our_configs)),
        "joblib, changing": lambda: theirs(changing, next(their_configs)),
    }
    median = side_by_side(cases, rounds=40, number=50)
    what = "a cache hit, static configuration"
    return [
        Row(what, "joblib.Memory", median["pyrepro"] / median["joblib"], "≤ 0.125"),
        Row(what, "os.path.exists", median["pyrepro"] / median["exists"], ""),
        Row(
            "a cache hit, another configuration each time",
            "joblib.Memory",
            median["pyrepro, changing"] / median["joblib, changing"],
            "≤ 0.25",
        ),
    ]


def publishing(tree: Path, directory: Path) -> list[Row]:
    """What ``atomic`` costs over the same by hand: where the file system is ext4, the sync is most of both."""

    @Artifact("outpath", config=NESTED, repo=tree, atomic=True)
    def ours(outpath: str) -> None:
        Path(outpath).write_text("good job")

    def by_hand() -> None:
        with open(directory / "temporary", "w") as file:
            file.write("good job")
            file.flush()
            os.fsync(file.fileno())
        os.replace(directory / "temporary", directory / "by hand.txt")

    path = str(directory / "atomic.txt")
    median = side_by_side({"pyrepro": lambda: ours(path), "by hand": by_hand}, rounds=40, number=20)
    what = "``atomic``, one file"
    return [Row(what, "open, write, fsync, close and rename", median["pyrepro"] / median["by hand"], "≤ 1.5")]


def cache_misses(tree: Path, directory: Path) -> list[Row]:
    numbers = itertools.count()

    @Artifact("outpath", config=dict, repo=tree, cache=True)
    def ours(outpath: str, number: int) -> None:
        Path(outpath).write_text("good job")

    def by_hand() -> None:
        path = directory / "by-hand" / str(next(numbers))
        with open(f"{path}.tmp", "w") as outf:
            outf.write("good job")
            outf.flush()
            os.fsync(outf.fileno())
        os.rename(f"{path}.tmp", path)

    (directory / "by-hand").mkdir()
    cases: Cases = {"by hand": by_hand}
    for others in (0, 10_000, 100_000):
        among = directory / f"among{others}"
        (among / ".pyrepro" / "markers").mkdir(parents=True)
        for number in range(others):
            (among / str(number)).touch()
            (among / ".pyrepro" / "markers" / f"{number:032x}.json").touch()
        cases[f"{others:,}"] = lambda path=str(among / "foo.txt"): ours(path, next(numbers))
    median = side_by_side(cases, rounds=31, number=10)
    return [
        Row("a cached miss", "open, write, fsync and rename", median["0"] / median["by hand"], "≤ 2"),
        Row("a cached miss among 10,000 artifacts", "among none", median["10,000"] / median["0"], "≤ 1.2"),
        Row("a cached miss among 100,000 artifacts", "among none", median["100,000"] / median["0"], "≤ 1.2"),
    ]


def many_artifacts(tree: Path, directory: Path) -> list[Row]:
    import joblib

    @Artifact("outpath", config=dict, repo=tree, cache=True)
    def ours(outpath: str, number: int) -> None:
        Path(outpath).write_text("good job")

    theirs = joblib.Memory(directory / "joblib-many", verbose=0).cache(_returns_text)
    location = Path(theirs.store_backend.location)

    def synced(number: int) -> None:
        theirs(number)
        # joblib syncs nothing; this is what it would cost to keep what was stored through a power failure, too.
        stored = location.joinpath(theirs.func_id, theirs._get_args_id(number), "output.pkl")
        descriptor = os.open(stored, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    path, our_numbers, their_numbers = str(directory / "many" / "foo.txt"), itertools.count(), itertools.count()
    cases: Cases = {"pyrepro": lambda: ours(path, next(our_numbers)), "joblib": lambda: synced(next(their_numbers))}
    median = side_by_side(cases, rounds=100, number=100)
    return [Row("10,000 cached artifacts", "joblib.Memory, each synced", median["pyrepro"] / median["joblib"], "≤ 1.3")]


def lookups(directory: Path) -> list[Row]:
    """The lookup of what another commit made, among few markers and many."""
    cases: Cases = {}
    for amount in (10, 100_000):
        out = directory / f"markers{amount}"
        out.mkdir()
        tag, origin = f"{'0' * 12}-{'1' * 12}", Origin("a.py:f:1", "0" * 40, {}, "1" * 64, {}, "2" * 64)
        target = Target.of(str(out / f"foo-{tag}.txt"))
        Path(target.path).write_text("good job")
        (out / ".pyrepro").mkdir()
        StagedContents.of(target.directory, target, [target.name]).mark(tag, origin)
        marker = next((out / ".pyrepro/markers").glob("*.json")).read_text()
        for number in range(amount // 2):
            (out / f".pyrepro/markers/{number:032}.json").write_text(marker)
            (out / f".pyrepro/markers/{number:032}.key").write_text(target.name)
        today = target._replace(name=f"foo-{'3' * 12}-{'1' * 12}.txt")
        cases[str(amount)] = partial(reusable, [today], f"{'3' * 12}-{'1' * 12}", origin, "")
        assert cases[str(amount)]()
    median = side_by_side(cases, rounds=100, number=100)
    return [Row("looking up by code key among 100,000 markers", "among 10", median["100000"] / median["10"], "≤ 1.2")]


def _returns_text(number: int) -> str:
    return "good job"


def _returns_path(outpath: str, config: dict[str, Any]) -> str:
    return outpath


def processes(tree: Path, directory: Path) -> list[Row]:
    program = tree / "first.py"
    program.write_text(
        "import sys\nfrom pyrepro import Artifact\n\n@Artifact('outpath', config={'lr': 0.1})\ndef save(outpath):\n"
        "    open(outpath, 'w').close()\n\nsave(sys.argv[1])\n"
    )
    git(tree, "add", "first.py")
    git(tree, "commit", "-q", "-m", "first")

    def python(*args: str) -> Any:
        return lambda: subprocess.run([sys.executable, *args], check=True)

    status = ["git", "-C", str(tree), "status", "--porcelain=v2", "-uno"]
    cases = {
        "bare": python("-c", "pass"),
        "git": python("-c", "import git"),
        "pyrepro": python("-c", "import pyrepro"),
        "first": python(str(program), str(directory / "first.txt")),
        "status": lambda: subprocess.run(status, capture_output=True, check=True),
    }
    median = side_by_side(cases, rounds=61)
    over_bare = {name: median[name] - median["bare"] for name in ("git", "pyrepro")}
    return [
        Row("import pyrepro, over a bare interpreter", "import git", over_bare["pyrepro"] / over_bare["git"], "≤ 0.7"),
        Row(
            "a fresh process to its first artifact",
            "bare interpreter, import git and one git status",
            median["first"] / (median["git"] + median["status"]),
            "≤ 1.2",
        ),
    ]


def imports_of_others() -> list[Row]:
    libraries = "import pandas, sklearn.linear_model, matplotlib.pyplot"

    def python(code: str) -> Any:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    without_finder = "import pyrepro, sys; sys.meta_path.pop(0)"
    cases = {
        "neither": python(without_finder),
        "without": python(f"{without_finder}; {libraries}"),
        "with": python(f"import pyrepro; {libraries}"),
    }
    median = side_by_side(cases, rounds=21)
    ratio = (median["with"] - median["neither"]) / (median["without"] - median["neither"])
    return [Row("importing pandas, scikit-learn and matplotlib after pyrepro", "without its finder", ratio, "≤ 1.03")]


def hashing(tree: Path, directory: Path) -> list[Row]:
    """Files, directories and arrays, beside what others hash them with; what is not installed is left out."""
    import hashlib

    import joblib
    import numpy as np

    os.environ["PYREPRO_CACHE_DIR"] = "0"
    file, many = directory / "large.bin", directory / "many"
    with open(file, "wb") as outf:
        for _ in range(512):
            outf.write(os.urandom(1 << 20))
    for number in range(50_000):
        if number % 100 == 0:
            (many / f"{number // 100:03}").mkdir(parents=True)
        (many / f"{number // 100:03}" / f"{number:05}.txt").write_text(f"{number}\n" * 400)

    def file_digest() -> str:
        with open(file, "rb") as inf:
            return hashlib.file_digest(inf, "sha256").hexdigest()

    def walk() -> None:
        for above, _, names in os.walk(many):
            for name in names:
                with open(os.path.join(above, name), "rb") as inf:
                    hashlib.file_digest(inf, "sha256").hexdigest()

    def command(*args: str) -> Any:
        return lambda: subprocess.run(args, check=True, capture_output=True)

    of_file = side_by_side(
        {
            "pyrepro": lambda: file_hash(file),
            "hashlib.file_digest": file_digest,
            **{name: command(name, str(file)) for name in ("sha256sum", "b3sum") if shutil.which(name)},
            "joblib.hash of its bytes": lambda: joblib.hash(file.read_bytes()),
        },
        rounds=9,
    )
    of_directory = {"pyrepro": lambda: file_hash(many), "os.walk and hashlib in one thread": walk}
    dvc = _dvc_hash(many)
    of_many = side_by_side(of_directory | ({} if dvc is None else {"DVC": dvc}), rounds=9)
    goals = {
        "hashlib.file_digest": "≤ 1.05",
        "os.walk and hashlib in one thread": "≤ 1.15",
        "SHA-256 of its bytes": "≤ 1.5",
    }
    floats = np.random.default_rng(0).random(1_000_000)
    of_array = side_by_side(
        {
            "pyrepro": lambda: config_hash({"weights": floats}),
            "SHA-256 of its bytes": lambda: hashlib.sha256(floats).hexdigest(),
            "joblib.hash": lambda: joblib.hash(floats),
        },
        rounds=9,
    )
    rows = [
        Row(what, name, median["pyrepro"] / median[name], goals.get(name, ""))
        for what, median in (
            ("file_hash of a file of 512 MB", of_file),
            ("file_hash of a directory of 50,000 files", of_many),
            ("a configuration with an array of a million floats", of_array),
        )
        for name in median
        if name != "pyrepro"
    ]
    shutil.rmtree(many)
    return rows + _known_input(tree, directory, file)


def _dvc_hash(directory: Path) -> Any:
    """What hashes a directory as DVC does, which remembers nothing then; None where it is not installed."""
    try:
        from dvc_data.hashfile.build import build
        from dvc_data.hashfile.db import HashFileDB
        from dvc_objects.fs.local import LocalFileSystem
    except ImportError:
        return None
    files = LocalFileSystem()
    store = HashFileDB(files, str(directory.parent / "dvc"))
    return lambda: build(store, str(directory), files, "md5", dry_run=True)


def _known_input(tree: Path, directory: Path, file: Path) -> list[Row]:
    """What an unchanged input of 2 GB costs a hit."""
    os.environ["PYREPRO_CACHE_DIR"] = str(directory / "cache")
    os.truncate(file, 2 << 30)
    time.sleep(2.5)  # or it is too young to be remembered

    @Artifact("outpath", inputs="table", repo=tree, cache=True)
    def save(outpath: str, table: str | None) -> None:
        Path(outpath).write_text("good job")

    def hit(table: Path | None) -> Any:
        save(str(directory / "known.txt"), table)
        return lambda: save(str(directory / "known.txt"), table)

    median = side_by_side({"with": hit(file), "without": hit(None)}, rounds=40, number=10)
    what = "milliseconds more of a cache hit with an unchanged input of 2 GB"
    first = _first_hits(tree, directory, file)
    return [
        Row(what, "none", 1000 * (median["with"] - median["without"]), "≤ 1"),
        Row(f"{what}, the first of a process", "none", 1000 * (first["with"] - first["without"]), "≤ 1"),
    ]


def _first_hits(tree: Path, directory: Path, file: Path) -> dict[str, float]:
    """The median seconds of the first hit of a process, with an input and without."""
    program = directory / "first_hit.py"
    program.write_text(
        "import sys, time\n"
        "from pathlib import Path\n"
        "from pyrepro import Artifact\n"
        f"options = {{'inputs': 'table'}} if sys.argv[1] == 'with' else {{'ignore': 'table'}}\n"
        f"@Artifact('outpath', repo={str(tree)!r}, cache=True, **options)\n"
        "def save(outpath, table):\n"
        "    Path(outpath).write_text('good job')\n"
        "started = time.perf_counter()\n"
        f"save(str(Path({str(directory)!r}, sys.argv[1])), sys.argv[2])\n"
        "print(time.perf_counter() - started)\n"
    )
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(22):
        for kind, each in seconds.items():
            command = [sys.executable, str(program), kind, str(file)]
            each.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {
        kind: statistics.median(each[2:]) for kind, each in seconds.items()
    }  # the first two make it and remember it


def memory(tree: Path, directory: Path) -> list[Row]:
    decorated = Artifact("outpath", config=dict, repo=tree)(lambda outpath, number: outpath)
    for number in range(2_000):
        decorated(f"{number}.txt", number)
    tracemalloc.start()
    for number in range(2_000):
        decorated(f"{number}.txt", number)
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        decorated(f"{number}.txt", number)
    growth = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    peaks = []
    for megabytes in (4, 400):
        file = directory / f"{megabytes}.bin"
        with open(file, "wb") as outf:
            for _ in range(megabytes):
                outf.write(os.urandom(1 << 20))
        peaks.append(_peak(f"import pyrepro; pyrepro.file_hash({str(file)!r})"))
        shutil.copyfile(file, tree / "d0000" / "f000000.py")
        peaks.append(_peak(f"import pyrepro; pyrepro.code_state({str(tree)!r})"))
        git(tree, "checkout", "-q", ".")
        file.unlink()
    return [
        Row("bytes that a decorated function keeps after 20,000 more calls", "one call", growth / 20_000, "0"),
        Row("memory to hash a file of 400 MB", "a file of 4 MB", peaks[2] / peaks[0], "1"),
        Row("memory to read a tree with a dirty file of 400 MB", "a file of 4 MB", peaks[3] / peaks[1], "1"),
    ]


def _peak(code: str) -> int:
    code += "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def slope(amounts: list[int], seconds: list[float]) -> float:
    """What one more costs, in seconds: the least-squares line through the points."""
    import numpy as np

    return float(np.polyfit(amounts, seconds, 1)[0])


def written(rows: list[Row], curves: list[Curve]) -> str:
    """The table, the machine and the slopes, in reStructuredText."""
    packages = ("pyrepro", "GitPython", "joblib", "numpy", "taggedartifacts")
    git_version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    machine = f"{platform.system()} on {platform.machine()} with {os.cpu_count()} processors"
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    measured = (
        f"Measured on {datetime.date.today()}: {machine}, Python {platform.python_version()}, git {git_version}, "
        f"{versions}."
    )
    lines = [
        measured,
        "",
        ".. list-table::",
        "    :header-rows: 1",
        "    :widths: 44 32 12 12",
        "",
        "    * - what\n      - beside\n      - ratio\n      - to reach",
    ]
    for row in rows:
        goal = row.goal.replace(" ", "\N{NO-BREAK SPACE}")  # on a phone it would be broken behind the sign
        lines.append(f"    * - {row.what}\n      - {row.beside}\n      - {row.ratio:.3g}\n      - {goal}")
    lines += ["", "What one more costs, the slope of each line in the plot:", ""]
    for curve in curves:
        slopes = "; ".join(
            f"{name} {slope(curve.amounts, seconds) * 1e6:.3g} µs" for name, seconds in curve.seconds.items()
        )
        lines.append(f"- of {curve.work}: {slopes}")
    return "\n".join(lines) + "\n"


def plotted(curves: list[Curve], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pyrepro"
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), layout="constrained")
    for ax, curve in zip(axes.flat, curves, strict=False):
        for name, seconds in curve.seconds.items():
            ax.plot(curve.amounts, [1000 * value for value in seconds], marker="o", label=name)
        ax.set(title=f"by {curve.work}", xlabel=curve.work, ylabel="milliseconds", yscale="log")
        ax.set_xscale("symlog" if curve.amounts[0] == 0 else "log")
        ax.set_xticks(curve.amounts, [f"{amount:,}" for amount in curve.amounts])
        ax.minorticks_off()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    for ax in axes.flat[len(curves) :]:
        ax.remove()
    figure.savefig(path, metadata={"Date": None}, facecolor="white")


def main() -> None:
    logging.getLogger("pyrepro").setLevel(logging.CRITICAL)
    os.environ["PYREPRO_ALLOW_DIRTY"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        trees = {files: repository(top / f"tree{files}", files) for files in (100, 10_000, 100_000)}
        out = top / "out"
        out.mkdir()
        os.sync()
        time.sleep(20)  # or the machine is still busy with the files of the trees
        rows, files = reading(trees)
        modules = loaded_modules(trees[10_000])
        more = 1000 * (modules.seconds["pyrepro"][-1] - modules.seconds["pyrepro"][0])
        rows.append(
            Row("milliseconds more of a reading with 1,000 loaded modules of the work tree", "none", more, "≤ 20")
        )
        curves = [files, modules, dirty_files(trees[10_000]), decorations(trees[100])]
        rows += calls(trees[100], out)
        curves += [configurations(trees[100]), many_calls(trees[100])]
        rows += hashing(trees[100], out)
        rows += cache_hits(trees[100], out) + publishing(trees[100], out)
        rows += cache_misses(trees[100], out) + many_artifacts(trees[100], out) + lookups(out)
        rows += processes(trees[100], out) + imports_of_others() + memory(trees[100], out)
        os.chdir(top)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.rst").write_text(written(rows, curves), encoding="utf-8")
    plotted(curves, RESULTS / "growth.svg")
    for row in rows:
        print(f"{row.ratio:8.3f}  {row.goal:8}  {row.what}, beside {row.beside}")


if __name__ == "__main__":
    main()
