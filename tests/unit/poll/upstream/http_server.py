"""A test server that plays a back office and responds with exactly the bytes that a test sets, and helpers for it."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from readplane.poll.errors import BackOfficeError
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import Source, StoredSecret
from readplane.poll.upstream.client import BackOfficeClient
from readplane.poll.upstream.oauth2 import AccessTokens
from readplane.poll.upstream.request import BackOfficeRequest
from readplane.poll.upstream.response import BackOfficeResponse
from tests.fakes.source_settings import add_defaults

Serve = Callable[[socket.socket], None]


ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:back-office-AbCdEf"


PAGE = b'{"rows": []}'


class HttpServer:
    """An HTTP server that plays a back office. For each request, it calls a behaviour.

    A behaviour is a function that writes the response. A test sets the behaviours with :meth:`will`. Each connection
    has its own thread.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        """The method, path and headers of each request."""
        self.bodies: list[bytes] = []
        self.client_certificates: list[Any] = []
        self._tls = tls
        self.connections = 0
        self.behaviours: list[Serve] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def will(self, *behaviours: Serve) -> None:
        """Set the functions that respond to the next requests, one for each request, in this order.

        The last function also responds to all later requests.
        """
        self.behaviours = list(behaviours)

    def header(self, name: str, request: int = -1) -> str | None:
        lines = self.requests[request].decode("latin-1").split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines if line).get(name)

    @property
    def targets(self) -> list[str]:
        """The path and query of each request."""
        return [request.split(b" ")[1].decode() for request in self.requests]

    def close(self) -> None:
        # `shutdown` ends the server thread's wait in `accept`. Without it, this thread would keep the port open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self._tls:
            tls_connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            try:
                tls_connection.do_handshake()
            except OSError:
                _end_gently(socket.socket(fileno=tls_connection.detach()))
                return
            self.client_certificates.append(tls_connection.getpeercert())
            connection = tls_connection
        with connection:
            received = b""
            while True:
                try:
                    piece = connection.recv(65536)
                except OSError:
                    return
                if not piece:
                    return
                received += piece
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    length = _content_length(head)
                    while len(received) < length:
                        received += connection.recv(65536)
                    self.requests.append(head)
                    self.bodies.append(received[:length])
                    received = received[length:]
                    behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                    try:
                        behaviour(connection)
                    except OSError:
                        return


def _end_gently(connection: socket.socket) -> None:
    """End a connection so that the client can still read what was sent, such as the reason of a failed handshake.

    If the connection were closed while it holds unread bytes, a reset would follow.
    """
    with connection, suppress(OSError):
        connection.settimeout(5)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def says(status: int = 200, body: bytes = PAGE, **headers: str) -> Serve:
    all_headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items() if value)
    response = f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body
    return lambda connection: connection.sendall(response)


def raw(*pieces: bytes, pause: float = 0) -> Serve:
    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        connection.shutdown(socket.SHUT_RDWR)

    return serve


def drips(head: bytes) -> Serve:
    """Return a behaviour that sends ``head`` and then one byte every 0.05 s, until the client disconnects."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            time.sleep(0.05)
            connection.sendall(b"x")

    return serve


def stalls(connection: socket.socket) -> None:
    connection.recv(1)  # Wait without a response. `recv` returns when the client disconnects.


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class SkippingClock:
    """A clock for tests. Its ``sleep`` returns at once and moves the clock ahead. Otherwise it runs in real time."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class SecretValuesInMemory:
    """Secrets in memory. The first value is the stored one, and each refresh puts the next value in its place."""

    def __init__(self, *values: str) -> None:
        self.values = list(values)
        self.refreshes = 0

    def get_secret(self, secret: StoredSecret) -> str:
        return self.values[0]

    def refresh_secret(self, secret: StoredSecret) -> str:
        self.refreshes += 1
        if len(self.values) > 1:
            self.values.pop(0)
        return self.values[0]


def source(office: HttpServer, **settings: Any) -> Source:
    declared = {
        "name": "articles",
        "mode": "changes",
        "collection": "articles",
        "url": f"{office.url}/feed",
        "records": "rows",
        "id": "id",
        "translation": "@",
        "staleness_budget": 60,
        "timeout_seconds": 2,
        **settings,
    }
    return parse_source(add_defaults(declared))


def client_of(
    office: HttpServer,
    clock: SkippingClock,
    secrets: SecretValuesInMemory | None = None,
    tokens: AccessTokens | None = None,
    **settings: Any,
) -> BackOfficeClient:
    return BackOfficeClient(
        source(office, **settings),
        secrets,
        tokens,
        clock=clock.now,
        sleep=clock.sleep,
        jitter=lambda: 1.0,
        wall=lambda: 1e9,
    )


def fetch(
    client: BackOfficeClient, office: HttpServer, clock: SkippingClock, path: str = "/feed", **more: Any
) -> BackOfficeResponse:
    more.setdefault("deadline", clock.now() + 90)
    return client.fetch(BackOfficeRequest(office.url + path), **more)


def post(
    client: BackOfficeClient, office: HttpServer, clock: SkippingClock, body: bytes = b'{"limit":2}'
) -> BackOfficeResponse:
    return client.fetch(BackOfficeRequest(office.url + "/feed", "POST", body), deadline=clock.now() + 90)


def failure(
    office: HttpServer, clock: SkippingClock, *, more: dict[str, Any] | None = None, **settings: Any
) -> BackOfficeError:
    with pytest.raises(BackOfficeError) as caught:
        fetch(client_of(office, clock, **settings), office, clock, "/feed?token=hidden", **(more or {}))
    text = f"{caught.value} {caught.value!r}"
    assert "hidden" not in text and "token" not in text
    return caught.value


def wait_for_threads() -> None:
    ends = time.monotonic() + 10
    while any(thread.name.startswith("back office") for thread in threading.enumerate()):
        assert time.monotonic() < ends, "a thread still reads"
        time.sleep(0.02)
