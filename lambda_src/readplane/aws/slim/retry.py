"""The slim client's rules for retries: after which errors it retries a call, and how long it backs off first.

Each row of this table holds an error of one attempt, and how the client reacts to it:

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
"""The maximum backoff before the second attempt, in seconds, if AWS didn't throttle the first attempt."""
THROTTLED_BACKOFF_SECONDS = 0.25
"""The maximum backoff before the second attempt, in seconds, if AWS throttled the first attempt."""
MAX_BACKOFF_SECONDS = 5.0
"""The maximum backoff before any attempt, in seconds, however many attempts have failed."""

# These throttling codes, transient codes and transient statuses are the same as in botocore's standard retry mode.
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
# AWS may respond with these error codes if a request's time is too far from AWS's own time.
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
"""If AWS refuses a request whose time differs from AWS's time by fewer seconds than this, the time can't be the reason,
because AWS allows a difference of 5 minutes, and S3 even 15 minutes."""


def is_retriable(error: RefusedError) -> bool:
    """Return whether the error is throttling or transient, so that a retry may succeed."""
    return _is_throttling(error) or error.code in _TRANSIENT_CODES or error.status in _TRANSIENT_STATUSES


def max_backoff(error: RefusedError | None, attempt: int) -> float:
    """Return the maximum backoff before the next attempt, in seconds.

    :param error: the retriable error of the failed attempt, or ``None`` if it failed with a network fault.
    :param attempt: the number of the failed attempt, counted from 1.
    """
    first = THROTTLED_BACKOFF_SECONDS if error and _is_throttling(error) else BACKOFF_SECONDS
    return min(first * 2.0 ** (attempt - 1), MAX_BACKOFF_SECONDS)


def is_expired(error: RefusedError) -> bool:
    """Return whether AWS refused the request because its credentials have expired."""
    return error.code in _EXPIRED_CODES


def measure_skew(error: RefusedError, response: HttpResponse, request_skew: float) -> float | None:
    """Return the clock skew, in seconds, if AWS refused a request because of its time.

    The clock skew is AWS's time minus this machine's time.

    :param request_skew: the clock skew, in seconds, that the client added to this machine's time for the request.
    :returns: the clock skew; ``None`` if AWS refused the request for another reason, or if the response has no valid
        ``Date`` header.
    """
    if error.code not in _SKEW_CODES:
        return None
    from email.utils import parsedate_to_datetime  # imported here, because the import is slow and seldom needed

    try:
        skew = parsedate_to_datetime(response.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return None
    return skew if abs(skew - request_skew) >= _MIN_SKEW_SECONDS else None


def _is_throttling(error: RefusedError) -> bool:
    return error.code in _THROTTLING_CODES or error.status == 429
