"""Sourced changes: which change a back office's record is, and whether it has been made already.

A change's id is made of the record alone: its upstream modification time, and a hash of what it says. So whoever reads
the same record, however often, makes the same change. Two states of one record within one timestamp are told apart by
a counter between the two, for which the checkpoint remembers the youngest records (:class:`Remembered`).
"""

import hashlib
import struct
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from ..model.version import time_ms

STATE_BITS = 62
"""Low bits of a sourced version, which tell what the record says."""

MAX_TIE = (1 << 12) - 1

MAX_SEEN = 4_000
"""Entries kept at most, 96 KB: a checkpoint must stay below DynamoDB's 400 KB per item."""

MAX_REFUSED = 1_000
"""Entries among them for records that went to quarantine, or more where there is room."""

_ENTRY = struct.Struct(">QQIHH")  # key, state, the time's upper and lower bits, flags and counter
_PENDING, _REFUSED = 1 << 15, 1 << 14


def state_hash(source: str, key: str, data: str | None) -> int:
    """What a record says, as 62 bits.

    :param key: its item's key, so that two items with the same data never share a version.
    :param data: canonical JSON text; ``None`` for a delete.
    """
    return _hash(source, key, "put" if data is not None else "delete", data or "") >> (64 - STATE_BITS)


def key_hash(text: str) -> int:
    """What stands for an item's key in a checkpoint, 64 bits."""
    return _hash(text)


def sourced_version(ms: int, tie: int, state: int) -> str:
    """The version of a record's ``tie``-th state within the millisecond ``ms`` (Unix)."""
    value = (ms << 80) | (0x7 << 76) | (tie << 64) | (0b10 << 62) | state
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def state_of(version: str) -> int:
    """The state hash in a sourced version."""
    return int(version[19:23] + version[24:], 16) & ((1 << STATE_BITS) - 1)


def tie_of(version: str) -> int:
    """The counter in a sourced version."""
    return int(version[15:18], 16)


def bumped(version: str, state: int) -> str:
    """The least version above ``version`` that says ``state``.

    It keeps the millisecond: whatever upstream modifies later beats it.
    """
    ms, tie = time_ms(version), tie_of(version)
    return sourced_version(ms, tie + 1, state) if tie < MAX_TIE else sourced_version(ms + 1, 0, state)


def watermark(before_ms: int | None, newest_ms: int | None, started_ms: int) -> int | None:
    """How far a complete pass has read, in upstream's time: the next one asks from a lag before.

    :param before_ms: the watermark so far; it never goes back.
    :param newest_ms: the greatest version that the pass met, ``None`` if it met none.
    :param started_ms: the time before its first request: what was modified later may stand on pages read before.
    """
    if newest_ms is None:
        return before_ms
    return max(before_ms or 0, min(newest_ms, started_ms))


def cursor(watermark_ms: int | None, lag_ms: int) -> int | None:
    """What the next pass asks from (Unix ms); ``None`` for everything."""
    return None if watermark_ms is None else max(0, watermark_ms - lag_ms)


class RememberedRecord(NamedTuple):
    """What is remembered of a record: its modification time (Unix ms), what it said, its counter within that time.

    ``pending``: Kinesis may not have it yet. ``refused``: it went to quarantine; its time is when that was last seen.
    """

    ms: int
    state: int
    tie: int = 0
    pending: bool = False
    refused: bool = False

    @property
    def version(self) -> str:
        """The version of the change that it became."""
        return sourced_version(self.ms, self.tie, self.state)


class Remembered:
    """The records that the next pass will meet again, by :func:`key_hash`."""

    def __init__(self, packed: bytes = b"") -> None:
        """:param packed: what :meth:`packed` gave."""
        self._entries: dict[int, RememberedRecord] = {}
        for key, state, high, low, flags in _ENTRY.iter_unpack(packed):
            ms = high << 16 | low
            tie, pending, refused = flags & MAX_TIE, bool(flags & _PENDING), bool(flags & _REFUSED)
            self._entries[key] = RememberedRecord(ms, state, tie, pending, refused)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def pending(self) -> bool:
        """Whether Kinesis may lack any."""
        return any(entry.pending for entry in self._entries.values())

    def get(self, key: int) -> RememberedRecord | None:
        """What is remembered under a key hash."""
        return self._entries.get(key)

    def meet(self, key: int, ms: int, state: int) -> RememberedRecord | None:
        """Remember a record as it was read now; give back its entry, or ``None`` where there is nothing to send.

        What is given back stays pending until :meth:`settle`: its change keeps its id if it must be sent again.
        """
        known = self._entries.get(key)
        if known is None or ms > known.ms:
            entry = RememberedRecord(ms, state, pending=True)
        elif ms < known.ms:
            # Older than what is known, as a replica behind its master tells. If that one was never sent, though, this
            # may be all there is.
            return RememberedRecord(ms, state, pending=True) if known.pending else None
        elif state == known.state:
            return known if known.pending else None
        else:
            entry = RememberedRecord(ms, state, min(known.tie + 1, MAX_TIE), pending=True)
        self._entries[key] = entry
        return entry

    def refuse(self, key: int, now_ms: int) -> bool:
        """Remember that a record goes to quarantine; say whether that is news."""
        known = self._entries.get(key)
        self._entries[key] = RememberedRecord(now_ms, 0, refused=True)
        return known is None

    def settle(self, made: Iterable[tuple[int, RememberedRecord]]) -> None:
        """Kinesis has the changes of these entries; one that has followed under the same key is still pending."""
        for key, entry in made:
            if self._entries.get(key) == entry:
                self._entries[key] = entry._replace(pending=False)

    def put(self, key: int, entry: RememberedRecord) -> None:
        """Remember this, whatever was known."""
        self._entries[key] = entry

    def drop(self, key: int) -> None:
        """Judge a record anew when it is met again."""
        self._entries.pop(key, None)

    def doubt(self) -> None:
        """Have every change sent again when it is met, by its own id, and every refused record tried again."""
        self._entries = {key: entry._replace(pending=True) for key, entry in self._entries.items() if not entry.refused}

    def forget(self, before_ms: int) -> None:
        """Drop what no later pass will meet, for it was modified before; refused records stay."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.refused or entry.ms >= before_ms}

    def packed(self) -> bytes:
        """The youngest entries as bytes, at most :data:`MAX_SEEN`; the others are forgotten here, too."""
        if len(self._entries) > MAX_SEEN:
            refused = [pair for pair in self._entries.items() if pair[1].refused]
            taken = [pair for pair in self._entries.items() if not pair[1].refused]
            refused = _youngest(refused, max(MAX_REFUSED, MAX_SEEN - len(taken)))
            self._entries = dict(refused + _youngest(taken, MAX_SEEN - len(refused)))
        return b"".join(_pack(key, entry) for key, entry in self._entries.items())


def _youngest(pairs: list[tuple[int, RememberedRecord]], count: int) -> list[tuple[int, RememberedRecord]]:
    return pairs if len(pairs) <= count else nlargest(count, pairs, key=lambda pair: pair[1].ms)


def _pack(key: int, entry: RememberedRecord) -> bytes:
    flags = entry.tie | (_PENDING if entry.pending else 0) | (_REFUSED if entry.refused else 0)
    return _ENTRY.pack(key, entry.state, entry.ms >> 16, entry.ms & 0xFFFF, flags)


def _hash(*texts: str) -> int:
    # Lengths keep the texts apart; a lone half of a surrogate pair can't be printed as UTF-8, and may stand in an id.
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    content = b"".join(struct.pack(">I", len(part)) + part for part in encoded)
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
