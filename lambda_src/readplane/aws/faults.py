"""The errors that a call to AWS raises, and the backoff before a retry.

::

    AwsError                a call to AWS failed, after the client's retries
    ├── RefusedError        AWS responded with an error
    └── UnansweredError     no complete response arrived
"""

import os
import time
from collections.abc import Mapping
from typing import Any


class AwsError(Exception):
    """A call to AWS failed, after the client's retries.

    :param code: AWS's error code without its namespace, such as ``ConditionalCheckFailedException``, or the kind of
        network fault, such as ``ReadTimeoutError``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RefusedError(AwsError):
    """AWS responded with an error, after the client's retries.

    :param code: AWS's error code without its namespace, such as ``ConditionalCheckFailedException``.
    :param status: the response's HTTP status.
    :param members: the other fields of AWS's error, such as the ``Item`` that failed a condition.
    """

    def __init__(self, code: str, status: int, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.members = members or {}


class UnansweredError(AwsError):
    """No complete response arrived, after the client's retries.

    :param code: the kind of network fault, such as ``ReadTimeoutError``.
    :param sent: whether any attempt may have reached AWS.
    """

    def __init__(self, code: str, *, sent: bool) -> None:
        super().__init__(code)
        self.sent = sent


def back_off(max_seconds: float) -> None:
    """Sleep for a random time of up to ``max_seconds`` before a retry (full jitter).

    The jitter spreads retries out, so that clients that failed together don't retry together. The random number comes
    from the operating system, not from ``random``. Otherwise all sandboxes that Lambda restores from one snapshot would
    sleep equally long, because they share the state of ``random``.
    """
    time.sleep(max_seconds * int.from_bytes(os.urandom(4), "big") / 2**32)
