"""Appends to the write log through Firehose, which stores a record in three availability zones before it responds."""

from typing import Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError, back_off

ATTEMPTS = 3
_BASE_SECONDS = 0.05
_RETRIABLE = frozenset({"ServiceUnavailableException", "ThrottlingException", "SlowDown", "RequestLimitExceeded"})


class NotAppendedError(Exception):
    """The write log didn't confirm a line.

    :param refused: true if Firehose can't have stored the line. False if an attempt may have stored it. A retry is safe
        in both cases, because a change may be applied twice.
    :param cause: the code of the last error, which `write` puts into its own log event.
    """

    def __init__(self, *, refused: bool, cause: str) -> None:
        super().__init__(cause)
        self.refused = refused
        self.cause = cause


class WriteLog(Protocol):
    """A log that keeps lines durably."""

    def append(self, line: bytes) -> None:
        """Return once ``line``, which ends with a newline, is durable.

        :raises NotAppendedError: if the log doesn't confirm the line.
        """


class FirehoseWriteLog:
    """A :class:`WriteLog` that appends each line with one successful ``PutRecord`` call to Firehose.

    The client must not retry by itself. This class retries, because it must see the outcome of each attempt to tell
    whether the line may have been stored.
    """

    def __init__(self, client: Client, delivery_stream: str) -> None:
        self._client = client
        self._delivery_stream = delivery_stream

    def append(self, line: bytes) -> None:
        """Append ``line`` in at most three attempts, with full-jitter backoff between them.

        :raises NotAppendedError: if no attempt succeeds.
        """
        refused = True
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._client.call("PutRecord", DeliveryStreamName=self._delivery_stream, Record={"Data": line})
                return
            except RefusedError as error:
                cause = error.code
                retriable = cause in _RETRIABLE
                # After any other 5xx error, Firehose may have stored the line.
                if error.status >= 500 and not retriable:
                    refused, retriable = False, True
            except UnansweredError as error:
                cause = error.code
                retriable = True
                refused = refused and not error.sent
            if not retriable or attempt == ATTEMPTS:
                raise NotAppendedError(refused=refused, cause=cause)
            back_off(_BASE_SECONDS * 2**attempt)
