"""HTTP/1.1 over connections that stay open, in a pool for each host.

This module does only what AWS's services need. It has no proxies, redirects, cookies or compression. It doesn't use
``http.client``, because ``http.client`` parses headers with the ``email`` package. Importing that package alone takes
10 ms of CPU, while the whole slim client takes 25 ms.
"""

import select
import socket
import ssl
import time

from ..faults import UnansweredError
from .framing import MAX_PIECE_BYTES, BodyReader, make_body_reader
from .tls import tls_context

CONNECT_SECONDS = 1.0
"""The maximum total time to connect to a host, in seconds, across all addresses of the host. It includes the TLS
handshake. It doesn't include the name resolution, because only the system's resolver can limit the time for that."""
MAX_IDLE_SECONDS = 60
"""The maximum time, in seconds, that a connection may be idle and still be reused. The AWS SDK for Java has the same
limit. The connection pool measures this time by the wall clock, because it must include the minutes for which Lambda
may freeze a function between requests. A frozen function may never learn that the server has closed the connection."""

_MAX_HEAD_BYTES = 65_536
_NO_DEADLINE = float("inf")


class StaleConnectionError(UnansweredError):
    """A reused connection ended before the first byte of a response, because the server had closed it."""


class HttpResponse:
    """An HTTP response from a server.

    This class isn't a NamedTuple, because defining a NamedTuple adds 0.1 ms to every cold start.

    :ivar status: the HTTP status code.
    :ivar headers: the header values by name. The names are in lower case.
    :ivar body: the reader of the body.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: BodyReader) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Connection:
    """One connection to a server. It carries one request at a time."""

    def __init__(self, pool: "ConnectionPool", connected: socket.socket) -> None:
        self.idle_since = 0.0
        self._pool = pool
        self._socket = connected
        self._buffer = b""  # bytes that were received but not read by the caller yet
        self._used = False
        self._deadline = 0.0  # the end of the current exchange or read, on the monotonic clock
        self._socket_timeout = -1.0  # the last timeout that was set on the socket, or -1 if none was
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def exchange(self, request: bytes, deadline: float = _NO_DEADLINE) -> HttpResponse:
        """Send a request, and read the status line and the headers of its response, within the pool's read timeout.

        :param deadline: the time by which the exchange must end, on the monotonic clock.
        :raises UnansweredError: for every network fault.
        """
        self.reset_deadline(deadline)
        try:
            response = self._exchange(request)
        except BaseException:
            self.close()
            raise
        self._used = True
        response.body.start()
        return response

    def is_quiet(self) -> bool:
        """Return whether nothing has arrived on this connection since the last response.

        Between two requests, a server sends something only when it closes the connection. So a connection that isn't
        quiet can't be reused.
        """
        # Also count pending bytes, because poll() doesn't report bytes that TLS has already read from the socket.
        pending = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return not (self._buffer or pending or self._poll.poll(0))

    def reset_deadline(self, latest: float = _NO_DEADLINE) -> None:
        """Set the deadline for sending and receiving to now plus the pool's read timeout, but no later than ``latest``.

        :param latest: the latest deadline, on the monotonic clock.
        """
        self._deadline = min(latest, time.monotonic() + self._pool.read_timeout)

    def release(self) -> None:
        """Return this connection to its pool, so that another request can use it."""
        self._pool.release(self)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def read_line(self) -> bytes:
        """Read the next line from the server, and return it without its line break."""
        return self._read_until(b"\r\n")

    def read_some(self, limit: int, *, may_end: bool = False) -> bytes:
        """Read from the server, and return at least 1 and at most ``limit`` bytes.

        :param may_end: whether the server may end the body by closing the connection. If ``True``, return no bytes in
            that case. If ``False``, raise an error.
        """
        if self._buffer:
            data, self._buffer = self._buffer[:limit], self._buffer[limit:]
            return data
        data = self._receive(limit)
        if not data and not may_end:
            raise UnansweredError("IncompleteReadError", sent=True)
        return data

    def _exchange(self, request: bytes) -> HttpResponse:
        try:
            self._timed_socket().sendall(request)
            self._buffer = self._timed_socket().recv(MAX_PIECE_BYTES)
        except TimeoutError as error:
            raise UnansweredError("ReadTimeoutError", sent=True) from error
        except OSError as error:
            raise self._closed_error() from error
        if not self._buffer:
            raise self._closed_error()
        status, headers = self._read_head()
        while 100 <= status < 200:  # skip interim responses (1xx), because the final response follows them
            status, headers = self._read_head()
        return HttpResponse(status, headers, make_body_reader(self, status, headers))

    def _closed_error(self) -> UnansweredError:
        return (StaleConnectionError if self._used else UnansweredError)("ConnectionClosedError", sent=True)

    def _read_head(self) -> tuple[int, dict[str, str]]:
        first, *lines = self._read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
            raise UnansweredError("BadStatusLine", sent=True)
        headers = {"connection": "close"} if version == "HTTP/1.0" else {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), headers

    def _read_until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise UnansweredError("LineTooLong", sent=True)
            data = self._receive(MAX_PIECE_BYTES)
            if not data:
                raise UnansweredError("IncompleteReadError", sent=True)
            self._buffer += data
        before, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return before

    def _receive(self, limit: int) -> bytes:
        try:
            return self._timed_socket().recv(limit)
        except TimeoutError as error:
            raise UnansweredError("ReadTimeoutError", sent=True) from error
        except OSError as error:
            raise UnansweredError("ConnectionClosedError", sent=True) from error

    def _timed_socket(self) -> socket.socket:
        """Return the socket, after setting its timeout to the time left until the deadline.

        Call this before each send or receive, because a socket's timeout limits only a single send or receive. A
        response that arrives in many small pieces would otherwise take many times the timeout.
        """
        seconds = _seconds_until(self._deadline)
        # Change the socket's timeout only if the new one differs by more than 10 ms, because each change costs a system
        # call. An error of 10 ms is harmless: timeouts are seconds.
        if abs(seconds - self._socket_timeout) > 0.01:
            self._socket.settimeout(seconds)
            self._socket_timeout = seconds
        return self._socket


class ConnectionPool:
    """A pool of connections to one host. Several threads may share the pool.

    The pool reuses the connection that was used most recently, so that connections that aren't needed any more stay
    idle and expire.

    :param secure: whether to use TLS.
    :param read_timeout: the maximum number of seconds to send a request and read its response. Each later read of a
        streamed body gets the same number of seconds again.
    :param connections: the maximum number of idle connections that the pool keeps. Threads that send at the same time
        may open more connections.
    """

    def __init__(self, host: str, port: int, *, secure: bool, read_timeout: float, connections: int) -> None:
        self._host = host
        self._port = port
        self._secure = secure
        self.read_timeout = read_timeout
        self._connections = connections
        self._idle: list[Connection] = []

    def exchange(self, request: bytes, *, resend: bool) -> HttpResponse:
        """Send a request and read the headers of its response, within ``CONNECT_SECONDS`` plus ``read_timeout``.

        :param request: the bytes of the whole request: the request line, the headers and the body.
        :param resend: whether to send the request again on a new connection if the pool reuses a connection that the
            server has already closed.
        :raises UnansweredError: for every network fault.
        """
        deadline = time.monotonic() + CONNECT_SECONDS + self.read_timeout
        idle = self._take_idle()
        if not idle:
            return Connection(self, self._connect()).exchange(request)
        try:
            return idle.exchange(request)
        except StaleConnectionError:
            if not resend:
                raise
        try:
            return Connection(self, self._connect()).exchange(request, deadline)
        except UnansweredError as fault:
            # Set ``sent`` to true, because the request that was sent on the stale connection may have reached AWS.
            raise UnansweredError(fault.code, sent=True) from fault

    def release(self, connection: Connection) -> None:
        """Take back a connection after its response was read to the end. Close the connection if the pool is full."""
        connection.idle_since = time.time()
        if len(self._idle) < self._connections:
            self._idle.append(connection)
        else:
            connection.close()

    def _take_idle(self) -> Connection | None:
        now = time.time()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if 0 <= now - connection.idle_since <= MAX_IDLE_SECONDS and connection.is_quiet():
                return connection
            connection.close()

    def _connect(self) -> socket.socket:
        return open_socket(self._host, self._port, CONNECT_SECONDS, secure=self._secure)[0]


def open_socket(
    host: str, port: int, seconds: float, *, secure: bool, ca_pem: str | None = None
) -> tuple[socket.socket, float]:
    """Open a connection to a host. Return it with the deadline for opening it, on the monotonic clock.

    :param seconds: the maximum time to open the connection, TLS handshake included, across all addresses of the host.
        The time for the name resolution isn't included.
    :param secure: whether to use TLS.
    :param ca_pem: the only certificate authorities to trust, as PEM text; ``None`` for those that ``tls.py`` chooses.
    :raises UnansweredError: for every network fault.
    """
    code, plain = "SSLError", None
    try:
        # Make the TLS context first, because loading its certificates mustn't use up the time for the connection.
        context = tls_context(host, ca_pem) if secure else None
        code = "EndpointConnectionError"  # such as an unknown name, no route, or a refused connection
        plain, deadline = _dial(host, port, seconds)
        if not context:
            return plain, deadline
        code = "SSLError"
        plain.settimeout(_seconds_until(deadline))
        # Pass suppress_ragged_eofs=False, because a TCP connection that ends without TLS's closing message must be
        # an error. If a body has no Content-Length, only that message shows that the body is complete and wasn't
        # cut off.
        return context.wrap_socket(plain, server_hostname=host.encode(), suppress_ragged_eofs=False), deadline
    except OSError as error:  # this includes ssl.SSLError and TimeoutError, which are subclasses
        if plain:
            plain.close()
        if isinstance(error, TimeoutError):
            code = "ConnectTimeoutError"
        raise UnansweredError(code, sent=False) from error


def _dial(host: str, port: int, seconds: float) -> tuple[socket.socket, float]:
    """Open a TCP connection to a host. Return it with the deadline for the TLS handshake."""
    fault: OSError = OSError("no address")
    # Pass the host name to getaddrinfo() and to TLS as bytes. Python would encode a text as IDNA, and importing the
    # IDNA tables takes 7 ms and 1.6 MB. AWS's host names are ASCII, so they don't need IDNA.
    addresses = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM)
    deadline = time.monotonic() + seconds
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            dialled = socket.socket(family, kind, protocol)
        except OSError as error:  # such as an IPv6 address on a machine without IPv6
            fault = error
            continue
        try:
            # Give each address an equal share of the time left, so that one address that doesn't respond can't use
            # all of it.
            dialled.settimeout(_seconds_until(deadline) / (len(addresses) - number))
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            dialled.connect(address)
            return dialled, deadline
        except OSError as error:
            dialled.close()
            fault = error
    raise fault


def _seconds_until(deadline: float) -> float:
    # Return at least a millisecond, because a timeout of 0 would make the socket non-blocking. So even after the
    # deadline, the socket can still read bytes that have already arrived.
    return max(deadline - time.monotonic(), 0.001)
