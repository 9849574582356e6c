import gzip
import json
import socket
import ssl
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from urllib3 import HTTPResponse

from readplane.poll.errors import BackOfficeError, SecretError
from readplane.poll.source.settings import SecretHeader, Source, parse_source
from readplane.poll.upstream.client import BackOfficeClient, BackOfficeResponse

Serve = Callable[[socket.socket], None]

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:back-office-AbCdEf"
PAGE = b'{"rows": []}'


class BackOffice:
    """A server that does with each request what the test says, byte for byte; one thread per connection."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[bytes] = []
        self._tls = tls
        self.connections = 0
        self.behaviours: list[Serve] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def then(self, *behaviours: Serve) -> None:
        """What the next requests get; the last one also all that follow."""
        self.behaviours = list(behaviours)

    def header(self, name: str, request: int = -1) -> str | None:
        lines = self.seen[request].decode("latin-1").split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines if line).get(name)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts, which would keep the port open
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
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
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
                    self.seen.append(head)
                    behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
                    try:
                        behaviour(connection)
                    except OSError:
                        return


def says(status: int = 200, body: bytes = PAGE, **headers: str) -> Serve:
    given = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    answer = f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body
    return lambda connection: connection.sendall(answer)


def raw(*pieces: bytes, pause: float = 0) -> Serve:
    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        connection.shutdown(socket.SHUT_RDWR)

    return serve


def drips(head: bytes) -> Serve:
    """A byte now and then, until nobody listens any more."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            time.sleep(0.05)
            connection.sendall(b"x")

    return serve


def stalls(connection: socket.socket) -> None:
    connection.recv(1)  # until the other side leaves


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Time:
    """A clock that only sleeping moves, beside the real one's progress."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return time.monotonic() + sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Vault:
    def __init__(self, *values: str) -> None:
        self.values = list(values)
        self.read = 0

    def get(self, secret: SecretHeader) -> str:
        return self.values[0]

    def refresh(self, secret: SecretHeader) -> str:
        self.read += 1
        if len(self.values) > 1:
            self.values.pop(0)
        return self.values[0]


@pytest.fixture
def office() -> Iterator[BackOffice]:
    office = BackOffice()
    office.then(says())
    yield office
    with suppress(OSError):
        office.close()


@pytest.fixture
def clock() -> Time:
    return Time()


def source(office: BackOffice, **settings: Any) -> Source:
    return parse_source(
        {
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
    )


def upstream(office: BackOffice, clock: Time, vault: Vault | None = None, **settings: Any) -> BackOfficeClient:
    return BackOfficeClient(
        source(office, **settings), vault, clock=clock.now, sleep=clock.sleep, jitter=lambda: 1.0, wall=lambda: 1e9
    )


def fetch(
    client: BackOfficeClient, office: BackOffice, clock: Time, path: str = "/feed", **more: Any
) -> BackOfficeResponse:
    more.setdefault("deadline", clock.now() + 90)
    return client.fetch(office.url + path, **more)


def fault(office: BackOffice, clock: Time, *, more: dict[str, Any] | None = None, **settings: Any) -> BackOfficeError:
    with pytest.raises(BackOfficeError) as caught:
        fetch(upstream(office, clock, **settings), office, clock, "/feed?token=hidden", **(more or {}))
    text = f"{caught.value} {caught.value!r}"
    assert "hidden" not in text and "token" not in text
    return caught.value


def no_thread_reads_on() -> None:
    ends = time.monotonic() + 10
    while any(thread.name.startswith("upstream") for thread in threading.enumerate()):
        assert time.monotonic() < ends, "a thread reads on"
        time.sleep(0.02)


def test_a_page_comes_as_it_is_over_one_connection(office: BackOffice, clock: Time) -> None:
    office.then(
        says(ETag='"1"', Last_Modified="Sat, 01 Jan 2000 00:00:00 GMT", Link='</p?n=2>; rel="next", <x>; rel=a')
    )
    client = upstream(office, clock, headers={"X-Tenant": "7"})
    for _ in range(3):
        answer = fetch(client, office, clock, "/feed?a=1&b=%2F")
        assert (answer.status, answer.body, answer.url) == (200, PAGE, office.url + "/feed?a=1&b=%2F")
    assert (answer.etag, answer.last_modified) == ('"1"', "Sat, 01 Jan 2000 00:00:00 GMT")
    assert answer.next_link == "/p?n=2"
    assert office.seen[0].startswith(b"GET /feed?a=1&b=%2F HTTP/1.1\r\n")
    assert (office.header("User-Agent"), office.header("X-Tenant")) == ("readplane", "7")
    assert (office.connections, client.requests, clock.slept) == (1, 3, [])
    client.close()


def test_an_unchanged_page_is_a_304(office: BackOffice, clock: Time) -> None:
    office.then(says(304, b""))
    answer = fetch(upstream(office, clock), office, clock, etag='"1"', last_modified="Sat, 01 Jan 2000 00:00:00 GMT")
    assert (answer.status, answer.body) == (304, None)
    assert office.header("If-None-Match") == '"1"'
    assert office.header("If-Modified-Since") == "Sat, 01 Jan 2000 00:00:00 GMT"


def test_a_304_that_nobody_asked_for_is_no_data(office: BackOffice, clock: Time) -> None:
    office.then(says(304, b""))
    assert fault(office, clock).status == 304


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_another_try_may_mend_is_tried_again_with_growing_pauses(
    office: BackOffice, clock: Time, status: int
) -> None:
    office.then(says(status), says(status), says())
    assert fetch(upstream(office, clock, attempts=3), office, clock).body == PAGE
    assert clock.slept == [1.0, 2.0] and len(office.seen) == 3


def test_tries_are_bounded_and_a_probe_is_one(office: BackOffice, clock: Time) -> None:
    office.then(says(503))
    caught = fault(office, clock, attempts=4)
    assert (caught.kind, caught.status, len(office.seen)) == ("status", 503, 4)
    fault(office, clock, attempts=4, more={"probe": True})
    assert len(office.seen) == 5


@pytest.mark.parametrize("status", [204, 206, 400, 401, 403, 404, 410, 501])
def test_a_status_that_stays_is_asked_once(office: BackOffice, clock: Time, status: int) -> None:
    office.then(says(status, b"" if status == 204 else b"{}"))
    caught = fault(office, clock)
    assert (caught.kind, caught.status, len(office.seen)) == ("status", status, 1)


@pytest.mark.parametrize(
    ("value", "slept"),
    [("7", 7.0), ("Sun, 09 Sep 2001 01:46:49 GMT", 9.0), ("Sun, 09 Sep 2001 01:00:00 GMT", 0.0), ("soon", 1.0)],
)
def test_retry_after_is_kept(office: BackOffice, clock: Time, value: str, slept: float) -> None:
    office.then(says(429, Retry_After=value), says())
    assert fetch(upstream(office, clock), office, clock).status == 200
    assert clock.slept == [slept]


def test_a_retry_after_beyond_the_deadline_is_told_and_not_waited_for(office: BackOffice, clock: Time) -> None:
    office.then(says(503, Retry_After="3600"))
    caught = fault(office, clock)
    assert (caught.status, caught.retry_after, clock.slept, len(office.seen)) == (503, 3600.0, [], 1)


def test_a_stall_ends_in_time_and_is_tried_again(office: BackOffice, clock: Time) -> None:
    office.then(stalls, says())
    begun = time.monotonic()
    assert fetch(upstream(office, clock, timeout_seconds=0.3), office, clock).status == 200
    assert 0.3 <= time.monotonic() - begun < 10


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"",
    ],
)
def test_bytes_that_drip_do_not_outlive_the_time_of_a_try(office: BackOffice, clock: Time, head: bytes) -> None:
    office.then(drips(head))
    begun = time.monotonic()
    caught = fault(office, clock, timeout_seconds=0.4, attempts=2)
    assert caught.kind == "timeout" and 0.8 <= time.monotonic() - begun < 10
    assert len(office.seen) == 2
    no_thread_reads_on()


def test_the_callers_deadline_is_no_fault_of_the_back_office(office: BackOffice, clock: Time) -> None:
    office.then(stalls)
    begun = time.monotonic()
    caught = fault(office, clock, timeout_seconds=30, more={"deadline": clock.now() + 0.3})
    assert caught.kind == "deadline" and time.monotonic() - begun < 10
    assert fault(office, clock, more={"deadline": clock.now() - 1}).kind == "deadline"
    assert len(office.seen) == 1


def test_a_try_that_failed_before_the_deadline_is_what_is_told(office: BackOffice, clock: Time) -> None:
    office.then(says(503), stalls)
    caught = fault(office, clock, timeout_seconds=30, more={"deadline": clock.now() + 2})
    assert (caught.kind, caught.status, len(office.seen)) == ("status", 503, 2)


def test_who_had_nearly_all_of_its_time_was_too_slow(office: BackOffice, clock: Time) -> None:
    office.then(stalls)
    assert fault(office, clock, timeout_seconds=1, more={"deadline": clock.now() + 0.9}).kind == "timeout"


@pytest.mark.parametrize(
    "broken",
    [
        resets,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
        raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"ro'),
        raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"row\r\n'),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(PAGE)[:-9]),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot packed"),
        raw(b"SSH-2.0-OpenSSH\r\n"),
        raw(b""),
    ],
)
def test_what_breaks_off_is_a_fault_and_tried_again(office: BackOffice, clock: Time, broken: Serve) -> None:
    office.then(broken, broken, says())
    assert fetch(upstream(office, clock), office, clock).body == PAGE
    office.then(broken)
    assert fault(office, clock, attempts=1).kind == "broken"


def test_a_short_body_is_noticed_whatever_version_of_the_library_reads_it(
    office: BackOffice, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HTTPResponse, "stream", lambda *_, **__: iter([PAGE[:-1]]))
    caught = fault(office, clock, attempts=1)
    assert (caught.kind, caught.detail) == ("broken", "its answer is cut off")


def test_a_port_where_nobody_listens_is_no_connection(office: BackOffice, clock: Time) -> None:
    office.close()
    assert fault(office, clock).kind == "connect"
    assert clock.slept == [1.0, 2.0]


def test_a_name_that_nobody_knows_is_no_connection(office: BackOffice, clock: Time) -> None:
    office.url = "http://back-office.invalid"
    assert fault(office, clock, attempts=1, timeout_seconds=5).kind in ("connect", "timeout")


@pytest.mark.parametrize("kind", ["text/html", "text/html; charset=utf-8", "Application/XHTML+xml"])
def test_a_page_for_people_is_no_data(office: BackOffice, clock: Time, kind: str) -> None:
    office.then(says(200, b"<html>We are down for maintenance</html>", Content_Type=kind))
    assert fault(office, clock).kind == "not_data"


def test_packed_answers_are_unpacked_however_they_are_cut(office: BackOffice, clock: Time) -> None:
    body = json.dumps({"rows": list(range(50_000))}).encode()
    packed = gzip.compress(body)
    pieces = [packed[at : at + 7000] for at in range(0, len(packed), 7000)]
    office.then(
        says(200, packed, Content_Encoding="gzip"),
        says(200, gzip.compress(body[:1000]) + gzip.compress(body[1000:]), Content_Encoding="x-gzip"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", *pieces),
    )
    client = upstream(office, clock)
    for _ in range(3):
        assert fetch(client, office, clock).body == body
    assert office.header("Accept-Encoding") == "gzip"


def test_an_encoding_that_was_not_asked_for_is_no_data(office: BackOffice, clock: Time) -> None:
    office.then(says(Content_Encoding="br"))
    assert fault(office, clock).kind == "not_data"


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_answer_is_bounded_unpacked(office: BackOffice, clock: Time, encoding: str) -> None:
    pack = gzip.compress if encoding else bytes
    office.then(says(200, pack(b" " * 2048), Content_Encoding=encoding))
    assert fetch(upstream(office, clock, max_bytes=2048), office, clock).body == b" " * 2048
    office.then(says(200, pack(b" " * 50_000_000), Content_Encoding=encoding))
    tracemalloc.start()
    caught = fault(office, clock, max_bytes=2048)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.kind, len(office.seen)) == ("too_large", 2) and most < 2_000_000


def test_redirects_are_followed_within_the_origin_only(office: BackOffice, clock: Time) -> None:
    vault = Vault("s3cret")
    secret = {"arn": ARN, "header": "X-Key"}
    office.then(says(302, Location="/moved?x=1"), says(307, Location=f"{office.url}/again"), says())
    answer = fetch(upstream(office, clock, vault, secret=secret), office, clock)
    assert answer.url == f"{office.url}/again" and office.header("X-Key") == "s3cret"

    elsewhere = BackOffice()
    elsewhere.then(says())
    for target in (
        f"{elsewhere.url}/feed",
        elsewhere.url.replace("http:", ""),
        "https://127.0.0.1/",
        "http://[",
        "ftp://x",
    ):
        office.then(says(302, Location=target))
        with pytest.raises(BackOfficeError) as caught:
            fetch(upstream(office, clock, vault, secret=secret), office, clock)
        assert caught.value.kind == "redirect"
    assert elsewhere.seen == []
    elsewhere.close()


def test_what_a_redirect_says_besides_is_not_read(office: BackOffice, clock: Time) -> None:
    office.then(drips(b"HTTP/1.1 302 Moved\r\nLocation: /there\r\n\r\n"), says())
    assert fetch(upstream(office, clock), office, clock).url == f"{office.url}/there"
    assert office.seen[1].startswith(b"GET /there ")


def test_a_redirect_that_stalls_in_the_end_is_a_slow_back_office(office: BackOffice, clock: Time) -> None:
    def late(connection: socket.socket) -> None:
        time.sleep(0.4)
        says(302, Location="/there")(connection)

    office.then(late, stalls)
    assert fault(office, clock, timeout_seconds=0.6, attempts=1).kind == "timeout"


def test_redirects_in_a_circle_end(office: BackOffice, clock: Time) -> None:
    office.then(says(302, Location="/feed"))
    assert fault(office, clock).kind == "redirect" and len(office.seen) == 6


def test_no_other_origin_is_ever_asked(office: BackOffice, clock: Time) -> None:
    client = upstream(office, clock)
    host = office.url.removeprefix("http://")
    for url in (
        "http://127.0.0.1:1/feed",
        f"https://{host}/feed",
        f"http://127.0.0.1@{host}.evil.example/",
        "file:///x",
    ):
        with pytest.raises(BackOfficeError) as caught:
            client.fetch(url, deadline=clock.now() + 60)
        assert caught.value.kind == "origin"
    assert client.requests == 0


def test_the_secret_is_sent_and_read_again_once_after_a_401(office: BackOffice, clock: Time) -> None:
    secret = {"arn": ARN, "header": "Authorization", "format": "Bearer {secret}"}
    vault = Vault("old\n", "new")
    office.then(says(401), says())
    assert fetch(upstream(office, clock, vault, secret=secret), office, clock).status == 200
    assert [office.header("Authorization", at) for at in (0, 1)] == ["Bearer old", "Bearer new"]
    office.then(says(401))
    with pytest.raises(BackOfficeError) as caught:
        fetch(upstream(office, clock, vault, secret=secret), office, clock)
    # The same value again would get the same answer.
    assert (caught.value.status, len(office.seen), vault.read) == (401, 3, 2)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "", "schlüssel"])
def test_a_secret_that_no_header_can_hold_is_never_shown(office: BackOffice, clock: Time, value: str) -> None:
    with pytest.raises(BackOfficeError) as caught:
        fetch(upstream(office, clock, Vault(value), secret={"arn": ARN, "header": "X-Key"}), office, clock)
    assert caught.value.kind == "secret" and (not value or value not in str(caught.value))
    assert office.seen == []


def test_a_secret_that_cannot_be_read_is_a_fault(office: BackOffice, clock: Time) -> None:
    class Locked(Vault):
        def get(self, secret: SecretHeader) -> str:
            raise SecretError("secretsmanager doesn't give it (AccessDeniedException)")

    with pytest.raises(BackOfficeError, match="AccessDenied") as caught:
        fetch(upstream(office, clock, Locked(), secret={"arn": ARN, "header": "X-Key"}), office, clock)
    assert caught.value.kind == "secret"


def test_requests_keep_their_distance(office: BackOffice, clock: Time) -> None:
    client = upstream(office, clock, requests_per_second=0.05)
    begun = clock.now()
    for _ in range(3):
        fetch(client, office, clock)
    assert clock.now() - begun >= 40 and len(clock.slept) == 2 and max(clock.slept) <= 20
    with pytest.raises(BackOfficeError) as caught:
        fetch(client, office, clock, deadline=clock.now() + 0.5)
    assert caught.value.kind == "deadline" and len(office.seen) == 3


def test_the_rate_counts_tries_and_redirects_too(office: BackOffice, clock: Time) -> None:
    office.then(says(302, Location="/feed"), says(503), says())
    begun = clock.now()
    fetch(upstream(office, clock, requests_per_second=0.05), office, clock)
    assert clock.now() - begun >= 40 and sum(clock.slept) <= 40


def test_the_environment_decides_nothing(
    office: BackOffice, clock: Time, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    office.then(says(Set_Cookie="a=b"))
    client = upstream(office, clock)
    for _ in range(2):
        assert fetch(client, office, clock).status == 200
    assert office.header("Authorization") is None and office.header("Cookie") is None


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Of 127.0.0.1, signed by nobody, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "back office")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


def test_tls_is_checked_and_its_drips_end_in_time(clock: Time, certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    office = BackOffice(tls)
    office.then(says())
    caught = fault(office, clock, attempts=1)
    assert (caught.kind, caught.detail, office.seen) == ("connect", "SSLCertVerificationError", [])

    client = upstream(office, clock, timeout_seconds=0.5, attempts=1)
    client._session.verify = str(certificate)
    assert [fetch(client, office, clock).status for _ in range(2)] == [200, 200]
    office.then(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
    begun = time.monotonic()
    with pytest.raises(BackOfficeError) as slow:
        fetch(client, office, clock)
    assert slow.value.kind == "timeout" and time.monotonic() - begun < 10
    no_thread_reads_on()
    office.close()
