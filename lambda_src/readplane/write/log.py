"""The write log's front door: Firehose, which has a record on three availability zones before it answers."""

from typing import Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError, pause

ATTEMPTS = 3
_BASE_SECONDS = 0.05
_RETRIABLE = frozenset({"ServiceUnavailableException", "ThrottlingException", "SlowDown", "RequestLimitExceeded"})


class NotAppendedError(Exception):
    """The write log didn't confirm a line.

    ``refused`` is true when no try can have been kept: the line is not accepted. Otherwise its fate is unknown, and to
    send it again is safe, as applying is idempotent. ``cause`` names the last fault's kind, for the log.
    """

    def __init__(self, *, refused: bool, cause: str) -> None:
        super().__init__(cause)
        self.refused = refused
        self.cause = cause


class WriteLog(Protocol):
    """Somewhere durable to append lines to."""

    def append(self, line: bytes) -> None:
        """Return once ``line`` (with its newline) is durable.

        :raises NotAppended: when that can't be said.
        """


class FirehoseWriteLog:
    """Appends through ``PutRecord``: one network call for an accepted line.

    The client must not retry on its own, since only each try's outcome tells a refusal from a time-out.
    """

    def __init__(self, client: Client, delivery_stream: str) -> None:
        self._client = client
        self._delivery_stream = delivery_stream

    def append(self, line: bytes) -> None:
        """See :class:`WriteLog`. Three tries at most, with full jitter in between."""
        refused = True
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._client.call("PutRecord", DeliveryStreamName=self._delivery_stream, Record={"Data": line})
                return
            except RefusedError as error:
                cause = error.code
                again = cause in _RETRIABLE
                # An answer of the 5xx class other than "unavailable" says nothing about what was kept.
                if error.status >= 500 and not again:
                    refused, again = False, True
            except UnansweredError as error:
                cause = error.code
                again = True
                refused = refused and not error.sent
            if not again or attempt == ATTEMPTS:
                raise NotAppendedError(refused=refused, cause=cause)
            pause(_BASE_SECONDS * 2**attempt)
