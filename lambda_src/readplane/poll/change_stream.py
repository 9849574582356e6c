"""The change stream: Kinesis, which holds the changes of the back offices until `apply` reads them."""

import time
from collections.abc import Iterable
from typing import Any, Protocol

from ..aws.client import Client
from ..aws.faults import UnansweredError, back_off
from ..model.change import Change
from .sourced_version import key_hash

MAX_RECORDS = 500
"""The most records of one PutRecords call."""

MAX_BYTES = 5 * 1024 * 1024
"""The most bytes of one PutRecords call, data and partition keys together."""

PARTITION_KEY_BYTES = 16

_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0


class ChangeStream(Protocol):
    """A stream of changes."""

    def put_changes(self, changes: Iterable[Change], seconds: float) -> None:
        """Write changes to the stream. When this returns, all of them are durable.

        :param seconds: how long to retry what the stream refuses.
        :raises UnansweredError: if some changes are still refused after that time. Others may be in the stream.
        :raises RefusedError: if AWS refuses a call.
        """


class KinesisChangeStream:
    """:class:`ChangeStream` over Kinesis. All changes of an item go to the same shard."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream

    def put_changes(self, changes: Iterable[Change], seconds: float) -> None:
        """Write changes in as few calls as possible, and retry the records that Kinesis refuses."""
        deadline = time.monotonic() + seconds
        batch: list[dict[str, Any]] = []
        batch_bytes = 0
        for change in changes:
            # The hash spreads as well as the item's key, which may exceed the 256 characters of a partition key.
            record = {"Data": change.line(), "PartitionKey": f"{key_hash(change.key):016x}"}
            record_bytes = len(record["Data"]) + PARTITION_KEY_BYTES
            if batch and (len(batch) == MAX_RECORDS or batch_bytes + record_bytes > MAX_BYTES):
                self._put_batch(batch, deadline)
                batch, batch_bytes = [], 0
            batch.append(record)
            batch_bytes += record_bytes
        if batch:
            self._put_batch(batch, deadline)

    def _put_batch(self, batch: list[dict[str, Any]], deadline: float) -> None:
        attempt = 0
        while True:
            response = self._client.call("PutRecords", StreamName=self._stream, Records=batch)
            # A shard takes 1 MB and 1,000 records a second, and refuses single records above that. Only these are
            # retried. They may arrive after later changes, which is harmless, because the newest version wins.
            results = zip(batch, response["Records"], strict=True)
            refused = [record for record, result in results if result.get("ErrorCode")]
            if not refused:
                return
            if len(refused) < len(batch):
                attempt = 0
            max_pause = min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**attempt)
            if time.monotonic() + max_pause > deadline:
                raise UnansweredError("FailedRecords", sent=True)
            back_off(max_pause)
            batch, attempt = refused, attempt + 1
