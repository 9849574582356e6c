"""Sends one HTTP request in a thread of its own, so that the caller stops waiting at a strict deadline.

A socket's timeouts don't limit the time of a whole request, for three reasons. Resolving a host name has no timeout.
A host name can have several addresses, and each of them is tried in turn. The read timeout starts anew with each byte,
so headers or a body can take forever if the back office sends one byte now and then.
"""

import logging
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
from ..source.urls import with_parameter
from .body import read_body
from .response import BackOfficeResponse

_CONNECT_SECONDS = 5.0

# urllib3 warns about some faults of a response and quotes the request's URL, which may hold a secret. Lambda's runtime
# writes warnings to the log.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)


class Exchange(threading.Thread):
    """A thread that sends one HTTP request and reads the response.

    :param session: a session that :func:`new_session` returned.
    :param url: the URL to request, without a secret.
    :param headers: request headers to send in addition to the headers in the source's settings.
    :param secret_value: the value of the header or query parameter that carries the source's secret; ``None`` if the
        source has no secret.
    """

    def __init__(
        self,
        session: requests.Session,
        source: Source,
        url: str,
        headers: Mapping[str, str],
        secret_value: str | None = None,
    ) -> None:
        super().__init__(name=f"back office {source.name}", daemon=True)
        self._session = session
        self._source = source
        self._url = url
        self._headers = headers
        self._secret_value = secret_value
        self._response: BackOfficeResponse | None = None
        self._error: BaseException | None = None
        self._abandoned = False
        self.socket: socket.socket | None = None

    def response_within(self, seconds: float) -> BackOfficeResponse:
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

    def _send_and_read(self) -> BackOfficeResponse:
        seconds = self._source.timeout_seconds
        url, headers = self._with_secret()
        try:
            with self._session.get(
                url,
                headers=headers,
                timeout=(min(_CONNECT_SECONDS, seconds), seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = read_body(response, self._source.max_bytes) if response.status_code == 200 else None
                # The response keeps the URL without the secret, because later URLs are built from it.
                return BackOfficeResponse(response.status_code, body, response.headers, self._url)
        except requests.ConnectTimeout as error:
            raise BackOfficeError("connect", "no connection in time", retryable=True) from error
        except (requests.Timeout, ReadTimeoutError) as error:
            raise BackOfficeError("timeout", f"no response within {seconds:g} s", retryable=True) from error
        except (requests.RequestException, HTTPError, HTTPException, OSError, zlib.error) as error:
            kind: BackOfficeErrorKind = "broken" if self.socket else "connect"
            # Report only the class name of the error's cause, because an error's text may contain the request's URL.
            raise BackOfficeError(kind, _root_cause_name(error), retryable=not isinstance(error, ValueError)) from error

    def _with_secret(self) -> tuple[str, Mapping[str, str]]:
        """Return the URL and the headers of the request, with the source's secret in one of the two."""
        headers = {**self._source.headers, **self._headers}
        secret = self._source.secret
        if secret is None or self._secret_value is None:
            return self._url, headers
        if secret.query is not None:
            return with_parameter(self._url, secret.query, self._secret_value), headers
        return self._url, {**headers, secret.header or "": self._secret_value}


def new_session() -> requests.Session:
    """Return an HTTP session that ignores proxy variables and .netrc files, keeps no cookies and never retries."""
    session = _Session()
    # Ignore the environment's proxy variables and .netrc files, because they must not decide where a secret is sent.
    session.trust_env = False
    session.headers = CaseInsensitiveDict(
        {"User-Agent": "readplane", "Accept": "application/json, */*;q=0.1", "Accept-Encoding": "gzip"}
    )
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(max_retries=0))
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


def _root_cause_name(error: BaseException) -> str:
    """Return the class name of an error's innermost cause, such as ``ConnectionRefusedError``."""
    visited = {id(error)}
    while True:
        cause = getattr(error, "reason", None) or error.__cause__ or error.__context__
        if cause is None and error.args and isinstance(error.args[-1], BaseException):
            cause = error.args[-1]
        if not isinstance(cause, BaseException) or id(cause) in visited:
            return type(error).__name__
        visited.add(id(cause))
        error = cause
