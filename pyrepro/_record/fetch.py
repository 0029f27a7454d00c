"""An artifact in a store with its record and its patch: copied to where it is compared."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from pyrepro._record.record import SUFFIX, record_of
from pyrepro._stores import store_of


def fetch_with_record(path: Any) -> str:
    """Copy an artifact, its record and the patch that it names into a temporary directory.

    Args:
        path: the artifact or its record, in a store.

    Returns:
        The copy of the record, in a directory of its own.

    Raises:
        RecordError: there is no record, or it cannot be read.
    """
    store, url = store_of(path)
    artifact = url.rstrip("/").removesuffix(SUFFIX)
    content = store.read(artifact + SUFFIX)
    record = record_of(content, artifact + SUFFIX)
    directory = tempfile.mkdtemp(prefix="pyrepro-")
    copy = os.path.join(directory, artifact.rpartition("/")[2])
    try:
        with open(copy + SUFFIX, "wb") as file:
            file.write(content or b"")
        # A record is somebody else's text: the patch is beside it, or nowhere.
        patch = os.path.basename(record.code["patch"] or "")
        if patch and (held := store.read(store.directory + patch)) is not None:
            with open(os.path.join(directory, patch), "wb") as file:
                file.write(held)
        told = store.told(artifact)
        if told is not None and not told.is_directory:
            store.get(artifact, copy)
        else:
            for name in store.told_of_all(artifact):
                inside = os.path.join(copy, name)
                os.makedirs(os.path.dirname(inside), exist_ok=True)
                store.get(f"{artifact}/{name}", inside)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return copy + SUFFIX
