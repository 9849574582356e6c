"""Appends lines to the write log through Firehose, which responds after storing a line in three availability zones."""

from collections.abc import Callable
from typing import Protocol

from ..aws.client import Client
from ..aws.faults import RefusedError, UnansweredError, back_off

ATTEMPTS = 3
_BASE_SECONDS = 0.05
_RETRIABLE = frozenset({"ThrottlingException", "RequestLimitExceeded"})
"""The codes of the 4xx responses after which another attempt may succeed, because AWS throttled the attempt."""


class NotAppendedError(Exception):
    """The write log didn't confirm that it has stored a line.

    :param refused: whether it is certain that Firehose hasn't stored the line, because it refused each attempt with a
        4xx, or the attempt never reached it. If ``refused`` is false, one of the attempts may have stored the line.
    :param cause: the code of the last error, which `write` writes to its own logs.
    """

    def __init__(self, *, refused: bool, cause: str) -> None:
        super().__init__(cause)
        self.refused = refused
        self.cause = cause


class WriteLog(Protocol):
    """A write log, which stores lines durably."""

    def append(self, line: bytes) -> None:
        """Append ``line``, which ends with a newline, and return as soon as it is durable.

        :raises NotAppendedError: if the log doesn't confirm that it has stored the line.
        """


class FirehoseWriteLog:
    """A :class:`WriteLog` that appends each line with one successful ``PutRecord`` call to Firehose.

    The AWS client must not retry by itself. This class retries instead, because it needs the outcome of each attempt to
    say whether Firehose may have stored the line.

    :param pause: waits before a retry, for at most so many seconds.
    """

    def __init__(self, client: Client, delivery_stream: str, pause: Callable[[float], None] = back_off) -> None:
        self._client = client
        self._delivery_stream = delivery_stream
        self._pause = pause

    def append(self, line: bytes) -> None:
        """Append ``line`` to the write log in at most three attempts, with full-jitter backoff between them.

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
                # Only a 4xx is a refusal. After any 5xx, Firehose may have stored the line. This holds for
                # ServiceUnavailableException too, because AWS's reference of PutRecord says that calling it again can
                # result in duplicates.
                if not 400 <= error.status < 500:
                    refused, retriable = False, True
            except UnansweredError as error:
                cause = error.code
                retriable = True
                refused = refused and not error.sent
            if not retriable or attempt == ATTEMPTS:
                raise NotAppendedError(refused=refused, cause=cause)
            self._pause(_BASE_SECONDS * 2**attempt)
