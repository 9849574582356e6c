"""Which change a record asks for, given what is remembered of the record and the version that its item has.

There are three cases. An incremental pass reads what changed since the watermark. A full listing is compared with the
items, either by modification time and content or, if its records have no times, by content alone.
"""

from typing import NamedTuple

from ..model.version import time_ms
from .checkpoint import MAX_TIME_MS
from .remembered import RememberedRecord
from .sourced_version import content_of, counter_of, next_version

MAX_IN_FLIGHT_MS = 60 * 60 * 1000
"""The longest time that a change is expected to take from Kinesis to its item, in milliseconds."""


class Decision(NamedTuple):
    """What to do about one record.

    :param version: the version of the change to send; ``None`` to send nothing.
    :param remember: what to remember of the record; ``None`` to forget it, so that it is new when it is read again. If
        nothing is sent, the entry is no longer pending.
    """

    version: str | None
    remember: RememberedRecord | None


def needs_item(
    entry: RememberedRecord, remembered: RememberedRecord | None, *, is_new: bool, read_until_ms: int
) -> bool:
    """Whether an incremental pass must look up the item before it sends a record.

    A record with a time before the watermark should be remembered. It isn't if it was committed late, if there were too
    many to remember, or if everything is read again. Then its item may have the change already.

    A record that is older than what is remembered of it is sent only because the remembered one may never have reached
    Kinesis. If the item has either, there is nothing to send. Without this check, such a record would be sent by every
    pass, because the remembered one stays pending until it is read again.

    :param entry: the record's entry, as :meth:`~readplane.poll.remembered.Remembered.add_record` returned it.
    :param remembered: what is remembered of the record now.
    :param is_new: whether nothing was remembered of it before.
    :param read_until_ms: records up to this modification time may have been read before.
    """
    return is_older_than_remembered(entry, remembered) or (is_new and entry.ms <= read_until_ms)


def is_older_than_remembered(entry: RememberedRecord, remembered: RememberedRecord | None) -> bool:
    """Whether a later state of the record is remembered.

    ``add_record`` remembers every entry that it returns, except an entry older than what it already remembers.
    """
    return remembered != entry


def decide_incremental(entry: RememberedRecord, item_version: str | None, *, is_older: bool) -> Decision:
    """Decide about a record of an incremental pass whose item was looked up.

    =====================  ========  ==============================  ==============================
    item                   content   send                            remember
    =====================  ========  ==============================  ==============================
    none                             the record's version            the entry
    with an earlier time             the record's version            the entry
    with the same time     the same  nothing                         the entry, the item's counter
    with the same time     another   the next version of the item    the entry, the next counter
    with a later time                nothing                         the entry
    =====================  ========  ==============================  ==============================

    The counter orders two contents with the same time. By their hashes alone, chance would choose the winner.

    :param entry: the record's entry.
    :param item_version: the version of its item, ``None`` if there is no item.
    :param is_older: whether a later state of the record is remembered. Then the entry keeps its counter, so it is sent
        only if its version is greater than the item's.
    """
    if item_version is None:
        return Decision(entry.version, entry)
    if not is_older:
        entry = _with_counter_of(item_version, entry)
    return Decision(entry.version if entry.version > item_version else None, entry)


def _with_counter_of(item_version: str, entry: RememberedRecord) -> RememberedRecord:
    """Return the entry with a counter that follows from its item's, if both have the same time."""
    is_same = content_of(item_version) == entry.content
    version = item_version if is_same else next_version(item_version, entry.content)
    return entry._replace(counter=counter_of(version)) if time_ms(version) == entry.ms else entry


def decide_listed(
    entry: RememberedRecord, item_version: str | None, *, is_new: bool, is_delete: bool, settled_ms: int
) -> Decision:
    """Decide about a record of a full listing that has a modification time.

    ========================  =================  ============  =========
    case                      remembered before  send          remember
    ========================  =================  ============  =========
    a delete without an item  no                 nothing       nothing
    a correcting version      yes or no          that version  the entry
    no correcting version     yes                nothing       the entry
    no correcting version     no                 nothing       nothing
    ========================  =================  ============  =========

    :func:`correcting_version` returns the correcting version. Without an item there is nothing to delete. But if the
    record was remembered, its change was sent and may still be on its way to the item.

    :param entry: the record's entry.
    :param item_version: the version of its item, ``None`` if there is no item.
    :param is_new: whether nothing was remembered of the record before.
    :param is_delete: whether the record is a delete.
    :param settled_ms: see :func:`correcting_version`.
    """
    version = None
    if item_version is not None or not is_delete or not is_new:
        version = correcting_version(entry.version, item_version, settled_ms, versioned=True)
    return Decision(version, None if version is None and is_new else entry)


def decide_undated(
    entry: RememberedRecord,
    remembered: RememberedRecord | None,
    item_version: str | None,
    *,
    is_delete: bool,
    read_ms: int,
) -> Decision:
    """Decide about a record of a full listing that has no modification time, by its content alone.

    If the change that was sent last is still on its way to the item, the record is compared with that change, and
    otherwise with the item. A change is on its way until the item has its version or a later one. After
    :data:`MAX_IN_FLIGHT_MS` it counts as lost.

    =====================  ==============================  ============================================
    compared with          record                          send
    =====================  ==============================  ============================================
    a change on its way    same content, change pending    the change on its way, again
    a change on its way    same content, change sent       nothing
    a change on its way    other content                   a version above the one on its way
    no item                a delete                        nothing, and forget
    no item                data                            the record's version
    the item               same content                    nothing, and forget
    the item               other content                   a version above the item's
    =====================  ==============================  ============================================

    :param entry: the record's entry, whose time is ``read_ms``.
    :param remembered: what is remembered of the change that was sent last.
    :param item_version: the version of the item, ``None`` if there is no item.
    :param is_delete: whether the record is a delete.
    :param read_ms: the time before the request for the record's page, Unix milliseconds.
    """
    if remembered and _has_arrived_or_is_lost(remembered, item_version, read_ms):
        remembered = None
    if remembered and remembered.content == entry.content:
        return Decision(remembered.version if remembered.pending else None, remembered)
    compared_version = remembered.version if remembered else item_version
    if compared_version is None and is_delete:
        return Decision(None, None)
    version = correcting_version(entry.version, compared_version, MAX_TIME_MS, versioned=False)
    if version is None:
        return Decision(None, None)
    return Decision(version, RememberedRecord(time_ms(version), entry.content, counter_of(version), pending=True))


def _has_arrived_or_is_lost(sent: RememberedRecord, item_version: str | None, read_ms: int) -> bool:
    return (item_version or "") >= sent.version or sent.ms < read_ms - MAX_IN_FLIGHT_MS


def correcting_version(version: str, item_version: str | None, settled_ms: int, *, versioned: bool) -> str | None:
    """Return the version with which a listed record corrects its item, or ``None`` to leave the item as it is.

    ==============================  ========  ====================================================
    item                            content   result
    ==============================  ========  ====================================================
    none                                      the record's version
    older than the record           another   the record's version
    older than the record           the same  the record's version if ``versioned``, else ``None``
    not older                       the same  ``None``
    not older, after settled_ms     another   ``None``
    not older, up to settled_ms     another   the next version above the item's
    ==============================  ========  ====================================================

    :param version: the version of the listed record.
    :param item_version: the item's version, ``None`` if there is no item.
    :param settled_ms: an item with a later time than this keeps its content if the record is older. The page may have
        been read before the item changed, or come from a replica that lags behind. The next listing decides.
    :param versioned: whether the record has a modification time.
    """
    if item_version is None:
        return version
    is_same = content_of(item_version) == content_of(version)
    if version > item_version:
        return version if versioned or not is_same else None
    if is_same or time_ms(item_version) > settled_ms:
        return None
    return next_version(item_version, content_of(version))
