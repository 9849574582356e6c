"""Helpers of the tests of `feed`: a cache and a database that are kept in memory."""

from collections.abc import Callable, Sequence
from typing import Any

from readplane.model.change import Change
from readplane.model.keys import ITEM_PREFIX
from readplane.stores.item_cache import PUT_NEWER, CacheSettings, EntryStore
from readplane.stores.relational.errors import UnreachableError
from readplane.stores.relational.writer import RelationalVersion, RowFailure, UpsertOutcome
from readplane.stores.resp import Answer, RespError
from readplane.telemetry import Telemetry

CACHE_SETTINGS = CacheSettings(
    "valkey", "h", 1, tls=False, user=None, iam_name=None, serverless=False, generation=1, collections=frozenset()
)
ENTRY_MS = (CACHE_SETTINGS.fresh_seconds + CACHE_SETTINGS.stale_seconds) * 1000
"""The greatest lifetime of an entry of the cache, in milliseconds."""


class MemoryWriter:
    """A :class:`readplane.stores.relational.writer.RelationalWriter` that keeps the rows in a dictionary.

    While ``is_down`` is set, every call fails. A change whose item id is in ``refused`` can't be written. ``before``
    runs before each call.
    """

    def __init__(self) -> None:
        self.rows: dict[str, Change] = {}
        self.is_down = False
        self.refused: set[str] = set()
        self.waiting: set[str] = set()
        self.calls: list[tuple[str, int]] = []
        self.before: Callable[[str], None] = lambda _: None

    def upsert(self, changes: Sequence[Change], *, floor: str = "") -> UpsertOutcome:
        self._begin("upsert", len(changes))
        failed, written = [], 0
        for change in changes:
            if change.item_id in self.refused:
                failed.append(RowFailure(change, "54000"))
            elif change.collection not in self.waiting:
                stored = self.rows.get(change.key)
                if stored is None or stored.version < max(change.version, floor):
                    self.write(change)
                    written += 1
        waiting = tuple(change for change in changes if change.collection in self.waiting)
        return UpsertOutcome(written, len(changes) - written - len(failed), len(changes), tuple(failed), waiting)

    def write(self, change: Change) -> None:
        self.rows[change.key] = change

    def remove(self, keys: Sequence[str], *, floor: str) -> int:
        self._begin("remove", len(keys))
        gone = [key for key in keys if key in self.rows and self.rows[key].version < floor]
        for key in gone:
            del self.rows[key]
        return len(gone)

    def forget_owner(self, owner: str) -> tuple[int, int]:
        self._begin("forget_owner", 1)
        rows = {key: change for key, change in self.rows.items() if change.owner == owner}
        gone = [key for key, change in rows.items() if change.data is None]
        for key in gone:
            del self.rows[key]
        return len(gone), len(rows) - len(gone)

    def versions(self, keys: Sequence[str]) -> dict[str, str]:
        self._begin("versions", len(keys))
        return {key: self.rows[key].version for key in keys if key in self.rows}

    def keys_after(self, collection: str, after: str | None, limit: int) -> list[RelationalVersion]:
        self._begin("keys_after", limit)
        keys = sorted(key for key in self.rows if key.startswith(f"{ITEM_PREFIX}{collection}/") and key > (after or ""))
        return [RelationalVersion(key, self.rows[key].version, self.rows[key].data is None) for key in keys[:limit]]

    def status(self) -> dict[str, Any]:
        self._begin("status", 0)
        return {"products": {"rows": len(self.rows)}}

    def _begin(self, name: str, number: int) -> None:
        self.before(f"database.{name}")
        self.calls.append((name, number))
        if self.is_down:
            raise UnreachableError("08006")


class MemoryResp:
    """A :class:`readplane.stores.resp.RespClient` of a cache in memory, which knows the script of the item cache.

    While ``fault`` is set, every call fails with it. ``before`` runs before each call.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.values: dict[bytes, tuple[bytes, int]] = {}
        self.fault: str | None = None
        self.before: Callable[[str], None] = lambda _: None
        self._now_ms = now_ms
        self._scripts: set[bytes] = set()

    def call(self, *words: bytes, seconds: float | None = None) -> Answer:
        self.before(f"cache.{words[0].decode()}")
        if self.fault:
            raise RespError(self.fault)
        match words:
            case [b"GET", key]:
                return self._get(key)
            case [b"EVALSHA", sha, b"1", key, entry, ttl_ms]:
                if sha not in self._scripts:
                    self._scripts.add(sha)
                    raise RespError("NOSCRIPT")
                return self._put_newer(key, entry, int(ttl_ms))
            case [b"EVAL", script, b"1", key, entry, ttl_ms]:
                assert script.decode() == PUT_NEWER
                return self._put_newer(key, entry, int(ttl_ms))
        raise AssertionError(words)

    def get(self, key: str, seconds: float | None = None) -> Answer:
        return self.call(b"GET", key.encode(), seconds=seconds)

    def close(self) -> None:
        pass

    def _get(self, key: bytes) -> bytes | None:
        value, until_ms = self.values.get(key, (None, 0))
        return value if until_ms > self._now_ms() else None

    def _put_newer(self, key: bytes, entry: bytes, ttl_ms: int) -> bytes | None:
        stored = self._get(key)
        if stored is not None and stored[:36] > entry[:36]:
            return stored
        self.values[key] = entry, self._now_ms() + ttl_ms
        return None


def memory_entries(client: MemoryResp) -> EntryStore:
    """Return the product's entry store over a cache in memory."""
    return EntryStore(CACHE_SETTINGS, client, Telemetry("feed", "demo"))  # type: ignore[arg-type]
