"""Put the git commit and the configuration's hash into the names of a function's outputs."""

from __future__ import annotations

from pyrepro._artifact import Artifact, tag
from pyrepro._code import CodeState, code_state
from pyrepro._config import canonical_json, config_hash, to_json
from pyrepro._find import find
from pyrepro._inputs import file_hash
from pyrepro._record import Record, read_record
from pyrepro._reproduce import Reproduction, reproduce
from pyrepro._tag import Tag
from pyrepro.errors import (
    ArtifactMismatchError,
    ArtifactMissingError,
    CodeStateError,
    ConfigError,
    DirtyRepositoryError,
    NotTaggedError,
    PyreproError,
    RecordError,
    ReproduceError,
)

__all__ = [
    "Artifact",
    "ArtifactMismatchError",
    "ArtifactMissingError",
    "CodeState",
    "CodeStateError",
    "ConfigError",
    "DirtyRepositoryError",
    "NotTaggedError",
    "PyreproError",
    "Record",
    "RecordError",
    "ReproduceError",
    "Reproduction",
    "Tag",
    "canonical_json",
    "code_state",
    "config_hash",
    "file_hash",
    "find",
    "read_record",
    "reproduce",
    "tag",
    "to_json",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("pyrepro")
    raise AttributeError(f"module 'pyrepro' has no attribute {name!r}")
