"""The records that a checkpoint remembers, because later passes read them again.

Each pass starts at the watermark minus the source's lag, so it reads the newest records again. The checkpoint has an
entry for each of these records. The entry shows whether the record's change has been sent. It also orders two contents
of the record that have the same modification time.
"""

import struct
from collections.abc import Iterable
from heapq import nlargest
from typing import NamedTuple

from .sourced_version import MAX_COUNTER, sourced_version

MAX_ENTRIES = 4_000
"""The maximum number of entries in a saved checkpoint.

So many entries take 96 KB, and the whole checkpoint must fit into a DynamoDB item of at most 400 KB.
"""

MAX_QUARANTINED = 1_000
"""How many of the :data:`MAX_ENTRIES` entries are reserved for quarantined records.

Quarantined records may take more entries if the other records leave room.
"""

# A packed entry has five fields: the key hash, the content hash, the upper 32 bits of the time, the lower 16 bits of
# the time, and 16 bits for the flags and the counter.
_ENTRY = struct.Struct(">QQIHH")
_PENDING, _QUARANTINED = 1 << 15, 1 << 14


class RememberedRecord(NamedTuple):
    """The entry that a checkpoint has for one remembered record.

    :param ms: the record's modification time, Unix milliseconds. For a quarantined record, this is the time when the
        record was last read.
    :param content: the hash of the record's content.
    :param counter: how many other contents with the same modification time were read before this content.
    :param pending: whether Kinesis may still lack the record's change.
    :param quarantined: whether the record is in quarantine.
    """

    ms: int
    content: int
    counter: int = 0
    pending: bool = False
    quarantined: bool = False

    @property
    def version(self) -> str:
        """The version of the change that this entry stands for."""
        return sourced_version(self.ms, self.counter, self.content)


class Remembered:
    """The entries of all remembered records of a source, by the hash of the record's item key."""

    def __init__(self, content: bytes = b"") -> None:
        """Read the entries from bytes that :meth:`to_bytes` returned."""
        self._entries: dict[int, RememberedRecord] = {}
        for key, content_hash, high, low, flags in _ENTRY.iter_unpack(content):
            ms, counter = high << 16 | low, flags & MAX_COUNTER
            pending, quarantined = bool(flags & _PENDING), bool(flags & _QUARANTINED)
            self._entries[key] = RememberedRecord(ms, content_hash, counter, pending, quarantined)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_pending(self) -> bool:
        """Whether any entry is pending, which means that Kinesis may still lack its change."""
        return any(entry.pending for entry in self._entries.values())

    def get_record(self, key: int) -> RememberedRecord | None:
        """Return the entry under a key hash; ``None`` if there is none."""
        return self._entries.get(key)

    def add_record(self, key: int, ms: int, content: int) -> RememberedRecord | None:
        """Remember a record that was just read. Return the entry whose change must be sent; ``None`` to send no change.

        Each row of the table is one case. The first three columns compare the entry remembered before the call with the
        record.

        ================  ==========  ===========  ==================================  ======================
        remembered entry  its time    its content  entry to send                       entry remembered after
        ================  ==========  ===========  ==================================  ======================
        none              none        none         the record, with counter 0          the entry to send
        any               earlier     any          the record, with counter 0          the entry to send
        pending           the same    the same     the remembered entry, again         the remembered entry
        sent              the same    the same     nothing to send                     the remembered entry
        any               the same    different    the record, with the next counter   the entry to send
        pending           later       any          the record, with counter 0          the remembered entry
        sent              later       any          nothing to send                     the remembered entry
        ================  ==========  ===========  ==================================  ======================

        A record older than the remembered entry may come from a lagging replica, so it isn't sent. But if the
        remembered entry is pending, its change may never have reached Kinesis, and the back office may no longer have
        that later state. In that case the older record is sent.

        The entry to send stays pending until it is given to :meth:`mark_sent`. If the record is read again before that,
        the same version is sent again.

        :param key: the hash of the item's key.
        :param ms: the record's modification time, Unix milliseconds.
        :param content: the hash of the record's content.
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
        """Remember that a record is in quarantine. Return ``True`` if no entry was remembered for the record before."""
        is_new = key not in self._entries
        self._entries[key] = RememberedRecord(now_ms, 0, quarantined=True)
        return is_new

    def mark_sent(self, sent: Iterable[tuple[int, RememberedRecord]]) -> None:
        """Mark entries as sent, because Kinesis has their changes.

        If a record's entry has been replaced since the record's change was sent, the new entry stays as it is.

        :param sent: pairs of a key hash and the entry whose change was sent.
        """
        for key, entry in sent:
            if self._entries.get(key) == entry:
                self._entries[key] = entry._replace(pending=False)

    def replace_record(self, key: int, entry: RememberedRecord) -> None:
        """Remember an entry under a key hash. It replaces any entry that was remembered there."""
        self._entries[key] = entry

    def drop_record(self, key: int) -> None:
        """Forget the record under a key hash, so that the record counts as new when it is read again."""
        self._entries.pop(key, None)

    def send_all_again(self) -> None:
        """Mark all remembered records, so that the next pass that reads them sends their changes again.

        All entries become pending, so each change is sent again with the same version. The entries of quarantined
        records are forgotten. So these records are put into quarantine again if they still can't be translated.
        """
        others = {key: entry for key, entry in self._entries.items() if not entry.quarantined}
        self._entries = {key: entry._replace(pending=True) for key, entry in others.items()}

    def drop_before(self, ms: int) -> None:
        """Forget the records modified before ``ms``, because no later pass reads them. Keep all quarantined records."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.quarantined or entry.ms >= ms}

    def to_bytes(self) -> bytes:
        """Pack the newest entries into bytes, at most :data:`MAX_ENTRIES` of them, and forget all older entries."""
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
