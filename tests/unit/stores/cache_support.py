"""Helpers for the tests of the item cache: its settings, a recording client, and a DynamoDB that counts its loads."""

import threading
import time
from typing import Any

from readplane.aws.faults import AwsError, RefusedError
from readplane.model.change import Change
from readplane.stores.item_cache import CachedItems, CacheSettings, EntryStore
from readplane.stores.resp import Answer, RespClient, RespError
from readplane.telemetry import Telemetry
from tests.unit.support import MemoryItems

KEY = "item/products/p-1"
SETTINGS = CacheSettings(
    engine="valkey",
    host="127.0.0.1",
    port=0,
    tls=False,
    user=None,
    iam_name=None,
    serverless=False,
    generation=1,
    collections=frozenset({"products"}),
)


class RecordingTelemetry(Telemetry):
    """A :class:`Telemetry` that writes nothing and keeps the code and the metrics of each event."""

    def __init__(self) -> None:
        super().__init__("read", "demo")
        self.codes: list[str] = []
        self.metrics: dict[str, float] = {}

    def event(self, code: str, message: str, **fields: Any) -> None:
        self.codes.append(code)
        for name, number in (fields.get("metrics") or {}).items():
            self.metrics[name] = self.metrics.get(name, 0) + number


class RecordingClient(RespClient):
    """A :class:`RespClient` that records its commands.

    :ivar commands: the first word of each command.
    :ivar seconds: the time that each command took.
    :ivar errors: the errors that the next commands of a name raise instead of being sent, by command.
    :ivar before: functions that run before the next command of a name is sent, by command.
    """

    def __init__(self, host: str, port: int, **options: Any) -> None:
        super().__init__(host, port, **({"tls": False} | options))
        self.commands: list[str] = []
        self.seconds: list[float] = []
        self.errors: dict[str, list[str]] = {}
        self.before: dict[str, Any] = {}

    def call(self, *words: bytes, seconds: float | None = None) -> Answer:
        name = words[0].decode()
        self.commands.append(name)
        if name in self.before:
            self.before.pop(name)()
        if self.errors.get(name):
            raise RespError(self.errors[name].pop(0))
        start = time.monotonic()
        try:
            return super().call(*words, seconds=seconds)
        finally:
            self.seconds.append(time.monotonic() - start)

    def get(self, key: str, seconds: float | None = None) -> Answer:
        return self.call(b"GET", key.encode(), seconds=seconds)


class LoadedItems(MemoryItems):
    """The items in a DynamoDB that takes its time, and counts how often it is read.

    :ivar loads: whether each read was strongly consistent.
    :ivar load_seconds: how long a read takes.
    :ivar fault: the error that every read raises.
    :ivar capacity: how many further reads DynamoDB serves before it throttles all others; ``None`` for all.
    """

    def __init__(self, *changes: Change, load_seconds: float = 0.0) -> None:
        super().__init__()
        self.by_key = {change.key: change for change in changes}
        self.loads: list[bool] = []
        self.load_seconds = load_seconds
        self.fault: AwsError | None = None
        self.capacity: int | None = None
        self._lock = threading.Lock()

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        with self._lock:
            self.loads.append(consistent)
        item = self.by_key.get(key)
        if self.load_seconds:
            time.sleep(self.load_seconds)
        if self.fault:
            raise self.fault
        if self.capacity is not None:
            self.capacity -= 1
            if self.capacity < 0:
                raise RefusedError("ProvisionedThroughputExceededException", 400)
        return item


class CacheWorld:
    """One sandbox's view of a cache: the client, the store, the cached items and what they log.

    :param server: a Valkey server.
    """

    def __init__(self, server: Any, *changes: Change, client: RecordingClient | None = None, **settings: Any) -> None:
        self.settings = SETTINGS._replace(port=server.port, **settings)
        self.telemetry = RecordingTelemetry()
        self.client = client or RecordingClient(server.host, server.port)
        self.items = LoadedItems(*changes)
        self.store = EntryStore(self.settings, self.client, self.telemetry)
        self.cached = CachedItems(self.store, self.items, self.settings.collections, self.telemetry)

    def read(self, least: str = "", key: str = KEY) -> tuple[str, str, str]:
        """Read an item, after forgetting the earlier commands and loads."""
        self.client.commands.clear()
        self.items.loads.clear()
        return self.cached.read(key, least)

    def sibling(self, server: Any) -> "CacheWorld":
        """Return another sandbox that reads the same items through the same cache."""
        other = CacheWorld(server)
        other.items = self.items
        other.cached = CachedItems(other.store, self.items, self.settings.collections, other.telemetry)
        return other
