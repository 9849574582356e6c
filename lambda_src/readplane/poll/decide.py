"""Decide which change `poll` sends for a record of a back office.

The decision depends on the entry that the checkpoint remembers for the record, and on the version of the record's item.
There is one function for each kind of record:

- :func:`decide_incremental`: a record of an incremental pass.
- :func:`decide_listed`: a record of a full listing, with a modification time.
- :func:`decide_undated`: a record of a full listing, without a modification time. Only its content can be compared.
"""

from typing import NamedTuple

from ..model.version import time_ms
from .checkpoint import MAX_TIME_MS
from .remembered import RememberedRecord
from .sourced_version import content_of, counter_of, next_version

MAX_IN_FLIGHT_MS = 60 * 60 * 1000
"""How many milliseconds `apply` has to write a change to its item. After that, `poll` treats the change as lost."""


class Decision(NamedTuple):
    """What `poll` sends for one record, and what the checkpoint remembers of the record.

    :param version: the version of the change to send; ``None`` to send no change.
    :param remember: the entry that the checkpoint remembers for the record; ``None`` to forget the record, so that it
        counts as new when it is read again. If there is no change to send, the entry is marked as sent.
    """

    version: str | None
    remember: RememberedRecord | None


def needs_item(
    entry: RememberedRecord, remembered: RememberedRecord | None, *, is_new: bool, read_until_ms: int
) -> bool:
    """Whether an incremental pass must look up a record's item before it sends the record's change.

    There are two reasons for a lookup:

    - The record's time is before the watermark, but the checkpoint remembers no entry for the record. The back office
      may have committed the record late, the checkpoint may have had no room for an entry, or everything is being read
      again. So the item may already have the record's change.
    - The checkpoint remembers a later state of the record than the one just read, and the later state is pending:
      Kinesis may never have received its change. The older state is sent only if the item has neither of the two
      states. Without the lookup, every pass would send the older state, until the later state is read again.

    :param entry: the record's entry, as :meth:`~readplane.poll.remembered.Remembered.add_record` returned it.
    :param remembered: the entry that the checkpoint remembers for the record after the call of ``add_record``.
    :param is_new: whether the checkpoint remembered no entry for the record before the call of ``add_record``.
    :param read_until_ms: earlier passes may have read the records modified up to this time.
    """
    return is_older_than_remembered(entry, remembered) or (is_new and entry.ms <= read_until_ms)


def is_older_than_remembered(entry: RememberedRecord, remembered: RememberedRecord | None) -> bool:
    """Whether the checkpoint remembers a later state of a record that was just read.

    ``add_record`` remembers every entry that it returns, unless it already remembers a later one. So if the two entries
    differ, the remembered entry is the later one.

    :param entry: the record's entry, as ``add_record`` returned it.
    :param remembered: the entry that the checkpoint remembers for the record after the call of ``add_record``.
    """
    return remembered != entry


def decide_incremental(entry: RememberedRecord, item_version: str | None, *, is_older: bool) -> Decision:
    """Decide what to send for a record of an incremental pass.

    Each row of the table is one case. The first two columns compare the item with the record.

    ============  ==============  =========================================  ==================================
    item's time   item's content  version to send                            entry to remember
    ============  ==============  =========================================  ==================================
    no item       no item         the record's version                       the entry as it is
    earlier       any             the record's version                       the entry as it is
    the same      the same        nothing to send                            the entry, with the item's counter
    the same      different       the record's version, with a counter that  the entry, with that counter
                                  is one above the item's
    later         any             nothing to send                            the entry as it is
    ============  ==============  =========================================  ==================================

    The counter orders two contents with the same time. Without the counter, the content with the greater hash would
    win, which is random. If the item's counter is at its maximum, nothing is sent.

    :param entry: the record's entry.
    :param item_version: the version of the record's item; ``None`` if there is no item, or if the item wasn't looked
        up.
    :param is_older: whether the checkpoint remembers a later state of the record. If so, the table doesn't apply: the
        entry stays as it is, and the record's change is sent if the entry's version is greater than the item's.
    """
    if item_version is None:
        return Decision(entry.version, entry)
    if not is_older:
        entry = _with_counter_of(item_version, entry)
    return Decision(entry.version if entry.version > item_version else None, entry)


def _with_counter_of(item_version: str, entry: RememberedRecord) -> RememberedRecord:
    """Return a record's entry, with a new counter if the record's item has the same time.

    If the item also has the same content, the entry gets the item's counter. Otherwise the entry gets the next counter
    after the item's.
    """
    is_same = content_of(item_version) == entry.content
    version = item_version if is_same else next_version(item_version, entry.content)
    return entry._replace(counter=counter_of(version)) if time_ms(version) == entry.ms else entry


def decide_listed(
    entry: RememberedRecord, item_version: str | None, *, is_new: bool, is_delete: bool, settled_ms: int
) -> Decision:
    """Decide what to send for a record of a full listing, if the record has a modification time.

    Each row of the table is one case, and the first row that matches decides. A correcting version is the version that
    :func:`correcting_version` returns: a change with it makes the item equal to the record. The second column says
    whether the checkpoint remembered the record before its page was read.

    =================================  ======================  ======================  ==================
    record and item                    remembered before?      version to send         entry to remember
    =================================  ======================  ======================  ==================
    a delete, and there is no item     no                      nothing to send         none
    there is a correcting version      yes or no               the correcting version  the record's entry
    there is no correcting version     yes                     nothing to send         the record's entry
    there is no correcting version     no                      nothing to send         none
    =================================  ======================  ======================  ==================

    In the first row nothing is sent, because there is nothing to delete. But if the checkpoint remembered the record,
    an earlier change of the record may still be on its way to the item. In that case the delete is sent.

    :param entry: the record's entry.
    :param item_version: the version of the record's item; ``None`` if there is no item.
    :param is_new: whether the checkpoint remembered no entry for the record before its page was read.
    :param is_delete: whether the record is a delete.
    :param settled_ms: an older record may correct an item only if the item's time isn't later than this time, Unix
        milliseconds (:func:`correcting_version`).
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
    """Decide what to send for a record of a full listing, if the record has no modification time.

    If the last change of the record is still in flight, the record is compared with that change. Otherwise the record
    is compared with its item. A change is in flight until the item has the change's version or a later one. After
    :data:`MAX_IN_FLIGHT_MS` the change counts as lost.

    Each row of the table is one case. The first column says what the record is compared with, and the second column
    describes the record.

    ============================  =============  ============================  =========================
    compared with                 record         version to send               entry to remember
    ============================  =============  ============================  =========================
    a change in flight, pending   same content   the change's version, again   the change's entry
    a change in flight, sent      same content   nothing to send               the change's entry
    a change in flight            other content  a version above the change's  an entry for that version
    no item                       a delete       nothing to send               none
    no item                       data           the record's version          an entry for that version
    the item                      same content   nothing to send               none
    the item                      other content  a version above the item's    an entry for that version
    ============================  =============  ============================  =========================

    :param entry: the record's entry. Its time is ``read_ms``.
    :param remembered: the entry that the checkpoint remembers of the record's last change, if any.
    :param item_version: the version of the record's item; ``None`` if there is no item.
    :param is_delete: whether the record is a delete.
    :param read_ms: the time just before the record's page was requested, Unix milliseconds.
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

    :param version: the version of the listed record.
    :param item_version: the item's version; ``None`` if there is no item.
    :param settled_ms: an older record may correct an item only if the item's time isn't later than this time, Unix
        milliseconds.
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
