"""Helpers of the unit tests: changes, events, and items, documents and write logs that are kept in memory."""

import base64
import copy
import gzip
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from readplane.model.change import Change, PoisonError
from readplane.model.collection import Collection
from readplane.model.freshness import Freshness
from readplane.model.keys import ListPosition, list_key
from readplane.model.schema import SchemaValidator, compile_usable_schemas
from readplane.model.version import stamp
from readplane.poll.checkpoint import Position
from readplane.stores.documents import Document
from readplane.stores.items import ApplyOutcome, DynamoItems
from readplane.stores.rows import BadRowError
from tests.fakes.dynamodb import MemoryDynamo

EVENTS = Path(__file__).parent / "events"
NOW_MS = 1_795_000_000_000
ALICE = "3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11"
BOB = "b0b00000-4031-70b5-6a1e-0d6f2b1f0c22"
CLIENT_ID = "4h5j6k7l8m9n0p1q2r3s4t5u6v"

COLLECTIONS = {
    "products": Collection("products", "public", ("editors",), cache_ttl=60),
    "orders": Collection("orders", "authenticated", ("editors",)),
    "profiles": Collection("profiles", "owner"),
}


def compile_schemas(schemas: Mapping[str, Any]) -> dict[str, SchemaValidator]:
    """Compile each collection's JSON Schema.

    :raises ValueError: if a schema can't be compiled. The message lists all such schemas.
    """
    validators, problems = compile_usable_schemas(schemas)
    if problems:
        raise ValueError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
    return validators


def version_at(ms: int, tail: int = 0) -> str:
    """Return a version with the time ``ms``. Of two versions with the same time, the greater ``tail`` wins."""
    return stamp(ms, tail.to_bytes(10, "big"))


def change(
    item_id: str = "p-1",
    *,
    ms: int = NOW_MS,
    tail: int = 0,
    data: str | None = '{"n":1}',
    collection: str = "products",
    owner: str | None = None,
    source: str = "api",
    accepted_ms: int | None = None,
) -> Change:
    """Return a change.

    :param ms: the time in the change's ``change_id``, in Unix milliseconds.
    :param tail: orders changes that have the same ``ms``.
    :param accepted_ms: when Readplane accepted the change, in Unix milliseconds; ``ms`` by default.
    """
    accepted_at = datetime.fromtimestamp((ms if accepted_ms is None else accepted_ms) / 1000, UTC)
    return Change(
        change_id=version_at(ms, tail),
        collection=collection,
        item_id=item_id,
        data=data,
        actor=ALICE if source == "api" else f"source/{source}",
        source=source,
        accepted_at=accepted_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        owner=owner,
    )


def settings_text(settings: object) -> str:
    """Encode settings as Terraform does for the environment variable of a function: base64gzip(jsonencode(…))."""
    return base64.b64encode(gzip.compress(json.dumps(settings).encode())).decode()


def event(name: str) -> Any:
    """Return the recorded Lambda event in the file ``events/<name>.json``."""
    return json.loads((EVENTS / f"{name}.json").read_text())


def api_event(
    method: str,
    resource: str,
    path: dict[str, str] | None = None,
    *,
    body: str | None = None,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    claims: dict[str, object] | None = None,
) -> Any:
    """Return the API Gateway event of a request: a copy of a recorded event, with the given values put in.

    ``headers`` and ``claims`` are added to those of the recorded event.
    """
    request = copy.deepcopy(event("api"))
    request |= {"httpMethod": method, "resource": resource, "pathParameters": path, "body": body}
    request["queryStringParameters"] = query
    request["multiValueQueryStringParameters"] = (
        None if query is None else {name: [value] for name, value in query.items()}
    )
    request["headers"] |= headers or {}
    request["requestContext"]["authorizer"]["claims"] |= claims or {}
    return request


def kinesis_event(lines: Sequence[bytes], first: int = 0) -> Any:
    """Return an event of the change stream that holds one record for each line. It is made from a recorded event.

    :param first: the number of the first record. Each record's sequence number is made from the record's number.
    """
    batch = event("change_stream")
    (template,) = batch["Records"]
    batch["Records"] = []
    for number, line in enumerate(lines, first):
        record = copy.deepcopy(template)
        # Add the record's number to the recorded sequence number, so that each sequence number is as long as those of
        # Kinesis.
        sequence = str(int(template["kinesis"]["sequenceNumber"]) + number)
        record["kinesis"] |= {"data": base64.b64encode(line).decode(), "sequenceNumber": sequence}
        record["eventID"] = f"{template['eventID'].partition(':')[0]}:{sequence}"
        batch["Records"].append(record)
    return batch


def stream_record(old: Change | None, new: Change | None, number: int = 1) -> Any:
    """Return a record of the items stream. It holds the item before and after a write, in DynamoDB's JSON format.

    :param old: the item before the write; ``None`` if there was no item.
    :param new: the item after the write; ``None`` if the write removed it.
    """
    items = DynamoItems(MemoryDynamo(), "t", horizon_ms=30 * 86_400_000)
    images = {name: items._record(image) for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    return {
        "eventID": str(number),
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"SequenceNumber": str(number), "StreamViewType": "NEW_AND_OLD_IMAGES", **images},
    }


class MemoryItems:
    """A :class:`readplane.stores.items.Items` that keeps the items in a dictionary.

    ``fail`` holds item ids. Applying a change of such an item raises an error.
    """

    def __init__(self) -> None:
        self.by_key: dict[str, Change] = {}
        self.markers: dict[str, str] = {}
        self.sources: dict[str, Freshness] = {}
        self.positions: dict[str, Position] = {}
        self.fail: set[str] = set()

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        return self.by_key.get(key)

    def apply(self, change: Change) -> ApplyOutcome:
        if change.item_id in self.fail:
            raise TimeoutError
        stored = self.by_key.get(change.key)
        if stored is not None and stored.version >= change.version:
            return "duplicate" if stored.version == change.version else "superseded"
        self.by_key[change.key] = change
        return "applied"

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        return Counter(map(self.apply, changes))

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        self.markers[f"{change.change_id}/{change.key}"] = reason

    def get_change_status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        item = self.by_key.get(key)
        return (item.version if item else None), self.markers.get(f"{change_id}/{key}")

    def list_items(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        page: list[Change] = []
        for shard in range(start.shard, len(partitions)):
            after = (start.after or "") if shard == start.shard else ""
            for item in sorted(self.by_key.values(), key=lambda item: item.item_id):
                in_shard = list_key(item.collection, item.item_id, item.owner) == partitions[shard]
                if in_shard and item.data is not None and item.item_id > after:
                    page.append(item)
                    if len(page) == limit:
                        return page, ListPosition(shard, item.item_id)
        return page, None

    def get_freshness(self, source: str) -> Freshness | None:
        return self.sources.get(source)


class MemorySourcedItems(MemoryItems):
    """A :class:`MemoryItems` that also implements :class:`readplane.poll.sourced_items.SourcedItems`."""

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.by_key[key].version for key in keys if key in self.by_key}

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        for partition in partitions:
            for item in list(self.by_key.values()):
                if item.data is not None and list_key(item.collection, item.item_id, item.owner) == partition:
                    yield item.item_id, item.version

    def put_freshness(self, source: str, freshness: Freshness, position: Position) -> Freshness:
        self.positions[source] = position
        published = self.sources.get(source, freshness)
        fresh_as_of = max(published.fresh_as_of or "", freshness.fresh_as_of or "") or None
        self.sources[source] = freshness._replace(fresh_as_of=fresh_as_of)
        return self.sources[source]


class MemoryDocuments:
    """A :class:`readplane.stores.documents.Documents` that keeps the documents in a dictionary.

    ``calls`` lists the writes in order. Writing a document whose key is in ``fail`` raises an error, and so does
    removing one whose key is in ``fail_removal``.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.cache_controls: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.fail: set[str] = set()
        self.fail_removal: set[str] = set()

    def put_document(self, key: str, text: str, version: str, cache_control: str) -> None:
        if key in self.fail:
            raise TimeoutError
        self.calls.append((key, version))
        self.texts[key] = text
        self.cache_controls[key] = cache_control

    def remove_document(self, key: str) -> None:
        if key in self.fail_removal:
            raise TimeoutError
        self.calls.append((key, "removed"))
        self.texts.pop(key, None)

    def get_document(self, key: str, if_none_match: str | None) -> Document | None:
        if key not in self.texts:
            return None
        etag = f'"{uuid.uuid5(uuid.NAMESPACE_OID, self.texts[key])}"'
        if etag in [text.strip() for text in (if_none_match or "").split(",")]:
            return Document(None, {"ETag": etag})
        return Document(self.texts[key].encode(), {"ETag": etag, "Content-Type": "application/json"})


class MemoryRows:
    """A :class:`readplane.publish.quarantine.RowQuarantine` in memory. ``rows`` lists the quarantined rows.

    While ``failure`` is set, quarantining a row raises it.
    """

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.failure: Exception | None = None

    def put_row(self, row: Any, error: BadRowError) -> None:
        if self.failure:
            raise self.failure
        self.rows.append(row)


class MemoryLog:
    """A write log and a quarantine in memory.

    ``appended`` lists the lines that `write` has appended. ``objects`` holds the lines of the objects that `apply`
    reads. ``quarantined`` lists the lines that `apply` has put in quarantine.
    """

    def __init__(self, objects: dict[str, list[bytes]] | None = None) -> None:
        self.appended: list[bytes] = []
        self.objects = objects or {}
        self.quarantined: list[tuple[bytes, str, str]] = []
        self.damaged: set[str] = set()
        self.failure: Exception | None = None

    def append(self, line: bytes) -> None:
        if self.failure:
            raise self.failure
        self.appended.append(line)

    def lines(self, key: str) -> Iterator[bytes]:
        yield from self.objects[key]
        if key in self.damaged:
            raise PoisonError("unparsable", "the object is not whole GZIP data")

    def put_line(self, line: bytes, poison: PoisonError, origin: str, *, only_new: bool = False) -> bool:
        known = {(entry or where, reason) for entry, reason, where in self.quarantined}
        if only_new and (line or origin, poison.reason) in known:
            return False
        self.quarantined.append((line, poison.reason, origin))
        return True
