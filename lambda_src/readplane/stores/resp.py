"""The RESP client: commands to Valkey or Redis over one open connection, in version 2 of their protocol (RESP2).

The client is for the hot path. It has no cluster topology, no subscriptions, no pipelines, no arrays as answers and no
retries. It imports nothing that the slim AWS client hasn't imported, while the usual libraries take 100 ms to import.

An answer must never reach the wrong caller. So the client uses a connection again only after it has read the whole
answer and nothing more. After everything else it closes the connection, so a server that answers late or twice answers
nobody. Only one case is left: a server sends a second answer just when it receives the next command. For this reason,
the values in the cache hold their own keys (see model/cache_entry.py).
"""

import select
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..aws.faults import AwsError
from ..aws.slim.connection import MAX_IDLE_SECONDS, open_socket

if TYPE_CHECKING:
    import socket

Answer = bytes | int | None
"""An answer of the server: a string, an integer, or nothing (nil)."""

REDIRECTS = ("MOVED", "ASK")
"""The codes with which a server refers to another server. A cache of one shard never sends them."""

MAX_ANSWER_BYTES = 1_048_576
"""The client refuses longer strings. The longest item of DynamoDB has 400 KB."""

_CODES = (
    *("READONLY", "LOADING", "CLUSTERDOWN", "MASTERDOWN", "NOAUTH", "WRONGPASS", *REDIRECTS),
    *("NOSCRIPT", "OOM", "NOPERM", "BUSY", "WRONGTYPE", "ERR"),
)
_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Read a whole TLS record at once (at most 16 KB). Then TLS never holds back bytes that poll() doesn't see.
_PIECE_BYTES = 16_384


class RespError(Exception):
    """A call failed.

    :param code: a short code, never a text of the server. For a fault it is a code of the slim AWS client, such as
        ``ConnectTimeoutError``, ``EndpointConnectionError``, ``SSLError``, ``NoCredentialsError``, ``ReadTimeoutError``
        or ``ConnectionClosedError``, or it is ``ProtocolError``. For an error of the server it is the error's first
        word, such as ``READONLY``, or ``Refused`` if this module doesn't name that word.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class RespClient:
    """A client of one server, for one thread at a time. The constructor doesn't connect. The first call does.

    :param tls: whether to use TLS.
    :param user: the user that logs in; ``None`` for the server's default user.
    :param password: a function that returns the password; ``None`` for no login. The client calls it for each new
        connection, because an IAM token is valid only for minutes.
    :param ca_pem: the only certificate authorities to trust, as PEM text; ``None`` for those that ``tls_context``
        chooses.
    :param connect_seconds: the maximum time to connect, with the TLS handshake and the login, in seconds. It doesn't
        include the name resolution and the call of ``password``.
    :param call_seconds: the maximum time to send a command and to read its answer, in seconds.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: bool,
        user: str | None = None,
        password: Callable[[], str] | None = None,
        ca_pem: str | None = None,
        connect_seconds: float = 0.05,
        call_seconds: float = 0.05,
    ) -> None:
        self._open = partial(open_socket, host, port, connect_seconds, secure=tls, ca_pem=ca_pem)
        self._user = user
        self._password = password
        self._call_seconds = call_seconds
        self._socket: socket.socket | None = None
        # When the connection became idle, by the wall clock, because Lambda may freeze the function meanwhile (see
        # MAX_IDLE_SECONDS). The time is 0 during a call and after a fault, and then no call uses the connection.
        self._idle_since = 0.0

    def call(self, *words: bytes, seconds: float | None = None) -> Answer:
        """Send one command, and return the server's answer. The command is sent at most once.

        :param words: the command and its arguments, such as ``b"GET", key``.
        :param seconds: the maximum time of this command and its answer; ``None`` for the client's ``call_seconds``.
        :raises RespError: for every fault, and if the server answers with an error. The connection is closed then,
            except after ``NOSCRIPT``.
        """
        return self._call(_encode(words), seconds)

    def get(self, key: str, seconds: float | None = None) -> Answer:
        """Call ``GET``. It takes less CPU time than :meth:`call`, because this is the command of every cached read."""
        size = len(key) if key.isascii() else len(key.encode())
        return self._call(f"*2\r\n$3\r\nGET\r\n${size}\r\n{key}\r\n".encode(), seconds)

    def close(self) -> None:
        """Close the connection. The next call opens another."""
        self._idle_since = 0.0
        if self._socket:
            self._socket.close()

    def _call(self, command: bytes, seconds: float | None) -> Answer:
        idle, self._idle_since = time.time() - self._idle_since, 0.0
        # Between two calls, a server sends something only by mistake, or when it closes the connection.
        if not 0 <= idle <= MAX_IDLE_SECONDS or self._poll(0):
            self._connect()
        return self._exchange(command, time.monotonic() + (seconds or self._call_seconds))

    def _connect(self) -> None:
        self.close()
        try:
            login = [self._password().encode()] if self._password else []
            opened, deadline = self._open()
        except AwsError as error:
            raise RespError(error.code) from error
        # A socket that never blocks, with poll(), needs two system calls less per command than one with a timeout.
        opened.setblocking(False)
        self._socket = opened
        self._poll = _poll_of(opened, select.POLLIN)
        self._send: Callable[[bytes], int] = opened.send
        self._receive: Callable[[int], bytes] = opened.recv
        if isinstance(opened, ssl.SSLSocket):
            # write() and read() do the same as send() and recv(), with fewer checks. Those of the object that the
            # socket wraps do it without any, which takes 2 % less CPU time per call. It isn't public.
            tls = getattr(opened, "_sslobj", opened)
            self._send, self._receive = tls.write, tls.read
        if login:
            user = [self._user.encode()] if self._user else []
            try:
                self._exchange(_encode([b"AUTH", *user, *login]), deadline)
            except RespError:
                self.close()
                raise

    def _exchange(self, unsent: bytes, deadline: float) -> Answer:
        self._deadline = deadline
        try:
            while unsent:
                try:
                    unsent = unsent[self._send(unsent) :]
                except _BLOCKED:
                    self._wait(_poll_of(self._socket, select.POLLOUT))
            return self._read_answer()
        except BaseException as error:
            code = getattr(error, "code", "ConnectionClosedError")
            if code != "NOSCRIPT":
                self.close()
            if isinstance(error, OSError):
                raise RespError("ReadTimeoutError" if isinstance(error, TimeoutError) else code) from error
            raise

    def _read_answer(self) -> Answer:
        buffer = self._read_piece()
        while (end := buffer.find(b"\r\n")) < 0:
            if len(buffer) > _PIECE_BYTES:
                raise RespError("ProtocolError")
            buffer += self._read_piece()
        kind, text = buffer[:1], buffer[1:end]
        answer: Answer = text
        # A digit is one of ten ASCII characters here. int() alone accepts more, such as underscores.
        number = int(text) if text.removeprefix(b"-").isdigit() and len(text) <= 20 else None
        if kind == b"$" and number is not None and 0 <= number <= MAX_ANSWER_BYTES:
            start, end = end + 2, end + 2 + number
            while len(buffer) < end + 2:
                buffer += self._read_piece()
            answer = buffer[start:end]
        elif kind == b"$" and number == -1:
            answer = None
        elif kind == b":" and number is not None:
            answer = number
        elif kind not in (b"+", b"-"):
            raise RespError("ProtocolError")
        # If there is more, it is a second answer. Nobody knows which of the two belongs to this call.
        if buffer[end:] != b"\r\n":
            raise RespError("ProtocolError")
        self._idle_since = time.time()
        if kind == b"-":
            word = text.partition(b" ")[0].decode("latin-1")
            raise RespError(word if word in _CODES else "Refused")
        return answer

    def _read_piece(self) -> bytes:
        self._wait(self._poll)
        try:
            piece = self._receive(_PIECE_BYTES)
        except _BLOCKED:  # only a part of a TLS record has arrived
            return b""
        if not piece:
            raise RespError("ConnectionClosedError")
        return piece

    def _wait(self, poll: Callable[[float], object]) -> None:
        # After the deadline, still look once, because the answer may have arrived while this process had no CPU.
        seconds = self._deadline - time.monotonic()
        if not poll(seconds * 1000 if seconds > 0 else 0):
            raise TimeoutError


def _encode(words: Sequence[bytes]) -> bytes:
    """Return the bytes of a command."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _poll_of(opened: Any, event: int) -> Callable[[float], object]:
    """Return a function that waits until a socket is ready, for at most so many milliseconds."""
    poll = select.poll()
    poll.register(opened, event)
    return poll.poll
