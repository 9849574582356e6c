"""Sweeps: finding, by a full listing, what upstream has deleted without a word.

An item that a listing misses may have moved between two pages, or be younger than the page that would hold it. So
nothing is deleted before two complete sweeps in a row have missed the same version of it, and nothing at all where a
listing is too short to be true.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

from ..model.version import time_ms
from .remembered import bumped, key_hash, state_of

MAX_MISSING = 20_000
"""Items that one sweep deals with at most; the next ones deal with the rest. Bounds its memory."""


CHUNK_HASHES = 40_000
"""Hashes kept in one record at most: 320 KB, of the 400 KB that DynamoDB takes. A page may hold more."""


class HashSet:
    """A set of 64-bit hashes: eight bytes each, however many."""

    def __init__(self, chunks: Iterable[bytes] = ()) -> None:
        """:param chunks: what :func:`packed` gave."""
        hashes = array("Q")
        for chunk in chunks:
            hashes.frombytes(chunk)
        self._hashes = array("Q", sorted(hashes))

    def __contains__(self, value: int) -> bool:
        place = bisect_left(self._hashes, value)
        return place < len(self._hashes) and self._hashes[place] == value

    def __bool__(self) -> bool:
        return bool(self._hashes)


def packed(hashes: Iterable[int]) -> bytes:
    """Hashes as bytes."""
    return array("Q", hashes).tobytes()


def missing_hash(key: str, version: str) -> int:
    """What stands for an item that a sweep missed: of another version, it has been alive since."""
    return key_hash(f"{key} {version}")


def refusal(living: int, missing: int, listed: bool, unreadable: int, max_percent: float) -> str | None:
    """Why nothing may be deleted after a sweep; ``None`` if it may.

    :param living: items of the collection.
    :param missing: those of them that the listing doesn't hold.
    :param listed: whether it holds any record.
    :param unreadable: its records whose item can't be told.
    """
    if not missing:
        return None
    if not listed:
        return "the listing is empty"
    if unreadable:
        return "the listing holds records without a usable id"
    # One item may always go, or a small collection could never lose any.
    if missing > max(1, living * max_percent / 100) or not max_percent:
        return "more than max_deletes_percent of the collection is missing"
    return None


def reconciled(version: str, held: str | None, settled_ms: int, *, versioned: bool) -> str | None:
    """The version that makes an item what a full listing says; ``None`` where it is that, or is left alone.

    :param version: of the listing's record.
    :param held: the item's version, ``None`` where there is none.
    :param settled_ms: an item of a later time than this keeps its content where the record is older: the page may have
        been read before the item changed, or come from a replica behind its master. The next listing tells.
    :param versioned: whether the record tells its time. One that doesn't is news only by what it says.
    """
    if held is None:
        return version
    same = state_of(held) == state_of(version)
    if version > held:
        return version if versioned or not same else None
    return None if same or time_ms(held) > settled_ms else bumped(held, state_of(version))
