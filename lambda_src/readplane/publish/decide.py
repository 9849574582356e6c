"""What one record of the items stream asks for: publish the new image, or mend a version that went down.

A global table resolves conflicts by the time of DynamoDB's own write, not by our version, so a replicated write can put
an older change over a newer one; and a time-to-live delete can overtake a put that had not arrived yet. Whoever sees
both images applies the greater one again. Applying is conditional on the version as ever, so both Regions may do it,
repeats are harmless, and it works too when further older writes have arrived since: a condition on the very version
that was seen would lose the greater one then.
"""

from dataclasses import dataclass

from ..model.change import Change


@dataclass(frozen=True, slots=True)
class ToPublish:
    """Make the stores to read from hold ``change`` (a delete removes)."""

    change: Change


@dataclass(frozen=True, slots=True)
class ToMend:
    """Apply ``change`` again: a write that doesn't know versions has put it away."""

    change: Change


def decide(old: Change | None, new: Change | None, now_ms: int, horizon_ms: int) -> ToPublish | ToMend | None:
    """Decide on one stream record.

    :param old: the item before the write, ``None`` if there was none.
    :param new: the item after it, ``None`` if it was removed.
    :returns: ``None`` for a tombstone whose time has come: its document is long gone.
    """
    if new is None:
        if old is None or _may_go(old, now_ms, horizon_ms):
            return None
        return ToMend(old)
    if old is not None and old.version > new.version:
        return ToMend(old)
    return ToPublish(new)


def _may_go(change: Change, now_ms: int, horizon_ms: int) -> bool:
    # DynamoDB deletes what has expired within days, not at once, so the time itself is compared.
    expires_at = change.expires_at(horizon_ms)
    return expires_at is not None and expires_at * 1000 <= now_ms
