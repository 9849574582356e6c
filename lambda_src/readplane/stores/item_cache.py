"""The item cache: one entry for each item in Valkey, and the reads of `read` that go through it.

Two facts decide the rules here. DynamoDB holds the truth, so a fault of the cache never fails a read. Lambda's
sandboxes share nothing but the cache, so the lease that chooses the one reader that loads an item is in the cache, too.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha1
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..aws.faults import AwsError
from ..clock import now_ms
from ..config import VARIABLE, Settings, SettingsError, read_settings
from ..model.cache_entry import NO_VERSION, CacheEntry, parse_entry
from .resp import REDIRECTS, RespClient, RespError

if TYPE_CHECKING:
    from ..model.change import Change
    from ..telemetry import Telemetry
    from .items import Items

PASSWORD_VARIABLE = "READPLANE_CACHE_PASSWORD"
"""The environment variable that holds the password of an external cache."""

LEASE_MS = 2_000
"""How long a lease lives, in milliseconds. Its reader doesn't delete it. Otherwise a reader that is a moment late would
take the lease again and load the item again."""

WAIT_SECONDS = 0.25
"""How long a reader without a lease waits for an entry that isn't there, before it loads the item itself."""

POLL_SECONDS = 0.005
"""How long such a reader sleeps before it looks again."""

CALL_SECONDS = 0.05
"""The maximum time to connect to the cache, and the maximum time of a command, in seconds."""

READ_SECONDS = 0.1
"""The maximum time of all commands of one read, in seconds. Waiting for another reader's entry doesn't count."""

FAULTS = 2
"""The number of faults in a row that opens the breaker."""

OPEN_SECONDS = 5.0
"""The minimum time for which the breaker stays open, in seconds. A random time of up to the same length is added, so
that not all sandboxes come back at once."""

REPORT_SECONDS = 5.0
"""How long a sandbox collects faults before it writes the next log line about them."""

PUT_NEWER = """\
local size = 52 + tonumber(ARGV[1]:sub(50, 52))
local old = redis.call('GETRANGE', KEYS[1], 0, size - 1)
if #old == size and old:sub(50) == ARGV[1]:sub(50, size) and old:sub(1, 36) > ARGV[1]:sub(1, 36) then
  return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
"""
"""The Lua script that stores an entry, unless the cache has an entry of the same item with a greater version. In this
case it returns that entry. It has one key, as ElastiCache Serverless requires."""

_SHA = sha1(PUT_NEWER.encode(), usedforsecurity=False).hexdigest().encode()
_MISCONFIGURED = (*REDIRECTS, "NOAUTH", "NOPERM", "WRONGPASS", "NoCredentialsError", "CredentialRetrievalError")
"""The faults that somebody has to repair. The last two mean that there are no credentials to sign an IAM token with."""

Result = TypeVar("Result")

Answer = tuple[str, str, str]
"""An item's version, its JSON text (empty if there is no such item), and the value of the header ``Cache-Status``."""


class CacheSettings(NamedTuple):
    """The settings of the item cache.

    :param engine: ``valkey``.
    :param host: the cache's host.
    :param port: the cache's port.
    :param tls: whether the cache takes TLS connections.
    :param user: the user's name; ``None`` for the default user.
    :param iam_name: the name of the ElastiCache cache, which IAM tokens contain; ``None`` if the user has a password,
        or neither.
    :param serverless: whether ``iam_name`` is a serverless cache.
    :param generation: the generation of the keys. A greater one makes all entries unreachable.
    :param collections: the names of the collections whose items are cached.
    :param fresh_seconds: how long an entry may answer reads, in seconds.
    :param stale_seconds: for how many more seconds an entry may answer while another reader loads the item, or while
        DynamoDB fails.
    :param negative_seconds: how long an entry for an item that doesn't exist may answer reads, in seconds.
    :param max_item_bytes: the maximum size of a cached item's JSON text, in bytes.
    :param ca_pem: the only certificate authorities to trust, as PEM text; ``None`` for those that ``tls_context``
        chooses.
    """

    engine: str
    host: str
    port: int
    tls: bool
    user: str | None
    iam_name: str | None
    serverless: bool
    generation: int
    collections: frozenset[str]
    fresh_seconds: int = 30
    stale_seconds: int = 300
    negative_seconds: int = 5
    max_item_bytes: int = 65_536
    ca_pem: str | None = None


def cache_key(generation: int, key: str) -> str:
    """Return the cache's key for the item with the given key of the items table."""
    return f"g{generation}/{key}"


class EntryStore:
    """The entries in Valkey.

    :param lease_ms: how long a lease lives, in milliseconds.
    :param clock: returns the current time in Unix milliseconds.
    """

    def __init__(
        self,
        settings: CacheSettings,
        client: RespClient,
        telemetry: "Telemetry",
        *,
        lease_ms: int = LEASE_MS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._client = client
        self._telemetry = telemetry
        self._lease_ms = str(lease_ms).encode()
        self._now_ms = clock
        self._prefix = cache_key(settings.generation, "")
        self._fresh_ms = int(settings.fresh_seconds * 1000)
        self._stale_ms = int(settings.stale_seconds * 1000)
        self._negative_ms = int(settings.negative_seconds * 1000)
        self._max_item_bytes = settings.max_item_bytes

    def make_entry(self, key: str, change: "Change | None", loaded_ms: int) -> CacheEntry:
        """Return the entry of an item that was just read from DynamoDB, with a strongly consistent read.

        :param change: the item's newest change; ``None`` if the items table has no such item.
        :param loaded_ms: the time before the read, in Unix milliseconds.
        """
        if change is None:
            return CacheEntry(NO_VERSION, loaded_ms + self._negative_ms, key, "")
        text = "" if change.data is None else change.representation()
        return CacheEntry(change.version, loaded_ms + self._fresh_ms, key, text)

    def get(self, key: str, seconds: float = CALL_SECONDS) -> CacheEntry | None:
        """Return an item's entry, or ``None`` if the cache has none.

        A value that isn't this item's entry counts as none. The connection is closed, because it may be answering
        another request.

        :param seconds: the maximum time of the command.
        :raises RespError: if the cache doesn't answer, or answers with an error.
        """
        value = self._client.get(self._prefix + key, seconds)
        if value is None:
            return None
        if isinstance(value, bytes):
            try:
                return parse_entry(value, key)
            except ValueError:
                pass
        self._client.close()
        self._telemetry.event(
            "cache_mismatch",
            "The cache returned something else than the item's entry, so the item was read from DynamoDB.",
            level="ERROR",
            metrics={"CacheMismatch": 1},
        )
        return None

    def put_newer(self, entry: CacheEntry, seconds: float = CALL_SECONDS) -> CacheEntry | None:
        """Store an entry, unless the cache has one with a greater version, or the entry is so old that it is useless.

        :param seconds: the maximum time of the command.
        :returns: the cache's entry if its version is greater.
        :raises RespError: if the cache doesn't answer, or answers with an error.
        """
        ttl_ms = entry.fresh_until_ms - self._now_ms() + (0 if entry.version == NO_VERSION else self._stale_ms)
        if ttl_ms <= 0:
            return None
        key = (self._prefix + entry.key).encode()
        words = b"1", key, entry.encode(self._max_item_bytes), str(ttl_ms).encode()
        try:
            newer = self._client.call(b"EVALSHA", _SHA, *words, seconds=seconds)
        except RespError as error:
            if error.code != "NOSCRIPT":
                raise
            newer = self._client.call(b"EVAL", PUT_NEWER.encode(), *words, seconds=seconds)
        try:
            return parse_entry(newer, entry.key) if isinstance(newer, bytes) else None
        except ValueError:
            return None

    def take_lease(self, key: str, seconds: float = CALL_SECONDS) -> bool:
        """Return whether the caller gets the lease, and with it the task to load the item.

        :param seconds: the maximum time of the command.
        :raises RespError: if the cache doesn't answer, or answers with an error.
        """
        lease = f"{self._prefix}{key}/lease".encode()
        answer = self._client.call(b"SET", lease, b"1", b"NX", b"PX", self._lease_ms, seconds=seconds)
        return answer == b"OK"

    def close(self) -> None:
        """Close the connection. The next command opens another."""
        self._client.close()


class Breaker:
    """Keeps reads away from a cache that fails, and reports the faults.

    :ivar faults: how many faults in a row there were. Whoever gets an answer of the cache sets it to 0.
    :ivar open_until: until when the breaker is open, as a Unix time in seconds. The monotonic clock may stand still
        while Lambda freezes a sandbox, so the breaker of a sandbox with few requests would stay open for hours.
    """

    def __init__(self, telemetry: "Telemetry") -> None:
        self.faults = 0
        self.open_until = 0.0
        self._telemetry = telemetry
        self._unreported = 0
        self._next_report = 0.0

    def is_open(self) -> bool:
        """Return whether reads must not go to the cache."""
        # The upper limit is for a clock that was set back.
        return 0 < self.open_until - time.time() <= 2 * OPEN_SECONDS

    def record_fault(self, code: str) -> None:
        """Count a fault. Open the breaker if it isn't the first in a row.

        :param code: the kind of fault.
        """
        now = time.time()
        self.faults += 1
        if self.faults >= FAULTS:
            # Keep the count, so that one more fault opens the breaker again when its time is over.
            self.open_until = now + OPEN_SECONDS * (1 + os.urandom(1)[0] / 256)
        self._unreported += 1
        if not 0 < self._next_report - now <= REPORT_SECONDS:
            metrics = {"CacheFaults": self._unreported}
            if code in _MISCONFIGURED:
                metrics["CacheMisconfigured"] = 1
            self._telemetry.event(
                "cache_failed",
                "The cache failed, so items are read from DynamoDB.",
                level="WARN",
                metrics=metrics,
                error_code=code,
            )
            self._unreported = 0
            self._next_report = now + REPORT_SECONDS


class CachedItems:
    """Reads items from the cache, and from DynamoDB what the cache doesn't have.

    An entry answers while it is fresh. When it is stale or missing, one reader gets the lease and loads the item. The
    others answer with the entry if it has been stale for no longer than a lease lives. Otherwise they wait for a fresh
    one. So no answer is older than ``fresh_seconds``, a lease and a load. Only while DynamoDB fails, every stale entry
    answers.

    No fault of the cache fails a read. Two in a row open the breaker: for 5 to 10 seconds, all reads go to DynamoDB.

    :param collections: the names of the collections whose items are cached.
    """

    def __init__(self, store: EntryStore, items: "Items", collections: frozenset[str], telemetry: "Telemetry") -> None:
        self.collections = collections
        self._store = store
        self._items = items
        self._telemetry = telemetry
        self._breaker = Breaker(telemetry)
        self._spent = 0.0  # seconds that the commands of the present read took

    def read(self, key: str, least: str) -> Answer:
        """Read an item.

        :param least: an entry with a smaller version doesn't answer; empty if every version may.
        :raises AwsError: if DynamoDB fails and the cache has no usable entry.
        """
        if self._breaker.faults and self._breaker.is_open():
            return self._bypass(key, least)
        start = time.monotonic()
        try:
            entry = self._store.get(key)
        except RespError as error:
            self._breaker.record_fault(error.code)
            return self._bypass(key, least)
        self._breaker.faults = 0
        if entry is not None and _answers(entry, least):
            ttl_ms = entry.fresh_until_ms - now_ms()
            if ttl_ms > 0:
                return entry.version, entry.text, f"Readplane; hit; ttl={ttl_ms // 1000}"
        self._spent = time.monotonic() - start
        return self._refill(key, least, entry)

    def _refill(self, key: str, least: str, entry: CacheEntry | None) -> Answer:
        """Answer a read for which the cache has no usable fresh entry.

        A stale entry is recent if the lease of the reader that loads it again can't have expired since it became stale.

        =======================================  ==========================================================
        the cache's entry                        the read
        =======================================  ==========================================================
        fresh, but too old for ``least``         loads the item and stores it
        fresh, and the item is too large         loads the item
        stale or missing, and it gets the lease  looks again, then loads the item and stores it
        recent, and it doesn't get the lease     answers with the entry
        older or missing, and it doesn't         waits for a fresh entry, and loads the item if it waits in vain
        =======================================  ==========================================================

        :param entry: the cache's entry; ``None`` if it has none.
        """
        reason = "uri-miss"
        try:
            if entry is not None and entry.fresh_until_ms > now_ms():
                if entry.is_too_large and entry.version >= least:
                    return self._load(key, least, entry, "bypass", store=False)
                reason = "request"
            else:
                reason = "stale" if entry else reason
                if self._timed(self._store.take_lease, key):
                    # Look again. Another reader may have loaded the item and its lease may have expired since this
                    # reader looked.
                    entry = self._timed(self._store.get, key) or entry
                    if entry is not None and _answers(entry, least) and entry.fresh_until_ms > now_ms():
                        return self._answer(entry)
                elif entry is None or entry.fresh_until_ms < now_ms() - LEASE_MS:
                    fresh = self._wait(key)
                    if fresh is not None and _answers(fresh, least):
                        return fresh.version, fresh.text, f"Readplane; fwd={reason}; collapsed"
                    entry = fresh or entry
                elif _answers(entry, least):
                    return self._answer(entry)
        except RespError as error:
            self._breaker.record_fault(error.code)
            return self._load(key, least, entry, reason, store=False)
        return self._load(key, least, entry, reason, store=True)

    def _load(self, key: str, least: str, entry: CacheEntry | None, reason: str, *, store: bool) -> Answer:
        """Load an item from DynamoDB and put its entry into the cache, if ``store`` is true.

        The read is strongly consistent, because an entry lives much longer than a replica of DynamoDB lags.
        """
        loaded_ms = now_ms()
        try:
            loaded = self._store.make_entry(key, self._items.get_item(key, consistent=True), loaded_ms)
        except AwsError as error:
            if entry is None or not _answers(entry, least):
                raise
            self._telemetry.failure(
                "stale_entry_used", "DynamoDB did not respond, so a stale entry of the cache answered a read.", error
            )
            return self._answer(entry)
        stored = ""
        if store:
            try:
                entry = self._timed(self._store.put_newer, loaded) or entry
                stored = "; stored"
            except RespError as error:
                self._breaker.record_fault(error.code)
        if entry is not None and entry.version > loaded.version and not entry.is_too_large:
            loaded = entry
        return loaded.version, loaded.text, f"Readplane; fwd={reason}{stored}"

    def _wait(self, key: str) -> CacheEntry | None:
        """Wait until the reader with the lease has stored a fresh entry. Return ``None`` if it doesn't in time."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            entry = self._store.get(key)
            if entry is not None and entry.fresh_until_ms > now_ms():
                return entry
        self._telemetry.event(
            "cache_wait_over",
            "Another reader did not load an item in time, so this reader loaded it, too.",
            metrics={"CacheWaitsOver": 1},
        )
        return None

    def _bypass(self, key: str, least: str) -> Answer:
        """Read an item from DynamoDB as `read` does without a cache."""
        change = self._items.get_item(key, consistent=bool(least))
        entry = self._store.make_entry(key, change, 0)
        return entry.version, entry.text, "Readplane; fwd=bypass"

    def _answer(self, entry: CacheEntry) -> Answer:
        """Answer with an entry. The seconds are negative if the entry is stale (RFC 9211, 2.4)."""
        return entry.version, entry.text, f"Readplane; hit; ttl={(entry.fresh_until_ms - now_ms()) // 1000}"

    def _timed(self, command: Callable[[Any, float], Result], argument: Any) -> Result:
        """Send a command to the cache, with the time that this read's earlier commands have left over."""
        seconds = READ_SECONDS - self._spent
        if seconds <= 0:
            raise RespError("TooSlow")
        start = time.monotonic()
        try:
            return command(argument, min(seconds, CALL_SECONDS))
        finally:
            self._spent += time.monotonic() - start


def _answers(entry: CacheEntry, least: str) -> bool:
    return entry.version >= least and not entry.is_too_large


def open_entry_store(settings: CacheSettings, telemetry: "Telemetry") -> EntryStore:
    """Return the entries of the cache that the settings name. The first command opens the connection."""
    client = RespClient(
        settings.host,
        settings.port,
        tls=settings.tls,
        user=settings.user,
        password=_password(settings),
        ca_pem=settings.ca_pem,
        connect_seconds=CALL_SECONDS,
    )
    return EntryStore(settings, client, telemetry)


def _password(settings: CacheSettings) -> Callable[[], str] | None:
    """Return the function that returns the password of each new connection, or ``None`` if there is no login."""
    user, iam_name, text = settings.user, settings.iam_name, os.environ.get(PASSWORD_VARIABLE)
    if iam_name and user:
        from ..aws.iam_token import cache_token  # imported here, because only IAM users need it

        return partial(cache_token, iam_name, user, serverless=settings.serverless)
    return (lambda: text) if text else None


def read_cache_settings(settings: type[Settings], values: Any) -> Settings:
    """Return the settings of a cache, from parsed JSON.

    :param settings: the ``NamedTuple`` class that declares them.
    :raises SettingsError: if a setting is missing or wrong. The message lists every problem.
    """
    cache, problems = read_settings(settings, values)
    if problems:
        raise SettingsError(f"{VARIABLE}: " + "; ".join(f"cache.{problem}" for problem in problems))
    return cache


def open_cached_items(values: Any, items: "Items", telemetry: "Telemetry") -> CachedItems:
    """Return the cached items of `read`.

    :param values: the setting ``cache``, as parsed JSON.
    :raises SettingsError: if a setting is missing or wrong. The message lists every problem.
    """
    settings = read_cache_settings(CacheSettings, values)
    return CachedItems(open_entry_store(settings, telemetry), items, settings.collections, telemetry)
