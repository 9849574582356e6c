"""The records that a checkpoint remembers, because later passes read them again.

Each pass starts some time before the watermark, so it reads the youngest records again. What the checkpoint remembers
of such a record tells whether its change has been sent, and how to order two contents with the same time.
"""

import struct
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from .sourced_version import MAX_COUNTER, sourced_version

MAX_ENTRIES = 4_000
"""The most entries that are saved, 96 KB. The checkpoint must stay below DynamoDB's 400 KB per item."""

MAX_QUARANTINED = 1_000
"""The entries among them that records in quarantine may take. They may take more if other records leave room."""

_ENTRY = struct.Struct(">QQIHH")  # key hash, content hash, upper 32 and lower 16 bits of the time, flags and counter
_PENDING, _QUARANTINED = 1 << 15, 1 << 14


class RememberedRecord(NamedTuple):
    """What is remembered of one record.

    :param ms: its modification time; for a quarantined record, when it was last read. Unix milliseconds.
    :param content: the hash of its content.
    :param counter: its place among the contents read with the same modification time, from 0.
    :param pending: whether its change may not have reached Kinesis yet.
    :param quarantined: whether it went to quarantine.
    """

    ms: int
    content: int
    counter: int = 0
    pending: bool = False
    quarantined: bool = False

    @property
    def version(self) -> str:
        """The version of the record's change."""
        return sourced_version(self.ms, self.counter, self.content)


class Remembered:
    """The remembered records by the hash of their item's key."""

    def __init__(self, content: bytes = b"") -> None:
        """Read what :meth:`to_bytes` returned."""
        self._entries: dict[int, RememberedRecord] = {}
        for key, content_hash, high, low, flags in _ENTRY.iter_unpack(content):
            ms, counter = high << 16 | low, flags & MAX_COUNTER
            pending, quarantined = bool(flags & _PENDING), bool(flags & _QUARANTINED)
            self._entries[key] = RememberedRecord(ms, content_hash, counter, pending, quarantined)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_pending(self) -> bool:
        """Whether the change of any record may not have reached Kinesis yet."""
        return any(entry.pending for entry in self._entries.values())

    def get_record(self, key: int) -> RememberedRecord | None:
        """Return what is remembered under a key hash."""
        return self._entries.get(key)

    def add_record(self, key: int, ms: int, content: int) -> RememberedRecord | None:
        """Remember a record as it was just read; return the entry to send, or ``None`` if there is nothing to send.

        ============  =========  ========  ===============================  ==================
        remembered    its time   content   entry to send                    remembered then
        ============  =========  ========  ===============================  ==================
        nothing                            the record, counter 0            the entry
        any           earlier              the record, counter 0            the entry
        pending       the same   the same  what is remembered               as before
        sent          the same   the same  none                             as before
        any           the same   another   the record, next counter         the entry
        pending       later                the record, counter 0            as before
        sent          later                none                             as before
        ============  =========  ========  ===============================  ==================

        A record with an earlier time than remembered may come from a replica that lags behind. But if the remembered
        one may never have reached Kinesis, the earlier record may be all there is, so it is sent.

        A sent entry stays pending until :meth:`mark_sent`, so a repeated send uses the same version.

        :param key: the hash of the item's key.
        :param ms: the record's modification time, Unix milliseconds.
        :param content: the hash of its content.
        """
        previous = self._entries.get(key)
        if previous is None or ms > previous.ms:
            entry = RememberedRecord(ms, content, pending=True)
        elif ms < previous.ms:
            return RememberedRecord(ms, content, pending=True) if previous.pending else None
        elif content == previous.content:
            return previous if previous.pending else None
        else:
            entry = RememberedRecord(ms, content, min(previous.counter + 1, MAX_COUNTER), pending=True)
        self._entries[key] = entry
        return entry

    def add_quarantined(self, key: int, now_ms: int) -> bool:
        """Remember that a record goes to quarantine; return whether it is there for the first time."""
        is_new = key not in self._entries
        self._entries[key] = RememberedRecord(now_ms, 0, quarantined=True)
        return is_new

    def mark_sent(self, sent: Iterable[tuple[int, RememberedRecord]]) -> None:
        """Note that Kinesis has the changes of these entries.

        An entry that has meanwhile been replaced under the same key stays pending.
        """
        for key, entry in sent:
            if self._entries.get(key) == entry:
                self._entries[key] = entry._replace(pending=False)

    def replace_record(self, key: int, entry: RememberedRecord) -> None:
        """Remember this entry in place of any other."""
        self._entries[key] = entry

    def drop_record(self, key: int) -> None:
        """Forget a record, so that it is new when it is read again."""
        self._entries.pop(key, None)

    def send_all_again(self) -> None:
        """Have every record sent again under the same version when it is read again, and translated again if it failed.

        Records in quarantine are forgotten for that. The others become pending.
        """
        others = {key: entry for key, entry in self._entries.items() if not entry.quarantined}
        self._entries = {key: entry._replace(pending=True) for key, entry in others.items()}

    def drop_before(self, ms: int) -> None:
        """Forget records modified before ``ms``, which no later pass reads again. Records in quarantine stay."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.quarantined or entry.ms >= ms}

    def to_bytes(self) -> bytes:
        """Return the youngest entries as bytes, and forget those beyond :data:`MAX_ENTRIES`."""
        if len(self._entries) > MAX_ENTRIES:
            quarantined = [pair for pair in self._entries.items() if pair[1].quarantined]
            others = [pair for pair in self._entries.items() if not pair[1].quarantined]
            quarantined = _youngest(quarantined, max(MAX_QUARANTINED, MAX_ENTRIES - len(others)))
            self._entries = dict(quarantined + _youngest(others, MAX_ENTRIES - len(quarantined)))
        return b"".join(_pack(key, entry) for key, entry in self._entries.items())


def _youngest(pairs: list[tuple[int, RememberedRecord]], count: int) -> list[tuple[int, RememberedRecord]]:
    return pairs if len(pairs) <= count else nlargest(count, pairs, key=lambda pair: pair[1].ms)


def _pack(key: int, entry: RememberedRecord) -> bytes:
    flags = entry.counter | (_PENDING if entry.pending else 0) | (_QUARANTINED if entry.quarantined else 0)
    return _ENTRY.pack(key, entry.content, entry.ms >> 16, entry.ms & 0xFFFF, flags)
