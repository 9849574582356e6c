"""Appends to the write log through Firehose, which stores a record in three availability zones before it responds."""

from typing import Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError, back_off

ATTEMPTS = 3
_BASE_SECONDS = 0.05
_RETRIABLE = frozenset({"ServiceUnavailableException", "ThrottlingException", "SlowDown", "RequestLimitExceeded"})


class NotAppendedError(Exception):
    """The write log didn't confirm a line.

    :param refused: true if Firehose certainly stored nothing. False if an attempt may have stored the line; then a
        retry is safe all the same, because applying is idempotent.
    :param cause: the code of the last error, for the log.
    """

    def __init__(self, *, refused: bool, cause: str) -> None:
        super().__init__(cause)
        self.refused = refused
        self.cause = cause


class WriteLog(Protocol):
    """A durable log of lines."""

    def append(self, line: bytes) -> None:
        """Return once ``line``, which ends with a newline, is durable.

        :raises NotAppendedError: if the log doesn't confirm the line.
        """


class FirehoseWriteLog:
    """A :class:`WriteLog` that calls ``PutRecord``, once for an accepted line.

    Its client must not retry. Only the outcome of each attempt tells whether the line may have been stored.
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
