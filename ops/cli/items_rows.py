"""Copies those rows of the items table that aren't items: the core of `rebuild items switch` and `back`.

The functions write these rows to the live table alone, except quarantine markers. So the second table gets them shortly
before it becomes the live one, and once more after that, because the functions have written others in between.

=============  ==================================================  =============================================
key            what it is                                          copied
=============  ==================================================  =============================================
quarantine/    the marker of a quarantined change                  unless the other table has it
object/        the mark of a counted write-log object              unless the other table has it
source/        how fresh a source is, and the position of its poll if its `fresh_as_of` isn't older than the other's
switch/        which Region polls a source                         if its `moved_at` isn't older than the other's
heartbeat/     the last heartbeat of a Region                      no, because the next one comes within a minute,
                                                                   and a copy would count as replication lag
anything else  unknown to this release                             unless the other table has it
=============  ==================================================  =============================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ops.walk import PAGE
from readplane.aws.client import Client
from readplane.aws.faults import RefusedError
from readplane.clock import now_ms
from readplane.model.keys import HEARTBEAT_PREFIX, ITEM_PREFIX, source_key, switch_key
from readplane.stores.table import TableRecord

_TIMES = {source_key(""): "fresh_as_of", switch_key(""): "moved_at"}
"""The prefix of a kind of row -> the attribute with the time of its last change."""


class RowsPage(NamedTuple):
    """A page of a walk through the rows that aren't items.

    rows: the rows, whole
    last: the key after which the walk goes on; None if this is the last page
    """

    rows: list[TableRecord]
    last: str | None


class RowCopies:
    """Copies rows from one items table to another.

    :param client: a client of DynamoDB in the primary Region, from which DynamoDB replicates the copies
    :param origin: the table that has the rows
    :param destination: the table that gets them
    """

    def __init__(self, client: Client, origin: str, destination: str, clock: Callable[[], int] = now_ms) -> None:
        self._client = client
        self._origin, self._destination = origin, destination
        self._now_ms = clock

    def pages(self, after: str | None = None) -> Iterator[RowsPage]:
        """Yield the rows that aren't items, page by page. A page may be empty.

        :param after: the key after which the walk goes on; None to begin at the first
        """
        request: dict[str, Any] = {} if after is None else {"ExclusiveStartKey": {"pk": {"S": after}}}
        while True:
            response = self._client.call(
                "Scan",
                TableName=self._origin,
                Limit=PAGE,
                FilterExpression="NOT begins_with(pk, :item)",
                ExpressionAttributeValues={":item": {"S": ITEM_PREFIX}},
                **request,
            )
            last = response.get("LastEvaluatedKey")
            yield RowsPage(response["Items"], last and last["pk"]["S"])
            if last is None:
                return
            request = {"ExclusiveStartKey": last}

    def copy(self, row: TableRecord, *, only_later: bool = False) -> bool:
        """Copy a row as the table above says. Return whether it was copied.

        :param only_later: whether to leave out a freshness or a switch that is as old as that of the other table
        """
        key = row["pk"]["S"]
        if key.startswith((ITEM_PREFIX, HEARTBEAT_PREFIX)):
            return False
        if float(row.get("expires_at", {}).get("N", "inf")) <= self._now_ms() / 1000:
            return False
        return self._put(row, "<" if only_later else "<=")

    def copy_sources(self, sources: Sequence[str], *, only_later: bool = False) -> int:
        """Copy the freshness and the switch of each source as they are now. Return how many rows were copied.

        :param only_later: whether to leave out rows that are as old as those of the other table
        """
        count = 0
        for key in [key(source) for source in sources for key in (source_key, switch_key)]:
            response = self._client.call("GetItem", TableName=self._origin, Key={"pk": {"S": key}}, ConsistentRead=True)
            if "Item" in response:
                count += self._put(response["Item"], "<" if only_later else "<=")
        return count

    def _put(self, row: TableRecord, comparison: str) -> bool:
        condition, values = "attribute_not_exists(pk)", {}
        for prefix, name in _TIMES.items():
            if row["pk"]["S"].startswith(prefix) and name in row:
                condition += f" OR attribute_not_exists({name}) OR {name} {comparison} :time"
                values = {"ExpressionAttributeValues": {":time": row[name]}}
        try:
            self._client.call("PutItem", TableName=self._destination, Item=row, ConditionExpression=condition, **values)
        except RefusedError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return False
        return True
