"""The rules of a sweep: which items are missing from a full listing, and when they may be deleted.

A sweep finds items whose records the back office has deleted without reporting the deletes. But an item may be missing
from a listing for two other reasons. The item's record may have moved from one page to another while the pages were
read. Or the back office created the record only after its page had been read. So a sweep deletes an item only if the
same version of the item is missing from two complete listings in a row. If a listing is implausibly short, the sweep
deletes nothing.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from .sourced_version import key_hash

MAX_MISSING = 20_000
"""The maximum number of missing items that one sweep remembers and deletes. It limits the memory of a sweep.

Later sweeps find the other missing items.
"""

CHUNK_HASHES = 40_000
"""The maximum number of hashes in one stored chunk.

So many hashes take 320 KB, and DynamoDB allows 400 KB for an item. The hashes of a large page need several chunks.
"""


class HashSet:
    """A set of 64-bit hashes. It takes eight bytes per hash, much less than a Python ``set`` of integers."""

    def __init__(self, chunks: Iterable[bytes] = ()) -> None:
        """Build the set from chunks of hashes that :func:`pack_hashes` returned."""
        hashes = array("Q")
        for chunk in chunks:
            hashes.frombytes(chunk)
        self._hashes = array("Q", sorted(hashes))

    def __contains__(self, value: int) -> bool:
        index = bisect_left(self._hashes, value)
        return index < len(self._hashes) and self._hashes[index] == value

    def __bool__(self) -> bool:
        return bool(self._hashes)


def pack_hashes(hashes: Iterable[int]) -> bytes:
    """Pack 64-bit hashes into bytes, eight bytes per hash."""
    return array("Q", hashes).tobytes()


def missed_item_hash(key: str, version: str) -> int:
    """Return the hash under which a sweep stores a missing item.

    The hash covers the item's key and version. So if an item is missing from two listings in a row but changes between
    them, the second listing counts it as missing for the first time, and the sweep doesn't delete it.
    """
    return key_hash(f"{key} {version}")


def refusal_reason(
    living: int, missing: int, *, has_records: bool, doubtful: bool, without_id: int, max_percent: float
) -> str | None:
    """Return why a sweep must not delete the missing items, or ``None`` if it may delete them.

    Each row of the table is one condition. The first row whose condition is met decides.

    ====================================================  ===========  ===========================================
    condition                                             may delete?  reason
    ====================================================  ===========  ===========================================
    no item is missing                                    yes          there is nothing to delete
    the listing has no records                            no           an empty listing is implausible
    the end of the listing is doubtful                    no           the rest of the listing may be missing
    the listing has records without a usable id           no           any missing item may be one of these records
    ``max_percent`` is 0                                  no           the source's settings forbid deletes
    more items are missing than ``max_percent`` allows    no           so short a listing is implausible
    none of these                                         yes          the listing is plausible
    ====================================================  ===========  ===========================================

    :param living: how many items the collection has.
    :param missing: how many of the collection's items are missing from the listing.
    :param has_records: whether the listing has any record.
    :param doubtful: whether it is doubtful that the listing was read as a whole.
    :param without_id: how many records of the listing have no usable id.
    :param max_percent: the source's ``sweep.max_deletes_percent``. Any value above 0 allows at least one delete,
        because a small collection could otherwise never lose an item.
    """
    if not missing:
        return None
    if not has_records:
        return "the listing is empty"
    if doubtful:
        return "the end of the listing is doubtful"
    if without_id:
        return "the listing holds records without a usable id"
    if missing > max(1, living * max_percent / 100) or not max_percent:
        return "more than max_deletes_percent of the collection is missing"
    return None
