"""Notebooks: executed cell by cell with nbclient, and with parameters by papermill."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, Repository, names_dirty
from systems import Guide, needs, run, written

from pyrepro import Tag, config_hash, file_hash

pytestmark = [needs("jupytext"), needs("nbclient"), needs("ipykernel")]


def notebook_of(program: Path) -> Any:
    """A program in the percent format as a notebook for this Python."""
    import jupytext

    notebook = jupytext.read(program, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def executed(repository: Repository, notebook: Any) -> list[str]:
    """What the cells print and show, one text for each that does."""
    import nbclient

    nbclient.NotebookClient(
        notebook,
        resources={"metadata": {"path": str(repository.path)}},
        startup_timeout=PATIENCE,
        iopub_timeout=PATIENCE,
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.get("text") or output.data.get("text/html", "") for output in outputs]


def test_a_function_typed_in_a_cell_writes_under_a_dirty_name_and_its_record_is_a_table(guide: Guide) -> None:
    repository = guide("notebook.py")
    *warnings, path, table = executed(repository, notebook_of(repository.path / "notebook.py"))
    tag = Tag.from_path(path.strip())
    assert (tag.commit, tag.config) == (repository.head[:12], config_hash({"bins": 3})[:12])
    found = f"the work tree {repository.path} has changes that commit {tag.commit} does not hold:\n  <session>\n"
    # At the decoration, and at the call, which one cell more has gone before: each is another state.
    assert [warning.partition(" into names, since ")[2] for warning in warnings] == [found] * 2
    assert warnings[1] == names_dirty(path.strip()) + found
    assert (repository.path / path.strip()).read_text() == "1 2 0"
    assert table.startswith("<table>")
    assert tag.changes is not None
    assert tag.changes in table


REFUSED = """\
from pyrepro import Artifact

@Artifact("outpath", config=dict{options})
def save(outpath, model):
    raise ZeroDivisionError
"""


@pytest.mark.parametrize(
    ("options", "call", "lines"),
    [
        ("", "save('foo', 1)", 17),
        ("", "save.tagged('foo', 1)", 13),
        (", allow_dirty=True", "save('foo', object())", 15),
        (", allow_dirty=True", "save('foo', 1)", 14),
        (", allow_dirty=True, atomic=True", "save('foo', 1)", 14),
    ],
)
def test_a_traceback_in_a_notebook_shows_the_cell_and_at_most_one_frame_of_pyrepro(
    options: str, call: str, lines: int, repository: Repository
) -> None:
    import nbclient.exceptions
    import nbformat

    cells = [nbformat.v4.new_code_cell(source) for source in (REFUSED.format(options=options), call)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        executed(repository, notebook)
    [shown] = [output.traceback for output in cells[1].outputs if output.output_type == "error"]
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(shown))
    assert call in text
    assert text.count("File ") <= 1
    assert len(text.splitlines()) <= lines


def test_a_function_typed_in_a_cell_is_refused_unless_that_is_allowed(guide: Guide) -> None:
    import nbclient.exceptions

    repository = guide("notebook.py")
    text = (repository.path / "notebook.py").read_text()
    repository.write("notebook.py", text.replace(", allow_dirty=True", ""))
    repository.commit()
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="DirtyRepositoryError"):
        executed(repository, notebook_of(repository.path / "notebook.py"))
    assert not (repository.path / "out").exists()


def test_a_module_that_autoreload_loads_again_has_the_name_of_its_new_code(guide: Guide) -> None:
    import nbformat.v4

    repository = guide("steps.py", "notebook_modules.py")
    notebook = notebook_of(repository.path / "notebook_modules.py")
    edit = "from pathlib import Path; Path('steps.py').write_text(Path('steps.py').read_text() + '# edited\\n')"
    notebook.cells.append(nbformat.v4.new_code_cell(edit))
    allowed = "%env PYREPRO_ALLOW_DIRTY=1\nprint(steps.clean('raw.txt', 'out/clean.txt'))"
    notebook.cells.append(nbformat.v4.new_code_cell(allowed))
    executed(repository, notebook)
    clean, dirty = sorted((Tag.from_path(name) for name in written(repository)), key=lambda tag: tag.changes or "")
    blob = repository.git("hash-object", "steps.py")
    assert (clean.changes, dirty.changes) == (None, config_hash([["steps.py", "100644", blob]])[:12])


@needs("papermill")
def test_papermill_parameters_are_the_configuration(guide: Guide) -> None:
    import nbformat

    repository = guide("steps.py", "papermill_report.py")
    nbformat.write(notebook_of(repository.path / "papermill_report.py"), repository.path / "report.ipynb")
    for minimum in ("0.0", "2.0"):
        done = run(repository, "papermill", "report.ipynb", "-p", "minimum", minimum, f"out-{minimum}.ipynb")
        assert done.returncode == 0, done.stderr
    contents = {"2.0": "3\n", "0.0": "1\n3\n"}
    raw = file_hash(repository.path / "raw.txt")
    assert {name: (repository.path / "out" / name).read_text() for name in written(repository)} == {
        Tag(repository.head[:12], None, config_hash({"raw": raw, "minimum": float(minimum)})[:12]).put(
            "clean.txt"
        ): text
        for minimum, text in contents.items()
    }
