"""The rules of a sweep: which items a full listing lacks, and when they may be deleted.

A sweep finds items that the back office has deleted without reporting it. An item that a listing lacks may also have
moved between two pages while they were read, or be younger than the page that would hold it. So an item is deleted only
if two complete listings in a row lack the same version of it, and nothing is deleted if a listing is too short to be
true.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from .sourced_version import key_hash

MAX_MISSING = 20_000
"""The most missing items that one sweep remembers or deletes, which bounds its memory. Later sweeps find the others."""

CHUNK_HASHES = 40_000
"""The most hashes in one stored chunk: 320 KB, of DynamoDB's 400 KB. A page may need several chunks."""


class HashSet:
    """A set of 64-bit hashes that takes eight bytes per hash, much less than a ``set`` of numbers."""

    def __init__(self, chunks: Iterable[bytes] = ()) -> None:
        """Unite the hashes that :func:`pack_hashes` packed."""
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
    """Return hashes as bytes, eight each."""
    return array("Q", hashes).tobytes()


def missed_item_hash(key: str, version: str) -> int:
    """Return the hash that stands for an item that a listing lacks.

    It includes the version: an item that has changed since was alive, so the next listing lacks it for the first time.
    """
    return key_hash(f"{key} {version}")


def refusal_reason(living: int, missing: int, *, has_records: bool, without_id: int, max_percent: float) -> str | None:
    """Return why a sweep may delete nothing, or ``None`` if it may delete.

    ==============================================================  =====================================
    first case that applies                                         result
    ==============================================================  =====================================
    nothing is missing                                              it may
    the listing has no records                                      the listing is empty
    the listing has records without a usable id                     any missing item may be one of these
    ``max_percent`` is 0                                            too much is missing
    more than ``max_percent`` and more than one item are missing    too much is missing
    otherwise                                                       it may
    ==============================================================  =====================================

    :param living: how many items the collection has.
    :param missing: how many of them the listing lacks.
    :param has_records: whether the listing has any record.
    :param without_id: how many of its records have no usable id.
    :param max_percent: the source's ``sweep.max_deletes_percent``. One item may always go unless it is 0; otherwise a
        small collection could never lose any.
    """
    if not missing:
        return None
    if not has_records:
        return "the listing is empty"
    if without_id:
        return "the listing holds records without a usable id"
    if missing > max(1, living * max_percent / 100) or not max_percent:
        return "more than max_deletes_percent of the collection is missing"
    return None
