"""The end of a sweep: find the items that are missing from the back office's full listing, and delete them.

An item is deleted only if two full listings in a row lack it, and if the listing is plausible.
"""

from dataclasses import replace

from ..model.change import Change
from ..model.keys import item_key, partitions
from ..model.timestamp import rfc3339
from ..model.version import time_ms
from .checkpoint import MissedItems, PassKind, PassProgress
from .errors import ChunkMissingError
from .lease import Lease
from .missing_items import MAX_MISSING, HashSet, missed_item_hash, pack_hashes, refusal_reason
from .sourced_version import content_hash, key_hash, next_version

MAX_DELETES_PERCENT = 10.0
"""The ``max_deletes_percent`` of a source that has no ``sweep`` settings.

A source without these settings still needs a limit if its main pass is a full listing, because a full listing also
deletes missing items.
"""

MISSED_ITEMS_SECONDS = 2 * 366 * 24 * 60 * 60
"""How long DynamoDB keeps the set of missing items for the next sweep, in seconds: two years.

The next sweep comes in time, because a source is swept at least once a year.
"""

MissingItems = list[tuple[str, str]]
"""The id and version of each item that is missing from the full listing."""

TOO_LARGE = "the collection can't be looked through within an invocation's time"


class _TimeUpError(Exception):
    """The invocation's time is up before the whole collection has been searched for missing items."""


def finish(lease: Lease, kind: PassKind) -> None:
    """Delete the items that are missing from both this full listing and the one before it.

    If :func:`refusal_reason` finds this listing implausible, nothing is deleted.

    :param kind: the kind of the pass that has read this listing.
    """
    progress = lease.checkpoint.get_pass(kind)
    assert progress is not None and progress.all_read
    # Save the finished pass before searching the collection, because the search may take longer than the invocation has
    # left. In that case, the next invocation repeats only the search and needn't read the pages again.
    lease.save_checkpoint(lease.checkpoint)
    try:
        listed = _stored_set(lease, str(progress.started_ms), progress.chunks)
    except ChunkMissingError:  # The stored hashes of the listed items have expired, so the pass must start again.
        lease.checkpoint = lease.checkpoint.with_pass(kind, None)
        return
    missed_before = _missed_before(lease)
    try:
        living, missing_count, missing = _find_missing(lease, progress, listed)
    except _TimeUpError:
        _report_refusal(lease, TOO_LARGE)
        # A sweep stays unfinished, because the next invocation may have enough time for the search. A main pass ends
        # without the search, because the source gets no new data until its main pass has ended.
        if kind == "listing":
            lease.checkpoint = lease.checkpoint.with_pass(kind, None)
        return
    lease.counts.missing += missing_count
    reason = refusal_reason(
        living,
        missing_count,
        has_records=bool(listed),
        doubtful=progress.doubtful,
        without_id=progress.without_id,
        max_percent=max_deletes_percent(lease),
    )
    if reason:
        _report_refusal(lease, reason, living, missing_count)
        _end_pass(lease, kind, progress, None)
        return
    deletable = [pair for pair in missing if _hash(lease, *pair) in missed_before]
    _send_tombstones(lease, deletable)
    missed_items = None
    if len(deletable) < len(missing):
        missed_items = MissedItems(f"{progress.started_ms}.missing", 1)
        content = pack_hashes(_hash(lease, *pair) for pair in missing)
        name = missed_items.name
        lease.stores.checkpoints.put_chunk(
            lease.checkpoint, name, 0, content, lease.runtime.now_ms(), MISSED_ITEMS_SECONDS
        )
    _end_pass(lease, kind, progress, missed_items)


def _end_pass(lease: Lease, kind: PassKind, progress: PassProgress, missed_items: MissedItems | None) -> None:
    checkpoint = lease.checkpoint.with_pass(kind, None)
    lease.checkpoint = replace(checkpoint, missed_items=missed_items, last_sweep_ms=progress.started_ms)


def _report_refusal(lease: Lease, reason: str, living: int | None = None, missing: int | None = None) -> None:
    lease.counts.sweeps_refused += 1
    lease.telemetry.event(
        "sweep_refused",
        "A sweep deleted nothing, because its listing can't be trusted or took too long to compare.",
        level="WARN",
        source=lease.source.name,
        reason=reason,
        living=living,
        missing=missing,
    )


def _missed_before(lease: Lease) -> HashSet:
    """Return the hashes of the items that were missing from the last full listing.

    If the stored set of hashes has expired, the result is empty, and this sweep deletes nothing. An item must be
    missing from two listings in a row, and the current listing then counts as the first of them.
    """
    missed_items = lease.checkpoint.missed_items
    try:
        return _stored_set(lease, missed_items.name, missed_items.chunks) if missed_items else HashSet()
    except ChunkMissingError:
        return HashSet()


def _stored_set(lease: Lease, name: str, chunks: int) -> HashSet:
    return HashSet(lease.stores.checkpoints.read_chunks(lease.source.name, name, chunks))


def _find_missing(lease: Lease, progress: PassProgress, listed: HashSet) -> tuple[int, int, MissingItems]:
    """Return the number of items, the number of missing items, and the first :data:`MAX_MISSING` missing items.

    :param listed: the key hashes of all items in the full listing.
    :raises _TimeUpError: if the invocation's time is up before all items have been compared with the listing.
    """
    # An item whose version is later than `settled_ms` doesn't count as missing. The back office may have created the
    # item's record only after this pass had read the page that now contains the record.
    settled_ms = progress.started_ms - lease.source.lag_ms
    living = missing_count = 0
    missing: MissingItems = []
    for item_id, version in lease.stores.items.list_living(partitions(lease.collection, None)):
        living += 1
        if living % 1_000 == 0 and lease.seconds_left() <= 0:
            raise _TimeUpError
        if key_hash(_key(lease, item_id)) in listed or time_ms(version) > settled_ms:
            continue
        missing_count += 1
        if len(missing) < MAX_MISSING:
            missing.append((item_id, version))
    return living, missing_count, missing


def _send_tombstones(lease: Lease, items: MissingItems) -> None:
    if not items:
        return
    lease.check()
    at_ms = lease.runtime.now_ms()
    lease.stores.stream.put_changes((_tombstone(lease, *pair, at_ms) for pair in items), lease.seconds_to_send())
    lease.counts.changes += len(items)
    lease.checkpoint = replace(lease.checkpoint, last_change_ms=at_ms)


def _tombstone(lease: Lease, item_id: str, version: str, at_ms: int) -> Change:
    """Return the change that deletes an item.

    The version of this change is just above the item's version. So any later change of the item wins, even one that is
    already in flight.
    """
    source = lease.source.name
    return Change(
        change_id=next_version(version, content_hash(source, _key(lease, item_id), None)),
        collection=lease.collection.name,
        item_id=item_id,
        data=None,
        actor=f"source/{source}",
        source=source,
        accepted_at=rfc3339(at_ms),
    )


def _key(lease: Lease, item_id: str) -> str:
    return item_key(lease.collection.name, item_id, None)


def _hash(lease: Lease, item_id: str, version: str) -> int:
    return missed_item_hash(_key(lease, item_id), version)


def max_deletes_percent(lease: Lease) -> float:
    """Return the largest percentage of the collection's items that one pass may delete."""
    return lease.source.sweep.max_deletes_percent if lease.source.sweep else MAX_DELETES_PERCENT
