"""The change stream: Kinesis, which takes the back offices' changes until `apply` has them."""

import time
from collections.abc import Iterable
from typing import Any, Protocol

from ..aws.client import Client
from ..aws.faults import UnansweredError, pause
from ..model.change import Change
from .remembered import key_hash

MAX_RECORDS = 500
MAX_BYTES = 5 * 1024 * 1024
"""Of one PutRecords, data and partition keys."""

KEY_BYTES = 16

_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class ChangeStream(Protocol):
    """Takes changes."""

    def put(self, changes: Iterable[Change], seconds: float) -> None:
        """Make changes durable; when this returns, all are.

        :param seconds: how long to go on trying what was refused.
        :raises Unanswered: when some are not in by then; any may be. Also :class:`Refused`, as any call.
        """


class KinesisChangeStream:
    """:class:`ChangeStream` over Kinesis; an item's changes share a shard."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream

    def put(self, changes: Iterable[Change], seconds: float) -> None:
        """See :class:`ChangeStream`."""
        until = time.monotonic() + seconds
        batch: list[dict[str, Any]] = []
        size = 0
        for change in changes:
            # An item's key may be longer than the 256 characters that Kinesis takes; its hash spreads as well.
            record = {"Data": change.line(), "PartitionKey": f"{key_hash(change.key):016x}"}
            length = len(record["Data"]) + KEY_BYTES
            if batch and (len(batch) == MAX_RECORDS or size + length > MAX_BYTES):
                self._put(batch, until)
                batch, size = [], 0
            batch.append(record)
            size += length
        if batch:
            self._put(batch, until)

    def _put(self, batch: list[dict[str, Any]], until: float) -> None:
        attempt = 0
        while True:
            answer = self._client.call("PutRecords", StreamName=self._stream, Records=batch)
            # A shard takes 1 MB and 1,000 records a second: what is over that fails alone, and only that comes again.
            # It may arrive behind what was sent after it, which is harmless: the newest version wins.
            refused = [record for record, told in zip(batch, answer["Records"], strict=True) if told.get("ErrorCode")]
            if not refused:
                return
            if len(refused) < len(batch):
                attempt = 0
            longest = min(_LONGEST_PAUSE, _PAUSE * 2**attempt)
            if time.monotonic() + longest > until:
                raise UnansweredError("FailedRecords", sent=True)
            pause(longest)
            batch, attempt = refused, attempt + 1
