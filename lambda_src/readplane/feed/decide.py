"""Decides which entry of a store may replace which.

Usually the greatest version wins, and that is all: messages may come twice, late and in any order. But the items table
forgets. DynamoDB deletes a tombstone when it has expired, which is one horizon and one day after the delete. From then
on the table accepts smaller versions of the item. A back office's record may have an old modification time, and a POST
with ``Idempotency-Key`` has a version with the time 0. If a store kept the greatest version that it has ever seen, it
would refuse such a put for good.

So a version counts only as long as the table can remember it:

- A version at or above the **floor** is younger than the horizon. The table can't have forgotten it. If the table has a
  smaller version, or no row at all, a write by hand or a write from another Region has replaced it, and `publish` mends
  the table. So the store keeps the greater version.
- A version below the floor guards nothing. `feed` writes what the table holds, and removes what the table doesn't hold.

Below the floor, the order of the writes matters, because a slow invocation could write an old row last. So `feed` reads
these rows again after it has written them. If the table holds something else now, `feed` writes and reads again. The
last writer of an entry therefore always agrees with the table, or a later message makes it agree.

The lifetime of a tombstone is a day longer than the horizon. This day covers slow invocations and differences between
clocks: what the table can have forgotten is below the floor for every invocation that may still run.
"""

from collections.abc import Mapping

from ..model.change import Change
from ..model.version import stamp

Rows = Mapping[str, Change | None]
"""What the items table holds: the newest change of each item, by key. ``None`` means that it has no such row."""

_LEAST_TAIL = bytes(10)


def floor_at(now_ms: int, horizon_ms: int) -> str:
    """Return the smallest version that is younger than the horizon."""
    return stamp(now_ms - horizon_ms, _LEAST_TAIL)


def unsettled_rows(rows: Rows, floor: str) -> Rows:
    """Return the rows that have to be read again after they are written, because no version guards their order."""
    return {key: change for key, change in rows.items() if change is None or change.version < floor}
