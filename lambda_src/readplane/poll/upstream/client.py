"""The HTTP client of one source's back office, with retries, a deadline, redirects, secrets and access tokens."""

import random
import time
from collections.abc import Callable, Mapping

import requests
from requests.structures import CaseInsensitiveDict

from ..errors import BackOfficeError
from ..source.settings import OAuth2Settings, Source
from ..source.urls import clean_url, next_url, origin, with_parameter
from .body import is_web_page
from .credentials import Credential, Credentials, SecretReader
from .deadline import Exchange, HttpRequest, HttpResponse, new_session
from .oauth2 import AccessTokens, TokenClient
from .request import BackOfficeRequest
from .response import BackOfficeResponse
from .retry_after import is_retryable, retry_after_seconds
from .secret_values import SecretValues
from .tls import tls_context

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_WITH_BODY = frozenset({307, 308})
_MAX_REDIRECTS = 5

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 10.0

_MIN_TIMEOUT_SHARE = 0.5
"""The share of the source's timeout that a request must have had before a missing response is the back office's fault.

If the poll's own deadline left the request a smaller share, the deadline is to blame and not the back office.
"""

_ACCEPT = {
    "json": "application/json, */*;q=0.1",
    "csv": "text/csv, */*;q=0.1",
    "xml": "application/xml, text/xml;q=0.9, */*;q=0.1",
}
"""The ``Accept`` header by the format of the source's payload."""

_MAX_TOKEN_BYTES = 256 * 1024

_JITTER = random.SystemRandom().random


class BackOfficeClient:
    """Sends one source's requests to its back office.

    :param secrets: reads the source's secrets; needed only if the source has one.
    :param tokens: the cache of access tokens, which outlives the client; ``None`` for a cache of the client's own.
    :param clock: a function that returns monotonic seconds. The ``deadline`` of :meth:`fetch` is a time of this clock.
    :param sleep: a function that waits for a number of seconds.
    :param jitter: a function that returns a random number from 0 to 1, by which the pause before a retry is multiplied.
        The default uses the operating system's random generator, because Python's own generator would have the same
        state in all Lambda sandboxes that are restored from one SnapStart snapshot.
    :param wall: a function that returns Unix seconds. The client compares them with the times in response headers.
    """

    def __init__(
        self,
        source: Source,
        secrets: SecretValues | None = None,
        tokens: AccessTokens | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = _JITTER,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.requests = 0
        """How many requests this client has sent to the back office, retries and redirects included."""
        self._source = source
        self._origin = origin(source.url)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._wall = wall
        self._next_request_at = clock()
        self._reader = SecretReader(secrets)
        token_client = self._token_client(source.oauth2, tokens or AccessTokens()) if source.oauth2 else None
        self._credentials = Credentials(source.secret, self._reader, token_client)
        self._session: requests.Session | None = None
        self._token_session: requests.Session | None = None

    def fetch(
        self,
        request: BackOfficeRequest,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """Send the request for one page, and retry the request after a temporary failure.

        :param request: the request. Its URL has the scheme, host and port of the source's URL.
        :param etag: the ``ETag`` of an earlier response to ``request``. If the page hasn't changed since, the new
            response is a 304.
        :param last_modified: the ``Last-Modified`` of an earlier response to ``request``. If the page hasn't changed
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
                return self._try_with_credential(request, conditions, deadline)
            except BackOfficeError as error:
                if previous and error.kind == "deadline":
                    # Earlier tries failed and left this try too little time. Raise the error of the previous try,
                    # because it is the real cause.
                    raise previous from error
                previous = error
                if not error.retryable or attempt == attempts:
                    raise
                # The back office may ask for no pause at all, for example if the clocks differ. So the backoff is the
                # shortest pause. Otherwise the client would use up its attempts in milliseconds.
                backoff = self._jitter() * min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
                pause = max(error.retry_after or 0.0, backoff)
                # Raise the error at once if the deadline comes before the end of the pause. The error contains the
                # seconds that the back office asks for, so that the caller knows when to poll again.
                if self._clock() + pause >= deadline:
                    raise
                self._sleep(pause)
        raise AssertionError("the last try returns a response or raises")

    def close(self) -> None:
        """Close the connections that the client keeps open between its requests."""
        for session in (self._session, self._token_session):
            if session:
                session.close()

    def _try_with_credential(
        self, request: BackOfficeRequest, conditions: Mapping[str, str], deadline: float
    ) -> BackOfficeResponse:
        credential = self._credentials.current(deadline)
        try:
            return self._try(request, conditions, credential, deadline)
        except BackOfficeError as error:
            if error.status != 401:
                raise
            # A 401 may mean that the secret was rotated or the token revoked. If neither has changed, don't send the
            # request a second time, because the back office would respond 401 again.
            renewed = self._credentials.renewed(credential, deadline)
            if renewed is None:
                raise
        return self._try(request, conditions, renewed, deadline)

    def _try(
        self, request: BackOfficeRequest, conditions: Mapping[str, str], credential: Credential, deadline: float
    ) -> BackOfficeResponse:
        """Send one request and follow its redirects, as long as they stay on the source's origin.

        The source's timeout is the limit for the request and all its redirects together. Pauses for the rate limit
        aren't part of this time.
        """
        timeout_at = self._clock() + self._source.timeout_seconds
        for _ in range(_MAX_REDIRECTS + 1):
            if self._origin is None or origin(request.url) != self._origin:
                raise BackOfficeError("origin", "the URL leaves the source's scheme, host and port")
            timeout_at += self._wait_for_rate_limit(deadline)
            http_request = self._http_request(request, conditions, credential)
            response = self._send(http_request, timeout_at, deadline)
            if response.status not in _REDIRECTS:
                body = b"" if response.status == 204 else response.body
                # The response contains the URL without the secret, because later URLs are built from it.
                return BackOfficeResponse(
                    response.status, body, response.headers, request.url, credential.secret_values
                )
            request = self._redirected(request, response, credential)
        raise BackOfficeError("redirect", f"it redirects more than {_MAX_REDIRECTS} times")

    def _http_request(
        self, request: BackOfficeRequest, conditions: Mapping[str, str], credential: Credential
    ) -> HttpRequest:
        headers = CaseInsensitiveDict({"Accept": _ACCEPT[self._source.payload_format]})
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        for extra_headers in (self._source.headers, conditions, credential.headers):
            headers.update(extra_headers)
        url = request.url
        for name, value in credential.parameters.items():
            url = with_parameter(url, name, value)
        return HttpRequest(request.method, url, headers, request.body)

    def _redirected(
        self, request: BackOfficeRequest, response: HttpResponse, credential: Credential
    ) -> BackOfficeRequest:
        """Return the request that follows a redirect.

        :raises BackOfficeError: if the redirect leaves the source's origin, if its target holds a secret, or if the
            redirected request would lose its method and body.
        """
        status = response.status
        if request.method != "GET" and status not in _REDIRECTS_WITH_BODY:
            problem = f"it redirects a {request.method} request with the status {status}, which would make it a GET"
            raise BackOfficeError("redirect", problem, status=status)
        target = next_url(request.url, response.headers.get("Location", ""))
        if target is None:
            raise BackOfficeError("redirect", "it redirects to another scheme, host or port", status=status)
        url = clean_url(target, credential.parameters, credential.secret_values)
        if url is None:
            problem = "it redirects to a URL whose path holds the secret"
            raise BackOfficeError("redirect", problem, advice="send the secret in a header", status=status)
        return request._replace(url=url)

    def _send(self, request: HttpRequest, timeout_at: float, deadline: float) -> HttpResponse:
        """Send a request to the back office, and return its response if `poll` can use it or follow it.

        :raises BackOfficeError: for any other response, and for no response.
        """
        seconds = min(timeout_at, deadline) - self._clock()
        if seconds <= 0:
            raise self._too_late(timeout_at, deadline)
        self.requests += 1
        source = self._source
        exchange = Exchange(
            self._back_office_session(),
            request,
            name=source.name,
            timeout_seconds=source.timeout_seconds,
            max_bytes=source.max_bytes,
        )
        try:
            response = exchange.response_within(seconds)
        except TimeoutError as error:
            raise self._too_late(timeout_at, deadline) from error
        if response.body is not None:
            self._refuse_web_page(response.body)
        status = response.status
        is_conditional = "If-None-Match" in request.headers or "If-Modified-Since" in request.headers
        if status in (200, 204) or status in _REDIRECTS or (status == 304 and is_conditional):
            return response
        raise BackOfficeError(
            "status",
            f"the status is {status}",
            status=status,
            retry_after=retry_after_seconds(status, response.headers, self._wall()),
            # A status that ends the list is an answer, so a retry would only cost time.
            retryable=is_retryable(status, response.headers) and status not in (source.paging.end_status or ()),
        )

    def _refuse_web_page(self, body: bytes) -> None:
        if is_web_page(body, xml=self._source.payload_format == "xml"):
            raise BackOfficeError(
                "not_data",
                "the status is 200, but the body is a web page, such as a login or a maintenance page",
                advice="check the source's url and secret; look at the response with `readplane sources try`",
                status=200,
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

    def _token_client(self, settings: OAuth2Settings, tokens: AccessTokens) -> TokenClient:
        return TokenClient(
            self._source.name,
            settings,
            tokens,
            read_secret=lambda refresh: self._reader.read(settings.secret, refresh=refresh),
            send=self._send_token_request,
            clock=self._clock,
            wall=self._wall,
        )

    def _send_token_request(self, request: HttpRequest, deadline: float) -> HttpResponse:
        """Send a request to the authorization server, whose failures are told apart from those of the back office."""
        timeout_at = self._clock() + self._source.timeout_seconds
        seconds = min(timeout_at, deadline) - self._clock()
        if seconds <= 0:
            raise self._too_late(timeout_at, deadline)
        exchange = Exchange(
            self._authorization_session(request.url),
            request,
            name=f"{self._source.name} token",
            timeout_seconds=self._source.timeout_seconds,
            max_bytes=_MAX_TOKEN_BYTES,
            reads_body=lambda status: status in (200, 201) or status >= 400,
        )
        try:
            return exchange.response_within(seconds)
        except TimeoutError as error:
            timeout_error = self._too_late(timeout_at, deadline)
            if timeout_error.kind == "deadline":
                raise timeout_error from error
            problem = f"the authorization server gives {timeout_error.problem}"
            advice = "check oauth2.token_url, and that the server's firewall admits poll"
            raise BackOfficeError("token", problem, advice=advice, retryable=True) from error
        except BackOfficeError as error:
            advice = error.advice if error.kind == "tls" else "check oauth2.token_url, and ask the server's operator"
            raise BackOfficeError(
                "token",
                f"the token request to the authorization server failed: {error.problem}",
                advice=advice,
                retryable=error.retryable,
            ) from error

    def _back_office_session(self) -> requests.Session:
        """Return the session of the connections to the back office. The client certificate is read only when needed."""
        if self._session is None:
            tls = self._source.tls
            client_pem = self._reader.read(tls.client_certificate) if tls and tls.client_certificate else None
            context = tls_context(self._source.url, ca_pem=tls.ca_pem, client_pem=client_pem) if tls else None
            self._session = new_session(context)
        return self._session

    def _authorization_session(self, token_url: str) -> requests.Session:
        """Return the session of the connections to the authorization server.

        A server on another origin than the back office never gets the client certificate. It may have a certificate of
        a public authority even if the back office has one of a private authority.
        """
        if origin(token_url) == self._origin:
            return self._back_office_session()
        if self._token_session is None:
            ca_pem = self._source.tls.ca_pem if self._source.tls else None
            context = tls_context(token_url, ca_pem=ca_pem, public_authorities=True) if ca_pem else None
            self._token_session = new_session(context)
        return self._token_session
