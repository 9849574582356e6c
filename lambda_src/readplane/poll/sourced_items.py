"""What `poll` asks of the items and tells beside them; apart from :mod:`.items`, which the hot path imports."""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..aws.faults import RefusedError
from ..model.freshness import Freshness
from ..stores.items import DynamoItems, source_key
from ..stores.items_bulk import MAX_CHANGES, parts, read_all


class SourcedItems(Protocol):
    """The items that sources feed, as `poll` sees them."""

    def versions(self, keys: Iterable[str]) -> dict[str, str]:
        """The versions of these items as they are now, tombstones included; those that never were are left out.

        One call for every 100 keys. A tombstone is told by its version: a sourced delete's low bits.
        """

    def living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Item id and version of every living item, a page of a partition at a time.

        Eventually consistent: an item that changes meanwhile may come as it was a moment ago, or not at all.
        """

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        """Publish how fresh a source's items are, in every Region; ``fresh_as_of`` never goes back.

        :returns: what is published: with the later ``fresh_as_of`` where another has told one. One call, else two.
        """

    def freshness(self, source: str) -> Freshness | None:
        """How fresh a source's items are; ``None`` before its first poll. One call."""


class DynamoSourcedItems(DynamoItems):
    """:class:`SourcedItems` over DynamoDB."""

    def versions(self, keys: Iterable[str]) -> dict[str, str]:
        """See :class:`SourcedItems`."""
        return {
            record["pk"]["S"]: record["version"]["S"]
            for some in parts(dict.fromkeys(keys), MAX_CHANGES, lambda key: 0)
            for record in read_all(self._client, self._table, some, "pk, version", consistent=True)
        }

    def living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """See :class:`SourcedItems`."""
        for partition in partitions:
            query: dict[str, Any] = {
                "TableName": self._table,
                "IndexName": self._index,
                "KeyConditionExpression": "list_key = :partition",
                "ExpressionAttributeValues": {":partition": {"S": partition}},
                # Of what is sent only: DynamoDB charges for, and ends a page by, whole items.
                "ProjectionExpression": "item_id, version",
            }
            while True:
                answer = self._client.call("Query", **query)
                yield from ((record["item_id"]["S"], record["version"]["S"]) for record in answer["Items"])
                if "LastEvaluatedKey" not in answer:
                    break
                query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        """See :class:`SourcedItems`. Without a version, so that `publish` takes it for no item."""
        while True:
            told = {name: {"S": text} for name, text in freshness._asdict().items() if text is not None}
            try:
                self._client.call(
                    "PutItem",
                    TableName=self._table,
                    Item={"pk": {"S": source_key(source)}, **told},
                    # A poll gives its lease back before it tells, so another may have told by then.
                    ConditionExpression="attribute_not_exists(fresh_as_of) OR fresh_as_of <= :fresh_as_of",
                    ExpressionAttributeValues={":fresh_as_of": {"S": freshness.fresh_as_of or "-"}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except RefusedError as refusal:
                if refusal.code != "ConditionalCheckFailedException":
                    raise
                freshness = freshness._replace(fresh_as_of=refusal.answer["Item"]["fresh_as_of"]["S"])
            else:
                return freshness
