"""make, DVC, Luigi, Snakemake and Airflow: what is made, what is made again, and under which names."""

from __future__ import annotations

import os
from pathlib import Path

from conftest import Repository
from systems import Guide, needs, needs_program, run, written

from pyrepro import Tag


def commits(repository: Repository) -> list[str]:
    """The commits whose artifacts are there, one for each."""
    return [Tag.from_path(name).commit for name in written(repository)]


@needs_program("make")
def test_make_makes_what_this_code_and_these_data_have_not_made(guide: Guide) -> None:
    repository = guide("steps.py", "Makefile")
    first, second = (run(repository, "make") for _ in range(2))
    assert (first.returncode, first.stderr) == (0, ""), first.stdout
    assert second.stdout == "make: Nothing to be done for 'all'.\n"
    assert commits(repository) == [repository.head[:12]] * 2
    repository.write("raw.txt", "4\n")
    repository.commit()
    run(repository, "make")
    assert len(written(repository)) == 4


@needs_program("make")
def test_make_stops_where_there_is_no_name(guide: Guide) -> None:
    repository = guide("steps.py", "Makefile")
    repository.write("steps.py", (repository.path / "steps.py").read_text() + "# edited\n")
    done = run(repository, "make")
    assert (done.returncode, (repository.path / "out").exists()) == (2, False)
    assert "pyrepro.DirtyRepositoryError: " in done.stderr
    assert done.stderr.endswith("*** there is no name to make; the reason is printed above.  Stop.\n")


@needs_program("make")
def test_make_makes_a_stable_name_anew_when_the_script_is_newer(guide: Guide) -> None:
    repository = guide("stable_name.py", "stable_name.mk")
    make = ("make", "-f", "stable_name.mk")
    first, second = (run(repository, *make) for _ in range(2))
    assert (first.returncode, second.stdout) == (0, "make: 'figures/bills.svg' is up to date.\n"), first.stderr
    assert repository.head[:12] in os.readlink(repository.path / "figures" / "bills.svg")
    repository.write("stable_name.py", (repository.path / "stable_name.py").read_text() + "# edited\n")
    repository.commit()
    assert run(repository, *make).returncode == 0
    assert repository.head[:12] in os.readlink(repository.path / "figures" / "bills.svg")


@needs("dvc")
def test_a_dvc_stage_keeps_the_artifacts_of_other_commits(guide: Guide) -> None:
    repository = guide("steps.py", "pipeline.py", "dvc.yaml")
    run(repository, "dvc", "init", "-q")
    repository.write(".gitignore", "*.log\n")
    for edit in ("# one\n", "# two\n"):
        repository.write("steps.py", (repository.path / "steps.py").read_text() + edit)
        repository.commit()
        done = run(repository, "dvc", "repro")
        assert (done.returncode, repository.head[:12] in done.stdout) == (0, True), done.stderr
    assert len(set(commits(repository))) == 2
    repository.commit()
    assert "didn't change, skipping" in run(repository, "dvc", "repro").stdout


@needs("luigi")
def test_a_luigi_task_is_complete_when_its_artifact_is_there(guide: Guide) -> None:
    repository = guide("steps.py", "luigi_tasks.py")
    command = ("luigi", "--module", "luigi_tasks", "Total", "--local-scheduler")
    first, second = (run(repository, *command, PYTHONPATH=".") for _ in range(2))
    assert "* 2 ran successfully:" in first.stderr, first.stderr
    assert "Scheduled 1 tasks of which:\n* 1 complete ones were encountered:" in second.stderr
    assert commits(repository) == [repository.head[:12]] * 2


@needs("snakemake")
def test_a_snakemake_rule_makes_what_this_code_has_not_made(guide: Guide) -> None:
    repository = guide("steps.py", "Snakefile")
    first, second = (run(repository, "snakemake", "--cores", "1") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert commits(repository) == [repository.head[:12]]
    assert "Nothing to be done" in second.stderr


@needs_program("airflow")
def test_an_airflow_dag_hands_the_names_from_task_to_task(guide: Guide, tmp_path: Path) -> None:
    repository = guide("steps.py", "airflow_dag.py")
    home = {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(repository.path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(repository.path),
    }
    migrated = run(repository, "airflow", "db", "migrate", **home)
    assert migrated.returncode == 0, migrated.stderr
    done = run(repository, "airflow", "dags", "test", "numbers", **home)
    assert done.returncode == 0, done.stderr
    assert commits(repository) == [repository.head[:12]] * 2
