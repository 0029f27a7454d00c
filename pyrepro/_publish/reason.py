"""Why an artifact is made, although others of its plain path are there."""

from __future__ import annotations

import hashlib
import json
import os

from pyrepro._code.difference import changes_of, paths_between
from pyrepro._code.key import CodePaths
from pyrepro._code.state import Reading
from pyrepro._config.forms import JSON
from pyrepro._config.place import leaves_of
from pyrepro._paths import first_of
from pyrepro._publish.files import Target
from pyrepro._publish.marker import Origin, newest_marker, why_not_completed

UNTOLD = "it names its commit, or cannot be copied"
"""Why what is whole is not copied, as far as that is known before it is tried."""

_DIGITS = 12
_MOST_CHANGES = 100


def origin_of(maker: str, reading: Reading, form: JSON, config_hash: str, code_key: str | None) -> Origin:
    """What makes an artifact.

    Args:
        maker: the function.
        reading: the code that it runs with.
        form: the configuration in JSON, without its secrets.
        config_hash: its hash.
        code_key: what the code that it depends on holds, None where that may not be told.
    """
    state, changes = reading.state, changes_of(reading)
    # Declared changes are in no reading; very many would make each marker long.
    is_told = len(changes) <= _MOST_CHANGES and bool(changes) == (state.changes is not None)
    keys = {key: digest_of_value(value) for key, value in leaves_of(form).items()}
    return Origin(maker, str(state), changes if is_told else None, config_hash, keys, code_key)


def digest_of_value(form: JSON) -> str:
    """The digest of a value of a configuration; not the value, which may be long."""
    return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def compared_with_newest(
    target: Target, tag: str, origin: Origin, work_tree: str | None, code: CodePaths | None, sidecar_suffix: str
) -> str | None:
    """In what an artifact will differ from the newest one of its plain path, or why that one is not copied.

    Args:
        target: where it belongs.
        tag: the tag in its name.
        origin: what makes it.
        work_tree: the work tree of the code, None if there is none.
        code: what it depends on.
        sidecar_suffix: the suffix of the sidecar that it must have, empty if it must have none.

    Returns:
        What differs; None if there is no other.
    """
    newest = newest_marker(target, tag)
    if newest is None:
        return None
    old = newest.origin
    differences = []
    has_same_key = origin.code_key is not None and (old.maker, old.code_key) == (origin.maker, origin.code_key)
    if has_same_key and old.config == origin.config and old.state != origin.state:
        source = target._replace(name=newest.artifact)
        why = why_not_completed(origin.maker, [source], sidecar_suffix) or UNTOLD
        return f"the code that it depends on is that of {newest.artifact}, which is not copied: {why}"
    if old.state != origin.state and not has_same_key:
        differences.append(_difference_of_code(old, origin, work_tree, code))
    if old.config != origin.config:
        differing = {key for key in old.keys.keys() | origin.keys.keys() if old.keys.get(key) != origin.keys.get(key)}
        # What is not an object has no keys, and markers hold no secrets.
        where = f" in {first_of(sorted(differing))}" if differing and "" not in differing else ""
        differences.append(f"the configuration differs{where}")
    return f"{' and '.join(differences)}, compared with {newest.artifact}" if differences else None


def _difference_of_code(old: Origin, new: Origin, work_tree: str | None, code: CodePaths | None) -> str:
    if old.changes is None or new.changes is None:
        return "the code differs"
    old_commit, new_commit = (one.state.partition("-")[0] for one in (old, new))
    paths = paths_between(work_tree, old_commit, old.changes, new_commit, new.changes)
    if paths is None:
        return f"the code differs from that of commit {old_commit[:_DIGITS]}, which this clone does not hold"
    if code is not None and None not in (old.code_key, new.code_key):
        # What it does not depend on is no reason; none of the rest are what links lead to.
        paths = [path for path in paths if code.cover(os.fsencode(path))] or paths
    return f"the code differs in {first_of(paths)}" if paths else "the commit differs, but the code is the same"
