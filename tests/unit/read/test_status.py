"""Tests of deciding the status of a change."""

import pytest

from readplane.model.version import MAX_AHEAD_MS
from readplane.read.status import Status, status_of
from tests.unit.support import NOW_MS, version_at

OLD, NEW = version_at(NOW_MS - 5_000), version_at(NOW_MS - 1_000)


@pytest.mark.parametrize(
    ("change_id", "version", "marker", "expected"),
    [
        (NEW, NEW, None, Status("applied")),
        (NEW, NEW, "expired", Status("applied")),
        (OLD, NEW, None, Status("superseded")),
        (OLD, NEW, "too_large", Status("quarantined", "too_large")),
        (NEW, None, "too_large", Status("quarantined", "too_large")),
        (NEW, OLD, None, Status("pending")),
        (NEW, None, None, Status("pending")),
        (version_at(NOW_MS - 900_001), None, None, None),
        (version_at(NOW_MS - 900_000), None, None, Status("pending")),
        # `write` may stamp a change a millisecond later than the latest version that a request may name.
        (version_at(NOW_MS + MAX_AHEAD_MS + 1), None, None, Status("pending")),
        (version_at(NOW_MS + 2 * MAX_AHEAD_MS + 1), None, None, None),
        # The id of a keyed POST has the time 0.
        (version_at(0, 7), None, None, Status("pending")),
        (version_at(0, 7), version_at(0, 6), None, Status("pending")),
        (version_at(0, 7), version_at(0, 7), None, Status("applied")),
        (version_at(0, 7), version_at(0, 8), None, Status("superseded")),
        (version_at(0, 7), OLD, None, Status("superseded")),
        (version_at(0, 7), None, "too_large", Status("quarantined", "too_large")),
        (version_at(1, 7), None, None, None),
    ],
)
def test_status(change_id: str, version: str | None, marker: str | None, expected: Status | None) -> None:
    assert status_of(change_id, version, marker, NOW_MS, 900_000) == expected
