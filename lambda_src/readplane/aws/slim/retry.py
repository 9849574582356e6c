"""Which errors a call is retried after, and how long it backs off first.

======================================  =======================================================
error                                   what follows
======================================  =======================================================
expired credentials from the endpoint   one extra attempt at once, with new credentials
request time too far from AWS's clock   one extra attempt at once, with AWS's time
throttling                              retry, first backoff up to ``THROTTLED_BACKOFF_SECONDS``
transient error or network fault        retry, first backoff up to ``BACKOFF_SECONDS``
any other error                         none: the call raises it
======================================  =======================================================

The maximum doubles with each attempt, up to ``MAX_BACKOFF_SECONDS``.
"""

import time

from ..faults import RefusedError
from .connection import HttpResponse

BACKOFF_SECONDS = 0.05
"""The longest backoff, in seconds, before the second attempt."""
THROTTLED_BACKOFF_SECONDS = 0.25
"""The longest backoff, in seconds, before the second attempt, if AWS asked for fewer requests."""
MAX_BACKOFF_SECONDS = 5.0
"""The longest backoff, in seconds, before any attempt."""

# botocore's standard mode counts the same codes and statuses as throttling and as transient.
_THROTTLING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_TRANSIENT_CODES = frozenset({"ReplicatedWriteConflictException", "RequestTimeout", "RequestTimeoutException"})
_TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
# The errors with which AWS may refuse a request whose time differs too much from AWS's own.
_SKEW_CODES = frozenset(
    {
        "AuthFailure",
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException"})

_MIN_SKEW_SECONDS = 240
"""A smaller difference between the clocks can't be why AWS refused: AWS allows 5 minutes, S3 even 15."""


def is_retriable(error: RefusedError) -> bool:
    """Return whether the error is throttling or transient, so that a retry may succeed."""
    return _is_throttling(error) or error.code in _TRANSIENT_CODES or error.status in _TRANSIENT_STATUSES


def max_backoff(error: RefusedError | None, attempt: int) -> float:
    """Return the longest backoff in seconds before the next attempt.

    :param error: a retriable error, or ``None`` for a network fault.
    :param attempt: the number of the failed attempt, counted from 1.
    """
    first = THROTTLED_BACKOFF_SECONDS if error and _is_throttling(error) else BACKOFF_SECONDS
    return min(first * 2.0 ** (attempt - 1), MAX_BACKOFF_SECONDS)


def is_expired(error: RefusedError) -> bool:
    """Return whether AWS refused the request because its credentials have expired."""
    return error.code in _EXPIRED_CODES


def measure_skew(error: RefusedError, response: HttpResponse, request_skew: float) -> float | None:
    """Return AWS's clock minus this machine's, in seconds, if a wrong time may be why AWS refused the request.

    :param request_skew: the skew that the request's time was corrected by.
    :returns: ``None`` if the error has another reason, or the response no ``Date``.
    """
    if error.code not in _SKEW_CODES:
        return None
    from email.utils import parsedate_to_datetime  # here, because the import is slow and seldom needed

    try:
        skew = parsedate_to_datetime(response.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return None
    return skew if abs(skew - request_skew) >= _MIN_SKEW_SECONDS else None


def _is_throttling(error: RefusedError) -> bool:
    return error.code in _THROTTLING_CODES or error.status == 429
