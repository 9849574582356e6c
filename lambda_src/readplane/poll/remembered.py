"""The records that a checkpoint remembers, because later passes read them again.

Each pass starts at the watermark minus the source's lag, so it reads the newest records again. The checkpoint has an
entry for each of these records. The entry shows whether the record's change has been sent. It also orders two contents
of the record that have the same modification time. :func:`.decide.decide` says what an entry means for a record.
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

WITHOUT_ID_MS = 7 * 24 * 60 * 60 * 1000
"""How long a quarantined record is remembered after it was last read, in ms, if nothing can show that it is gone."""

# A packed entry has five fields: the key hash, the content hash, the upper 32 bits of the time, the lower 16 bits of
# the time, and 16 bits for the flags and the counter.
_ENTRY = struct.Struct(">QQIHH")
_PENDING, _QUARANTINED, _REPLACED = 1 << 15, 1 << 14, 1 << 13
_NO_ID = 1


class RememberedRecord(NamedTuple):
    """The entry that a checkpoint has for one remembered record.

    :param ms: the record's modification time, Unix milliseconds. For a quarantined record, this is the time when the
        record was last read.
    :param content: the hash of the record's content. For a quarantined record, the hash of its item id; 1 without one.
    :param counter: how many other contents with the same modification time were read before this content. For a
        quarantined record, it is 1 if another state of the record was read since.
    :param pending: whether Kinesis may still lack the record's change.
    :param quarantined: whether the record is in quarantine.
    :param replaced: whether the pass that read this content read another content of the record afterwards, with the
        same modification time. For a quarantined record, whether it is in the list of deleted records.
    """

    ms: int
    content: int
    counter: int = 0
    pending: bool = False
    quarantined: bool = False
    replaced: bool = False

    @property
    def as_pending(self) -> "RememberedRecord":
        """The same entry while Kinesis may still lack its change."""
        return self._replace(pending=True)

    @property
    def has_id(self) -> bool:
        """Whether a quarantined record has an item id."""
        return self.content != _NO_ID

    @property
    def has_other_state(self) -> bool:
        """Whether another state of a quarantined record was read since."""
        return bool(self.counter)

    @property
    def is_in_deletes(self) -> bool:
        """Whether a quarantined record is in the list of deleted records."""
        return self.replaced

    @property
    def version(self) -> str:
        """The version of the change that this entry stands for."""
        return sourced_version(self.ms, self.counter, self.content)


class Remembered:
    """The entries of all remembered records of a source, by the hash of the record's item key."""

    def __init__(self, content: bytes = b"") -> None:
        """Read the entries from bytes that :meth:`to_bytes` returned."""
        self._entries: dict[int, RememberedRecord] = {}
        self._quarantined: set[int] = set()
        for key, content_hash, high, low, flags in _ENTRY.iter_unpack(content):
            ms, counter = high << 16 | low, flags & MAX_COUNTER
            if flags & _QUARANTINED and not content_hash:
                continue  # An earlier version saved this entry without the record's id. It is quarantined again.
            states = bool(flags & _PENDING), bool(flags & _QUARANTINED), bool(flags & _REPLACED)
            self._entries[key] = RememberedRecord(ms, content_hash, counter, *states)
            if flags & _QUARANTINED:
                self._quarantined.add(key)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_pending(self) -> bool:
        """Whether any entry is pending, which means that Kinesis may still lack its change."""
        return any(entry.pending for entry in self._entries.values())

    @property
    def quarantined(self) -> int:
        """How many records are in quarantine."""
        return len(self._quarantined)

    def get_record(self, key: int) -> RememberedRecord | None:
        """Return the entry under a key hash; ``None`` if there is none."""
        return self._entries.get(key)

    def add_quarantined(self, key: int, id_hash: int | None, now_ms: int, *, in_deletes: bool = False) -> bool:
        """Remember that a record is in quarantine. Return whether it wasn't there before.

        :param key: the hash of the record's text.
        :param id_hash: the hash of the record's item id; ``None`` if it has none.
        :param in_deletes: whether the record is in the list of deleted records.
        """
        is_new = key not in self._entries
        self._entries[key] = RememberedRecord(now_ms, id_hash or _NO_ID, quarantined=True, replaced=in_deletes)
        self._quarantined.add(key)
        return is_new

    def quarantined_by_id(self) -> dict[int, list[int]]:
        """Return the keys of the quarantined records by the hash of their item id."""
        keys: dict[int, list[int]] = {}
        for key in self._quarantined:
            entry = self._entries[key]
            if entry.has_id:
                keys.setdefault(entry.content, []).append(key)
        return keys

    def mark_replaced(self, keys: Iterable[int]) -> None:
        """Note that the back office has sent another state of quarantined records.

        :param keys: the keys of these records.
        """
        for key in keys:
            self._entries[key] = self._entries[key]._replace(counter=1)

    def drop_quarantined(
        self, started_ms: int, *, in_deletes: bool = False, listed_all: bool = False, reread_since_ms: int | None = None
    ) -> None:
        """Forget the quarantined records that are gone, at the end of a pass.

        A pass judges only the quarantined records of its list that it hasn't read again. The list of deleted records is
        a list of its own. A record is gone in each of these cases:

        - The back office has sent another state of the record.
        - The pass has listed all records.
        - The record has no id, and the pass has read again whatever was read when the record was last read.
        - The record was last read more than :data:`WITHOUT_ID_MS` ago, and either it has no id, or it is in the list of
          deleted records.

        :param started_ms: when the pass started.
        :param in_deletes: whether the pass has read the list of deleted records.
        :param listed_all: whether the pass has listed all records.
        :param reread_since_ms: the pass has read everything again that was read since this time; ``None`` if it hasn't.
        """

        def is_gone(entry: RememberedRecord) -> bool:
            if entry.ms >= started_ms or entry.is_in_deletes != in_deletes:
                return False
            is_expired = entry.ms < started_ms - WITHOUT_ID_MS
            is_lacking = reread_since_ms is not None and entry.ms >= reread_since_ms
            if in_deletes:
                return entry.has_other_state or is_expired
            return listed_all or entry.has_other_state or (not entry.has_id and (is_expired or is_lacking))

        for key in [key for key in self._quarantined if is_gone(self._entries[key])]:
            self.drop_record(key)

    def mark_sent(self, sent: Iterable[tuple[int, RememberedRecord]]) -> None:
        """Mark entries as sent, because Kinesis has their changes.

        If a record's entry has been replaced since the record's change was sent, the new entry stays as it is.

        :param sent: pairs of a key hash and the entry to remember, whose change was sent while it was pending.
        """
        for key, entry in sent:
            if self._entries.get(key) == entry.as_pending:
                self._entries[key] = entry

    def replace_record(self, key: int, entry: RememberedRecord) -> None:
        """Remember an entry under a key hash. It replaces any entry that was remembered there."""
        self._entries[key] = entry
        if entry.quarantined:
            self._quarantined.add(key)

    def drop_record(self, key: int) -> None:
        """Forget the record under a key hash, so that the record counts as new when it is read again."""
        self._entries.pop(key, None)
        self._quarantined.discard(key)

    def send_all_again(self) -> None:
        """Mark all remembered records, so that the next pass that reads them sends their changes again.

        All entries become pending, so each change is sent again with the same version. The entries of quarantined
        records are forgotten. So these records are put into quarantine again if they still can't be translated.
        """
        self._entries = {
            key: entry._replace(pending=True)
            for key, entry in self._entries.items()
            if not entry.quarantined and not entry.replaced
        }
        self._quarantined.clear()

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
            self._quarantined = {key for key, _ in quarantined}
        return b"".join(_pack(key, entry) for key, entry in self._entries.items())


def _youngest(pairs: list[tuple[int, RememberedRecord]], count: int) -> list[tuple[int, RememberedRecord]]:
    return pairs if len(pairs) <= count else nlargest(count, pairs, key=lambda pair: pair[1].ms)


def _pack(key: int, entry: RememberedRecord) -> bytes:
    flags = (
        entry.counter
        | (_PENDING if entry.pending else 0)
        | (_QUARANTINED if entry.quarantined else 0)
        | (_REPLACED if entry.replaced else 0)
    )
    return _ENTRY.pack(key, entry.content, entry.ms >> 16, entry.ms & 0xFFFF, flags)
