"""Decides what `publish` does about one record of the items stream.

A record holds two images of an item: the item before a write and the item after it. Usually `publish` writes the new
image to the item's document. But if the write replaced a version with a smaller one, `publish` mends the item: it
applies the greater version again. An item's version can go down in two ways:

- A DynamoDB global table resolves conflicts by the time of DynamoDB's own write and not by our version. So a write that
  comes from another Region can replace a newer change with an older one.
- DynamoDB may delete an expired tombstone in this Region before a put from another Region has arrived. The delete is
  the later write, so it also removes the item that the put wrote.

The write that mends an item takes effect only if its version is greater than the stored version. So it is harmless if
both Regions mend the same item at once, or if an item is mended twice. A stricter condition would be that the item
still has the version of the record's new image. If another old write arrived in the meantime, this condition would
fail, and the greater version would be lost.
"""

from dataclasses import dataclass

from ..model.change import Change


@dataclass(frozen=True, slots=True)
class ToPublish:
    """A decision: write the item's document from ``change``, or remove the document if ``change`` is a delete."""

    change: Change


@dataclass(frozen=True, slots=True)
class ToMend:
    """A decision: apply ``change`` again, because a write that doesn't compare versions has replaced or deleted it."""

    change: Change


def decide(old: Change | None, new: Change | None, now_ms: int, horizon_ms: int) -> ToPublish | ToMend | None:
    """Decide what to do about one record of the items stream.

    An image is the item before or after a write. Exactly one row of this table matches the two images of a record:

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
    :returns: ``None`` if there is nothing to do. When a tombstone expires, the item's document has long been removed.
    """
    if new is None:
        if old is None or _is_expired_tombstone(old, now_ms, horizon_ms):
            return None
        return ToMend(old)
    if old is not None and old.version > new.version:
        return ToMend(old)
    return ToPublish(new)


def _is_expired_tombstone(change: Change, now_ms: int, horizon_ms: int) -> bool:
    # DynamoDB may delete an expired tombstone days late, but never early. So if a tombstone is gone before it has
    # expired, another write has removed it.
    expires_at = change.expires_at(horizon_ms)
    return expires_at is not None and expires_at * 1000 <= now_ms
