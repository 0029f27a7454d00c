"""Where git cannot be started there is an error that says so, or the declared state."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyrepro import CodeStateError, Tag, code_state, config_hash, tag


@pytest.fixture
def looks_like_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a repository looks like to the eye, and no git on the path."""
    for name in ("objects", "refs"):
        (tmp_path / ".git" / name).mkdir(parents=True)
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_git_there_is_no_state(looks_like_a_repository: Path) -> None:
    with pytest.raises(CodeStateError) as error:
        code_state(looks_like_a_repository)
    message = str(error.value)
    assert message.startswith(f"git could not be started to read the work tree {looks_like_a_repository}: ")
    assert message.endswith("; install git, or declare the state with PYREPRO_CODE_STATE")
    assert error.value.work_tree == str(looks_like_a_repository)


def test_without_git_a_declared_state_serves(looks_like_a_repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYREPRO_CODE_STATE", "a" * 40)
    assert tag({"lr": 0.1}, repo=looks_like_a_repository) == Tag("a" * 12, None, config_hash({"lr": 0.1})[:12])
