"""The rules for retries: after which errors the client tries again, and how long it backs off before.

The client reacts to the error of an attempt like this:

=================================================  =================================================
error                                              reaction
=================================================  =================================================
expired credentials from the credentials endpoint  one extra attempt at once, with new credentials
request time too far from AWS's time               one extra attempt at once, with AWS's time
throttling                                         retry, with a first backoff of up to 0.25 seconds
transient error or network fault                   retry, with a first backoff of up to 0.05 seconds
any other error                                    no retry: the call raises the error
=================================================  =================================================

The maximum backoff doubles with each further attempt, up to 5 seconds.
"""

import time

from ..faults import RefusedError
from .connection import HttpResponse

BACKOFF_SECONDS = 0.05
"""The longest backoff, in seconds, before the second attempt."""
THROTTLED_BACKOFF_SECONDS = 0.25
"""The longest backoff, in seconds, before the second attempt, if AWS throttled the first one."""
MAX_BACKOFF_SECONDS = 5.0
"""The longest backoff, in seconds, before any attempt."""

# The standard retry mode of botocore has the same throttling codes, transient codes and transient statuses.
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
# The error codes with which AWS may refuse a request because its time is too far from AWS's time.
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
"""A smaller difference between the clocks can't be why AWS refused a request. AWS allows 5 minutes, and S3 even 15."""


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

    :param request_skew: the clock skew, in seconds, that the client had added to the request's time.
    :returns: ``None`` if AWS refused for another reason, or if the response has no valid ``Date`` header.
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
