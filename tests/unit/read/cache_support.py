"""Helpers that pass API Gateway's events to a `read` that has an item cache on a real Valkey."""

import time
from pathlib import Path
from typing import Any

from readplane.model.change import Change
from readplane.read.handler import Read
from readplane.stores.documents import Documents
from readplane.stores.item_cache import CachedItems, EntryStore
from tests.unit.read.support import SETTINGS, ReadService
from tests.unit.stores.cache_support import SETTINGS as CACHE
from tests.unit.stores.cache_support import LoadedItems, RecordingClient, RecordingTelemetry

_SCHEDULED = Path("/proc/thread-self/schedstat")

ORDER = "/items/orders/{item_id}"


class CachedService(ReadService):
    """A :class:`ReadService` with an item cache for the collections ``orders``, ``profiles``, ``notices`` and others.

    :ivar cached: the cached items.
    :ivar client: the client of the cache.
    :ivar log: what the cached items log.
    """

    def __init__(self, port: int, *changes: Change, documents: Documents | None = None, **options: Any) -> None:
        super().__init__()
        self.items: LoadedItems = LoadedItems(*changes)
        self.log = RecordingTelemetry()
        self.client = RecordingClient("127.0.0.1", port, **options)
        store = EntryStore(CACHE._replace(port=port), self.client, self.log)
        self.cached = CachedItems(store, self.items, frozenset(SETTINGS.collections), self.log)
        self.read = Read(SETTINGS, self.items, documents or self.documents, self.log, self.cached)

    def order(self, item_id: str, **request: Any) -> tuple[int, Any, dict[str, str]]:
        """Read an order."""
        return self(ORDER, {"item_id": item_id}, **request)


def own_seconds() -> float:
    """Return the time on the monotonic clock, without the time for which this thread waited for a processor.

    A busy machine so doesn't make a request look slow. Only Linux counts this waiting time.
    """
    try:
        waited_ns = int(_SCHEDULED.read_text().split()[1])
    except OSError:
        waited_ns = 0
    return time.monotonic() - waited_ns / 1e9
