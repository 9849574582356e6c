"""The servers of the item cache and of the database, in memory. They fail as the profile says, and check the rules."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from readplane.feed.decide import floor_at
from readplane.model.cache_entry import CacheEntry, parse_entry
from readplane.model.change import Change
from readplane.stores.item_cache import cache_key
from readplane.stores.relational.errors import UnreachableError
from readplane.stores.relational.writer import UpsertOutcome
from readplane.stores.resp import Answer, RespError
from tests.reliability.machine import HORIZON_MS
from tests.unit.feed.support import CACHE_SETTINGS, ENTRY_MS, MemoryResp, MemoryWriter

if TYPE_CHECKING:
    from tests.reliability.world import Stack

_PREFIX = cache_key(CACHE_SETTINGS.generation, "")


class GuardedCache(MemoryResp):
    """The cache of a Region. As long as an entry could have lived, its item's next entry must not be older."""

    def __init__(self, stack: "Stack") -> None:
        super().__init__(stack.region.clock)
        self._stack = stack
        self.losses = 0
        self._greatest: dict[bytes, tuple[bytes, int]] = {}

    def lose_all(self) -> None:
        """Lose all entries and scripts, as a node does that is replaced."""
        self.values.clear()
        self._scripts.clear()
        self._greatest.clear()
        self.losses += 1

    def call(self, *words: bytes, seconds: float | None = None) -> Answer:
        """Carry out a command, or let it fail before or after that."""
        world = self._stack.world
        world.machine.begin_call(f"{self._stack.region.name} cache.{words[0].decode()}", world.faults.latency_ms())
        fault = world.faults.draw()
        if world.is_cache_down or fault == "unsent":
            raise RespError("ReadTimeoutError")
        if fault == "throttled":
            raise RespError("OOM")
        if words[0] == b"DEL":
            answer: Answer = self._remove(words[1])
        else:
            answer = super().call(*words, seconds=seconds)
        world.machine.end_call()
        if fault == "lost":
            raise RespError("ReadTimeoutError")
        return answer

    def _remove(self, key: bytes) -> int:
        """Remove an entry. No code of the product does this, because a slow reader could put an older entry back."""
        self.values.pop(key, None)
        row = self._stack.replica.items.get(key.decode().removeprefix(_PREFIX))
        if row is not None:
            self._greatest[key] = row["version"]["S"].encode(), self._now_ms() + ENTRY_MS
        return 1

    def _put_newer(self, key: bytes, entry: bytes, ttl_ms: int) -> bytes | None:
        stored = super()._put_newer(key, entry, ttl_ms)
        if stored is None:
            version, until_ms = self._greatest.get(key, (b"", 0))
            now_ms = self._now_ms()
            self._stack.world.invariants.require(
                entry[:36] >= version or until_ms <= now_ms, "an entry of the cache goes back to an older version"
            )
            self._greatest[key] = entry[:36], now_ms + ttl_ms
        return stored

    def live_entries(self) -> dict[str, CacheEntry]:
        """Return the entries that the cache has now, by the keys of their items."""
        keys = [key.decode().removeprefix(_PREFIX) for key in self.values]
        values = {key: self._get((_PREFIX + key).encode()) for key in keys}
        return {key: parse_entry(value, key) for key, value in values.items() if value is not None}


class GuardedDatabase(MemoryWriter):
    """The database of a Region. A version that the items table still remembers must not go down."""

    def __init__(self, stack: "Stack") -> None:
        super().__init__()
        self._stack = stack
        self._fault = ""

    def upsert(self, changes: Sequence[Change], *, floor: str = "") -> UpsertOutcome:
        """Write changes. The answer may be lost."""
        outcome = super().upsert(changes, floor=floor)
        self._end()
        return outcome

    def remove(self, keys: Sequence[str], *, floor: str) -> int:
        """Remove rows. The answer may be lost."""
        number = super().remove(keys, floor=floor)
        self._end()
        return number

    def write(self, change: Change) -> None:
        """Write one row."""
        stored = self.rows.get(change.key)
        self._stack.world.invariants.require(
            stored is None
            or stored.version <= change.version
            or stored.version < floor_at(self._stack.region.clock(), HORIZON_MS),
            "a row of the database goes back to an older version",
        )
        super().write(change)

    def _begin(self, name: str, number: int) -> None:
        world = self._stack.world
        world.machine.begin_call(f"{self._stack.region.name} database.{name}", world.faults.latency_ms())
        self._fault = world.faults.draw()
        if world.is_database_down or self._fault in ("throttled", "unsent"):
            raise UnreachableError("08006")

    def _end(self) -> None:
        self._stack.world.machine.end_call()
        if self._fault == "lost":
            raise UnreachableError("08006")
