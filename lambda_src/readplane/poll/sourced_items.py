"""The items table as `poll` uses it: versions, living items and the freshness of sources.

It is apart from :mod:`readplane.stores.items`, which the read path imports at every cold start.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ..aws.faults import RefusedError
from ..model.freshness import Freshness
from ..model.keys import source_key
from ..stores.items import DynamoItems
from ..stores.table import MAX_KEYS, read_records, split_into_batches


class SourcedItems(Protocol):
    """The items that sources feed."""

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the present versions of items by their keys, tombstones included. Unknown items are left out.

        A tombstone's version holds the content hash of a delete. One call reads 100 keys.
        """

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Return id and version of every item that isn't deleted, read page by page.

        The index is eventually consistent. An item that changes meanwhile may be missing or have its last version.
        """

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        """Publish a source's freshness in every Region. Its ``fresh_as_of`` never goes back.

        :returns: what is published: ``freshness``, or the same with a later ``fresh_as_of`` of another poll. This takes
            one call, or two if another poll was later.
        """


class DynamoSourcedItems(DynamoItems):
    """:class:`SourcedItems` over DynamoDB."""

    def get_versions(self, keys: Iterable[str]) -> dict[str, str]:
        """Read the versions consistently, 100 keys a call."""
        return {
            record["pk"]["S"]: record["version"]["S"]
            for batch in split_into_batches(dict.fromkeys(keys), MAX_KEYS, lambda _: 0)
            for record in read_records(self._client, self._table, batch, "pk, version", consistent=True)
        }

    def list_living(self, partitions: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Read the listing index, partition by partition."""
        for partition in partitions:
            query: dict[str, Any] = {
                "TableName": self._table,
                "IndexName": self._index,
                "KeyConditionExpression": "list_key = :partition",
                "ExpressionAttributeValues": {":partition": {"S": partition}},
                # This makes responses smaller, and nothing else: DynamoDB charges for whole items, and ends a page by
                # their size.
                "ProjectionExpression": "item_id, version",
            }
            while True:
                response = self._client.call("Query", **query)
                yield from ((record["item_id"]["S"], record["version"]["S"]) for record in response["Items"])
                if "LastEvaluatedKey" not in response:
                    break
                query["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def put_freshness(self, source: str, freshness: Freshness) -> Freshness:
        """Write the freshness unless a later one is published; then write it with the later ``fresh_as_of``."""
        while True:
            members = {name: {"S": text} for name, text in freshness._asdict().items() if text is not None}
            try:
                self._client.call(
                    "PutItem",
                    TableName=self._table,
                    # Without a version, so that `publish` doesn't take it for an item.
                    Item={"pk": {"S": source_key(source)}, **members},
                    # A poll releases its lease before it publishes, so another poll may have published by now.
                    ConditionExpression="attribute_not_exists(fresh_as_of) OR fresh_as_of <= :fresh_as_of",
                    ExpressionAttributeValues={":fresh_as_of": {"S": freshness.fresh_as_of or "-"}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except RefusedError as refusal:
                if refusal.code != "ConditionalCheckFailedException":
                    raise
                freshness = freshness._replace(fresh_as_of=refusal.members["Item"]["fresh_as_of"]["S"])
            else:
                return freshness
