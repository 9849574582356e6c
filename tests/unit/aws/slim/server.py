"""An HTTP test server. It handles each request with the next of its steps: a response, or a network fault."""

import datetime as dt
import ipaddress
import json
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Received(NamedTuple):
    """A request that the test server received.

    :param connection: the number of the connection that carried the request, counted from 1.
    :param method: the HTTP method.
    :param path: the path as the client sent it.
    :param headers: the header values by name, as the client sent them.
    :param body: the bytes of the body.
    """

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Step = Callable[[socket.socket, Received], bool]
"""A function that handles one request to the test server. It returns ``True`` to keep the connection open, and
``False`` to close it."""


def raw_response(*pieces: bytes, close: bool = False) -> Step:
    """Return a step that responds with these pieces of bytes, and sends each piece in a separate write."""

    def step(connection: socket.socket, _: Received) -> bool:
        for piece in pieces:
            connection.sendall(piece)
        return not close

    return step


def response(body: bytes = b"{}", status: int = 200, *, close: bool = False, **headers: str) -> Step:
    """Return a step that sends a complete HTTP response. An underscore in a header's name stands for a dash."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw_response("\r\n".join([*lines, "", ""]).encode() + body, close=close)


def error_response(code: str, status: int = 400, **members: Any) -> Step:
    """Return a step that responds with an error of AWS, in the form of AWS's JSON protocol."""
    return response(json.dumps({"__type": f"com.amazonaws.service#{code}", **members}).encode(), status)


def echo(connection: socket.socket, request: Received) -> bool:
    """Respond with the request's own body."""
    return response(request.body)(connection, request)


def close(_: socket.socket, __: Received) -> bool:
    """Close the connection without sending a response."""
    return False


def reset(connection: socket.socket, _: Received) -> bool:
    """Reset the TCP connection without sending a response."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(connection: socket.socket, _: Received) -> bool:
    """Send no response, and wait until the client closes the connection."""
    connection.recv(1)
    return False


class Server:
    """An HTTP server that handles each request with the next step, and all further requests with the last step."""

    def __init__(self, steps: Sequence[Step], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self._steps = list(steps)
        self._tls = tls
        self._lock = threading.Lock()
        self._socket = socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=64
        )
        self.port = self._socket.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Stop accepting connections."""
        with suppress(OSError):  # the server has stopped already
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # the server has stopped
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while request := _read(stream, number):
                    with self._lock:
                        self.requests.append(request)
                        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
                    if not step(connection, request):
                        return
        except OSError:
            return  # the client has closed the connection


def _read(stream: Any, number: int) -> Received | None:
    first = stream.readline().decode().split()
    if not first:
        return None
    headers = {}
    while line := stream.readline().decode().rstrip("\r\n"):
        name, _, value = line.partition(": ")
        headers[name] = value
    return Received(number, first[0], first[1], headers, stream.read(int(headers.get("content-length", 0))))


class Authority(NamedTuple):
    """A certificate authority for tests.

    :param bundle: the path of the file with the authority's certificate. A client trusts the authority if
        ``AWS_CA_BUNDLE`` holds this path.
    :param server: the TLS context of a server whose certificate the authority issued.
    """

    bundle: str
    server: ssl.SSLContext


@cache
def authority(*names: str) -> Authority:
    """Make a certificate authority for a server with these host names or IP addresses.

    The authority's self-signed certificate is also the certificate of the server.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Readplane test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory = Path(tempfile.mkdtemp(prefix="readplane-"))
    bundle, chain = directory / "ca.pem", directory / "server.pem"
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    bundle.write_bytes(pem)
    chain.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    return Authority(str(bundle), server)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
