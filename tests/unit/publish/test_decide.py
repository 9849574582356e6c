import pytest

from readplane.model.change import Change
from readplane.publish.decide import Decision, ToForget, ToMend, ToPublish, ToRemove, ToSkip, decide
from tests.unit.support import NOW_MS, change

DAY_MS = 86_400_000
HORIZON_MS = 30 * DAY_MS

OLD, NEW = change(ms=NOW_MS), change(ms=NOW_MS + 1)
TOMBSTONE = change(data=None)
EXPIRED_TOMBSTONE = change(data=None, ms=NOW_MS - HORIZON_MS - DAY_MS)
UNEXPIRED_TOMBSTONE = change(data=None, ms=NOW_MS - HORIZON_MS - DAY_MS + 1000)
OLD_RECORD_TOMBSTONE = change(data=None, ms=NOW_MS - 9 * HORIZON_MS, accepted_ms=NOW_MS - HORIZON_MS, source="shop")


@pytest.mark.parametrize(
    ("old", "new", "decision"),
    [
        (None, NEW, ToPublish(NEW)),
        (OLD, NEW, ToPublish(NEW)),
        (NEW, NEW, ToPublish(NEW)),
        (OLD, TOMBSTONE, ToPublish(TOMBSTONE)),
        (NEW, OLD, ToMend(NEW)),
        (NEW, None, ToMend(NEW)),
        (TOMBSTONE, None, ToMend(TOMBSTONE)),
        (UNEXPIRED_TOMBSTONE, None, ToMend(UNEXPIRED_TOMBSTONE)),
        (OLD_RECORD_TOMBSTONE, None, ToMend(OLD_RECORD_TOMBSTONE)),
        (EXPIRED_TOMBSTONE, None, ToForget(EXPIRED_TOMBSTONE)),
        (None, None, None),
    ],
)
def test_each_pair_of_images_has_one_decision(
    old: Change | None, new: Change | None, decision: Decision | None
) -> None:
    assert decide(old, new, NOW_MS, HORIZON_MS) == decision


@pytest.mark.parametrize(
    ("old", "new", "decision"),
    [
        (None, NEW, ToSkip(NEW)),
        (OLD, NEW, ToSkip(NEW)),
        (NEW, OLD, ToSkip(OLD)),
        (OLD, TOMBSTONE, ToRemove(TOMBSTONE)),
        (None, TOMBSTONE, ToRemove(TOMBSTONE)),
        (None, None, None),
        (EXPIRED_TOMBSTONE, None, None),
        (OLD, None, ToRemove(OLD)),
        (TOMBSTONE, None, ToRemove(TOMBSTONE)),
    ],
)
def test_an_item_of_an_undeclared_collection_is_never_written(
    old: Change | None, new: Change | None, decision: Decision | None
) -> None:
    assert decide(old, new, NOW_MS, HORIZON_MS, is_declared=False) == decision


@pytest.mark.parametrize(
    ("old", "expires_at", "decision"),
    [
        (TOMBSTONE, NOW_MS // 1000 - 1, ToForget(TOMBSTONE)),
        (TOMBSTONE, NOW_MS // 1000 + 1, ToMend(TOMBSTONE)),
        (EXPIRED_TOMBSTONE, NOW_MS // 1000 + 1, ToMend(EXPIRED_TOMBSTONE)),
        (EXPIRED_TOMBSTONE, None, ToForget(EXPIRED_TOMBSTONE)),
        (NEW, NOW_MS // 1000 - 1, ToMend(NEW)),
    ],
)
def test_the_time_that_dynamodb_goes_by_decides_whether_a_tombstone_is_expired(
    old: Change, expires_at: int | None, decision: Decision
) -> None:
    assert decide(old, None, NOW_MS, HORIZON_MS, old_expires_at=expires_at) == decision
