"""What every page of the documentation has, and what people find by the words that they search for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import GUIDES

DOCS = GUIDES.parent
PAGES = sorted([*DOCS.glob("*.rst"), *GUIDES.glob("*.rst")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_says_in_its_first_line_whom_it_is_for(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if text.startswith(".. include:: "):
        text = (page.parent / text.split()[2]).read_text(encoding="utf-8")
    first = re.search(r"^=+\n\n(.*)", text, re.MULTILINE)
    assert first is not None and first[1].startswith("For ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_code_on_a_page_is_included_from_a_file_or_is_a_session_that_a_test_runs(page: Path) -> None:
    languages = set(re.findall(r"^ *\.\. code-block:: (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert languages <= {"console", "diff", "json", "pycon", "text"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_shows_no_path_of_the_machine_that_built_it_as_the_head_of_a_diff_does(page: Path) -> None:
    assert ":diff:" not in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("alpha=100", "find"),
        ("CI", "ci-and-cron"),
        ("compare", "differences"),
        ("cron", "ci-and-cron"),
        ("delete", "remove"),
        ("Docker", "containers"),
        ("last week's model", "use-elsewhere"),
        ("log", "logging"),
        ("memoize", "cache"),
        ("reproduce", "another-computer"),
        ("S3", "remote-files"),
        ("share", "hand-on"),
        ("SLURM", "workers"),
    ],
)
def test_what_people_ask_for_leads_to_its_page(word: str, page: str) -> None:
    questions = (GUIDES / "index.rst").read_text(encoding="utf-8").splitlines()
    assert [line for line in questions if re.search(rf"\b{word}\b", line) and f":doc:`{page}`" in line]


def test_every_guide_is_an_answer_to_a_question() -> None:
    answers = set(re.findall(r":doc:`([\w-]+)`", (GUIDES / "index.rst").read_text(encoding="utf-8")))
    by_way_of_workers = {"array-jobs", "dask", "joblib", "multiprocessing", "ray", "spark"}
    assert {page.stem for page in GUIDES.glob("*.rst")} - answers == by_way_of_workers | {"index"}
