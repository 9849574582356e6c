"""The items: a DynamoDB table that holds the newest change ever applied to each item. The table may be global."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError
from ..model.change import Change
from ..model.freshness import Freshness
from ..model.keys import ListPosition, list_key, marker_key, source_key
from .rows import BadRowError, change_of, is_malformed, version_of

if TYPE_CHECKING:  # import them only for mypy, so that `read` doesn't load the module `table` at a cold start
    from ..telemetry import Telemetry
    from .table import TableRecord

PAGE_BYTES = 1024 * 1024
"""A page of a list of items ends when the data of its items reaches this many bytes. The limit is far below the 6 MB
that Lambda can return, because the response grows: Lambda returns it inside JSON, which escapes each quote."""

_BATCH_ATTEMPTS = 3

_PUT_ATTEMPTS = 5
"""How often a PutItem over a malformed row is tried. Each attempt fails only if another writer has changed the row."""

_IS_OLDER = "attribute_not_exists(pk) OR version < :version"

ApplyOutcome = Literal["applied", "duplicate", "superseded"]


class Items(Protocol):
    """A store of each item's newest change."""

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        """Return an item's newest change, or ``None`` for an unknown item.

        The newest change of a deleted item is its tombstone. A malformed row is no item. This method makes one call to
        AWS.
        """

    def apply(self, change: Change) -> ApplyOutcome:
        """Apply a change to its item, unless a change with the same or a greater version was ever applied to it.

        This method makes one conditional call to AWS, and a second one to replace a malformed row. A malformed row
        counts as older than the change, unless it has a valid version that is greater than the change's version.

        :returns: ``applied``, or ``duplicate`` if the item already has this version, or ``superseded`` if the item has
            a greater version.
        """

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """Write a quarantine marker, which gives a change the status ``quarantined``.

        The marker expires one horizon (the lifetime of tombstones) after ``now_ms``.
        """

    def get_change_status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        """Return an item's version, and the reason why a change of this item is quarantined.

        The version is ``None`` if the item is unknown, or if its row has no valid version. The reason is ``None`` if
        the change isn't quarantined.

        This method makes one call to AWS.
        """

    def list_items(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        """Return one page of a list of items. The page begins at ``start``.

        The page contains no deleted items and no malformed rows.

        :param partitions: the partitions of the index to read, in the order of the list.
        :param limit: the maximum number of items in the page.
        :param seconds: the time in seconds after which the page ends with the items read so far. So if the table is
            slow, pages are short but not late.
        :returns: the items, and the start of the next page, or ``None`` if this page is the last.
        """

    def get_freshness(self, source: str) -> Freshness | None:
        """Return how fresh a source's items are, or ``None`` before the source's first poll.

        This method makes one call to AWS.
        """


class DynamoItems:
    """:class:`Items` in a DynamoDB table.

    :param index: the name of the index that :meth:`list_items` reads. A caller that never lists items may omit it.
    :param horizon_ms: how long tombstones and quarantine markers live, in milliseconds.
    :param telemetry: counts and logs malformed rows. Without it they are skipped in silence.
    """

    def __init__(
        self, client: Client, table: str, index: str = "", *, horizon_ms: int, telemetry: "Telemetry | None" = None
    ) -> None:
        self._client = client
        self._table = table
        self._index = index
        self._horizon_ms = horizon_ms
        self._telemetry = telemetry

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        """Return an item's newest change (a tombstone if the item is deleted), or ``None`` for an unknown item."""
        response = self._client.call(
            "GetItem", TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=consistent
        )
        record = response.get("Item")
        return self._change_or_none(record) if record else None

    def apply(self, change: Change) -> ApplyOutcome:
        """Apply a change to its item, unless the item already has the change's version or a greater version."""
        record = self._record(change)
        condition, values = _IS_OLDER, {":version": record["version"]}
        for _ in range(_PUT_ATTEMPTS):
            try:
                self._client.call(
                    "PutItem",
                    TableName=self._table,
                    Item=record,
                    ConditionExpression=condition,
                    **({"ExpressionAttributeValues": values} if values else {}),
                    # Ask DynamoDB to put the stored item into the error. So the code below needs no extra read to get
                    # the stored version.
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except RefusedError as error:
                if error.code != "ConditionalCheckFailedException":
                    raise
                stored = error.members.get("Item")
                if stored is None:  # DynamoDB has deleted the row since the last attempt
                    condition, values = _IS_OLDER, {":version": record["version"]}
                    continue
                outcome = self._outcome_over(stored, change)
                if outcome is not None:
                    return outcome
                # Replace the malformed row, unless another writer replaces it first.
                condition, values = "attribute_not_exists(version)", {}
                if "version" in stored:
                    condition, values = "version = :version", {":version": stored["version"]}
            else:
                return "applied"
        raise UnansweredError("ContendedRow", sent=True)

    def _outcome_over(self, stored: "TableRecord", change: Change) -> ApplyOutcome | None:
        """Return the outcome of a change that isn't newer than a stored row; ``None`` if it must replace the row."""
        version = version_of(stored)
        if version is not None and version > change.version:
            return "superseded"
        if version == change.version and not is_malformed(stored):
            return "duplicate"
        return None

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """Write a quarantine marker for a change. No list shows the marker, because it has no index key."""
        # Let the marker expire one horizon from now, not one horizon from the change's own time. A change may be
        # quarantined because it is older than the horizon, and its marker would otherwise expire at once.
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

    def get_change_status(self, key: str, change_id: str) -> tuple[str | None, str | None]:
        """Return an item's version, and the reason why a change of this item is quarantined.

        The read is consistent, because a change that was already applied must not be reported as pending.
        """
        marker = marker_key(key, change_id)
        request: dict[str, Any] = {
            self._table: {
                "Keys": [{"pk": {"S": key}}, {"pk": {"S": marker}}],
                "ConsistentRead": True,
                "ProjectionExpression": "pk, version, reason",
            }
        }
        records: dict[str, TableRecord] = {}
        for _ in range(_BATCH_ATTEMPTS):
            response = self._client.call("BatchGetItem", RequestItems=request)
            records |= {record["pk"]["S"]: record for record in response["Responses"].get(self._table, [])}
            request = response.get("UnprocessedKeys") or {}
            if not request:
                break
        else:
            raise UnansweredError("UnprocessedKeys", sent=True)
        version = version_of(records[key]) if key in records else None
        if key in records and version is None:
            self._report(BadRowError(key, "missing or malformed: version"))
        reason = records[marker].get("reason", {}).get("S") if marker in records else None
        return version, reason

    def list_items(
        self, partitions: list[str], start: ListPosition, limit: int, seconds: float
    ) -> tuple[list[Change], ListPosition | None]:
        """Query the index's partitions in order, until the page is full or ``seconds`` have passed."""
        changes: list[Change] = []
        page_bytes = 0
        deadline = time.monotonic() + seconds
        for shard in range(start.shard, len(partitions)):
            if shard > start.shard and time.monotonic() > deadline:
                return changes, ListPosition(shard, None)
            after = start.after if shard == start.shard else None
            for change in self._query_partition(partitions[shard], after, limit - len(changes)):
                changes.append(change)
                page_bytes += size_in_bytes(change.data or "")
                if len(changes) == limit or page_bytes >= PAGE_BYTES:
                    return changes, ListPosition(shard, change.item_id)
        return changes, None

    def _query_partition(self, partition: str, after: str | None, limit: int) -> Iterator[Change]:
        """Return a partition's items whose ids are greater than ``after``. Each query reads up to ``limit`` items."""
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
            response = self._client.call("Query", **query)
            for record in response["Items"]:
                change = self._change_or_none(record)
                if change is not None:
                    yield change
            if "LastEvaluatedKey" not in response:
                return
            query["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def get_freshness(self, source: str) -> Freshness | None:
        """Return how fresh a source's items are.

        The freshness is stored in the items table, because DynamoDB replicates this table to every Region of the
        deployment. So `read` finds the freshness in every Region.
        """
        response = self._client.call("GetItem", TableName=self._table, Key={"pk": {"S": source_key(source)}})
        record = response.get("Item")
        if record is None:
            return None
        return Freshness(*(record[name].get("S") if name in record else None for name in Freshness._fields))

    def _change_or_none(self, record: "TableRecord") -> Change | None:
        """Return the change in a row of the table. Report a malformed row, and return ``None`` for it."""
        try:
            return change_of(record)
        except BadRowError as error:
            self._report(error)
            return None

    def _report(self, error: BadRowError) -> None:
        if self._telemetry is not None:
            error.report(self._telemetry)

    def _record(self, change: Change) -> dict[str, Any]:
        record: dict[str, Any] = {
            "pk": {"S": change.key},
            "collection": {"S": change.collection},
            "item_id": {"S": change.item_id},
            "version": {"S": change.version},
            # Store the time when Readplane accepted the change, because a tombstone expires one horizon after that. For
            # an item of a back office, responses to clients show the back office's own time instead.
            "as_of": {"S": change.accepted_at},
            "actor": {"S": change.actor},
            "source": {"S": change.source},
        }
        if change.owner is not None:
            record["owner"] = {"S": change.owner}
        if change.data is None:
            # Give a tombstone no index key, so that no list shows it, and DynamoDB doesn't need to write it to the
            # index.
            record["expires_at"] = {"N": str(change.expires_at(self._horizon_ms))}
        else:
            record["data"] = {"S": change.data}
            record["list_key"] = {"S": list_key(change.collection, change.item_id, change.owner)}
        return record


def answer_of(item: Change | None) -> tuple[str, str, str]:
    """Return an item's version, its JSON text, and an empty text. What there isn't is empty.

    :param item: the item's newest change; ``None`` for an unknown item.
    """
    if item is None:
        return "", "", ""
    return item.version, "" if item.data is None else item.representation(), ""


def size_in_bytes(text: str) -> int:
    """Return the size of a text in UTF-8."""
    # Encode only a text that isn't ASCII. `isascii` reads a flag of the string, so most texts cost nothing.
    return len(text) if text.isascii() else len(text.encode())
