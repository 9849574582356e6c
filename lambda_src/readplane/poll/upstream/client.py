"""The back office over HTTP: slow, broken or gone, and never trusted with more than a bounded time and size."""

import random
import socket
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple, Protocol

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import parse_header_links
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ..errors import BackOfficeError, BackOfficeErrorKind, SecretError
from ..source.settings import SecretHeader, Source, next_url, origin

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What another try may mend; any other status says the same again."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_HOPS = 5
_CONNECT_SECONDS = 5.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_FAIR_SHARE = 0.5
"""Of its time-out, a try must have been given this much before it is the back office that was too slow."""
_CHUNK = 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_JITTER = random.SystemRandom().random
_MARKUP = ("text/html", "application/xhtml+xml")


class BackOfficeResponse(NamedTuple):
    """What the back office said: 200 with its ``body``, or 304 without. ``url`` is where it came from in the end."""

    status: int
    body: bytes | None
    headers: Mapping[str, str]
    url: str

    @property
    def etag(self) -> str | None:
        """To be handed to the next :meth:`BackOfficeClient.fetch` of the same URL."""
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        """To be handed to the next :meth:`BackOfficeClient.fetch` of the same URL."""
        return self.headers.get("Last-Modified")

    @property
    def next_link(self) -> str | None:
        """The ``Link`` header's ``rel="next"`` (RFC 8288), which may be relative."""
        for link in parse_header_links(self.headers.get("Link", "")):
            if "next" in link.get("rel", "").lower().split():
                return link["url"]
        return None


class SecretValues(Protocol):
    """Where secrets come from: :class:`~readplane.poll.upstream.secret_values.Secrets`."""

    def get(self, secret: SecretHeader) -> str:
        """The value, as known.

        :raises SecretFault: when it can't be read.
        """

    def refresh(self, secret: SecretHeader) -> str:
        """The value, read anew.

        :raises SecretFault: when it can't be read.
        """


class BackOfficeClient:
    """One source's back office."""

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
        """Take the source and what reads its secret.

        :param clock: seconds that only grow; ``deadline`` of :meth:`fetch` is on it.
        :param jitter: 0 to 1, from the system: sandboxes from one snapshot would share a generator's state.
        :param wall: Unix seconds, to compare a ``Retry-After`` date with.
        """
        self.requests = 0
        """How many requests were sent so far."""
        self._source = source
        self._secrets = secrets
        self._origin = origin(source.url)
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._wall = wall
        self._free_at = clock()
        self._session = _session()

    def fetch(
        self,
        url: str,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        probe: bool = False,
        deadline: float,
    ) -> BackOfficeResponse:
        """GET one page.

        :param url: on the source's own origin.
        :param etag: of the answer that is known, so that an unchanged one is a 304; likewise ``last_modified``.
        :param probe: one try only.
        :param deadline: when the call must be over, tries and pauses included, in seconds of the clock.
        :raises UpstreamFault: when no data came.
        """
        headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        conditions = {name: value for name, value in headers.items() if value}
        attempts = 1 if probe else self._source.attempts
        before: BackOfficeError | None = None
        for attempt in range(1, attempts + 1):
            try:
                return self._try_with_secret(url, conditions, deadline)
            except BackOfficeError as fault:
                if before and fault.kind == "deadline":
                    # Tries that failed took the time: that is the back office's doing, and what it did counts.
                    raise before from fault
                before = fault
                if not fault.again or attempt == attempts:
                    raise
                pause = fault.retry_after
                if pause is None:
                    pause = self._jitter() * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
                # What is left after the pause must be worth a try; Retry-After itself goes to whoever asks next.
                if self._clock() + pause >= deadline:
                    raise
                self._sleep(pause)
        raise AssertionError("a try gives back an answer or raises")

    def close(self) -> None:
        """Close the connections that are kept open between pages."""
        self._session.close()

    def _try_with_secret(self, url: str, conditions: Mapping[str, str], deadline: float) -> BackOfficeResponse:
        secret = self._source.secret
        if secret is None:
            return self._try(url, conditions, deadline)
        known = self._secret(secret, refresh=False)
        try:
            return self._try(url, {**conditions, secret.header: known}, deadline)
        except BackOfficeError as fault:
            if fault.status != 401:
                raise
            # It may have been rotated since it was read.
            fresh = self._secret(secret, refresh=True)
            if fresh == known:
                raise
        return self._try(url, {**conditions, secret.header: fresh}, deadline)

    def _secret(self, secret: SecretHeader, *, refresh: bool) -> str:
        if self._secrets is None:
            raise BackOfficeError("secret", "nothing here can read secrets")
        try:
            value = (self._secrets.refresh if refresh else self._secrets.get)(secret).strip()
        except SecretError as fault:
            raise BackOfficeError("secret", str(fault)) from fault
        if not value or not value.isascii() or not value.isprintable():
            raise BackOfficeError("secret", "it isn't printable ASCII, so no header can hold it")
        return secret.value(value)

    def _try(self, url: str, headers: Mapping[str, str], deadline: float) -> BackOfficeResponse:
        """One try, redirects within the origin included, in a bounded time."""
        ends = self._clock() + self._source.timeout_seconds
        for _ in range(_MAX_HOPS + 1):
            if self._origin is None or origin(url) != self._origin:
                raise BackOfficeError("origin", "the URL leaves the source's scheme, host and port")
            ends += self._wait_for_turn(deadline)
            answer = self._request(url, headers, ends, deadline)
            if answer.status not in _REDIRECTS:
                return answer
            target = next_url(url, answer.headers.get("Location", ""))
            if target is None:
                raise BackOfficeError("redirect", "it redirects to another scheme, host or port", status=answer.status)
            url = target
        raise BackOfficeError("redirect", f"it redirects more than {_MAX_HOPS} times")

    def _request(self, url: str, headers: Mapping[str, str], ends: float, deadline: float) -> BackOfficeResponse:
        seconds = min(ends, deadline) - self._clock()
        if seconds <= 0:
            raise self._overrun(ends, deadline)
        self.requests += 1
        exchange = _Exchange(self._session, self._source, url, headers)
        try:
            response = exchange.within(seconds)
        except TimeoutError as error:
            raise self._overrun(ends, deadline) from error
        status, conditional = response.status, "If-None-Match" in headers or "If-Modified-Since" in headers
        if status == 200 or status in _REDIRECTS or (status == 304 and conditional):
            return response
        raise BackOfficeError(
            "status",
            f"it answers {status}",
            status=status,
            retry_after=self._retry_after(response.headers.get("Retry-After")),
            again=status in RETRIED,
        )

    def _wait_for_turn(self, deadline: float) -> float:
        """Keep to the requests per second; gives back the seconds that took."""
        if self._source.requests_per_second is None:
            return 0.0
        now = self._clock()
        pause = max(0.0, self._free_at - now)
        if now + pause >= deadline:
            raise BackOfficeError("deadline", "the rate limit leaves no time for another request")
        self._free_at = now + pause + 1 / self._source.requests_per_second
        if pause:
            self._sleep(pause)
        return pause

    def _overrun(self, ends: float, deadline: float) -> BackOfficeError:
        """The fault of a try that is over: whether its time was cut too short, or the answer was too slow."""
        seconds = self._source.timeout_seconds
        given = seconds - max(0.0, ends - deadline)
        if given < _FAIR_SHARE * seconds:
            return BackOfficeError("deadline", "the time for this poll ran out before the answer came")
        return BackOfficeError("timeout", f"no whole answer within {given:.3g} s", again=True)

    def _retry_after(self, value: str | None) -> float | None:
        if value is None:
            return None
        if value.strip().isdecimal():
            return float(value[:12])
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - self._wall())
        except (ValueError, TypeError, OverflowError):
            return None


class _Exchange(threading.Thread):
    """One request and its answer, in a thread of its own.

    No time-out of a socket bounds the whole: names are looked up without one, each address is tried in turn, and a
    byte now and then keeps headers or a body coming for ever. Whoever waits for a thread can leave, whatever blocks it.
    """

    def __init__(self, session: requests.Session, source: Source, url: str, headers: Mapping[str, str]) -> None:
        super().__init__(name=f"upstream {source.name}", daemon=True)
        self._session = session
        self._source = source
        self._url = url
        self._headers = headers
        self._answer: BackOfficeResponse | None = None
        self._error: BaseException | None = None
        self._left = False
        self.socket: socket.socket | None = None

    def within(self, seconds: float) -> BackOfficeResponse:
        """Wait for the answer.

        :raises TimeoutError: when it isn't whole by then.
        :raises UpstreamFault: when there is none.
        """
        self.start()
        self.join(seconds)
        if self.is_alive():
            self._left = True
            if self.socket:
                _shut_down(self.socket)
            raise TimeoutError
        if self._error:
            raise self._error
        assert self._answer
        return self._answer

    def sent(self, connection: socket.socket | None) -> None:
        """Note what the answer comes over, so that reading it can be ended."""
        self.socket = connection
        if self._left and connection:
            _shut_down(connection)

    def run(self) -> None:
        """Do it, within the thread."""
        try:
            self._answer = self._exchange()
        except BaseException as error:  # raised again where it is waited for
            self._error = error

    def _exchange(self) -> BackOfficeResponse:
        seconds = self._source.timeout_seconds
        try:
            with self._session.get(
                self._url,
                headers={**self._source.headers, **self._headers},
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _body(response, self._source.max_bytes) if response.status_code == 200 else None
                return BackOfficeResponse(response.status_code, body, response.headers, self._url)
        except requests.ConnectTimeout as error:
            raise BackOfficeError("connect", "no connection in time", again=True) from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise BackOfficeError("timeout", f"no answer within {seconds:g} s", again=True) from error
        except (requests.RequestException, HTTPError, HTTPException, OSError, zlib.error) as error:
            kind: BackOfficeErrorKind = "broken" if self.socket else "connect"
            # The kind of error alone: its text may hold the URL.
            raise BackOfficeError(kind, _cause(error), again=not isinstance(error, ValueError)) from error


def _body(response: requests.Response, max_bytes: int) -> bytes:
    """Read an answer whole, at most ``max_bytes`` of it, unpacked."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _MARKUP:
        raise BackOfficeError("not_data", f"it answers 200 with a page for people ({kind})", status=200)
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", ""):
        raise BackOfficeError("not_data", "it answers in an encoding that wasn't asked for", status=200)
    # Unpacked here, a bounded piece at a time: a few packed bytes may be gigabytes, and half of a packed body is an
    # error, which not every version of the library takes it for.
    unpack = _Gunzip(max_bytes) if "gzip" in coding else None
    body = bytearray()
    received = 0
    for piece in response.raw.stream(_CHUNK, decode_content=False):
        received += len(piece)
        body += unpack.unpack(piece) if unpack else piece
        if len(body) > max_bytes:
            raise BackOfficeError("too_large", f"its answer is larger than {max_bytes} bytes", status=200)
    # urllib3 2 has told of a body that is too short by now, 1.26 hasn't: which one there is, the runtime says.
    length = response.headers.get("Content-Length", "")
    if (length.isdecimal() and int(length) != received) or (unpack and not unpack.whole):
        raise BackOfficeError("broken", "its answer is cut off", status=200, again=True)
    return bytes(body)


class _Gunzip:
    """Unpacks GZIP, of however many members, up to a size."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._member: Any = zlib.decompressobj(_GZIP)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing so far."""
        return not self._begun

    def unpack(self, piece: bytes) -> bytes:
        """What ``piece`` holds; one byte more than the size, and no more, where it is exceeded."""
        unpacked = bytearray()
        while piece and self._left >= 0:
            self._begun = True
            part = self._member.decompress(piece, self._left + 1)
            self._left -= len(part)
            unpacked += part
            piece = self._member.unconsumed_tail
            if self._member.eof:
                piece = self._member.unused_data
                self._member = zlib.decompressobj(_GZIP)
                self._begun = False
        return bytes(unpacked)


class _Noting:
    """A connection that tells its exchange which socket it uses."""

    sock: Any

    def request(self, *args: Any, **parameters: Any) -> None:
        super().request(*args, **parameters)  # type: ignore[misc]
        thread = threading.current_thread()
        if isinstance(thread, _Exchange):
            thread.sent(self.sock)


class _Connection(_Noting, HTTPConnection):
    pass


class _TlsConnection(_Noting, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **parameters: Any) -> None:
        super().init_poolmanager(*args, **parameters)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        # Else the library reads a redirect's body, however long, to have the next request ready.
        return None


def _session() -> requests.Session:
    session = _Session()
    # Neither a proxy nor a .netrc of the environment decides where a secret goes.
    session.trust_env = False
    session.headers = CaseInsensitiveDict(
        {"User-Agent": "readplane", "Accept": "application/json, */*;q=0.1", "Accept-Encoding": "gzip"}
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=0))
    return session


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it may be down already
        # Wakes whoever reads from it, which closing wouldn't. Not TLS's own, which another thread is using.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _cause(error: BaseException) -> str:
    """The innermost kind of error, which says most: ``ConnectionRefusedError``, ``IncompleteRead``."""
    seen = {id(error)}
    while True:
        inner = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if inner is None and error.args and isinstance(error.args[-1], BaseException):
            inner = error.args[-1]
        if not isinstance(inner, BaseException) or id(inner) in seen:
            return type(error).__name__
        seen.add(id(inner))
        error = inner
