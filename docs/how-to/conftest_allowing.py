import pytest


@pytest.fixture(autouse=True)
def dirty_trees_are_allowed(monkeypatch):
    monkeypatch.setenv("PYREPRO_ALLOW_DIRTY", "1")
