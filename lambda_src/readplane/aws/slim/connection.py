"""HTTP/1.1 to one host over connections that stay open, as little of it as AWS's answers need.

``http.client`` reads headers with the e-mail package, whose import takes 10 ms of CPU; all that the slim client imports
takes 25. What is left out: proxies, redirects, cookies, compression; none of the services needs them.
"""

import os
import select
import socket
import ssl
import time
from typing import NamedTuple

from ..faults import UnansweredError

CONNECT_SECONDS = 1.0
"""A connection is made in this long, TLS included, however many addresses the name has, or it isn't. Not in it is
looking the name up, which only the system's resolver bounds."""
MAX_IDLE_SECONDS = 60
"""A connection that nobody used for longer isn't used again (the AWS SDK for Java draws the same line). By the wall
clock: Lambda freezes a function between requests, perhaps for minutes, and then the news that the other side has
closed may never arrive."""

_MAX_HEAD = 65_536
_PIECE = 65_536
_EVER = float("inf")
_AMAZON = (".amazonaws.com", ".api.aws")


class StaleConnectionError(UnansweredError):
    """A connection that was used before had been closed meanwhile: it ended before the first byte of an answer."""


class ResponseBody:
    """An answer's body, read from the connection as it is asked for; at its end the connection is kept or closed."""

    def __init__(self, connection: "Connection", status: int, headers: dict[str, str]) -> None:
        """:raises Unanswered: when the headers don't tell how long it is."""
        self._connection: Connection | None = connection
        self._keep = headers.get("connection", "").lower() != "close"
        self._left = 0  # of the body, or of the chunk
        self._chunked = self._to_the_end = False
        if status in (204, 304):
            return  # whatever the headers say, which may be those that the object itself would come with
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        if self._chunked:
            return
        length = headers.get("content-length")
        if length is None:
            self._to_the_end, self._keep = True, False
        elif length.isdecimal():
            self._left = int(length)
        else:
            raise UnansweredError("BadContentLength", sent=True)

    def start(self) -> None:
        """An empty body is at its end before anyone reads."""
        if not (self._chunked or self._to_the_end or self._left):
            self._finish()

    def rest(self) -> bytes:
        """Read all that is left, in what is left of the answer's time.

        :raises Unanswered: when it doesn't come.
        """
        return self._read(-1)

    def read(self, size: int = -1) -> bytes:
        """Read ``size`` bytes, less only at the end; all that is left without a size.

        Each such read has the answer's time anew: whoever reads a stream may do other things in between.

        :raises Unanswered: when the rest doesn't come.
        """
        if self._connection:
            self._connection.allow()
        return self._read(size)

    def _read(self, size: int) -> bytes:
        if size < 0 and self._left and not self._chunked:
            size = self._left
        pieces = []
        try:
            while size and (piece := self._piece(size if size > 0 else _PIECE)):
                pieces.append(piece)
                size -= len(piece) if size > 0 else 0
        except BaseException:
            self.close()
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Leave the rest unread. The connection can't be used again, as the rest would still come."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _piece(self, limit: int) -> bytes:
        if not self._connection:
            return b""
        if self._to_the_end:
            data = self._connection.some(min(limit, _PIECE), may_end=True)
            if not data:
                self._finish()
            return data
        if self._chunked and not self._left and not self._next_chunk(self._connection):
            return b""
        data = self._connection.some(min(limit, self._left, _PIECE))
        self._left -= len(data)
        if not self._left:
            if not self._chunked:
                self._finish()
            elif self._connection.line():
                raise UnansweredError("BadChunk", sent=True)
        return data

    def _next_chunk(self, connection: "Connection") -> bool:
        size = connection.line().partition(b";")[0].strip().lower()
        if not size or size.strip(b"0123456789abcdef"):
            raise UnansweredError("BadChunk", sent=True)
        self._left = int(size, 16)
        if self._left:
            return True
        while connection.line():  # trailers
            pass
        self._finish()
        return False

    def _finish(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            if self._keep:
                connection.give_back()
            else:
                connection.close()


class HttpResponse(NamedTuple):
    """An HTTP answer; the headers' names are in lower case."""

    status: int
    headers: dict[str, str]
    body: ResponseBody  # not as a text: the first one that typing has to resolve takes 1.5 ms


class Connection:
    """One connection; one request at a time."""

    def __init__(self, pool: "ConnectionPool", connected: socket.socket) -> None:
        self.idle_since = 0.0
        self._pool = pool
        self._socket = connected
        self._held = b""  # read from the socket, and not used yet
        self._used = False
        self._deadline = 0.0  # by the monotonic clock
        self._patience = -1.0  # the socket's own time-out, where we set it
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def exchange(self, request: bytes, until: float = _EVER) -> HttpResponse:
        """See :meth:`ConnectionPool.exchange`; ``until`` is when the try is over, by the monotonic clock."""
        self.allow(until)
        try:
            answer = self._exchange(request)
        except BaseException:
            self.close()
            raise
        self._used = True
        answer.body.start()
        return answer

    def quiet(self) -> bool:
        """Whether nothing came since the last answer; whatever did come means that the other side has ended it."""
        # What TLS took from the socket, and nobody asked for, shows in no poll.
        pending = self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0
        return not (self._held or pending or self._poll.poll(0))

    def allow(self, until: float = _EVER) -> None:
        """Give what comes next the pool's time from now on, but none after ``until``."""
        self._deadline = min(until, time.monotonic() + self._pool.read_timeout)

    def give_back(self) -> None:
        """Keep the connection for the next request."""
        self._pool.give_back(self)

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def line(self) -> bytes:
        """The next line, without its end."""
        return self._until(b"\r\n")

    def some(self, limit: int, *, may_end: bool = False) -> bytes:
        """At least one and at most ``limit`` bytes; none at the end, where it may end."""
        if self._held:
            data, self._held = self._held[:limit], self._held[limit:]
            return data
        data = self._receive(limit)
        if not data and not may_end:
            raise UnansweredError("IncompleteReadError", sent=True)
        return data

    def _exchange(self, request: bytes) -> HttpResponse:
        try:
            self._in_time().sendall(request)
            self._held = self._in_time().recv(_PIECE)
        except TimeoutError as error:
            raise UnansweredError("ReadTimeoutError", sent=True) from error
        except OSError as error:
            raise self._ended() from error
        if not self._held:
            raise self._ended()
        status, headers = self._head()
        while 100 <= status < 200:  # says nothing yet
            status, headers = self._head()
        return HttpResponse(status, headers, ResponseBody(self, status, headers))

    def _ended(self) -> UnansweredError:
        return (StaleConnectionError if self._used else UnansweredError)("ConnectionClosedError", sent=True)

    def _head(self) -> tuple[int, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
            raise UnansweredError("BadStatusLine", sent=True)
        headers = {"connection": "close"} if version == "HTTP/1.0" else {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), headers

    def _until(self, mark: bytes) -> bytes:
        while (end := self._held.find(mark)) < 0:
            if len(self._held) > _MAX_HEAD:
                raise UnansweredError("LineTooLong", sent=True)
            more = self._receive(_PIECE)
            if not more:
                raise UnansweredError("IncompleteReadError", sent=True)
            self._held += more
        found, self._held = self._held[:end], self._held[end + len(mark) :]
        return found

    def _receive(self, limit: int) -> bytes:
        try:
            return self._in_time().recv(limit)
        except TimeoutError as error:
            raise UnansweredError("ReadTimeoutError", sent=True) from error
        except OSError as error:
            raise UnansweredError("ConnectionClosedError", sent=True) from error

    def _in_time(self) -> socket.socket:
        # The socket's own time-out is for one wait. An answer that comes drop by drop would take any number of them.
        left = _left(self._deadline)
        if abs(left - self._patience) > 0.01:  # less isn't worth a system call: most answers come in a few milliseconds
            self._socket.settimeout(left)
            self._patience = left
        return self._socket


class ConnectionPool:
    """Connections to one host. The one used last is used next, so that the others may age. Threads may share it."""

    def __init__(self, host: str, port: int, *, secure: bool, read_timeout: float, connections: int) -> None:
        """:param read_timeout: seconds for sending a request and reading its answer, then for each read of a stream.
        :param connections: how many are kept; more are made when more threads call at once.
        """
        self._host = host
        self._port = port
        self._secure = secure
        self.read_timeout = read_timeout
        self._connections = connections
        self._idle: list[Connection] = []

    def exchange(self, request: bytes, *, again: bool) -> HttpResponse:
        """Send a request and read the head of its answer, in ``CONNECT_SECONDS`` and ``read_timeout`` together.

        :param request: all of it, head and body.
        :param again: send it once more, on a new connection, when a kept one turns out to be closed.
        :raises Unanswered: for every fault of the network.
        """
        until = time.monotonic() + CONNECT_SECONDS + self.read_timeout
        kept = self._kept()
        if not kept:
            return Connection(self, self._connect()).exchange(request)
        try:
            return kept.exchange(request)
        except StaleConnectionError:
            if not again:
                raise
        try:
            return Connection(self, self._connect()).exchange(request, until)
        except UnansweredError as fault:
            raise UnansweredError(fault.code, sent=True) from fault  # the first time, perhaps

    def give_back(self, connection: Connection) -> None:
        """Keep a connection that has been read to the end of an answer."""
        connection.idle_since = time.time()
        if len(self._idle) < self._connections:
            self._idle.append(connection)
        else:
            connection.close()

    def _kept(self) -> Connection | None:
        now = time.time()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if 0 <= now - connection.idle_since <= MAX_IDLE_SECONDS and connection.quiet():
                return connection
            connection.close()

    def _connect(self) -> socket.socket:
        try:
            plain, until = self._dial()
        except TimeoutError as error:
            raise UnansweredError("ConnectTimeoutError", sent=False) from error
        except OSError as error:  # no such name, no route, refused
            raise UnansweredError("EndpointConnectionError", sent=False) from error
        if not self._secure:
            return plain
        try:
            plain.settimeout(_left(until))
            # Bare ends of the stream are told from proper ones: without a length only the end tells that all is there.
            context, name = _context(self._host), self._host.encode()
            return context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)
        except TimeoutError as error:
            plain.close()
            raise UnansweredError("ConnectTimeoutError", sent=False) from error
        except OSError as error:  # as ssl.SSLError is
            plain.close()
            raise UnansweredError("SSLError", sent=False) from error

    def _dial(self) -> tuple[socket.socket, float]:
        """A connection, and until when TLS may be begun on it."""
        fault: OSError = OSError("no address")
        # As bytes, here and where TLS is begun: a text would be encoded as IDNA, whose tables take 7 ms and 1.6 MB to
        # import. AWS's names are ASCII.
        name = self._host.encode()
        found = socket.getaddrinfo(name, self._port, type=socket.SOCK_STREAM)
        until = time.monotonic() + CONNECT_SECONDS
        for number, (family, kind, protocol, _, address) in enumerate(found):
            try:
                dialled = socket.socket(family, kind, protocol)
            except OSError as error:  # IPv6, on a machine that has none
                fault = error
                continue
            try:
                # An address that doesn't answer leaves the others their share.
                dialled.settimeout(_left(until) / (len(found) - number))
                dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                dialled.connect(address)
                return dialled, until
            except OSError as error:
                dialled.close()
                fault = error
        raise fault


def _left(until: float) -> float:
    # Never none, as a socket takes that for "don't wait"; and what has come already is taken even when it's late.
    return max(until - time.monotonic(), 0.001)


_contexts: dict[str, ssl.SSLContext] = {}


def _context(host: str) -> ssl.SSLContext:
    # AWS's own endpoints chain to Amazon's few roots. The system's store of a hundred and more takes ten times as long
    # to read, on every cold start; it is there for endpoints of one's own and for partitions with other CAs.
    bundle = os.environ.get("AWS_CA_BUNDLE") or ("amazon" if host.endswith(_AMAZON) else "system")
    context = _contexts.get(bundle)
    if context is None:
        if bundle == "amazon":
            from .roots import PEM

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=PEM)
        else:
            context = ssl.create_default_context(cafile=None if bundle == "system" else bundle)
        _contexts[bundle] = context
    return context
