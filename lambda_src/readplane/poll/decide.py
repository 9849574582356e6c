"""Decide what `poll` does with a record of a back office: send its change, skip it, or read its item first.

:func:`decide` is pure. It depends on the record, on the entry that the checkpoint remembers for the record, on the
version of the record's item, and on the pass that read the record.
"""

from typing import Literal, NamedTuple

from ..model.version import time_ms
from .remembered import RememberedRecord
from .sourced_version import MAX_COUNTER, content_of, counter_of, next_version

MAX_IN_FLIGHT_MS = 60 * 60 * 1000
"""How many milliseconds `apply` has to write a change to its item. After that, `poll` treats the change as lost."""

Rule = Literal["incremental", "listed", "undated", "deleted"]
"""Which part of the table of :func:`decide` applies to a record:

- ``incremental``: a record with a modification time, of an incremental pass.
- ``listed``: a record with a modification time, of a full listing or a sweep.
- ``undated``: a record without a modification time. Only its content can be compared.
- ``deleted``: a record of the list of deleted records.
"""

NEEDS_EVERY_ITEM: frozenset[Rule] = frozenset(("listed", "undated"))
"""The rules that decide about no record without its item, so that the first call of :func:`decide` can be left out."""


class ReadRecord(NamedTuple):
    """What the decision needs to know about a record that was just read.

    :param ms: the record's modification time, Unix milliseconds. If the record has none, it is the time just before
        the record's page was requested.
    :param content: the hash of the record's content.
    :param is_delete: whether the back office has deleted the record.
    """

    ms: int
    content: int
    is_delete: bool = False

    def entry(self, counter: int = 0) -> RememberedRecord:
        """Return the entry for a change of this record that is on the change stream."""
        return RememberedRecord(self.ms, self.content, counter)


class PassView(NamedTuple):
    """What the decision needs to know about the pass that read a record. All times are Unix milliseconds.

    :param rule: the part of the table that applies to the record.
    :param read_ms: the time just before the record's page was requested.
    :param settled_ms: the record's page surely shows the state of records that were modified up to this time.
    :param read_until_ms: for a record modified up to this time, an earlier pass may have sent the change, even if the
        checkpoint remembers no entry for the record.
    """

    rule: Rule
    read_ms: int
    settled_ms: int = 0
    read_until_ms: int = 0


class StoredVersion(NamedTuple):
    """The state of a record's item in the items table.

    :param version: the version of the item or of its tombstone; ``None`` if there is neither.
    """

    version: str | None


class Send(NamedTuple):
    """Send a change.

    :param version: the version of the change.
    :param remember: the entry to remember when the change is on the change stream. Until then, the same entry is
        remembered as pending.
    """

    version: str
    remember: RememberedRecord


class Skip(NamedTuple):
    """Send nothing.

    :param remember: the entry to remember; ``None`` to forget the record, so that it counts as new when it is read
        again.
    :param is_tied: whether the record is a delete whose time equals the time of a living item.
    """

    remember: RememberedRecord | None
    is_tied: bool = False


class ReadItem(NamedTuple):
    """Read the record's item, and decide again."""


Decision = Send | Skip | ReadItem

_READ_ITEM = ReadItem()


def decide(
    record: ReadRecord, remembered: RememberedRecord | None, item: StoredVersion | None, view: PassView
) -> Decision:
    """Decide what to do with a record that was just read.

    Each row of the table is one case. In each part, the first row that matches decides. Times and contents are compared
    with the record's. ``-`` means that the column doesn't matter. "Its version" is the version of the record's time and
    content with the counter 0. The entry in the last column stands for the version in the column before it, unless the
    column says otherwise.

    ===========  ====================================  ==============================  ==============================
    rule         remembered entry                      item                            decision
    ===========  ====================================  ==============================  ==============================
    incremental  none, the time is after               not read                        send its version
                 ``read_until_ms``
    incremental  none, the time isn't after it         not read                        read the item
    incremental  none                                  none, or an earlier time        send its version
    incremental  none                                  same time, same content         skip, with the item's counter
    incremental  none                                  same time, other content        send with the item's counter + 1
    incremental  none                                  the same, its counter is at     skip, its entry
                                                       the maximum
    incremental  none                                  a later time                    skip, its entry
    incremental  an earlier time                       -                               send its version
    incremental  same time, same content, pending      -                               send the entry's version again
    incremental  same time, same content, sent         -                               skip, the remembered entry
    incremental  same time, other content              -                               send with the entry's counter + 1
    incremental  a later time, sent                    -                               skip, the remembered entry
    incremental  a later time, pending                 not read                        read the item
    incremental  a later time, pending                 none, or a lower version        send its version, the
                                                                                       remembered entry
    incremental  a later time, pending                 the same or a higher version    skip, the remembered entry
    listed       -                                     not read                        read the item
    listed       none                                  none, the record is a delete    skip, no entry
    listed       a later time                          a correcting version            send it, the remembered entry
    listed       a later time                          no correcting version           skip, the remembered entry
    listed       another one, or none                  a correcting version            send it, the record's entry
    listed       another one                           no correcting version           skip, the record's entry
    listed       none                                  no correcting version           skip, no entry
    undated      -                                     not read                        read the item
    undated      in flight, same content, pending      -                               send the entry's version again
    undated      in flight, same content, sent         -                               skip, the remembered entry
    undated      in flight, other content              -                               send the version that corrects
                                                                                       the entry's
    undated      not in flight, or none                none, the record is a delete    skip, no entry
    undated      not in flight, or none                none                            send its version
    undated      not in flight, or none                same content                    skip, no entry
    undated      not in flight, or none                other content                   send the correcting version
    deleted      an earlier time                       -                               send its version
    deleted      same time, same content, pending      -                               send the entry's version again
    deleted      same time, same content, sent         -                               skip, the remembered entry
    deleted      same time, other content              -                               skip, the remembered entry
    deleted      a later time                          -                               skip, the remembered entry
    deleted      none                                  not read                        read the item
    deleted      none                                  none, the time is recent        send its version
    deleted      none                                  none, the time isn't recent     skip, no entry
    deleted      none                                  an earlier time                 send its version
    deleted      none                                  same time, same content         skip, no entry
    deleted      none                                  same time, other content        skip, no entry
    deleted      none                                  a later time                    skip, no entry
    ===========  ====================================  ==============================  ==============================

    **Pending and sent.** A pending entry's change may never have reached Kinesis, so the change is sent again with the
    same version. A record older than the remembered entry may come from a lagging replica, so it isn't sent. But if the
    later state is pending, the back office may no longer have it. Then the item decides.

    **Counters.** A counter orders two contents with the same time. Without it, the content with the greater hash would
    win, which is random.

    **Correcting versions.** In a full listing, a change with the correcting version makes the item equal to the record
    (:func:`_correcting_version`). There is no such version if the item already equals the record, or if the item is too
    recent.

    **In flight.** A change is in flight until the item has the change's version or a later one. After
    :data:`MAX_IN_FLIGHT_MS` the change counts as lost.

    **Deletes without an item.** There is nothing to delete, unless an earlier change of the record may still be in
    flight. If the checkpoint remembers a record (rule ``listed``), or if the delete is younger than
    :data:`MAX_IN_FLIGHT_MS` (rule ``deleted``), the delete is sent. Older deletes aren't sent, because the first pass
    through a list of deleted records may read years of them.

    **Deletes with the time of a living item** are skipped. If the back office ignores the part of the URL that asks for
    deleted records, it lists its living records, each with the time of its item. Sending their deletes would empty the
    collection. A true delete within the resolution of the times is rare, and a sweep finds it.

    :param record: the record.
    :param remembered: the entry that the checkpoint remembered for the record before its page was read.
    :param item: the record's item; ``None`` if it hasn't been read.
    :param view: the pass that read the record.
    """
    match view.rule:
        case "incremental":
            return _decide_incremental(record, remembered, item, view)
        case "listed":
            return _decide_listed(record, remembered, item, view)
        case "undated":
            return _decide_undated(record, remembered, item, view)
        case "deleted":
            return _decide_deleted(record, remembered, item, view)


def _decide_incremental(
    record: ReadRecord, remembered: RememberedRecord | None, item: StoredVersion | None, view: PassView
) -> Decision:
    if remembered is None:
        if item is None:
            return _READ_ITEM if record.ms <= view.read_until_ms else _send(record.entry())
        return _send_unless_item_is_later(record, item.version)
    if remembered.ms <= record.ms:
        return _send_next(record, remembered)
    if not remembered.pending:
        return Skip(remembered)
    if item is None:
        return _READ_ITEM
    version = record.entry().version
    return Send(version, remembered) if version > (item.version or "") else Skip(remembered)


def _decide_listed(
    record: ReadRecord, remembered: RememberedRecord | None, item: StoredVersion | None, view: PassView
) -> Decision:
    if item is None:
        return _READ_ITEM
    if remembered is None:
        if item.version is None and record.is_delete:
            return Skip(None)
        version = _correcting_version(record.entry(), item.version, view.settled_ms, versioned=True)
        return Skip(None) if version is None else Send(version, record.entry())
    is_older = record.ms < remembered.ms
    entry = record.entry() if is_older else _next_entry(record, remembered)
    version = _correcting_version(entry, item.version, view.settled_ms, versioned=True)
    # Don't replace a later entry: the later state may be read again.
    remember = remembered if is_older else entry
    return Skip(remember) if version is None else Send(version, remember)


def _decide_undated(
    record: ReadRecord, remembered: RememberedRecord | None, item: StoredVersion | None, view: PassView
) -> Decision:
    if item is None:
        return _READ_ITEM
    if remembered and _is_in_flight(remembered, item.version, view.read_ms):
        if remembered.content == record.content:
            sent = remembered._replace(pending=False)
            return Send(remembered.version, sent) if remembered.pending else Skip(sent)
        compared_version: str | None = remembered.version
    else:
        compared_version = item.version
    if compared_version is None and record.is_delete:
        return Skip(None)
    version = _correcting_version(record.entry(), compared_version, None, versioned=False)
    if version is None:
        return Skip(None)
    return Send(version, RememberedRecord(time_ms(version), record.content, counter_of(version)))


def _decide_deleted(
    record: ReadRecord, remembered: RememberedRecord | None, item: StoredVersion | None, view: PassView
) -> Decision:
    if remembered is not None:
        is_same = remembered.ms == record.ms and remembered.content == record.content
        if is_same or remembered.ms < record.ms:
            return _send_next(record, remembered)
        return Skip(remembered, is_tied=remembered.ms == record.ms)
    if item is None:
        return _READ_ITEM
    if item.version is None:
        is_recent = record.ms >= view.read_ms - MAX_IN_FLIGHT_MS
        return _send(record.entry()) if is_recent else Skip(None)
    item_ms = time_ms(item.version)
    if item_ms < record.ms:
        return _send(record.entry())
    return Skip(None, is_tied=item_ms == record.ms and content_of(item.version) != record.content)


def _send(entry: RememberedRecord) -> Send:
    return Send(entry.version, entry)


def _send_next(record: ReadRecord, remembered: RememberedRecord) -> Decision:
    """Decide about a record that isn't older than its remembered entry."""
    entry = _next_entry(record, remembered)
    # A pending entry differs from `entry`, which isn't pending.
    is_sent = entry == remembered
    return Skip(remembered) if is_sent else _send(entry)


def _next_entry(record: ReadRecord, remembered: RememberedRecord) -> RememberedRecord:
    """Return the entry for a record that isn't older than its remembered entry."""
    if remembered.ms < record.ms:
        return record.entry()
    if remembered.content == record.content:
        return remembered._replace(pending=False)
    return record.entry(min(remembered.counter + 1, MAX_COUNTER))


def _send_unless_item_is_later(record: ReadRecord, item_version: str | None) -> Decision:
    """Decide about a record that the checkpoint doesn't remember, by its item."""
    entry = record.entry()
    if item_version is None:
        return _send(entry)
    is_same = content_of(item_version) == record.content
    version = item_version if is_same else next_version(item_version, record.content)
    if time_ms(version) == record.ms:
        entry = record.entry(counter_of(version))
    return _send(entry) if entry.version > item_version else Skip(entry)


def _is_in_flight(sent: RememberedRecord, item_version: str | None, read_ms: int) -> bool:
    return (item_version or "") < sent.version and sent.ms >= read_ms - MAX_IN_FLIGHT_MS


def _correcting_version(
    entry: RememberedRecord, item_version: str | None, settled_ms: int | None, *, versioned: bool
) -> str | None:
    """Return the version of the change that makes an item equal to its record in a full listing.

    The result is ``None`` if no change is sent. Each row of the table is one case. The first two columns compare the
    item with the record.

    ===========================  ==============  ====================================================
    item's version               item's content  version to return
    ===========================  ==============  ====================================================
    no item                      no item         the record's version
    lower                        different       the record's version
    lower                        the same        the record's version if ``versioned``, else ``None``
    not lower                    the same        ``None``
    not lower, too recent        different       ``None``
    not lower, not too recent    different       the next version above the item's
    ===========================  ==============  ====================================================

    An item is too recent if its time is after ``settled_ms``. The listed record may then show an older state than the
    item, because the back office made the listing before the record changed, or from a lagging replica. So a too recent
    item stays as it is, and the next full listing decides.

    :param entry: the entry of the listed record.
    :param item_version: the item's version; ``None`` if there is no item.
    :param settled_ms: an older record may correct an item only if the item's time isn't later than this time, Unix
        milliseconds; ``None`` if it may correct every item.
    :param versioned: whether the record has a modification time.
    """
    version = entry.version
    if item_version is None:
        return version
    is_same = content_of(item_version) == entry.content
    if version > item_version:
        return version if versioned or not is_same else None
    if is_same or (settled_ms is not None and time_ms(item_version) > settled_ms):
        return None
    return next_version(item_version, entry.content)
