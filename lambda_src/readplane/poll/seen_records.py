"""The records that a full listing has read, to find ids that the listing has twice."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

_RECENT = 32_768
"""How many records the dictionary of recent records may hold before its content moves into arrays."""

UNKNOWN = -1
"""The mark of a record that an earlier invocation has read."""


class SeenRecords:
    """Marks of the records of a full listing, by the hash of their item's key.

    A record takes 16 bytes, much less than an entry of a ``dict``.

    :param chunks: the key hashes of the records that earlier invocations have read, as
        :func:`~readplane.poll.missing_items.pack_hashes` packed them.
    """

    def __init__(self, chunks: Iterable[bytes] = ()) -> None:
        self._recent: dict[int, int] = {}
        self._older: list[tuple[array[int], array[int] | None]] = []
        for chunk in chunks:
            hashes = array("Q")
            hashes.frombytes(chunk)
            self._older.append((array("Q", sorted(hashes)), None))

    def get_mark(self, key: int) -> int | None:
        """Return the mark of a record; ``None`` if the listing hasn't read the record yet.

        The mark is :data:`UNKNOWN` if an earlier invocation has read the record.
        """
        mark = self._recent.get(key)
        if mark is not None:
            return mark
        for hashes, marks in self._older:
            index = bisect_left(hashes, key)
            if index < len(hashes) and hashes[index] == key:
                return UNKNOWN if marks is None else marks[index]
        return None

    def add_record(self, key: int, mark: int) -> None:
        """Note that the listing has read a record. A record that was noted before gets the new mark.

        :param mark: a number of at most 64 bits, which is never negative.
        """
        self._recent[key] = mark
        if len(self._recent) >= _RECENT:
            pairs = sorted(self._recent.items())
            # Put the newest array first, because it has the latest mark of a record.
            self._older.insert(0, (array("Q", (key for key, _ in pairs)), array("Q", (mark for _, mark in pairs))))
            self._recent.clear()
