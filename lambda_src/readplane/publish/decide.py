"""Decides what one record of the items stream requires: publish the new image, or mend a version that went down.

A version can go down in two ways:

- A global table resolves conflicts by the time of DynamoDB's own write and not by our version. So a replicated write
  can replace a newer change with an older one.
- A put in another Region may not have reached this Region when DynamoDB deletes an expired tombstone here. The delete
  is the later write, so it also removes the put's item.

`publish` sees both images of each record, so it can apply the greater version again. This write takes effect only if
its version is greater than the stored one. So both Regions may mend at once, and repeats are harmless. A write on the
condition that the item still has the version in the record would be wrong. If another old write arrived in the
meantime, that condition would fail, and the greater version would be lost.
"""

from dataclasses import dataclass

from ..model.change import Change


@dataclass(frozen=True, slots=True)
class ToPublish:
    """The document must be written from ``change``, or removed if ``change`` is a delete."""

    change: Change


@dataclass(frozen=True, slots=True)
class ToMend:
    """``change`` must be applied again, because a write that doesn't compare versions has replaced or deleted it."""

    change: Change


def decide(old: Change | None, new: Change | None, now_ms: int, horizon_ms: int) -> ToPublish | ToMend | None:
    """Decide what to do about one stream record.

    Exactly one row matches each pair of images:

    ==================================================  ============  =========================
    old image                                           new image     decision
    ==================================================  ============  =========================
    none, or a version not greater than the new one     a change      publish the new image
    a version greater than the new one                  a change      mend with the old image
    none, or an expired tombstone                       none          do nothing
    any other change                                    none          mend with the old image
    ==================================================  ============  =========================

    :param old: the item before the write; ``None`` if there was none.
    :param new: the item after the write; ``None`` if the write removed it.
    :returns: ``None`` if there is nothing to do. The document of an expired tombstone was removed long ago.
    """
    if new is None:
        if old is None or _is_expired_tombstone(old, now_ms, horizon_ms):
            return None
        return ToMend(old)
    if old is not None and old.version > new.version:
        return ToMend(old)
    return ToPublish(new)


def _is_expired_tombstone(change: Change, now_ms: int, horizon_ms: int) -> bool:
    # DynamoDB deletes expired tombstones days late but never early. So another write removed one that hadn't expired.
    expires_at = change.expires_at(horizon_ms)
    return expires_at is not None and expires_at * 1000 <= now_ms
