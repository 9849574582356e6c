"""The items: a DynamoDB (global) table that holds, per item, the newest change ever applied to it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError
from ..model.change import Change
from ..model.freshness import Freshness
from ..read.page import ListPosition, list_key

PAGE_BYTES = 1024 * 1024
"""A page of a list ends at this much data: Lambda answers at most 6 MB, in which every quote costs two bytes."""

_BATCH_TRIES = 3

ApplyOutcome = Literal["applied", "duplicate", "superseded"]
TableRecord = Mapping[str, Any]


class Items(Protocol):
    """The register of newest changes."""

    def get(self, key: str, *, consistent: bool = False) -> Change | None:
        """The newest change of an item, tombstones included. One call."""

    def apply(self, change: Change) -> ApplyOutcome:
        """Fold one change in: it wins if no greater version was ever applied. One conditional call."""

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """Leave a marker for the horizon from now on, so that the change's status can tell."""

    def status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        """The item's version and the reason in the change's quarantine marker. One call."""

    def page(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        """Up to ``limit`` living items from ``start`` on, and where the next page starts (``None``: no more).

        After ``seconds`` a page ends where it is, however few it holds: a slow store makes short pages, not late ones.
        """

    def freshness(self, source: str) -> Freshness | None:
        """How fresh a source's items are; ``None`` before its first poll. One call."""


class DynamoItems:
    """:class:`Items` over DynamoDB; ``horizon_ms`` is how long tombstones and markers live."""

    def __init__(self, client: Client, table: str, index: str = "", *, horizon_ms: int) -> None:
        self._client = client
        self._table = table
        self._index = index
        self._horizon_ms = horizon_ms

    def get(self, key: str, *, consistent: bool = False) -> Change | None:
        """See :class:`Items`."""
        answer = self._client.call("GetItem", TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=consistent)
        record = answer.get("Item")
        return change_of(record) if record else None

    def apply(self, change: Change) -> ApplyOutcome:
        """See :class:`Items`."""
        try:
            self._client.call(
                "PutItem",
                TableName=self._table,
                Item=self._record(change),
                ConditionExpression="attribute_not_exists(pk) OR version < :version",
                ExpressionAttributeValues={":version": {"S": change.version}},
                # The version in the way comes with the refusal, without a second call.
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except RefusedError as refusal:
            if refusal.code != "ConditionalCheckFailedException":
                raise
            return "duplicate" if refusal.answer["Item"]["version"]["S"] == change.version else "superseded"
        return "applied"

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """See :class:`Items`. The marker stands in no list."""
        # Not from the change's own time on: an expired change's marker would be gone at once.
        expires_at = (now_ms + self._horizon_ms) // 1000
        self._client.call(
            "PutItem",
            TableName=self._table,
            Item={
                "pk": {"S": marker_key(change.key, change.change_id)},
                "reason": {"S": reason},
                "expires_at": {"N": str(expires_at)},
            },
        )

    def status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        """See :class:`Items`. Reads consistently: a change reported pending must not have been applied before."""
        marker = marker_key(key, change_id)
        request: dict[str, Any] = {
            self._table: {
                "Keys": [{"pk": {"S": key}}, {"pk": {"S": marker}}],
                "ConsistentRead": True,
                "ProjectionExpression": "pk, version, reason",
            }
        }
        found: dict[str, TableRecord] = {}
        for _ in range(_BATCH_TRIES):
            answer = self._client.call("BatchGetItem", RequestItems=request)
            found |= {record["pk"]["S"]: record for record in answer["Responses"].get(self._table, [])}
            request = answer.get("UnprocessedKeys") or {}
            if not request:
                break
        else:
            raise UnansweredError("UnprocessedKeys", sent=True)
        version = found[key]["version"]["S"] if key in found else None
        reason = found[marker]["reason"]["S"] if marker in found else None
        return version, reason

    def page(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        """See :class:`Items`. Queries only until the page is full, by count or by :data:`PAGE_BYTES`."""
        changes: list[Change] = []
        size = 0
        until = time.monotonic() + seconds
        for shard in range(start.shard, len(partitions)):
            if shard > start.shard and time.monotonic() > until:
                return changes, ListPosition(shard, None)
            after = start.after if shard == start.shard else None
            for change in self._partition(partitions[shard], after, limit - len(changes)):
                changes.append(change)
                size += len(change.data or "")
                if len(changes) == limit or size >= PAGE_BYTES:
                    return changes, ListPosition(shard, change.item_id)
        return changes, None

    def _partition(self, partition: str, after: str | None, limit: int) -> Iterator[Change]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": self._index,
            "KeyConditionExpression": "list_key = :partition",
            "ExpressionAttributeValues": {":partition": {"S": partition}},
            "Limit": limit,
        }
        if after is not None:
            query["KeyConditionExpression"] += " AND item_id > :after"
            query["ExpressionAttributeValues"][":after"] = {"S": after}
        while True:
            answer = self._client.call("Query", **query)
            yield from map(change_of, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def freshness(self, source: str) -> Freshness | None:
        """See :class:`Items`. It stands in the items table because that is what replicates to every Region."""
        answer = self._client.call("GetItem", TableName=self._table, Key={"pk": {"S": source_key(source)}})
        record = answer.get("Item")
        if record is None:
            return None
        return Freshness(*(record[name]["S"] if name in record else None for name in Freshness._fields))

    def _record(self, change: Change) -> dict[str, Any]:
        record: dict[str, Any] = {
            "pk": {"S": change.key},
            "collection": {"S": change.collection},
            "item_id": {"S": change.item_id},
            "version": {"S": change.version},
            # Acceptance, even where the representation tells upstream's time: the life of its tombstone hangs on it.
            "as_of": {"S": change.accepted_at},
            "actor": {"S": change.actor},
            "source": {"S": change.source},
        }
        if change.owner is not None:
            record["owner"] = {"S": change.owner}
        if change.data is None:
            # Without its index key a tombstone stands in no list, and costs no index write.
            record["expires_at"] = {"N": str(change.expires_at(self._horizon_ms))}
        else:
            record["data"] = {"S": change.data}
            record["list_key"] = {"S": list_key(change.collection, change.item_id, change.owner)}
        return record


def change_of(record: TableRecord) -> Change:
    """The change that a table record or stream image (DynamoDB JSON) holds."""
    return Change(
        change_id=record["version"]["S"],
        collection=record["collection"]["S"],
        item_id=record["item_id"]["S"],
        data=record["data"]["S"] if "data" in record else None,
        actor=record["actor"]["S"],
        source=record["source"]["S"],
        accepted_at=record["as_of"]["S"],
        owner=record["owner"]["S"] if "owner" in record else None,
    )


def image_of(image: TableRecord | None) -> Change | None:
    """The change in a stream image; ``None`` for no image and for a quarantine marker, which is no item."""
    return change_of(image) if image and "version" in image else None


def source_key(source: str) -> str:
    """The items table's key of a source's freshness, which is no item: it has no version."""
    return f"source/{source}"


def marker_key(key: str, change_id: str) -> str:
    """The items table's key of a change's quarantine marker; ``key`` is its item's."""
    return f"quarantine/{change_id}/{key}"
