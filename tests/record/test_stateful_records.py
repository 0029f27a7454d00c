"""Over a thousand mutations of a good record; see test_hostile_records.py, where a few dozen are tried on each Python."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import test_hostile_records
from conftest import Repository

sent, repository, hostile = (getattr(test_hostile_records, name) for name in ("sent", "repository", "hostile"))

PARTS, OF_EACH = 50, hypothesis.settings().max_examples // 4


@pytest.mark.parametrize("part", range(PARTS))
def test_a_record_with_changed_fields_is_refused_or_harmless(
    part: int, hostile: dict[str, Any], repository: Repository
) -> None:
    for seed in range(part * OF_EACH, (part + 1) * OF_EACH):
        test_hostile_records.check_mutation(hostile, repository, seed)
