"""A front before a server on this machine: it adds TLS, and can answer late, twice, in part, or not at all.

The local Valkey and PostgreSQL have no TLS of their own. Their clients on AWS always use it, so tests and benchmarks
put a front before these servers. The front runs in threads of the process that starts it, and ends with this process.
It passes on what both sides send. It takes what the server sends at once for one answer, and applies the next fault of
its list to that answer.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

NAMES = ("localhost", "127.0.0.1")
"""The names for which the certificate of `CertifiedFront` is valid."""

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""PostgreSQL's message with which a client asks for TLS before the handshake."""


class Fault(NamedTuple):
    """What the front does to one answer of the server.

    :param seconds: how long to wait before sending the answer.
    :param cut: how many bytes of the answer to send; ``None`` for all of them.
    :param copies: how often to send the answer.
    :param apart: how long to wait before each further copy, in seconds. With 0, all copies are sent as one piece.
    :param drip: how long to wait before each byte, in seconds; 0 sends the answer as one piece.
    :param instead: what to send instead of the answer; ``None`` for the answer.
    :param end: what happens after the answer. ``keep`` keeps the connection, ``close`` closes it, ``reset`` resets it,
        and ``stall`` keeps it, but sends nothing more.
    """

    seconds: float = 0.0
    cut: int | None = None
    copies: int = 1
    apart: float = 0.0
    drip: float = 0.0
    instead: bytes | None = None
    end: Literal["keep", "close", "reset", "stall"] = "keep"


class TlsFront:
    """A front on 127.0.0.1 before a server on 127.0.0.1.

    :ivar port: the front's port.
    :ivar faults: the faults of the next answers, in order; ``None`` for an answer without a fault. The answers after
        them have none.
    :ivar connections: how many clients have connected.
    :ivar open: how many of these connections the clients haven't closed yet.
    :ivar shaking_hands: ``False`` if new clients wait for their TLS handshake in vain.
    """

    def __init__(self, server_port: int, tls: ssl.SSLContext | None, *, postgres: bool = False) -> None:
        """Start the front.

        :param tls: the TLS context with the front's certificate; ``None`` for a front without TLS.
        :param postgres: whether clients ask for TLS with PostgreSQL's message first.
        """
        self.faults: list[Fault | None] = []
        self.connections = 0
        self.open = 0
        self.shaking_hands = True
        self._server_port = server_port
        self._tls = tls
        self._postgres = postgres
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Accept no more connections."""
        with suppress(OSError):  # the front has stopped already
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # the front has stopped
            with self._lock:
                self.connections += 1
                self.open += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on what client and server send, until one of them closes its connection.

        One thread does this for both directions, so the client's next command waits until a slow answer is sent.
        """
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls and not self.shaking_hands:
                _wait_for_end(client)
                return
            if self._postgres and not _accepts_tls(client):
                return
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            with socket.create_connection(("127.0.0.1", self._server_port)) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pass_on(client, server)
        except OSError:
            pass  # the client or the server has ended the connection, or the client refused the certificate
        finally:
            client.close()
            with self._lock:
                self.open -= 1

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        poll = select.poll()
        poll.register(client, select.POLLIN)
        poll.register(server, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                if descriptor == client.fileno():
                    piece = client.recv(65_536)  # this holds a whole TLS record, so TLS keeps nothing back
                    server.sendall(piece)
                else:
                    piece = server.recv(1_048_576)
                    if not self._answer(client, piece):
                        return
                if not piece:
                    return

    def _answer(self, client: socket.socket, answer: bytes) -> bool:
        """Pass on an answer, with the next fault. Return whether the connection goes on."""
        with self._lock:
            fault = self.faults.pop(0) if self.faults and answer else None
        if fault is None:
            client.sendall(answer)
            return True
        _send(client, answer, fault)
        if fault.end == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif fault.end == "stall":
            _wait_for_end(client)
        return fault.end == "keep"


def _accepts_tls(client: socket.socket) -> bool:
    """Read PostgreSQL's request for TLS and accept it. Return whether the client sent one."""
    if client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
        return False
    client.sendall(b"S")
    return True


def _wait_for_end(client: socket.socket) -> None:
    while client.recv(65_536):
        pass


def _send(client: socket.socket, answer: bytes, fault: Fault) -> None:
    time.sleep(fault.seconds)
    answer = (answer if fault.instead is None else fault.instead)[: fault.cut]
    pieces = [answer] * fault.copies if fault.apart else [answer * fault.copies]
    if fault.drip:
        pieces = [bytes([byte]) for byte in b"".join(pieces)]
    for number, piece in enumerate(pieces):
        time.sleep(fault.drip or (fault.apart if number else 0))
        client.sendall(piece)


class CertifiedFront(TlsFront):
    """A front with a certificate of its own.

    :ivar ca: the file with the certificate, which clients must trust.
    """

    host = NAMES[0]
    """The name to which clients connect."""

    def __init__(self, folder: Path, server_port: int, *, postgres: bool = False) -> None:
        """Make the certificate and start the front.

        :param folder: a folder for the certificate, which is made if it is missing.
        :param postgres: whether clients ask for TLS with PostgreSQL's message first.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = folder / "certificate.pem"
        make_certificate(self.ca, folder / "key.pem")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.ca, folder / "key.pem")
        super().__init__(server_port, context, postgres=postgres)

    @property
    def ca_pem(self) -> str:
        """The certificate, as PEM text."""
        return self.ca.read_text()


def make_certificate(certificate: Path, key: Path) -> None:
    """Write a new self-signed certificate for NAMES, valid for a day, and its private key, both as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(NAMES[0]), x509.IPAddress(ipaddress.ip_address(NAMES[1]))])
    uses = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(uses, critical=True)
    # OpenSSL's strict mode, which Python 3.13 turns on, wants both key identifiers.
    identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    builder = builder.add_extension(identifier, critical=False).add_extension(authority, critical=False)
    certificate.write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key.touch(mode=0o600)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
