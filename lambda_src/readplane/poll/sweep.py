"""The end of a sweep: which items the full listing lacks, and which of them may go."""

from typing import Literal

from ..clock import now_ms
from ..model.change import Change
from ..model.collection import item_key
from ..model.timestamp import rfc3339
from ..model.version import time_ms
from ..read.page import partitions
from .checkpoint import MissedItems, Pass
from .errors import ChunkMissingError
from .lease import Lease
from .remembered import bumped, key_hash, state_hash
from .sweep_rules import MAX_MISSING, HashSet, missing_hash, packed, refusal

MAX_DELETES_PERCENT = 10.0
"""Where the source declares no sweep, for each of its passes reads the full listing."""

DOUBT_SECONDS = 2 * 366 * 24 * 60 * 60
"""How long it is kept what a sweep has missed: until the next one, and no schedule is slower than once a year."""

Found = list[tuple[str, str]]
"""Item ids and versions."""

TOO_LARGE = "the collection can't be looked through within an invocation's time"


class _Late(Exception):
    """The time is up."""


def finish(session: Lease, field: Literal["changes", "sweep"]) -> None:
    """Delete what two complete listings in a row have missed, if nothing speaks against it.

    :param field: which pass of the checkpoint has read the whole listing.
    """
    walk = session.checkpoint.changes if field == "changes" else session.checkpoint.sweep
    assert walk is not None and walk.listed
    # What comes takes as long as the collection is large: should the invocation end in it, all before is done.
    session.save()
    try:
        met = _set(session, str(walk.started_ms), walk.chunks)
    except ChunkMissingError:  # it has waited for longer than its parts are kept
        session.keep(**{field: None})
        return
    missed = _missed_before(session)
    try:
        living, missing, found = _missing(session, walk, met)
    except _Late:
        _refuse(session, TOO_LARGE)
        # A sweep is ended by the next invocation, which has more time. A pass must not wait: the next may be faster.
        if field == "changes":
            session.keep(changes=None)
        return
    session.tally.missing += missing
    why_not = refusal(living, missing, bool(met), walk.unreadable, _max_percent(session))
    if why_not:
        _refuse(session, why_not, living, missing)
        session.keep(**{field: None, "missing": None, "swept_ms": walk.started_ms})
        return
    gone = [pair for pair in found if _hash(session, *pair) in missed]
    _delete(session, gone)
    again = MissedItems(f"{walk.started_ms}.missing", 1) if len(gone) < len(found) else None
    if again:
        doubted = packed(_hash(session, *pair) for pair in found)
        session.stores.checkpoints.put_chunk(session.checkpoint, again.name, 0, doubted, now_ms(), DOUBT_SECONDS)
    session.keep(**{field: None, "missing": again, "swept_ms": walk.started_ms})


def _refuse(session: Lease, reason: str, living: int | None = None, missing: int | None = None) -> None:
    session.tally.refused += 1
    session.telemetry.event(
        "sweep_refused",
        "A sweep deleted nothing.",
        level="WARN",
        source=session.source.name,
        reason=reason,
        living=living,
        missing=missing,
    )


def _missed_before(session: Lease) -> HashSet:
    """What the last sweep missed; nothing where that isn't kept any more: then this one is the first of two."""
    before = session.checkpoint.missing
    try:
        return _set(session, before.name, before.chunks) if before else HashSet()
    except ChunkMissingError:
        return HashSet()


def _set(session: Lease, name: str, chunks: int) -> HashSet:
    return HashSet(session.stores.checkpoints.chunks(session.source.name, name, chunks))


def _missing(session: Lease, walk: Pass, met: HashSet) -> tuple[int, int, Found]:
    """How many items there are, how many the listing lacks, and which, up to a bound.

    :raises _Late: when the time for that is up.
    """
    # Younger than the pages that it could have stood on, perhaps.
    settled_ms = walk.started_ms - int(session.source.lag_seconds * 1000)
    living = missing = 0
    found: Found = []
    for item_id, version in session.stores.items.living(partitions(session.collection, None)):
        living += 1
        if living % 1_000 == 0 and session.seconds_left() <= 0:
            raise _Late
        if key_hash(_key(session, item_id)) in met or time_ms(version) > settled_ms:
            continue
        missing += 1
        if len(found) < MAX_MISSING:
            found.append((item_id, version))
    return living, missing, found


def _delete(session: Lease, gone: Found) -> None:
    if not gone:
        return
    session.check()
    at_ms = now_ms()
    session.stores.stream.put((_tombstone(session, *pair, at_ms) for pair in gone), session.seconds_to_send())
    session.tally.changes += len(gone)
    session.keep(changed_ms=at_ms)


def _tombstone(session: Lease, item_id: str, version: str, at_ms: int) -> Change:
    """The least change above what is there, so that any later one, on its way perhaps, wins."""
    source = session.source.name
    return Change(
        change_id=bumped(version, state_hash(source, _key(session, item_id), None)),
        collection=session.collection.name,
        item_id=item_id,
        data=None,
        actor=f"source/{source}",
        source=source,
        accepted_at=rfc3339(at_ms),
    )


def _key(session: Lease, item_id: str) -> str:
    return item_key(session.collection.name, item_id, None)


def _hash(session: Lease, item_id: str, version: str) -> int:
    return missing_hash(_key(session, item_id), version)


def _max_percent(session: Lease) -> float:
    return session.source.sweep.max_deletes_percent if session.source.sweep else MAX_DELETES_PERCENT
