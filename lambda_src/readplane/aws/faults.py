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

    :param code: AWS's error code, such as ``ConditionalCheckFailedException`` (without the namespace that AWS may put
        before it), or the kind of network fault, such as ``ReadTimeoutError``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RefusedError(AwsError):
    """AWS responded with an error, after the client's retries.

    :param code: AWS's error code, such as ``ConditionalCheckFailedException`` (without the namespace that AWS may put
        before it).
    :param status: the response's HTTP status.
    :param members: the other fields of AWS's error response. For example, ``Item`` is the stored item that didn't meet
        the call's condition. If S3 responds 304, ``ETag`` and ``CacheControl`` are the response's headers.
    """

    def __init__(self, code: str, status: int, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.members = members or {}


class UnansweredError(AwsError):
    """No complete response arrived, after the client's retries.

    :param code: the kind of network fault, such as ``ReadTimeoutError``.
    :param sent: ``True`` if any attempt may have reached AWS, ``False`` if no attempt can have reached AWS.
    """

    def __init__(self, code: str, *, sent: bool) -> None:
        super().__init__(code)
        self.sent = sent


def back_off(max_seconds: float) -> None:
    """Sleep before a retry, for a random time between 0 and ``max_seconds`` seconds (full jitter).

    The jitter spreads retries out, so that clients that failed at the same time don't retry at the same time. The
    random number comes from the operating system, not from ``random``. Otherwise all sandboxes that Lambda restores
    from one SnapStart snapshot would sleep equally long, because they share the state of ``random``.
    """
    time.sleep(max_seconds * int.from_bytes(os.urandom(4), "big") / 2**32)
