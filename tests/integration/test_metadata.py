"""Matplotlib and Pillow: the tag in a file's own metadata."""

from __future__ import annotations

from systems import Guide, needs

from pyrepro import Tag

pytestmark = [needs("matplotlib"), needs("PIL")]


def test_the_tag_is_read_from_a_file_that_was_renamed(guide: Guide) -> None:
    repository = guide("metadata.py", "read_metadata.py")
    path = repository.run("metadata.py").stdout.strip()
    (repository.path / path).rename(repository.path / "plot-please-work.png")
    assert repository.run("read_metadata.py").stdout == f"{Tag.from_path(path)}\n"
