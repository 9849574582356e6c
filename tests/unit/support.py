"""What the unit tests share: changes, events, and stores in memory that keep the protocols' promises."""

import base64
import copy
import gzip
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from readplane.model.change import Change, PoisonError
from readplane.model.collection import Collection
from readplane.model.freshness import Freshness
from readplane.model.version import stamp
from readplane.read.page import ListPosition, list_key
from readplane.stores.documents import Document
from readplane.stores.items import ApplyOutcome, DynamoItems
from tests.fakes.dynamodb import FakeDynamo

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


def version_at(ms: int, tail: int = 0) -> str:
    """A version of a given time, ordered by ``tail`` within it."""
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
    """A change with a telling version; accepted at the version's time unless another is given."""
    accepted = datetime.fromtimestamp((ms if accepted_ms is None else accepted_ms) / 1000, UTC)
    return Change(
        change_id=version_at(ms, tail),
        collection=collection,
        item_id=item_id,
        data=data,
        actor=ALICE if source == "api" else f"source/{source}",
        source=source,
        accepted_at=accepted.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        owner=owner,
    )


def settings_text(settings: object) -> str:
    """Settings as Terraform's base64gzip(jsonencode(…)) sends them."""
    return base64.b64encode(gzip.compress(json.dumps(settings).encode())).decode()


def event(name: str) -> Any:
    """A recorded event."""
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
    """The recorded API event, made over for another request; ``claims`` are laid over the recorded ones."""
    made = copy.deepcopy(event("api"))
    made |= {"httpMethod": method, "resource": resource, "pathParameters": path, "body": body}
    made["queryStringParameters"] = query
    made["headers"] |= headers or {}
    made["requestContext"]["authorizer"]["claims"] |= claims or {}
    return made


def kinesis_event(lines: Sequence[bytes], first: int = 0) -> Any:
    """The recorded event of the change stream with these records, numbered from ``first`` on."""
    made = event("change_stream")
    (model,) = made["Records"]
    made["Records"] = []
    for number, line in enumerate(lines, first):
        record = copy.deepcopy(model)
        # As long as Kinesis's own; of one length here, but compared as numbers there.
        sequence = str(int(model["kinesis"]["sequenceNumber"]) + number)
        record["kinesis"] |= {"data": base64.b64encode(line).decode(), "sequenceNumber": sequence}
        record["eventID"] = f"{model['eventID'].partition(':')[0]}:{sequence}"
        made["Records"].append(record)
    return made


def stream_record(old: Change | None, new: Change | None, number: int = 1) -> Any:
    """A record of the items stream: what it was, what it is, in DynamoDB's JSON."""
    shape = DynamoItems(FakeDynamo(), "t", horizon_ms=30 * 86_400_000)
    images = {name: shape._record(image) for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    return {
        "eventID": str(number),
        "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"SequenceNumber": str(number), "StreamViewType": "NEW_AND_OLD_IMAGES", **images},
    }


class MemoryItems:
    """:class:`readplane.stores.items.Items` in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[str, Change] = {}
        self.markers: dict[str, str] = {}
        self.sources: dict[str, Freshness] = {}
        self.fail: set[str] = set()

    def get(self, key: str, *, consistent: bool = False) -> Change | None:
        return self.held.get(key)

    def apply(self, change: Change) -> ApplyOutcome:
        if change.item_id in self.fail:
            raise TimeoutError
        known = self.held.get(change.key)
        if known is not None and known.version >= change.version:
            return "duplicate" if known.version == change.version else "superseded"
        self.held[change.key] = change
        return "applied"

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        return Counter(map(self.apply, changes))

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        self.markers[f"{change.change_id}/{change.key}"] = reason

    def status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        known = self.held.get(key)
        return (known.version if known else None), self.markers.get(f"{change_id}/{key}")

    def page(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        found: list[Change] = []
        for shard in range(start.shard, len(partitions)):
            after = (start.after or "") if shard == start.shard else ""
            for item in sorted(self.held.values(), key=lambda item: item.item_id):
                here = list_key(item.collection, item.item_id, item.owner) == partitions[shard]
                if here and item.data is not None and item.item_id > after:
                    found.append(item)
                    if len(found) == limit:
                        return found, ListPosition(shard, item.item_id)
        return found, None

    def freshness(self, source: str) -> Freshness | None:
        return self.sources.get(source)


class MemorySourcedItems(MemoryItems):
    """:class:`readplane.poll.sourced_items.SourcedItems` in a dictionary, and :class:`MemoryItems` too."""

    def versions(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.held[key].version for key in keys if key in self.held}

    def living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        for partition in partitions:
            for item in list(self.held.values()):
                if item.data is not None and list_key(item.collection, item.item_id, item.owner) == partition:
                    yield item.item_id, item.version

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        known = self.sources.get(source, freshness)
        fresh_as_of = max(known.fresh_as_of or "", freshness.fresh_as_of or "") or None
        self.sources[source] = freshness._replace(fresh_as_of=fresh_as_of)
        return self.sources[source]


class MemoryDocuments:
    """:class:`readplane.stores.documents.Documents` in a dictionary; ``calls`` tells the order."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}
        self.calls: list[tuple[str, str]] = []
        self.fail: set[str] = set()

    def put(self, key: str, text: str, version: str, cache_control: str) -> None:
        if key in self.fail:
            raise TimeoutError
        self.calls.append((key, version))
        self.held[key] = text

    def remove(self, key: str) -> None:
        self.calls.append((key, "removed"))
        self.held.pop(key, None)

    def get(self, key: str, if_none_match: str | None) -> Document | None:
        if key not in self.held:
            return None
        etag = f'"{uuid.uuid5(uuid.NAMESPACE_OID, self.held[key])}"'
        if if_none_match == etag:
            return Document(None, {"ETag": etag})
        return Document(self.held[key].encode(), {"ETag": etag, "Content-Type": "application/json"})


class MemoryLog:
    """Both ends of the write log in memory: appended lines, objects of lines, and the quarantine."""

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

    def quarantine(self, line: bytes, poison: PoisonError, origin: str) -> None:
        self.quarantined.append((line, poison.reason, origin))
