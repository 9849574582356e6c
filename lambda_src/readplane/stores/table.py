"""Helpers for stores in DynamoDB tables: reads of many records, batches of limited size, and backoff before a retry."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ..aws.client import Client
from ..aws.faults import UnansweredError, back_off

TableRecord = Mapping[str, Any]
"""A record in DynamoDB JSON: each attribute's name and typed value, such as ``{"pk": {"S": "item/products/p-1"}}``."""

MAX_KEYS = 100
"""The maximum number of keys in one BatchGetItem."""

MAX_BATCH_BYTES = 1024 * 1024
"""The approximate maximum size of the data in one batch, in bytes. AWS documents no limit for BatchExecuteStatement,
and a limit of 16 MB for BatchWriteItem. Readplane's own limit is lower, so that each request is fast to send."""

MAX_ATTEMPTS = 8
"""The maximum number of attempts in a row that make no progress: attempts of a statement that has transient errors, or
calls of BatchGetItem that return no records. The backoffs between the attempts add up to 3.5 s on average."""

_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0

Entry = TypeVar("Entry")


def read_records(
    client: Client,
    table: str,
    keys: list[str],
    attributes: str,
    *,
    consistent: bool,
    names: Mapping[str, str] | None = None,
    pause: Callable[[float], None] = back_off,
) -> Iterator[TableRecord]:
    """Read the records of up to :data:`MAX_KEYS` different keys, in no particular order.

    The result omits a key that has no record.

    :param attributes: the attributes to read, as a projection expression.
    :param names: the attributes that the projection expression names with a placeholder, because their names are
        reserved words of DynamoDB.
    :param pause: waits before a retry, for at most so many seconds.
    :raises UnansweredError: if :data:`MAX_ATTEMPTS` reads in a row return no records.
    :raises RefusedError: if AWS refuses a read.
    """
    request: dict[str, Any] = {
        table: {
            "Keys": [{"pk": {"S": key}} for key in keys],
            "ProjectionExpression": attributes,
            "ConsistentRead": consistent,
        }
    }
    if names:
        request[table]["ExpressionAttributeNames"] = names
    attempt = 0
    while True:
        response = client.call("BatchGetItem", RequestItems=request)
        records = response["Responses"].get(table, [])
        yield from records
        request = response.get("UnprocessedKeys") or {}
        if not request:
            return
        # Count a read as a failed attempt only if it returns no records, because reading large items takes many reads.
        # One read returns at most 16 MB in all, and at most 1 MB of one partition. DynamoDB counts the size of whole
        # items, not only of the requested attributes.
        attempt = 0 if records else attempt + 1
        if attempt == MAX_ATTEMPTS:
            raise UnansweredError("UnprocessedKeys", sent=True)
        back_off_exponentially(attempt, pause)


def split_into_batches(
    entries: Iterable[Entry], max_entries: int, size: Callable[[Entry], int], max_bytes: int = MAX_BATCH_BYTES
) -> Iterator[list[Entry]]:
    """Split entries into lists of at most ``max_entries`` entries and ``max_bytes`` bytes.

    An entry that is larger than ``max_bytes`` gets a list of its own.

    :param size: a function that returns the size of an entry in bytes.
    """
    batch: list[Entry] = []
    batch_bytes = 0
    for entry in entries:
        entry_bytes = size(entry)
        if batch and (len(batch) == max_entries or batch_bytes + entry_bytes > max_bytes):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(entry)
        batch_bytes += entry_bytes
    if batch:
        yield batch


def back_off_exponentially(attempt: int, pause: Callable[[float], None] = back_off) -> None:
    """Sleep before a retry, for a random time between 0 and a maximum (full jitter).

    :param attempt: the number of failed attempts so far. If it is 0, the maximum is 0.05 s. The maximum doubles with
        each failed attempt, up to 2 s.
    :param pause: waits for at most so many seconds.
    """
    pause(min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**attempt))
