"""Put the git commit and the configuration's hash into the names of a function's outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyrepro._artifact import Artifact, tag
from pyrepro._code.modules import modules_loaded_before_pyrepro as _modules_loaded_before_pyrepro
from pyrepro._code.runs import replaced_before_pyrepro as _replaced_before_pyrepro
from pyrepro._code.sources import note_loaded_modules as _note_loaded_modules
from pyrepro._code.state import CodeState, code_state
from pyrepro._config.forms import canonical_json, config_hash, to_json
from pyrepro._tag import Tag
from pyrepro.errors import (
    ArtifactMismatchError,
    ArtifactMissingError,
    CodeStateError,
    ConfigError,
    DirtyRepositoryError,
    InputChangedError,
    NotTaggedError,
    PublishError,
    PyreproError,
    RecordError,
    ReproduceError,
)

if TYPE_CHECKING:
    from pyrepro._config.file_hash import file_hash
    from pyrepro._find import find, records
    from pyrepro._record.comparison import Reproduction
    from pyrepro._record.differences import Differences
    from pyrepro._record.record import Record, read_record
    from pyrepro._record.reproduce import reproduce
    from pyrepro._record.table import Records
    from pyrepro._remove import remove
    from pyrepro._unused import unused

__all__ = [
    "Artifact",
    "ArtifactMismatchError",
    "ArtifactMissingError",
    "CodeState",
    "CodeStateError",
    "ConfigError",
    "Differences",
    "DirtyRepositoryError",
    "InputChangedError",
    "NotTaggedError",
    "PublishError",
    "PyreproError",
    "Record",
    "RecordError",
    "Records",
    "ReproduceError",
    "Reproduction",
    "Tag",
    "canonical_json",
    "code_state",
    "config_hash",
    "file_hash",
    "find",
    "read_record",
    "records",
    "remove",
    "reproduce",
    "tag",
    "to_json",
    "unused",
]


# What is loaded later is seen by the finder of _code.imports; of what is loaded already, the files say it now or never.
_note_loaded_modules([*_modules_loaded_before_pyrepro(), *_replaced_before_pyrepro()])

# Imported when they are first asked for: what writes artifacts does not need them.
_LATER = {
    "Differences": "_record.differences",
    "Record": "_record.record",
    "Records": "_record.table",
    "Reproduction": "_record.comparison",
    "file_hash": "_config.file_hash",
    "find": "_find",
    "read_record": "_record.record",
    "records": "_find",
    "remove": "_remove",
    "reproduce": "_record.reproduce",
    "unused": "_unused",
}


def _belong_here(names: set[str]) -> None:
    """Pickles, tracebacks and help() name the place that stays, not the file that may move."""
    for name in names:
        globals()[name].__module__ = __name__


_belong_here(set(__all__) - set(_LATER))


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("pyrepro")
    if name not in _LATER:
        raise AttributeError(f"module 'pyrepro' has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = getattr(import_module(f"pyrepro.{_LATER[name]}"), name)
    _belong_here({name})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
