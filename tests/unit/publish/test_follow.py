"""Tests of the rule by which `publish` follows records of the second items table, one row of its table at a time."""

import pytest

from readplane.model.change import Change
from readplane.publish.decide import Decision, ToForget, ToMend, ToPublish, ToRemove, ToSkip, follow
from tests.unit.support import NOW_MS, change

OLDER, SAME, NEWER = (change(ms=NOW_MS + tick) for tick in (-1, 0, 1))
OTHER_TIME = change(ms=NOW_MS, accepted_ms=NOW_MS + 5)
"""The same version with another time of acceptance, as a POST with a key has that came to both Regions."""
GONE, GONE_BEFORE, GONE_AFTER = (change(ms=NOW_MS + tick, data=None) for tick in (0, -1, 1))
UNREAD = change("never read")


def run(decision: Decision, live: Change | None, *, is_former: bool) -> Decision | None:
    """Return what is left of a decision. Fail if the live table is read although it must not be."""

    def read_live() -> Change | None:
        assert live is not UNREAD
        return live

    return follow(decision, read_live, is_former=is_former)


@pytest.mark.parametrize(
    ("decision", "live", "building", "former"),
    [
        (ToPublish(SAME), None, None, ToPublish(SAME)),
        (ToPublish(SAME), OLDER, None, ToPublish(SAME)),
        (ToPublish(SAME), SAME, ToPublish(SAME), ToPublish(SAME)),
        (ToPublish(SAME), OTHER_TIME, ToPublish(OTHER_TIME), ToPublish(OTHER_TIME)),
        (ToPublish(SAME), NEWER, None, None),
        (ToPublish(SAME), GONE_BEFORE, None, ToPublish(SAME)),
        (ToPublish(SAME), GONE_AFTER, None, None),
        (ToPublish(GONE), None, None, ToPublish(GONE)),
        (ToPublish(GONE), OLDER, None, ToPublish(GONE)),
        (ToPublish(GONE), GONE, ToPublish(GONE), ToPublish(GONE)),
        (ToPublish(GONE), NEWER, None, None),
        (ToRemove(GONE), None, None, ToRemove(GONE)),
        (ToRemove(GONE), OLDER, None, ToRemove(GONE)),
        (ToRemove(GONE), GONE, ToRemove(GONE), ToRemove(GONE)),
        (ToRemove(GONE), NEWER, None, None),
        (ToRemove(SAME), None, None, ToRemove(SAME)),
        (ToRemove(SAME), OLDER, None, None),
        (ToRemove(SAME), SAME, None, None),
        (ToRemove(SAME), GONE_AFTER, None, None),
    ],
)
def test_the_row_of_the_live_table_decides(
    decision: Decision, live: Change | None, building: Decision | None, former: Decision | None
) -> None:
    assert run(decision, live, is_former=False) == building
    assert run(decision, live, is_former=True) == former


@pytest.mark.parametrize("is_former", [False, True])
@pytest.mark.parametrize(
    ("decision", "followed"),
    [
        (ToMend(SAME), ToMend(SAME)),
        (ToForget(GONE), ToForget(GONE)),
        (ToSkip(SAME), None),
    ],
)
def test_these_decisions_need_no_read(decision: Decision, followed: Decision | None, is_former: bool) -> None:
    assert run(decision, UNREAD, is_former=is_former) == followed
