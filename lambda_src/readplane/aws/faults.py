"""What goes wrong when AWS is called, and how long to wait before another try.

::

    AwsError                what a call raises
    ├── RefusedError        AWS answered with an error
    └── UnansweredError     no whole answer came
"""

import os
import time
from collections.abc import Mapping
from typing import Any


class AwsError(Exception):
    """A call to AWS failed, after the client's retries.

    :param code: AWS's error code without its namespace (``ConditionalCheckFailedException``), or the kind of fault.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RefusedError(AwsError):
    """AWS answered with an error, after the client's retries.

    :param code: AWS's error code without a namespace, ``ConditionalCheckFailedException``.
    :param status: the HTTP status.
    :param answer: the error's own members, for one the ``Item`` that failed a condition.
    """

    def __init__(self, code: str, status: int, answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.answer = answer or {}


class UnansweredError(AwsError):
    """No whole answer came, after the client's retries.

    :param code: the kind of fault, ``ReadTimeoutError``.
    :param sent: whether the request may have reached AWS in any of the tries.
    """

    def __init__(self, code: str, *, sent: bool) -> None:
        super().__init__(code)
        self.sent = sent


def pause(longest: float) -> None:
    """Wait before another try: up to ``longest`` seconds, with full jitter.

    What failed together mustn't come back together. The jitter is the system's: ``random`` has a state, which all
    sandboxes from one snapshot would share.
    """
    time.sleep(longest * int.from_bytes(os.urandom(4), "big") / 2**32)
