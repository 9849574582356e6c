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

`publish` also mends an item that somebody deletes by hand. It can't tell such a delete from the second way above,
because AWS doesn't document that a delete which comes from another Region shows who made it. So if `publish` left
deletes by hand alone, it could lose an acknowledged change.

A malformed row is no item, so it counts as no image. If it has replaced an item, `publish` mends the item.

When DynamoDB deletes an expired tombstone, the item is forgotten: the items table then accepts smaller versions again.
`publish` tells this to the private stores, because a store that kept the tombstone would refuse these versions.

If the item's collection isn't declared, `publish` writes nothing, neither the item nor a document. Somebody has removed
the collection from the settings, and its items must not come back. `publish` only removes the documents of items that
are deleted.

While an operator rebuilds the items, there are two items tables, each with a stream of its own, and `apply` writes each
change to both. `publish` publishes the records of the live table as ever. A record of the second table it mends in that
table, or follows: see :func:`follow`. In a switch, the live table and the second one change places. Lambda moves the
functions to their new versions one by one and in no known order, and an old version may serve a record after a new one
has. Nothing is lost:

- Whether the old or the new version of `apply` writes a change, it writes the change to both tables. When the second
  write has come, both tables have the change. So whichever version of `publish` serves the record of the second write,
  and whichever of the two tables this version takes for the live one, finds the change in it, and publishes it. If it
  finds a greater version instead, then the record of that version's second write leads to the same.
- The private stores get a key at the same moment. So `feed`, whichever table it reads, finds the change there.
- Two streams don't wait for each other, so the record of a second write may come after a record of a greater version.
  Therefore documents are compared with the stored ones before they are written or removed
  (stores/versioned_documents.py).
- A removed document leaves nothing to compare with, so an older put of the stream that is behind may write a document
  again. The record of the delete comes after it in the same stream, and removes the document.

So a building table must be followed too, or the old version of `publish` would leave out records of second writes.

`rebuild items fill` also writes to the building table. It marks its rows (stores/rows.py), and `publish` doesn't follow
their records. Otherwise it would send the key of every item to the private stores. Nothing is lost this way:

- If `apply` has yet to write the change to the live table, then that is the second write. It comes however late the
  change is, for example in a replay.
- If the live table has the change already, then the fill's write is the second one. Until the fill has ended and
  `verify` has found its rows in every Region, all functions take the other table for the live one. They publish the
  record of the live table's write, and `feed` finds the change there. What a new version serves later, it serves when
  both tables have the change.
"""

from collections.abc import Callable
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


@dataclass(frozen=True, slots=True)
class ToRemove:
    """A decision: remove the document of a deleted item whose collection isn't declared, whoever could read it."""

    change: Change


@dataclass(frozen=True, slots=True)
class ToSkip:
    """A decision: leave an item and its document as they are, because the item's collection isn't declared."""

    change: Change


@dataclass(frozen=True, slots=True)
class ToForget:
    """A decision: tell the private stores that DynamoDB has deleted the expired tombstone ``change``."""

    change: Change


Decision = ToPublish | ToMend | ToRemove | ToSkip | ToForget


def decide(
    old: Change | None,
    new: Change | None,
    now_ms: int,
    horizon_ms: int,
    *,
    is_declared: bool = True,
    old_expires_at: int | None = None,
) -> Decision | None:
    """Decide what to do about one record of the items stream.

    An image is the item before or after a write. Exactly one row of this table matches the two images of a record of a
    declared collection:

    ==================================================  ============  =========================
    old image                                           new image     decision
    ==================================================  ============  =========================
    none, or a version not greater than the new one     a change      publish the new image
    a version greater than the new one                  a change      mend with the old image
    none                                                none          do nothing
    an expired tombstone                                none          forget the old image
    any other change                                    none          mend with the old image
    ==================================================  ============  =========================

    And exactly one row of this table matches if the collection isn't declared:

    =============================  ============  ===========================
    old image                      new image     decision
    =============================  ============  ===========================
    any                            a put         skip the new image
    any                            a delete      remove the item's documents
    none, or an expired tombstone  none          do nothing
    any other change               none          remove the item's documents
    =============================  ============  ===========================

    :param old: the item before the write; ``None`` if there was none, or a malformed row.
    :param new: the item after the write; ``None`` if the write removed it, or replaced it with a malformed row.
    :param is_declared: whether the item's collection is in the settings of `publish`.
    :param old_expires_at: the time after which DynamoDB may delete the old image, in Unix seconds. It decides whether a
        tombstone is expired, because DynamoDB goes by it. The horizon may have been another one when the tombstone was
        written, and `erase finish` lets the tombstones of an erased owner expire early. ``None`` if the old image
        doesn't say it; then the horizon decides.
    :returns: ``None`` if there is nothing to do. When a tombstone expires, the item's document has long been removed.
    """
    if new is None:
        if old is None:
            return None
        if _is_expired_tombstone(old, now_ms, horizon_ms, old_expires_at):
            return ToForget(old) if is_declared else None
        return ToMend(old) if is_declared else ToRemove(old)
    if not is_declared:
        return ToRemove(new) if new.data is None else ToSkip(new)
    if old is not None and old.version > new.version:
        return ToMend(old)
    return ToPublish(new)


def _is_expired_tombstone(change: Change, now_ms: int, horizon_ms: int, stored_expires_at: int | None) -> bool:
    # DynamoDB may delete an expired tombstone days late, but never early. So if a tombstone is gone before it has
    # expired, another write has removed it.
    expires_at = change.expires_at(horizon_ms)
    if expires_at is not None and stored_expires_at is not None:
        expires_at = stored_expires_at
    return expires_at is not None and expires_at * 1000 <= now_ms


def follow(decision: Decision, read_live: Callable[[], Change | None], *, is_former: bool) -> Decision | None:
    """Decide what is left of a decision about a record of the second table. Return ``None`` if nothing is.

    The second table is being made (*building*), or it is the former live table. Exactly one row of this table matches.
    For a record that `rebuild items fill` has written, call this only to mend or to forget.

    ==========================================  ===========================  ==================================
    decision about the record                   of a building table          of a former table
    ==========================================  ===========================  ==================================
    mend                                        mend in the second table     mend in the second table
    publish, or remove because of a delete      if the live table has the    unless the live table has a
                                                same version                 greater version
    remove because the row is gone              nothing                      if the live table has no row either
    skip, because the collection is undeclared  nothing                      nothing
    forget                                      forget                       forget
    ==========================================  ===========================  ==================================

    A row of a building table counts only if the live table has the same version, because an operator hasn't verified
    the building table. A former table is as good as the live one: there `publish` may see a change before `apply` has
    written it to the live table. To forget an item is always harmless, because `feed` compares the store with the live
    table.

    If the live table has the same version, the decision becomes that about the live table's change, because two writes
    of one version may differ in the time of acceptance. But `publish` doesn't write a document of the same version
    again for a record of the second table. So after a switch, the document may keep the former table's time.

    :param read_live: reads the item in the live table, with strong consistency. It is called only if the row decides.
    :param is_former: whether the second table is the former live table.
    """
    match decision:
        case ToMend() | ToForget():
            return decision
        case ToSkip():
            return None
        case ToRemove(change) if change.data is not None:  # the row is gone, because a delete leaves a tombstone
            return decision if is_former and read_live() is None else None
    live, version = read_live(), decision.change.version
    if live is not None and live.version == version:
        return ToPublish(live) if isinstance(decision, ToPublish) else decision
    return decision if is_former and (live is None or live.version < version) else None
