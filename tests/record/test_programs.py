"""Every kind of program, started as its user starts it, gives artifacts that a colleague makes again."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tempfile
import textwrap
import venv
from pathlib import Path

import pytest
from colleague import artifact_of, made_by_colleague
from conftest import PATIENCE, Repository, files

from pyrepro import ReproduceError, reproduce

HEAD = "import sys\nfrom pathlib import Path\nfrom pyrepro import Artifact\n"


def committed(repository: Repository, **files: str) -> None:
    repository.commit(**{name: HEAD + textwrap.dedent(text) for name, text in files.items()})


def record_of(path: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(Path(f"{path}.pyrepro.json").read_text())
    return found


# Scripts

UNGUARDED = """
@Artifact("outpath", config=dict, record=True)
def save(outpath, text):
    Path(outpath).write_text(text)
    Path(outpath).with_name("side.txt").write_text(text)
    return outpath

print(save(sys.argv[1], "good job"))
"""


def test_a_script_without_a_main_guard_does_not_replace_the_original_or_its_side_files(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=UNGUARDED)
    path = artifact_of(repository.run("step.py", out / "foo.txt"), out)
    before = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir() if file.is_file()}
    assert len(before) == 3
    assert made_by_colleague(repository, path, tmp_path).same
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir() if file.is_file()} == before


def test_a_script_that_chooses_its_own_absolute_path_leaves_that_alone(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=UNGUARDED.replace("sys.argv[1]", f"Path({str(out)!r}, 'deep', 'foo.txt')"))
    path = artifact_of(repository.run("step.py"), out)
    for file in path.parent.iterdir():
        if file.is_file() and file.name in ("side.txt",):
            file.unlink()
    assert made_by_colleague(repository, path, tmp_path).same
    assert not (path.parent / "side.txt").exists()


def test_a_script_that_chooses_another_directory_each_time_makes_it_in_the_one_of_today(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        import tempfile

        @Artifact("outpath", record=True, config={})
        def save(outpath, hook):
            Path(outpath).write_text("good job")
            return outpath

        print(save(tempfile.mkdtemp(dir=sys.argv[1]) + "/foo.txt", print))
        """,
    )
    made = artifact_of(repository.run("step.py", out), out)
    assert made_by_colleague(repository, made, tmp_path).same


def test_a_script_that_chooses_another_directory_and_content_each_time_is_compared_at_its_end(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        import random, tempfile

        @Artifact("outpath", record=True, config={})
        def save(outpath, hook):
            Path(outpath).write_text(str(random.random()))
            return outpath

        print(save(tempfile.mkdtemp(dir=sys.argv[1]) + "/foo.txt", print))
        """,
    )
    made = artifact_of(repository.run("step.py", out), out)
    assert not made_by_colleague(repository, made, tmp_path).same


MOVED = """
import random, shutil, tempfile

@Artifact("outpath", record=True, config={})
def save(outpath, hook):
    Path(outpath).write_text(%s)
    return outpath

with tempfile.TemporaryDirectory() as directory:
    made = save(directory + "/foo.txt", print)
    Path("out").mkdir(exist_ok=True)
    for file in (made, made + ".pyrepro.json"):
        shutil.move(file, "out")
print("out/" + Path(made).name)
"""


def test_what_a_script_moves_away_is_compared_before_that(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(repository, step=MOVED % "'good job'")
    assert made_by_colleague(repository, artifact_of(repository.run("step.py"), repository.path), tmp_path).same


def test_what_a_script_moves_away_and_makes_otherwise_each_time_cannot_be_compared(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=MOVED % "str(random.random())")
    path = artifact_of(repository.run("step.py"), repository.path)
    with pytest.raises(ReproduceError, match="its program made it, and moved or removed it afterwards"):
        made_by_colleague(repository, path, tmp_path)


FILLED_BY_MAIN = """
import argparse
SETTINGS = {}

@Artifact("outpath", config=SETTINGS, record=True)
def save(outpath):
    Path(outpath).write_text(repr(SETTINGS))
    return outpath

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float)
    SETTINGS.update(vars(parser.parse_args()))
    Path("main-ran").touch()
    print(save("out/foo.txt"))
    Path("too-far").touch()

if __name__ == "__main__":
    main()
"""


def test_a_configuration_that_main_fills_is_made_again_by_the_program(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=FILLED_BY_MAIN)
    path = artifact_of(repository.run("step.py", "--lr", "0.5"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_seed_that_main_sets_is_set_again(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step="""
        import random

        @Artifact("outpath", record=True)
        def save(outpath):
            Path(outpath).write_text(repr(random.random()))
            return outpath

        if __name__ == "__main__":
            random.seed(3)
            print(save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_run_in_a_directory_of_the_work_tree_reads_beside_it(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.write("data/x.csv", "1,2\n")
    committed(
        repository,
        notebooks__step="""
        @Artifact("outpath", record=True)
        def save(outpath):
            Path(outpath).write_text(Path("../data/x.csv").read_text())
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt"))
        """,
    )
    directory = repository.path / "notebooks"
    path = artifact_of(repository.run("step.py", cwd=directory), directory)
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_script_that_reads_its_arguments_as_it_is_loaded_is_given_them(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step="SIZE = int(sys.argv[2])\n" + UNGUARDED.replace('"good job"', "str(SIZE)"))
    path = artifact_of(repository.run("step.py", out / "foo.txt", "7"), out)
    assert made_by_colleague(repository, path, tmp_path).same


def test_what_the_program_makes_on_the_way_is_made_on_the_way(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        @Artifact("outpath", record=True)
        def clean(outpath):
            Path(outpath).write_text("clean")
            return outpath

        @Artifact("outpath", inputs="table", record=True, config={})
        def plot(table, outpath, draw):
            Path(outpath).write_text(draw(Path(table).read_text()))
            return outpath

        if __name__ == "__main__":
            table = clean("out/table.csv")
            print(plot(table, "out/plot.txt", lambda text: text.upper()))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_of_calls_in_a_loop_the_recorded_one_is_taken(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step="""
        @Artifact("outpath", record=True)
        def save(outpath, write):
            write(outpath)
            return outpath

        if __name__ == "__main__":
            for region in ("north", "south"):
                print(save(f"out/{region}/map.txt", lambda path: Path(path).write_text(region)))
        """,
    )
    done = repository.run("step.py")
    for line in done.stdout.splitlines():
        path = repository.path / line
        assert made_by_colleague(repository, path, tmp_path / path.parent.name).same


@pytest.fixture(autouse=True)
def directories(tmp_path: Path) -> None:
    for name in ("north", "south"):
        (tmp_path / name).mkdir()


# Modules and layouts


@pytest.mark.parametrize("passed", ["epoch", "epoch / 2", "{'step': epoch, 'text': str(Path.cwd())}"])
def test_of_calls_that_write_over_a_checkpoint_the_recorded_one_is_taken(
    passed: str, repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step=f"""
        @Artifact("outpath", config={{}}, record=True)
        def save(outpath, model, epoch):
            Path(outpath).write_text(str(model.weight))
            return outpath

        class Model:
            weight = 0

        model = Model()
        for epoch in range(3):
            model.weight += 1
            print(save(sys.argv[1] + "/model.txt", model, {passed}))
        """,
    )
    path = artifact_of(repository.run("step.py", out), out)
    assert path.read_text() == "3"
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_module_that_is_run_with_its_relative_imports(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.write("pkg/__init__.py", "")
    repository.commit(pkg__tools="def shout(text):\n    return text.upper()\n")
    committed(
        repository,
        pkg__cli="""
        from .tools import shout

        @Artifact("outpath", config={}, record=True)
        def save(outpath, write=None):
            Path(outpath).write_text(shout("good job"))
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt", print))
        """,
    )
    path = artifact_of(repository.run("-m", "pkg.cli"), repository.path)
    assert record_of(path)["call"]["program"] == {"kind": "module", "name": "pkg.cli"}
    assert made_by_colleague(repository, path, tmp_path).same


def test_the_root_of_the_repository_as_the_package(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.write("__init__.py", "")
    repository.commit(tools="def shout(text):\n    return text.upper()\n")
    committed(
        repository,
        cli="""
        from .tools import shout

        @Artifact("outpath", config={}, record=True)
        def save(outpath):
            Path(outpath).write_text(shout("good job"))
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run("-m", "repository.cli", cwd=repository.path.parent), repository.path.parent)
    assert record_of(path)["code"]["packages"] == {"repository": "."}
    assert made_by_colleague(repository, path, tmp_path).same


STEP_OF_LAB = """
from lab.model import LAYERS

@Artifact("outpath", record=True)
def save(outpath):
    Path(outpath).write_text(f"{LAYERS}")
    return outpath

if __name__ == "__main__":
    print(save("foo.txt"))
"""


def test_a_path_from_the_variable_is_laid_out_in_the_clone(repository: Repository, out: Path, tmp_path: Path) -> None:
    repository.commit(src__lab__model="LAYERS = 2\n")
    committed(repository, scripts__step=STEP_OF_LAB)
    path = artifact_of(repository.run("scripts/step.py", env={"PYTHONPATH": "src"}), repository.path)
    repository.commit(src__lab__model="LAYERS = 'today'\n")
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_path_that_the_script_takes_back_after_its_imports_is_laid_out_too(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.commit(src__lab__model="LAYERS = 2\n")
    added = "sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'src'))\n"
    text = STEP_OF_LAB.replace("import LAYERS\n", "import LAYERS\nsys.path.pop(0)\n")
    committed(repository, scripts__step=added + text)
    path = artifact_of(repository.run("scripts/step.py"), repository.path)
    assert record_of(path)["code"]["path_late"] == ["src"]
    assert made_by_colleague(repository, path, tmp_path).same


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment in which something can be installed, with all that this one has."""
    path = tmp_path_factory.mktemp("environment").resolve() / "venv"
    venv.create(path, with_pip=False, symlinks=os.name != "nt")
    [packages] = path.rglob("site-packages")
    lines = [f"import site; site.addsitedir({entry!r})" for entry in site.getsitepackages()]
    (packages / "outer.pth").write_text("\n".join(lines) + "\n")
    return path


def in_environment(environment: Path, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    directory = environment / ("Scripts" if os.name == "nt" else "bin")
    return subprocess.run(
        [directory / program, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

BACKEND = """\
import os
import zipfile

FILES = {
    "lab-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: lab\\nVersion: 1\\n",
    "lab-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "lab-1.dist-info/entry_points.txt": "[console_scripts]\\nlab-train = lab.cli:main\\n",
    "lab-1.dist-info/RECORD": "",
    "lab.pth": os.path.abspath("src") + "\\n",
}


def build_editable(directory, settings=None, metadata=None):
    with zipfile.ZipFile(os.path.join(directory, "lab-1-py3-none-any.whl"), "w") as wheel:
        for name, text in FILES.items():
            wheel.writestr(name, text)
    return "lab-1-py3-none-any.whl"
"""

CLI = """
from lab.model import LAYERS

@Artifact("outpath", config={}, record=True)
def save(outpath, text):
    Path(outpath).write_text(f"{LAYERS} {text()}")
    return outpath

def main():
    print(save(sys.argv[1], lambda: "good job"))
"""


@pytest.fixture
def project(repository: Repository, environment: Path) -> Repository:
    """A project in src layout, installed editable in that environment."""
    repository.write("pyproject.toml", PROJECT)
    repository.write("src/lab/__init__.py", "")
    repository.write("src/lab/model.py", "LAYERS = 2\n")
    repository.commit(backend=BACKEND)
    committed(repository, src__lab__cli=CLI, scripts__step=STEP_OF_LAB)
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--force-reinstall"]
    command = [sys.executable, "-m", "pip", "--python", environment, "install", "-q", *options, "-e", "."]
    subprocess.run(command, cwd=repository.path, check=True)
    return repository


def test_an_editable_install_does_not_bring_todays_package_to_the_recorded_script(
    project: Repository, environment: Path, out: Path, tmp_path: Path
) -> None:
    done = in_environment(environment, "python", "scripts/step.py", cwd=project.path)
    path = artifact_of(done, project.path)
    project.commit(src__lab__model="LAYERS = 'today'\n")
    result = reproduce(path, python=environment / "bin" / "python")
    assert (result.same, Path(result.reproduced).read_text()) == (True, "2")


def test_a_console_script_of_an_editable_install(
    project: Repository, environment: Path, out: Path, tmp_path: Path
) -> None:
    path = artifact_of(in_environment(environment, "lab-train", "foo.txt", cwd=project.path), project.path)
    assert record_of(path)["call"]["program"] == {"kind": "entry", "name": "lab.cli:main"}
    assert made_by_colleague(project, path, tmp_path).same


def test_a_project_that_asks_for_its_own_version_is_given_that_where_it_is_not_installed(
    project: Repository, environment: Path, out: Path, tmp_path: Path
) -> None:
    project.write("src/lab/__init__.py", "from importlib.metadata import version\n\n__version__ = version('lab')\n")
    project.commit()
    path = artifact_of(in_environment(environment, "lab-train", "foo.txt", cwd=project.path), project.path)
    assert made_by_colleague(project, path, tmp_path).same


# Without a repository


def test_a_state_that_a_container_declares_is_made_again_from_the_commit(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.commit(src__lab__model="LAYERS = 2\n")
    committed(repository, scripts__step=STEP_OF_LAB.replace("save(outpath):", "save(outpath, hook=None):"))
    container = tmp_path / "container"
    subprocess.run(["git", "clone", "-q", repository.path, container / "app"], check=True)
    subprocess.run(["rm", "-rf", container / "app" / ".git"], check=True)
    variables = {"PYREPRO_CODE_STATE": repository.head, "PYTHONPATH": str(container / "app" / "src")}
    done = repository.run(container / "app" / "scripts" / "step.py", cwd=out, env=variables)
    path = artifact_of(done, out)
    assert record_of(path)["code"]["declared"] is True
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_declared_state_whose_function_is_in_no_file_of_the_commit_is_refused(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    container = tmp_path / "container"
    container.mkdir()
    (container / "other.py").write_text(HEAD + UNGUARDED)
    done = repository.run(container / "other.py", "foo.txt", cwd=out, env={"PYREPRO_CODE_STATE": repository.head})
    path = artifact_of(done, out)
    with pytest.raises(ReproduceError, match=r"other\.py, which the commit does not hold$"):
        made_by_colleague(repository, path, tmp_path)


def test_a_declared_state_whose_function_several_files_may_hold_is_refused(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, one__step=UNGUARDED, two__step=UNGUARDED)
    container = tmp_path / "container"
    container.mkdir()
    (container / "step.py").write_text(HEAD + UNGUARDED)
    done = repository.run(container / "step.py", "foo.txt", cwd=out, env={"PYREPRO_CODE_STATE": repository.head})
    path = artifact_of(done, out)
    with pytest.raises(ReproduceError, match=r"any of several files of the commit: one/step\.py, two/step\.py$"):
        made_by_colleague(repository, path, tmp_path)


# A record that was edited


def test_only_programs_of_the_commit_are_run(repository: Repository, out: Path) -> None:
    committed(repository, step=ARGUMENTS % "Trainer('ada')")
    path = artifact_of(repository.run("step.py"), repository.path)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    for kind, name in (
        ("script", "../step.py"),
        ("script", "/etc/hostname"),
        ("module", "antigravity"),
        ("entry", "os:abort"),
        ("entry", "step:a b"),
    ):
        document["call"]["program"] = {"kind": kind, "name": name}
        record.write_text(json.dumps(document))
        with pytest.raises(ReproduceError) as error:
            reproduce(path)
        assert str(error.value).endswith(f"its program {name} is not in the commit")


def test_a_path_that_is_given_to_another_parameter_makes_another_artifact_which_is_named(
    repository: Repository, out: Path
) -> None:
    committed(
        repository,
        step="""
        @Artifact("outpath", config={}, record=True)
        def save(outpath, note=""):
            Path(outpath).write_text("good job")
            return outpath
        """,
    )
    path = artifact_of(repository.run("-c", "import step; print(step.save('foo.txt'))"), repository.path)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["paths"] = {"outpath": "bar.txt", "note": "foo.txt"}
    record.write_text(json.dumps(document))
    with pytest.raises(ReproduceError) as error:
        reproduce(path)
    assert str(error.value) == (
        f"{path.name} cannot be made again: its function did not write it, but {path.name.replace('foo', 'bar')}\n"
        f"it was made in a session or by a worker, whose program is not recorded"
    )


@pytest.mark.parametrize("name", ["antigravity", "no.such.module"])
def test_only_modules_of_the_commit_are_imported(name: str, repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(repository, step=ARGUMENTS % "1")
    path = artifact_of(repository.run("step.py"), repository.path)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["code"]["import"] = name
    document["call"]["program"] = None
    record.write_text(json.dumps(document))
    with pytest.raises(ReproduceError) as error:
        made_by_colleague(repository, path, tmp_path)
    assert f"the module {name} of its function is not step.py in the commit" in str(error.value)


# Arguments

ARGUMENTS = """
import dataclasses, datetime, decimal, enum

class Mode(enum.Enum):
    FAST = 1

@dataclasses.dataclass(frozen=True)
class Settings:
    lr: float
    sizes: tuple = ()
    twice: float = dataclasses.field(init=False, default=0)

    def __post_init__(self):
        object.__setattr__(self, "twice", self.lr * 2)

class Trainer:
    def __init__(self, name):
        self.name = name

Point = __import__("collections").namedtuple("Point", "x y")

@Artifact("outpath", config={}, record=True)
def save(outpath, *values, **named):
    Path(outpath).write_text(repr((values, named)).replace(str(Path(__file__).parent), ""))
    return outpath

if __name__ == "__main__":
    print(save("foo.txt", %s))
    Path("too-far").touch()
"""


TYPES = [
    "(1, (2.5, None))",
    "Path('lib') / 'model.py'",
    "datetime.date(2024, 5, 1), datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc)",
    "Mode.FAST",
    "Settings(0.5, (1, 2))",
    "Path(__file__)",
    "__import__('pathlib').PurePosixPath('a'), __import__('types').SimpleNamespace(a=1)",
    "Point(1, (2,))",
    "{1: 'a', (2, 3): {4}}",
    "float('nan'), float('-inf'), 1 + 2j, b'\\xff', range(3), slice(1, None), decimal.Decimal('1.10')",
    "__import__('argparse').Namespace(lr=(0.1,))",
    "__import__('omegaconf').OmegaConf.create({'a': {'b': [1, 2]}})",
    "__import__('numpy').float32(0.1)",
    "'~/table.csv', Path('~/table.csv'), ['~/table.csv', ('~/table.csv', '~')], {'b': '~/table.csv', 'a': '~a/b'}",
    "when=datetime.timedelta(days=2, microseconds=3)",
]


def test_arguments_come_back_in_their_types(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(repository, step=ARGUMENTS % ", ".join(TYPES))
    path = artifact_of(repository.run("step.py"), repository.path)
    assert record_of(path)["call"]["unrecorded"] == {}
    result = made_by_colleague(repository, path, tmp_path, to=tmp_path / "made.txt")
    assert Path(result.reproduced).read_text() == path.read_text()


def test_arguments_come_back_in_the_order_in_which_they_stood(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        import argparse, dataclasses, json

        @dataclasses.dataclass
        class Settings:
            lr: float
            epochs: int

        @Artifact("outpath", config={}, record=True)
        def save(outpath, *values, **named):
            Path(outpath).write_text(json.dumps([values, named], default=vars))
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt", {"z": 1, "b": {"y": 2, "a": 3}}, argparse.Namespace(z=1, b=2), Settings(0.5, 3), z=1, b=2))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    record = Path(f"{path}.pyrepro.json")
    document = json.loads(record.read_text())
    document["call"]["program"] = None  # which would give them in this order itself
    record.write_text(json.dumps(document, sort_keys=True))
    assert made_by_colleague(repository, path, tmp_path, to=tmp_path / "made.txt").same, (
        tmp_path / "made.txt"
    ).read_text()


def test_arguments_that_the_colleague_passes_stand_in_for_those_that_are_not_recorded(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step=ARGUMENTS.replace("*values, **named", "trainer").replace("(values, named)", "trainer")
        % "x".replace("x", "open(__file__)"),
    )
    text = (repository.path / "step.py").read_text().replace("repr(trainer)", "str(type(trainer).__name__)[:0]")
    repository.commit(step=text)
    path = artifact_of(repository.run("step.py"), repository.path)
    assert record_of(path)["call"]["unrecorded"] == {"trainer": "_io.TextIOWrapper"}
    assert made_by_colleague(repository, path, tmp_path, arguments={"trainer": ("any", 1)}).same


def test_a_method_whose_self_cannot_be_recorded_is_called_by_its_program(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        class Trainer:
            def __init__(self, name):
                self.name = name

            @Artifact("outpath", config={}, record=True)
            def save(self, outpath):
                Path(outpath).write_text(self.name)
                return outpath

        if __name__ == "__main__":
            print(Trainer("ada").save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_an_artifact_whose_program_is_not_in_the_commit_says_what_is_missing(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=ARGUMENTS % "1")
    code = "import step; print(step.save('foo.txt', step.Trainer('ada')))"
    path = artifact_of(repository.run("-c", code), repository.path)
    with pytest.raises(ReproduceError) as error:
        made_by_colleague(repository, path, tmp_path)
    assert str(error.value) == (
        f"{path.name} cannot be made again: the arguments values (a builtins.list) were not recorded; pass them as "
        f"arguments=\nit was made in a session or by a worker, whose program is not recorded"
    )


# How Python was started


def test_the_interpreter_is_started_as_it_was(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step="""
        import time

        @Artifact("outpath", config={}, record=True)
        def save(outpath):
            words = sorted(map(str, {"a", "b", "c", "d", "e"}), key=hash)
            Path(outpath).write_text(f"{__debug__} {words} {time.tzname}")
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt"))
        """,
    )
    done = repository.run("-O", "step.py", env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"})
    path = artifact_of(done, repository.path)
    assert record_of(path)["call"]["flags"] == ["-O"]
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_default_that_was_turned_round_is_a_flag(repository: Repository, out: Path, tmp_path: Path) -> None:
    is_on = sys.version_info < (3, 15)
    committed(
        repository,
        step="""
        import sys

        @Artifact("outpath", config={}, record=True)
        def save(outpath):
            Path(outpath).write_bytes(str(sys.flags.utf8_mode).encode())
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run(f"-Xutf8={is_on:d}", "step.py"), repository.path)
    assert record_of(path)["call"]["flags"] == [f"-Xutf8={is_on:d}"]
    assert made_by_colleague(repository, path, tmp_path).same


# Where it writes, and what it reads

NOTES = """
import os

class Remote:
    def __init__(self, text):
        self.text = text
        self.name = text.rpartition("/")[2]

    def with_name(self, name):
        return Remote(self.text.rpartition("/")[0] + "/" + name)

    def __str__(self):
        return self.text

@Artifact("path")
def note(path):
    text = os.fsdecode(path) if isinstance(path, (bytes, str, os.PathLike)) else str(path)
    if "://" not in text:
        Path(text).write_text("note")
    return type(path)

@Artifact("outpath", record=True, config={})
def save(outpath, hook):
    Path(outpath).write_text("good job")
    return outpath

if __name__ == "__main__":
    out = sys.argv[1]
    for path in (f"{out}/a.txt".encode(), Path(out, "b.txt"), f"{out}/c.txt", "s3://bucket/../../d.txt"):
        assert note(path) is type(path)
    note(Remote("s3://bucket/e.txt"))
    print(save(f"{out}/foo.txt", print))
"""


def test_whatever_decorated_calls_write_on_the_way_goes_into_the_temporary_directory(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=NOTES)
    path = artifact_of(repository.run("step.py", out), out)
    before = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir() if file.is_file()}
    assert len(before) == 5
    assert made_by_colleague(repository, path, tmp_path).same
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in out.iterdir() if file.is_file()} == before


@pytest.mark.parametrize("argument", ["{}/data/x.txt", "--table={}/data/x.txt", "+io.root={}"])
def test_a_path_in_the_work_tree_is_passed_to_the_program_as_it_is_here(
    argument: str, repository: Repository, out: Path, tmp_path: Path
) -> None:
    repository.write("data/x.txt", "1,2")
    committed(
        repository,
        sub__step="""
        @Artifact("outpath", record=True, config={})
        def save(outpath, hook):
            place = Path(sys.argv[1].rpartition("=")[2])
            Path(outpath).write_text((place / "data/x.txt" if place.is_dir() else place).read_text())
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt", print))
        """,
    )
    directory = repository.path / "sub"
    path = artifact_of(repository.run("step.py", argument.format(repository.path), cwd=directory), directory)
    assert str(repository.path) not in Path(f"{path}.pyrepro.json").read_text()
    assert made_by_colleague(repository, path, tmp_path).same


def test_the_home_directory_is_that_of_the_colleague_from_wherever_the_program_was_run(
    repository: Repository, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / "x.txt").write_text("1,2")
    committed(
        repository,
        sub__step="""
        @Artifact("outpath", record=True, config={})
        def save(outpath, hook):
            Path(outpath).write_text(Path(sys.argv[1]).read_text())
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt", print))
        """,
    )
    directory = repository.path / "sub"
    path = artifact_of(repository.run("step.py", home / "x.txt", cwd=directory), directory)
    assert record_of(path)["call"]["argv"] == ["step.py", "~/x.txt"]
    home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_repository_that_the_code_names_is_the_clone(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step=f"""
        @Artifact("outpath", record=True, repo={str(repository.path)!r})
        def save(outpath):
            Path(outpath).write_text("good job")
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    repository.commit(later="")
    assert reproduce(path).same
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_program_that_cleans_up_removes_nothing_of_the_colleague(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        import pyrepro

        @Artifact("outpath", record=True, config={})
        def save(outpath, hook):
            Path(outpath).write_text("good job")
            return outpath

        if __name__ == "__main__":
            out, name = sys.argv[1:]
            gone = pyrepro.remove(pyrepro.unused(out)) + pyrepro.remove(pyrepro.find(f"{out}/other.txt"))
            note = save("out/note.txt", print)
            assert pyrepro.remove(note) == [note, note + ".pyrepro.json"]
            print(*gone, save(f"{out}/{name}", print), sep="\\n")
        """,
    )
    path = artifact_of(repository.run("step.py", out, "foo.txt"), out)
    repository.commit(later="")
    # By what the temporary clone knows, no branch leads to this commit.
    other = artifact_of(repository.run("step.py", out, "other.txt"), out)
    before = files(out)
    assert other.name in before
    assert made_by_colleague(repository, path, tmp_path).same
    assert files(out) == before


READS = """
import os

@Artifact("outpath", inputs=["table", "more"], record=True, config={})
def save(table, outpath, hook, more=None):
    Path(outpath).write_text(Path(os.fsdecode(table)).read_text())
    return outpath

if __name__ == "__main__":
    print(save(%s, "foo.txt", print))
"""


@pytest.mark.parametrize(
    "table",
    [
        "sys.argv[1]",
        "sys.argv[1].encode()",
        "Path(sys.argv[1])",
        "os.path.join(os.environ.get('TABLES', 'nowhere'), 'table.csv')",
    ],
)
def test_a_program_reads_its_input_where_the_colleague_has_it(
    table: str, repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=READS % table)
    (out / "table.csv").write_text("1,2")
    path = artifact_of(repository.run("step.py", out / "table.csv", env={"TABLES": str(out)}), repository.path)
    (out / "here").mkdir()
    (out / "table.csv").rename(out / "here" / "table.csv")
    assert made_by_colleague(repository, path, tmp_path, inputs={"table": out / "here" / "table.csv"}).same


WRITES_WHAT_IT_READS = """
import os

@Artifact("outpath", inputs="table", record=True)
def save(outpath, table, hook):
    Path(outpath).write_text("good job")
    return outpath

for part in sys.argv[2:]:
    Path("data", part).write_text(os.environ["WRITTEN"])
print(save("foo.txt", "data" if sys.argv[1] == "data" else Path("data", sys.argv[1]), print))
"""


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("table.csv", ["table.csv"]),
        ("data", ["table.csv", "late.csv"]),
        ("water.shp", ["water.shp", "water.dbf"]),
        ("log.db", ["log.db", "log.db-wal"]),
    ],
)
def test_a_program_that_writes_its_own_input_writes_a_copy_of_it(
    table: str, parts: list[str], repository: Repository, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(repository, step=WRITES_WHAT_IT_READS)
    data = repository.path / "data"
    data.mkdir()
    (data / ".#table.csv").symlink_to("mark-of-an-editor")
    made = repository.run("step.py", table, *parts, env={"WRITTEN": "then"})
    path = artifact_of(made, repository.path)
    before = files(data)
    monkeypatch.setenv("WRITTEN", "now")
    assert reproduce(path).same
    assert files(data) == before


def test_an_input_for_whose_copy_there_is_no_room_is_linked_with_a_warning(
    repository: Repository, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    committed(repository, step=WRITES_WHAT_IT_READS)
    (repository.path / "data").mkdir()
    made = repository.run("step.py", "table.csv", "table.csv", env={"WRITTEN": "then"})
    path = artifact_of(made, repository.path)
    monkeypatch.setenv("WRITTEN", "then")
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(8, 0, 8))  # type: ignore[attr-defined]
    result = reproduce(path)
    assert result.same
    clone = Path(result.reproduced).parent.parent / "code"
    assert caplog.messages == [
        f"{repository.path / 'data' / 'table.csv'} is too large to be copied into {clone / 'data'}, so it is linked "
        f"there: should the program that is run write it, it writes yours; TMPDIR names a directory with more room"
    ]


def test_a_function_that_starts_processes_anew_is_run(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step="""
        import multiprocessing

        def shout(text):
            return text.upper()

        @Artifact("outpath", record=True)
        def save(outpath):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                Path(outpath).write_text(pool.map(shout, ["good job"])[0])
                pool.close()
                pool.join()
            return outpath

        if __name__ == "__main__":
            print(save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_function_under_the_main_guard_is_called_by_the_program(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        if __name__ == "__main__":
            @Artifact("outpath", record=True)
            def save(outpath):
                Path(outpath).write_text("good job")
                return outpath

            print(save("foo.txt"))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_function_of_an_installed_package_that_the_program_decorates_is_called_by_the_program(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(
        repository,
        step="""
        import shutil

        copy = Artifact("dst", config={}, record=True)(shutil.copyfile)

        if __name__ == "__main__":
            copy("run.sh", "foo.txt")
            print(copy.tagged("run.sh", "foo.txt"))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert record_of(path)["code"]["import"] == "shutil"
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_coroutine_function_is_run(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step="""
        import asyncio

        @Artifact("outpath", record=True)
        async def save(outpath):
            Path(outpath).write_text("good job")
            return outpath

        if __name__ == "__main__":
            print(asyncio.run(save("foo.txt")))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    assert made_by_colleague(repository, path, tmp_path).same


def test_a_program_that_ends_otherwise_says_how(repository: Repository, out: Path, tmp_path: Path) -> None:
    committed(
        repository,
        step="""
        import os

        @Artifact("outpath", record=True, config={})
        def save(outpath, hook):
            Path(outpath).write_text("good job")
            return outpath

        if __name__ == "__main__":
            if os.environ.get("PYREPRO_REPRODUCTION"):
                exec(os.environ["HOW"])
            print(save("foo.txt", print))
        """,
    )
    path = artifact_of(repository.run("step.py"), repository.path)
    for how, said in (
        ("sys.exit('not today')", "its program failed:\nnot today"),
        ("sys.exit(0)", "its program did not write it, but nothing"),
        ("os._exit(3)", "its program failed:\n3"),
        (
            "os.chdir('/'); Path(sys.argv[0]).with_name('gone.py').write_text(''); import gone",
            "the code that ran is at",
        ),
        (
            "import shutil; shutil.rmtree('.git'); sys.exit('not this time')",
            "its program failed:\nnot this time",
        ),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOW", how)
            with pytest.raises(ReproduceError) as error:
                made_by_colleague(repository, path, Path(tempfile.mkdtemp(dir=tmp_path)))
        assert said in str(error.value)


def test_a_type_that_the_code_does_not_have_any_more_is_left_to_the_program(
    repository: Repository, out: Path, tmp_path: Path
) -> None:
    committed(repository, step=ARGUMENTS % "Settings(0.5, (1, 2))")
    path = artifact_of(repository.run("step.py"), repository.path)
    record = Path(f"{path}.pyrepro.json")
    for form in (
        {"type": "dataclass", "class": "__main__:Settings", "fields": {}},
        {"type": "dataclass", "class": "__main__:save", "fields": {}},
        {"type": "dataclass", "class": "no_such_module:Settings", "fields": {}},
        {"type": "enum", "class": "__main__:Mode", "text": "SLOW"},
        {"type": "nothing", "class": "__main__:Mode"},
        {"type": "range", "items": 3},
    ):
        document = json.loads(record.read_text())
        document["call"]["typed"]["values"] = form
        record.write_text(json.dumps(document))
        assert made_by_colleague(repository, path, Path(tempfile.mkdtemp(dir=tmp_path))).same
