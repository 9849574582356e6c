"""The HTTP client of one source's back office, with retries, a deadline, redirects and a secret."""

import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol

from ..errors import BackOfficeError, SecretError
from ..source.settings import SecretSettings, Source
from ..source.urls import next_url, origin
from .deadline import Exchange, new_session
from .response import BackOfficeResponse

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""The HTTP statuses after which a request is retried, because a retry may succeed.

After any other status, a retry would get the same status again.
"""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 5

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

_MIN_TIMEOUT_SHARE = 0.5
"""The share of the source's timeout that a request must have had before a missing response is the back office's fault.

If the poll's own deadline left the request a smaller share, the deadline is to blame and not the back office.
"""

_JITTER = random.SystemRandom().random


class SecretValues(Protocol):
    """The interface through which :class:`BackOfficeClient` reads the secret that its source's requests carry."""

    def get_secret(self, secret: SecretSettings) -> str:
        """Return the secret's value. It may come from a cache and be some minutes old.

        :raises SecretError: if the secret can't be read.
        """

    def refresh_secret(self, secret: SecretSettings) -> str:
        """Return the secret's value, read again without the cache.

        :raises SecretError: if the secret can't be read.
        """


class BackOfficeClient:
    """Sends one source's requests to its back office.

    :param secrets: reads the source's secret; needed only if the source has one.
    :param clock: a function that returns monotonic seconds. The ``deadline`` of :meth:`fetch` is a time of this clock.
    :param sleep: a function that waits for a number of seconds.
    :param jitter: a function that returns a random number from 0 to 1, by which the pause before a retry is multiplied.
        The default uses the operating system's random generator, because Python's own generator would have the same
        state in all Lambda sandboxes that are restored from one SnapStart snapshot.
    :param wall: a function that returns Unix seconds. The client compares them with the date in a ``Retry-After``
        header.
    """

    def __init__(
        self,
        source: Source,
        secrets: SecretValues | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = _JITTER,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.requests = 0
        """How many requests this client has sent, retries and redirects included."""
        self._source = source
        self._secrets = secrets
        self._origin = origin(source.url)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._wall = wall
        self._next_request_at = clock()
        self._session = new_session()

    def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """Send a GET request for one page, and retry the request after a temporary failure.

        :param url: the page's URL, with the scheme, host and port of the source's URL.
        :param etag: the ``ETag`` of an earlier response from ``url``. If the page hasn't changed since, the new
            response is a 304.
        :param last_modified: the ``Last-Modified`` of an earlier response from ``url``. If the page hasn't changed
            since, the new response is a 304.
        :param probe: whether this is the one request that a half-open breaker allows. A probe isn't retried.
        :param deadline: the time by which this call must end, retries and pauses included, in seconds of ``clock``.
        :raises BackOfficeError: if the request fails. A temporary failure is retried first, as often as the source's
            settings allow.
        """
        headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        conditions = {name: value for name, value in headers.items() if value}
        attempts = 1 if probe else self._source.attempts
        previous: BackOfficeError | None = None
        for attempt in range(1, attempts + 1):
            try:
                return self._try_with_secret(url, conditions, deadline)
            except BackOfficeError as error:
                if previous and error.kind == "deadline":
                    # Earlier tries failed and left this try too little time. Raise the error of the previous try,
                    # because it is the real cause.
                    raise previous from error
                previous = error
                if not error.retryable or attempt == attempts:
                    raise
                pause = error.retry_after
                if pause is None:
                    pause = self._jitter() * min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
                # Raise the error at once if the deadline comes before the end of the pause. The error contains the
                # seconds of the Retry-After header, so that the caller knows when to poll again.
                if self._clock() + pause >= deadline:
                    raise
                self._sleep(pause)
        raise AssertionError("the last try returns a response or raises")

    def close(self) -> None:
        """Close the connections that the client keeps open between its requests."""
        self._session.close()

    def _try_with_secret(self, url: str, conditions: Mapping[str, str], deadline: float) -> BackOfficeResponse:
        secret = self._source.secret
        if secret is None:
            return self._try(url, conditions, deadline)
        value = self._secret_value(secret, refresh=False)
        try:
            return self._try(url, conditions, deadline, value)
        except BackOfficeError as error:
            if error.status != 401:
                raise
            # A 401 may mean that the secret was rotated, so read the secret again. If the secret is unchanged, don't
            # send it a second time, because the back office would respond 401 again.
            fresh_value = self._secret_value(secret, refresh=True)
            if fresh_value == value:
                raise
        return self._try(url, conditions, deadline, fresh_value)

    def _secret_value(self, secret: SecretSettings, *, refresh: bool) -> str:
        if self._secrets is None:
            raise BackOfficeError("secret", "this client can't read secrets")
        try:
            value = (self._secrets.refresh_secret if refresh else self._secrets.get_secret)(secret).strip()
        except SecretError as error:
            raise BackOfficeError("secret", str(error)) from error
        if not value or not value.isascii() or not value.isprintable():
            raise BackOfficeError("secret", "it isn't printable ASCII, so no header can hold it")
        return secret.value(value)

    def _try(
        self, url: str, headers: Mapping[str, str], deadline: float, secret_value: str | None = None
    ) -> BackOfficeResponse:
        """Send one request and follow its redirects, as long as they stay on the source's origin.

        :param secret_value: the value of the header or query parameter that carries the secret; ``None`` if the source
            has no secret.

        The source's timeout is the limit for the request and all its redirects together. Pauses for the rate limit
        aren't part of this time.
        """
        timeout_at = self._clock() + self._source.timeout_seconds
        for _ in range(_MAX_REDIRECTS + 1):
            if self._origin is None or origin(url) != self._origin:
                raise BackOfficeError("origin", "the URL leaves the source's scheme, host and port")
            timeout_at += self._wait_for_rate_limit(deadline)
            response = self._request(url, headers, secret_value, timeout_at, deadline)
            if response.status not in _REDIRECTS:
                return response
            target = next_url(url, response.headers.get("Location", ""))
            if target is None:
                raise BackOfficeError(
                    "redirect", "it redirects to another scheme, host or port", status=response.status
                )
            url = self._source.without_secret(target)
        raise BackOfficeError("redirect", f"it redirects more than {_MAX_REDIRECTS} times")

    def _request(
        self, url: str, headers: Mapping[str, str], secret_value: str | None, timeout_at: float, deadline: float
    ) -> BackOfficeResponse:
        seconds = min(timeout_at, deadline) - self._clock()
        if seconds <= 0:
            raise self._too_late(timeout_at, deadline)
        self.requests += 1
        exchange = Exchange(self._session, self._source, url, headers, secret_value)
        try:
            response = exchange.response_within(seconds)
        except TimeoutError as error:
            raise self._too_late(timeout_at, deadline) from error
        status, conditional = response.status, "If-None-Match" in headers or "If-Modified-Since" in headers
        if status == 200 or status in _REDIRECTS or (status == 304 and conditional):
            return response
        raise BackOfficeError(
            "status",
            f"the status is {status}",
            status=status,
            retry_after=self._retry_after_seconds(response.headers.get("Retry-After")),
            retryable=status in RETRYABLE_STATUSES,
        )

    def _wait_for_rate_limit(self, deadline: float) -> float:
        """Wait until the source's rate limit allows another request, and return how many seconds the wait took."""
        if self._source.requests_per_second is None:
            return 0.0
        now = self._clock()
        pause = max(0.0, self._next_request_at - now)
        if now + pause >= deadline:
            raise BackOfficeError("deadline", "the rate limit leaves no time for another request")
        self._next_request_at = now + pause + 1 / self._source.requests_per_second
        if pause:
            self._sleep(pause)
        return pause

    def _too_late(self, timeout_at: float, deadline: float) -> BackOfficeError:
        """Return the error for a request that got no response in time.

        The error's kind is ``timeout`` if the back office was too slow. The kind is ``deadline`` if the poll's own
        deadline left the back office too little time.
        """
        seconds = self._source.timeout_seconds
        allowed_seconds = seconds - max(0.0, timeout_at - deadline)
        if allowed_seconds < _MIN_TIMEOUT_SHARE * seconds:
            return BackOfficeError("deadline", "the time for this poll ran out before the response came")
        return BackOfficeError("timeout", f"no whole response within {allowed_seconds:.3g} s", retryable=True)

    def _retry_after_seconds(self, value: str | None) -> float | None:
        if value is None:
            return None
        if value.strip().isdecimal():
            return float(value[:12])
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - self._wall())
        except (ValueError, TypeError, OverflowError):
            return None
