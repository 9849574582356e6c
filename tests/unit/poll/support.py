"""Helpers for the tests of `poll`: stores in memory, a fake back office, and a `World` that joins them to `poll`."""

import itertools
import json
import time
from collections import abc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

from readplane.aws.faults import UnansweredError
from readplane.model.change import Change
from readplane.model.collection import Collection
from readplane.poll.checkpoint import Checkpoint, Position, checkpoint_json, parse_checkpoint
from readplane.poll.checkpoint_table import CHUNK_SECONDS
from readplane.poll.declared_sources import DeclaredSources
from readplane.poll.errors import BackOfficeError, ChunkMissingError, LeaseLostError
from readplane.poll.handler import Poll
from readplane.poll.poll_stores import PollStores
from readplane.poll.quarantine import QuarantineEntry
from readplane.poll.source.settings import Source, StoredSecret
from readplane.poll.source.translate import UntranslatableRecord
from readplane.poll.switch import Switch
from readplane.poll.upstream.client import BackOfficeClient
from readplane.poll.upstream.oauth2 import AccessTokens
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse, Fetch
from readplane.stores.versioned_documents import StoredDocument
from readplane.telemetry import Telemetry
from tests.fakes.apis.server import SECRET
from tests.fakes.source_settings import add_defaults
from tests.unit.support import NOW_MS, MemorySourcedItems

DAY_MS = 86_400_000
ORIGIN = "https://office.test/rows"
COLLECTIONS = {
    "things": Collection("things", "public", cache_ttl=60),
    "others": Collection("others", "public", cache_ttl=60),
    "rates": Collection("rates", "authenticated", edge_ttl=300),
    "mine": Collection("mine", "owner"),
}
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
CHANGES = add_defaults(
    {
        "name": "rows",
        "mode": "changes",
        "collection": "things",
        "url": f"{ORIGIN}?since={{cursor}}",
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "unix_ms"},
        "deleted": "gone",
        "translation": "{n: n}",
        "paging": {"style": "link", "next": "next"},
        "staleness_budget": 600,
    }
)
"""The settings of a source that `poll` reads incrementally and never sweeps."""
LISTING: dict[str, Any] = {
    **{name: value for name, value in CHANGES.items() if name not in ("version", "url")},
    "url": ORIGIN,
    "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": 50},
}
"""The settings of a source whose every pass reads the full list. The source's records have no modification times."""
SWEPT: dict[str, Any] = {**CHANGES, "sweep": {"schedule": "rate(1 day)", "max_deletes_percent": 50}}
"""The settings of a source that `poll` reads incrementally and sweeps."""
SNAPSHOT = add_defaults(
    {
        "name": "fx",
        "mode": "snapshot",
        "collection": "rates",
        "url": ORIGIN,
        "staleness_budget": 600,
    }
)


class MemoryCheckpoints:
    """A store of checkpoints in memory, which implements :class:`readplane.poll.checkpoint_table.Checkpoints`.

    A test may set the function ``before_save``. Before each save, the store calls it with the number of the save. The
    function may raise an error to simulate a crash.
    """

    def __init__(self) -> None:
        self.by_source: dict[str, Checkpoint] = {}
        self.chunks: dict[str, bytes] = {}
        self.chunk_seconds: dict[str, int] = {}
        self.saves = 0
        self.before_save: Callable[[int], None] | None = None

    def acquire_lease(self, source: str, holder: str, now_ms: int, until_ms: int) -> Checkpoint | None:
        checkpoint = self.by_source.get(source, Checkpoint(source))
        if checkpoint.lease_holder not in (None, holder) and checkpoint.lease_until_ms > now_ms:
            return None
        generation = checkpoint.generation + 1
        leased = replace(checkpoint, lease_holder=holder, lease_until_ms=until_ms, generation=generation)
        self.by_source[source] = leased
        return leased

    def save_checkpoint(self, checkpoint: Checkpoint, holder: str, *, releases: bool = False) -> None:
        self.saves += 1
        if self.before_save:
            self.before_save(self.saves)
        previous = self.by_source[checkpoint.source]
        if previous.lease_holder != holder:
            raise LeaseLostError
        self.by_source[checkpoint.source] = parse_checkpoint(
            checkpoint.source,
            checkpoint_json(checkpoint),
            remembered=checkpoint.remembered,
            redriven=previous.redriven - checkpoint.redriven if releases else previous.redriven,
            paused=previous.paused,
            sweep_requested_ms=previous.sweep_requested_ms,
            lease_holder=previous.lease_holder,
            lease_until_ms=previous.lease_until_ms,
            generation=previous.generation,
        )

    def release_lease(self, checkpoint: Checkpoint, holder: str) -> None:
        self.save_checkpoint(checkpoint, holder, releases=True)
        saved = self.by_source[checkpoint.source]
        self.by_source[checkpoint.source] = replace(saved, lease_holder=None, lease_until_ms=0)

    def get_checkpoint(self, source: str) -> Checkpoint | None:
        return self.by_source.get(source)

    def set_paused(self, source: str, paused: bool) -> None:
        self.by_source[source] = replace(self.by_source.get(source, Checkpoint(source)), paused=paused)

    def request_sweep(self, source: str, now_ms: int) -> None:
        checkpoint = self.by_source.get(source, Checkpoint(source))
        self.by_source[source] = replace(checkpoint, sweep_requested_ms=now_ms)

    def rewind(self, source: str, to_ms: int) -> None:
        raise NotImplementedError

    def forget_refused(self, source: str, keys: abc.Collection[int]) -> None:
        checkpoint = self.by_source[source]
        self.by_source[source] = replace(checkpoint, redriven=checkpoint.redriven | frozenset(keys))

    def take_over(self, source: str, position: Position, now_ms: int) -> None:
        raise NotImplementedError

    def reset(self, source: str) -> None:
        empty = self.by_source[source].without_progress()
        self.by_source[source] = replace(empty, lease_holder=None, lease_until_ms=0)

    def put_chunk(
        self,
        checkpoint: Checkpoint,
        name: str,
        number: int,
        content: bytes,
        now_ms: int,
        seconds: int = CHUNK_SECONDS,
    ) -> None:
        self.chunks[f"{checkpoint.source}/{name}/{number}"] = content
        self.chunk_seconds[f"{checkpoint.source}/{name}/{number}"] = seconds

    def read_chunks(self, source: str, name: str, count: int) -> Iterator[bytes]:
        for number in range(count):
            chunk = self.chunks.get(f"{source}/{name}/{number}")
            if chunk is None:
                raise ChunkMissingError
            yield chunk


class MemoryStream:
    """A change stream in memory, which implements :class:`readplane.poll.change_stream.ChangeStream`.

    The stream applies each change to the items at once. While ``holding`` is true, the stream applies none, so all
    changes stay in flight.
    """

    def __init__(self, items: MemorySourcedItems) -> None:
        self.changes: list[Change] = []
        self.failure: BaseException | None = None
        self.holding = False
        self._items = items

    def put_changes(self, changes: Iterable[Change], seconds: float) -> None:
        if self.failure:
            raise self.failure
        for change in changes:
            self.changes.append(change)
            if not self.holding:
                self._items.apply(change)


class MemoryQuarantine:
    """A quarantine in memory, which implements :class:`readplane.poll.quarantine.Quarantine`."""

    def __init__(self) -> None:
        self.entries: dict[str, QuarantineEntry] = {}
        self.puts = 0

    def put_record(self, source: str, record: UntranslatableRecord, at_ms: int) -> None:
        self.puts += 1
        self.entries[f"quarantine/{record.reason}/{record.raw_text}"] = QuarantineEntry(source, record.raw_text, at_ms)

    def get_entry(self, key: str) -> QuarantineEntry | None:
        return self.entries.get(key)

    def remove_entry(self, key: str) -> None:
        del self.entries[key]


class MemoryRegion:
    """One Region's documents in memory. Implements :class:`readplane.poll.snapshot_documents.SnapshotDocuments`.

    The attribute ``documents`` maps the key of each document to its version, ETag and body.
    """

    def __init__(self) -> None:
        self.documents: dict[str, tuple[str, str, bytes]] = {}
        self.down = False
        self.puts = 0
        self.cache_controls: dict[str, str] = {}
        self.before_replace: Callable[[], None] | None = None
        self._etags = itertools.count()

    def get_stored_document(self, key: str) -> StoredDocument | None:
        self._reach()
        document = self.documents.get(key)
        return StoredDocument(document[0], document[1]) if document else None

    def replace_document(
        self, key: str, body: bytes, version: str, cache_control: str, stored: StoredDocument | None
    ) -> bool:
        self._reach()
        if self.before_replace:
            before, self.before_replace = self.before_replace, None
            before()
        if self.get_stored_document(key) != stored:
            return False
        self.write(key, version, body)
        self.cache_controls[key] = cache_control
        return True

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        self._reach()
        self.write(key, version, text.encode())

    def write(self, key: str, version: str, body: bytes) -> None:
        self.puts += 1
        self.documents[key] = version, f'"{next(self._etags)}"', body

    def _reach(self) -> None:
        if self.down:
            raise UnansweredError("ConnectTimeoutError", sent=False)


class Office:
    """A fake back office. It sorts its rows by modification time, and returns them in pages.

    With ``etags``, each response has an ETag of its body. With ``etag``, it has this ETag, whatever its body is.

    A test can set two functions. ``answer`` takes the URL of each request and returns the body of the response, which
    replaces the page of rows. ``before`` runs once, just before the next response.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.page_size = 100
        self.requests: list[BackOfficeRequest] = []
        self.urls: list[str] = []
        self.conditions: list[str | None] = []
        self.fault: BackOfficeError | None = None
        self.answer: Callable[[str], bytes] | None = None
        self.etags = False
        self.etag: str | None = None
        self.before: Callable[[], None] | None = None

    def row(self, row_id: str, at: int = NOW_MS - 1000, n: Any = 1, gone: bool = False) -> None:
        self.rows[row_id] = {"id": row_id, "at": at, "n": n, "gone": gone}

    def __call__(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        url = request.url
        self.requests.append(request)
        self.urls.append(url)
        self.conditions.append(etag)
        if self.before:
            before, self.before = self.before, None
            before()
        if self.fault:
            raise self.fault
        body = self.answer(url) if self.answer else self.page(url)
        headers = {"ETag": self.etag or f'"{hash(body)}"'} if self.etags or self.etag else {}
        if headers and etag == headers["ETag"]:
            return BackOfficeResponse(304, None, headers, url)
        return BackOfficeResponse(200, body, headers, url)

    def page(self, url: str) -> bytes:
        query = dict(parse_qsl(urlsplit(url).query))
        rows = sorted(self.rows.values(), key=lambda row: (row["at"], row["id"]))
        rows = [row for row in rows if row["at"] >= int(query.get("since", 0))]
        start = int(query.get("from", 0))
        more = start + self.page_size < len(rows)
        base = f"{ORIGIN}?since={query['since']}&" if "since" in query else f"{ORIGIN}?"
        link = f"{base}from={start + self.page_size}" if more else None
        return json.dumps({"rows": rows[start : start + self.page_size], "next": link}).encode()


class World:
    """The function `poll` with stores in memory, a fake back office and a fake clock.

    The clock advances by 1 ms after each poll, and otherwise stands still.

    ``declared`` maps the name of each declared source to its settings, and ``schemas`` a collection's name to its JSON
    Schema. A test may change both at any time, as an operator does with Terraform.

    :param collections: the collections that the sources feed, by name.
    :param make_fetch: a function that takes a source, and returns the function that fetches pages from the source's
        back office; ``None`` for the fake back office ``office``.
    """

    def __init__(
        self,
        collections: Mapping[str, Collection] = COLLECTIONS,
        make_fetch: Callable[[Source], Fetch] | None = None,
    ) -> None:
        self.ms = NOW_MS
        self.office = Office()
        self.items = MemorySourcedItems()
        self.checkpoints = MemoryCheckpoints()
        self.stream = MemoryStream(self.items)
        self.quarantine = MemoryQuarantine()
        self.regions = {"eu-central-1": MemoryRegion(), "eu-west-1": MemoryRegion()}
        self.declared: dict[str, Any] = {}
        self.schemas: dict[str, Any] = {"things": SCHEMA}
        self.switch: Switch | None = None
        self._collections = collections
        self._make_fetch = make_fetch or (lambda source: self.office)

    @property
    def declared_sources(self) -> DeclaredSources:
        """The sources that are declared now."""
        return DeclaredSources(dict(self.declared), self.schemas, self._collections)

    @property
    def poll(self) -> Poll:
        """The function `poll`, which starts again with the sources that are declared now."""
        return Poll(
            self.declared_sources,
            PollStores(self.checkpoints, self.items, self.stream, self.quarantine, self.regions, self.switch),
            self._make_fetch,
            Telemetry("poll", "model"),
        )

    def declare(self, *sources: dict[str, Any]) -> None:
        for source in sources:
            self.declared[source["name"]] = source

    def __call__(self, source: dict[str, Any] = CHANGES, sweep: bool = False, remaining_ms: int = 60_000) -> Any:
        """Declare a source and poll it, and return the response of the function `poll`."""
        self.declare(source)
        response = self.call({"source": source["name"], "sweep": sweep}, remaining_ms)
        self.ms += 1
        return response

    def call(self, event: dict[str, Any], remaining_ms: int = 60_000) -> Any:
        with patch("readplane.clock.time.time_ns", lambda: self.ms * 1_000_000):
            return self.poll(event, lambda: remaining_ms)

    def checkpoint(self, source: str = "rows") -> Checkpoint:
        return self.checkpoints.by_source[source]

    def values(self) -> dict[str, Any]:
        """Return a dict from the id of each item that isn't deleted to the member ``n`` of the item's data."""
        return {item.item_id: json.loads(item.data)["n"] for item in self.items.by_key.values() if item.data}


class Secrets:
    """The stored secrets, which implement :class:`readplane.poll.upstream.secret_values.SecretValues`."""

    def __init__(self) -> None:
        self.text = SECRET

    def get_secret(self, secret: StoredSecret) -> str:
        return str(json.loads(self.text)[secret.field]) if secret.field else self.text

    def refresh_secret(self, secret: StoredSecret) -> str:
        return self.get_secret(secret)


class ClientWorld(World):
    """A `World` in which `poll` sends its requests with the real HTTP client. A pause of the client moves the clock.

    :param collections: the collections that the sources feed, by name.
    :param jitter: the number by which the client multiplies its pauses before retries; 0 for no pause.
    """

    def __init__(self, collections: Mapping[str, Collection] = COLLECTIONS, *, jitter: float = 1.0) -> None:
        super().__init__(collections, self._make_client_fetch)
        self.secrets = Secrets()
        self.tokens = AccessTokens()
        self._jitter = jitter
        self._slept = 0.0

    def _make_client_fetch(self, source: Source) -> Fetch:
        self._slept = 0.0
        client = BackOfficeClient(
            source,
            self.secrets,
            self.tokens,
            clock=lambda: time.monotonic() + self._slept,
            sleep=self._sleep,
            jitter=lambda: self._jitter,
            wall=lambda: self.ms / 1000,
        )
        return client.fetch

    def _sleep(self, seconds: float) -> None:
        self._slept += seconds
        self.ms += round(seconds * 1000)


def metric_lines(output: str) -> list[dict[str, Any]]:
    """Return those log lines of ``output`` that carry CloudWatch metrics, as parsed JSON."""
    return [line for line in map(json.loads, output.splitlines()) if "_aws" in line]
