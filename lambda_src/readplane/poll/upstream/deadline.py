"""Sends one HTTP request in a thread of its own, so that the caller stops waiting at a strict deadline.

A socket's timeouts don't limit the time of a whole request, for three reasons. Resolving a host name has no timeout.
A host name can have several addresses, and each of them is tried in turn. The read timeout starts anew with each byte,
so headers or a body can take forever if the back office sends one byte now and then.
"""

import logging
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ..errors import BackOfficeError
from .body import read_body
from .network_faults import network_error

_CONNECT_SECONDS = 5.0

# urllib3 warns about some faults of a response and quotes the request's URL, which may hold a secret. Lambda's runtime
# writes warnings to the log.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class HttpRequest(NamedTuple):
    """An HTTP request with everything that is sent, secrets included.

    method: the HTTP method.
    url: the URL.
    headers: the headers, in addition to those of the session.
    body: the body; ``None`` for a request without one.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def __repr__(self) -> str:
        """Return a text without the parts that may hold secrets."""
        return f"HttpRequest(method={self.method!r})"


class HttpResponse(NamedTuple):
    """An HTTP response.

    status: the HTTP status.
    headers: the header values by header name. Looking up a name ignores upper and lower case.
    body: the decompressed body; ``None`` if it wasn't read, because of the response's status.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    def __repr__(self) -> str:
        """Return a text without the parts that may hold secrets, such as an access token."""
        return f"HttpResponse(status={self.status!r})"


class Exchange(threading.Thread):
    """A thread that sends one HTTP request and reads the response.

    :param session: a session that :func:`new_session` returned.
    :param name: what to call the server in the thread's name.
    :param timeout_seconds: how long to wait for the connection and for each part of the response.
    :param max_bytes: the largest body that is accepted, in bytes, after decompression.
    :param reads_body: a function that returns whether to read the body of a response with the given status.
    """

    def __init__(
        self,
        session: requests.Session,
        request: HttpRequest,
        *,
        name: str,
        timeout_seconds: float,
        max_bytes: int,
        reads_body: Callable[[int], bool] = lambda status: status == 200,
    ) -> None:
        super().__init__(name=f"back office {name}", daemon=True)
        self._session = session
        self._request = request
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._reads_body = reads_body
        self._response: HttpResponse | None = None
        self._error: BaseException | None = None
        self._abandoned = False
        self.socket: socket.socket | None = None

    def response_within(self, seconds: float) -> HttpResponse:
        """Start the thread, wait for the whole response, and return it.

        :raises TimeoutError: if the response isn't complete after ``seconds``. The thread then ends by itself, because
            the request's socket is shut down.
        :raises BackOfficeError: if the request fails for another reason.
        """
        self.start()
        self.join(seconds)
        if self.is_alive():
            self._abandoned = True
            if self.socket:
                _shut_down(self.socket)
            raise TimeoutError
        if self._error:
            raise self._error
        assert self._response
        return self._response

    def note_socket(self, connection: socket.socket | None) -> None:
        """Store the socket on which the response arrives, so that :meth:`response_within` can shut the socket down.

        The HTTP connection calls this method after it has sent the request, in the thread of this ``Exchange``.
        """
        self.socket = connection
        if self._abandoned and connection:
            _shut_down(connection)

    def run(self) -> None:
        """Send the request and read the response. Python calls this method in the new thread."""
        try:
            self._response = self._send_and_read()
        except BaseException as error:  # noqa: BLE001 - `response_within` raises the error again
            self._error = error

    def _send_and_read(self) -> HttpResponse:
        seconds, request = self._timeout_seconds, self._request
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code
                body = read_body(response, self._max_bytes) if self._reads_body(status) else None
                return HttpResponse(status, response.headers, body)
        except requests.ConnectTimeout as error:
            raise BackOfficeError("connect", "no connection in time", retryable=True) from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise BackOfficeError("timeout", f"no response within {seconds:g} s", retryable=True) from error
        # A UnicodeError comes from a header that can't be sent.
        except (requests.RequestException, HTTPError, HTTPException, OSError, zlib.error, UnicodeError) as error:
            raise network_error(error, sent=self.socket is not None) from error


def new_session(tls: ssl.SSLContext | None = None) -> requests.Session:
    """Return an HTTP session that ignores proxy variables and .netrc files, keeps no cookies and never retries.

    :param tls: the TLS context of the session's connections; ``None`` trusts the public authorities.
    """
    session = _Session()
    # Ignore the environment's proxy variables and .netrc files, because they must not decide where a secret is sent.
    session.trust_env = False
    session.headers = CaseInsensitiveDict({"User-Agent": "readplane", "Accept-Encoding": "gzip"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.mount("http://", _Adapter(max_retries=0))
    session.mount("https://", _Adapter(max_retries=0) if tls is None else _ContextAdapter(tls))
    return session


class _NotesSocket:
    """A mixin for urllib3's connections, which passes a connection's socket to the current :class:`Exchange`.

    The mixin passes the socket after the connection has sent a request. The ``Exchange`` is the thread in which the
    request runs.
    """

    sock: Any

    def request(self, *args: Any, **parameters: Any) -> None:
        super().request(*args, **parameters)  # type: ignore[misc]
        thread = threading.current_thread()
        if isinstance(thread, Exchange):
            thread.note_socket(self.sock)


class _Connection(_NotesSocket, HTTPConnection):
    pass


class _TlsConnection(_NotesSocket, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **parameters: Any) -> None:
        super().init_poolmanager(*args, **parameters)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


class _ContextAdapter(_Adapter):
    """An adapter whose connections use a TLS context of their own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **parameters: Any) -> None:
        super().init_poolmanager(*args, **parameters, ssl_context=self._context)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002 - defined by `requests`
        # The method of `requests` would make the connection trust the public authorities as well.
        conn.cert_reqs = "CERT_REQUIRED"


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - `requests` defines the signature
        # Return None, which means "no redirect", because `BackOfficeClient` follows redirects itself. Otherwise,
        # `requests` would read the whole body of a redirect, however long it is, to prepare the next request.
        return None


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # `shutdown` raises OSError if the socket is already shut down.
        # Call `shutdown` and not `close`, because only `shutdown` wakes a thread that is waiting to read from the
        # socket. Call the method of the plain socket class, because the method of a TLS socket would also change state
        # that the reading thread is using.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
