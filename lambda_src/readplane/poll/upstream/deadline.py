"""Sends one request with a strict deadline: the request runs in a thread, and the caller stops waiting in time.

The timeouts of a socket don't limit a whole request. A name is resolved without any timeout, and each of its addresses
is tried in turn. If a back office sends a byte now and then, its headers or body can take for ever.
"""

import socket
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ..errors import BackOfficeError, BackOfficeErrorKind
from ..source.settings import Source
from .body import read_body
from .response import BackOfficeResponse

_CONNECT_SECONDS = 5.0


class Exchange(threading.Thread):
    """One request and its response, in a thread of its own.

    :param session: a session that :func:`new_session` made.
    :param headers: headers that the request sends in addition to the source's own.
    """

    def __init__(self, session: requests.Session, source: Source, url: str, headers: Mapping[str, str]) -> None:
        super().__init__(name=f"back office {source.name}", daemon=True)
        self._session = session
        self._source = source
        self._url = url
        self._headers = headers
        self._response: BackOfficeResponse | None = None
        self._error: BaseException | None = None
        self._abandoned = False
        self.socket: socket.socket | None = None

    def response_within(self, seconds: float) -> BackOfficeResponse:
        """Start the thread and wait for the whole response.

        :raises TimeoutError: if the response isn't complete after ``seconds``. The thread then ends by itself.
        :raises BackOfficeError: if the back office returns no data.
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
        """Store the socket on which the response arrives, so that :meth:`response_within` can shut it down.

        The connection calls this method in the request's thread, after it has sent the request.
        """
        self.socket = connection
        if self._abandoned and connection:
            _shut_down(connection)

    def run(self) -> None:
        """Send the request and read the response. Python calls this method in the new thread."""
        try:
            self._response = self._send_and_read()
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it again
            self._error = error

    def _send_and_read(self) -> BackOfficeResponse:
        seconds = self._source.timeout_seconds
        try:
            with self._session.get(
                self._url,
                headers={**self._source.headers, **self._headers},
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = read_body(response, self._source.max_bytes) if response.status_code == 200 else None
                return BackOfficeResponse(response.status_code, body, response.headers, self._url)
        except requests.ConnectTimeout as error:
            raise BackOfficeError("connect", "no connection in time", retryable=True) from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise BackOfficeError("timeout", f"no response within {seconds:g} s", retryable=True) from error
        except (requests.RequestException, HTTPError, HTTPException, OSError, zlib.error) as error:
            kind: BackOfficeErrorKind = "broken" if self.socket else "connect"
            # Name the error's class only, because its text may hold the URL.
            raise BackOfficeError(kind, _root_cause_name(error), retryable=not isinstance(error, ValueError)) from error


def new_session() -> requests.Session:
    """Make a session that ignores proxy variables and .netrc files, keeps no cookies and never retries."""
    session = _Session()
    # A proxy variable or a .netrc file must not decide where a secret is sent.
    session.trust_env = False
    session.headers = CaseInsensitiveDict(
        {"User-Agent": "readplane", "Accept": "application/json, */*;q=0.1", "Accept-Encoding": "gzip"}
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=0))
    return session


class _NotesSocket:
    """A mixin for connections. After a request, it tells the thread's :class:`Exchange` which socket it uses."""

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


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - requests' own signature
        # Report no redirect, because `BackOfficeClient` follows redirects itself. Otherwise `requests` would read the
        # redirect's whole body, however long it is, to prepare the next request.
        return None


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # The socket may be shut down already.
        # Shut the socket down instead of closing it, because only that wakes the thread that reads from it. Call the
        # method of the plain socket class: the TLS socket's method would change state that the other thread is using.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _root_cause_name(error: BaseException) -> str:
    """Return the class name of the innermost cause, such as ``ConnectionRefusedError`` or ``IncompleteRead``."""
    visited = {id(error)}
    while True:
        cause = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if cause is None and error.args and isinstance(error.args[-1], BaseException):
            cause = error.args[-1]
        if not isinstance(cause, BaseException) or id(cause) in visited:
            return type(error).__name__
        visited.add(id(cause))
        error = cause
