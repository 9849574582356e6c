"""The change stream: the Kinesis stream that carries the changes of back offices to `apply`."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..aws.client import Client
from ..aws.faults import UnansweredError, back_off
from ..model.change import Change
from .runtime import REAL, Runtime
from .sourced_version import key_hash

MAX_RECORDS = 500
"""The maximum number of records in one PutRecords call."""

MAX_BYTES = 5 * 1024 * 1024
"""The maximum size of one PutRecords call in bytes. Kinesis counts the data and the partition key of each record."""

PARTITION_KEY_BYTES = 16

_BACKOFF_SECONDS = 0.05
_MAX_BACKOFF_SECONDS = 2.0


class ChangeStream(Protocol):
    """The interface of the stream that carries the changes of back offices from `poll` to `apply-stream`."""

    def put_changes(self, changes: Iterable[Change], seconds: float) -> None:
        """Write changes to the stream. When this method returns, the stream has stored all of them durably.

        :param seconds: for how many seconds to retry the changes that the stream refuses.
        :raises UnansweredError: if the stream still refuses some changes after that time. The stream may have stored
            the other changes.
        :raises RefusedError: if AWS responds with an error to a whole call, not only to some of its changes.
        """


class KinesisChangeStream:
    """The change stream as a Kinesis stream. All changes of one item go to the same shard.

    :param runtime: the clocks of the function.
    :param pause: waits before a retry, for at most so many seconds.
    """

    def __init__(
        self,
        client: Client,
        stream: str,
        runtime: Runtime = REAL,
        pause: Callable[[float], None] = back_off,
    ) -> None:
        self._client = client
        self._stream = stream
        self._monotonic = runtime.monotonic
        self._pause = pause

    def put_changes(self, changes: Iterable[Change], seconds: float) -> None:
        """Write changes to Kinesis in as few calls as possible, and retry the records that Kinesis refuses."""
        deadline = self._monotonic() + seconds
        batch: list[dict[str, Any]] = []
        batch_bytes = 0
        for change in changes:
            # The partition key is a hash of the item's key, because the item's key may exceed Kinesis's limit of 256
            # characters. The hash spreads items over the shards just as well.
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
            # A shard accepts 1 MB and 1,000 records a second. Above that, Kinesis refuses individual records, so retry
            # only the refused ones. A retried change may arrive after a later change of the same item. That is
            # harmless, because `apply` keeps the change with the greatest version.
            results = zip(batch, response["Records"], strict=True)
            refused = [record for record, result in results if result.get("ErrorCode")]
            if not refused:
                return
            if len(refused) < len(batch):
                attempt = 0
            max_pause = min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2**attempt)
            if self._monotonic() + max_pause > deadline:
                raise UnansweredError("FailedRecords", sent=True)
            self._pause(max_pause)
            batch, attempt = refused, attempt + 1
