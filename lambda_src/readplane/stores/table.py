"""What every store in a DynamoDB table shares: batched reads and batches of bounded size."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ..aws.client import Client
from ..aws.faults import UnansweredError, back_off

TableRecord = Mapping[str, Any]
"""A record in DynamoDB JSON: each attribute's name and typed value, ``{"pk": {"S": "item/products/p-1"}}``."""

MAX_KEYS = 100
"""The most keys that one BatchGetItem takes."""

MAX_BATCH_BYTES = 1024 * 1024
"""About the most data in one batch. AWS documents no limit for BatchExecuteStatement (BatchWriteItem's is 16 MB); this
one keeps the request's text, and the time to send it, small."""

MAX_ATTEMPTS = 8
"""The most attempts of a statement that AWS defers, and the most reads in a row that return nothing. With the backoff
between them they take 3 s on average."""

_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0

Entry = TypeVar("Entry")


def read_records(
    client: Client, table: str, keys: list[str], attributes: str, *, consistent: bool
) -> Iterator[TableRecord]:
    """Read the records of up to :data:`MAX_KEYS` different keys, in no particular order; missing keys are left out.

    :param attributes: a projection expression.
    :raises UnansweredError: when :data:`MAX_ATTEMPTS` reads in a row return nothing.
    :raises RefusedError: when AWS refuses a read.
    """
    request: dict[str, Any] = {
        table: {
            "Keys": [{"pk": {"S": key}} for key in keys],
            "ProjectionExpression": attributes,
            "ConsistentRead": consistent,
        }
    }
    attempt = 0
    while attempt < MAX_ATTEMPTS:
        response = client.call("BatchGetItem", RequestItems=request)
        records = response["Responses"].get(table, [])
        yield from records
        request = response.get("UnprocessedKeys") or {}
        if not request:
            return
        # One read returns at most 16 MB, and at most 1 MB of one partition. DynamoDB counts whole items, so large items
        # take many reads, and only a read that returned nothing counts as a failed attempt.
        attempt = 0 if records else attempt + 1
        back_off_exponentially(attempt)
    raise UnansweredError("UnprocessedKeys", sent=True)


def split_into_batches(
    entries: Iterable[Entry], max_entries: int, size: Callable[[Entry], int]
) -> Iterator[list[Entry]]:
    """Split entries into lists of at most ``max_entries`` entries and :data:`MAX_BATCH_BYTES` bytes.

    An entry larger than that gets a list of its own.

    :param size: returns an entry's bytes.
    """
    batch: list[Entry] = []
    batch_bytes = 0
    for entry in entries:
        entry_bytes = size(entry)
        if batch and (len(batch) == max_entries or batch_bytes + entry_bytes > MAX_BATCH_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(entry)
        batch_bytes += entry_bytes
    if batch:
        yield batch


def back_off_exponentially(attempt: int) -> None:
    """Sleep before a retry, with full jitter.

    :param attempt: the maximum is 0.05 s for attempt 0, and doubles with each further one, up to 2 s.
    """
    back_off(min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**attempt))
