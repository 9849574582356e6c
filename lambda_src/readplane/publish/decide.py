"""Decides what one record of the items stream requires: publish the new image, or mend a version that went down.

A version can go down in two ways. A global table resolves conflicts by the time of DynamoDB's own write and not by our
version, so a replicated write can replace a newer change with an older one. And DynamoDB can delete an expired
tombstone after a put that hadn't reached this Region yet.

`publish` sees both images of each record, so it applies the greater version again. `apply` writes only if the version
is greater than the stored one. So both Regions may mend at once, and repeats are harmless. Mending also works if
further older writes have arrived in the meantime. A condition on the exact version that the record shows would fail
then and lose the greater version.
"""

from dataclasses import dataclass

from ..model.change import Change


@dataclass(frozen=True, slots=True)
class ToPublish:
    """The document must show ``change``; a delete removes the document."""

    change: Change


@dataclass(frozen=True, slots=True)
class ToMend:
    """``change`` must be applied again, because a write that doesn't compare versions has replaced or deleted it."""

    change: Change


def decide(old: Change | None, new: Change | None, now_ms: int, horizon_ms: int) -> ToPublish | ToMend | None:
    """Decide on one stream record.

    ========================================  ============  =============
    old image                                 new image     decision
    ========================================  ============  =============
    none, or a version that isn't greater     a change      publish `new`
    a greater version                         a change      mend `old`
    none, or an expired tombstone             none          nothing
    any other change                          none          mend `old`
    ========================================  ============  =============

    :param old: the item before the write, ``None`` if there was none.
    :param new: the item after the write, ``None`` if the write removed it.
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
    # Compare the time itself, because DynamoDB deletes an expired record only within days.
    expires_at = change.expires_at(horizon_ms)
    return expires_at is not None and expires_at * 1000 <= now_ms
