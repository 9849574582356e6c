"""Tests of private authorities and client certificates, against a server that speaks TLS."""

import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from readplane.poll.errors import BackOfficeError, SecretError
from readplane.poll.source.settings import StoredSecret
from readplane.poll.upstream.tls import tls_context
from tests.unit.poll.upstream.certificates import PASSWORD, Authority, server_context
from tests.unit.poll.upstream.http_server import (
    ARN,
    HttpServer,
    SecretValuesInMemory,
    SkippingClock,
    client_of,
    failure,
    fetch,
    says,
)

CLIENT_CERTIFICATE = {"client_certificate": {"arn": ARN}}

Serve = Callable[[ssl.SSLContext], HttpServer]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("private authority")


@pytest.fixture(scope="module")
def stranger() -> Authority:
    return Authority("another authority")


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[HttpServer] = []

    def start(context: ssl.SSLContext) -> HttpServer:
        server = HttpServer(context)
        server.will(says())
        servers.append(server)
        return server

    yield start
    for server in servers:
        with suppress(OSError):
            server.close()


def test_a_private_authority_is_trusted(
    clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority
) -> None:
    office = serve(server_context(tmp_path, authority.issue("office")))
    client = client_of(office, clock, tls={"ca_pem": authority.pem})
    assert [fetch(client, office, clock).status for _ in range(2)] == [200, 200] and office.connections == 1


def test_several_authorities_with_comments_can_be_trusted(
    clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority, stranger: Authority
) -> None:
    office = serve(server_context(tmp_path, authority.issue("office")))
    ca_pem = f"# Zertifikate für uns\n{stranger.pem}\n# zwei\n{authority.pem}"
    assert fetch(client_of(office, clock, tls={"ca_pem": ca_pem}), office, clock).status == 200


def test_a_self_signed_certificate_can_be_trusted(
    clock: SkippingClock, serve: Serve, certificate: Path, authority: Authority
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    office = serve(context)
    own = certificate.read_text().partition("-----BEGIN PRIVATE KEY")[0]
    assert fetch(client_of(office, clock, tls={"ca_pem": own}), office, clock).status == 200
    caught = failure(office, clock)
    assert caught.detail.startswith("the server's certificate is self-signed; set tls.ca_pem")


def test_a_private_authority_replaces_the_public_ones(
    clock: SkippingClock,
    tmp_path: Path,
    serve: Serve,
    authority: Authority,
    stranger: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    public_roots = tmp_path / "public.pem"
    public_roots.write_text(authority.pem)
    monkeypatch.setattr("readplane.poll.upstream.tls.DEFAULT_CA_BUNDLE_PATH", str(public_roots))
    office = serve(server_context(tmp_path, authority.issue("office")))
    secrets = SecretValuesInMemory(authority.issue("poll"))
    assert fetch(client_of(office, clock, secrets, tls=CLIENT_CERTIFICATE), office, clock).status == 200
    caught = failure(office, clock, tls={"ca_pem": stranger.pem})
    assert (caught.kind, caught.retryable) == ("tls", False)
    assert caught.detail.startswith("the server's certificate is signed by an authority that isn't trusted; set tls.ca")


@pytest.mark.parametrize(
    ("host", "days", "problem"),
    [
        ("127.0.0.1", -1, "the server's certificate has expired; ask the server's operator to renew it"),
        ("127.0.0.2", 1, "the server's certificate is for another IP address; use a host name"),
    ],
)
def test_a_private_authority_does_not_excuse_a_bad_certificate(
    clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority, host: str, days: int, problem: str
) -> None:
    office = serve(server_context(tmp_path, authority.issue("office", host=host, days=days)))
    caught = failure(office, clock, tls={"ca_pem": authority.pem})
    assert (caught.kind, office.requests) == ("tls", []) and caught.detail.startswith(problem)


def test_the_host_name_is_checked(clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority) -> None:
    office = serve(server_context(tmp_path, authority.issue("office")))
    office.url = office.url.replace("127.0.0.1", "localhost")
    caught = failure(office, clock, tls={"ca_pem": authority.pem})
    assert caught.kind == "tls" and caught.detail.startswith("the server's certificate is for another host name")


def test_the_host_is_checked_by_an_old_urllib3_too(
    clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib3.__version__", "1.26.20")
    assert tls_context("https://office.example/", ca_pem=authority.pem).check_hostname
    tls = {"ca_pem": authority.pem}
    office = serve(server_context(tmp_path, authority.issue("office")))
    assert fetch(client_of(office, clock, tls=tls), office, clock).status == 200
    office = serve(server_context(tmp_path, authority.issue("office", host="127.0.0.2")))
    caught = failure(office, clock, tls=tls)
    assert str(caught).startswith("tls: the server's certificate is for another host; use a host name")
    assert office.requests == []


def test_the_client_certificate_is_shown_to_the_server(
    clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(files))
    office = serve(server_context(tmp_path, authority.issue("office"), authority))
    secrets = SecretValuesInMemory(authority.issue("poll of the read plane"))
    client = client_of(office, clock, secrets, tls={"ca_pem": authority.pem, **CLIENT_CERTIFICATE})
    assert [fetch(client, office, clock).status for _ in range(2)] == [200, 200]
    assert "poll of the read plane" in str(office.client_certificates) and office.connections == 1
    assert list(files.iterdir()) == [], "the file with the key must be gone"


def test_a_missing_or_strange_client_certificate_is_reported(
    clock: SkippingClock, tmp_path: Path, serve: Serve, authority: Authority, stranger: Authority
) -> None:
    office = serve(server_context(tmp_path, authority.issue("office"), authority))
    caught = failure(office, clock, tls={"ca_pem": authority.pem}, attempts=1)
    assert str(caught) == "tls: the server asks for a client certificate; set tls.client_certificate"
    secrets = SecretValuesInMemory(stranger.issue("poll"))
    client = client_of(office, clock, secrets, tls={"ca_pem": authority.pem, **CLIENT_CERTIFICATE}, attempts=1)
    with pytest.raises(BackOfficeError) as refused:
        fetch(client, office, clock)
    assert str(refused.value).startswith("tls: the server refuses the client certificate; check the secret")
    assert office.requests == []


def test_an_unusable_client_certificate_is_an_error_that_quotes_none_of_it(
    office: HttpServer, clock: SkippingClock, authority: Authority
) -> None:
    pem = authority.issue("poll")
    certificate, begin, key = pem.partition("-----BEGIN PRIVATE KEY")
    other_key = authority.issue("other").partition("-----BEGIN PRIVATE KEY")[2]
    for text in (
        "not PEM",
        certificate,
        begin + key,
        certificate + begin + other_key,
        pem[:-80],
        authority.issue("poll", encryption=PASSWORD),
        f"{pem}\ud800",
    ):
        client = client_of(office, clock, SecretValuesInMemory(text), tls=CLIENT_CERTIFICATE)
        with pytest.raises(BackOfficeError, match="the key without a password") as caught:
            fetch(client, office, clock)
        assert caught.value.kind == "tls" and not caught.value.retryable
        assert "BEGIN" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert office.requests == []


def test_a_client_certificate_that_cannot_be_written_to_a_file_is_an_error(
    office: HttpServer, clock: SkippingClock, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("readplane.poll.upstream.tls.NamedTemporaryFile", refuse)
    client = client_of(office, clock, SecretValuesInMemory(authority.issue("poll")), tls=CLIENT_CERTIFICATE)
    with pytest.raises(
        BackOfficeError, match="can't be written to a temporary file; check the space in /tmp"
    ) as caught:
        fetch(client, office, clock)
    assert (caught.value.kind, office.requests) == ("tls", [])


@pytest.mark.parametrize("text", ["not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ä"])
def test_an_unusable_authority_is_an_error_that_does_not_quote_it(text: str) -> None:
    with pytest.raises(BackOfficeError, match="PEM text that begins with -----BEGIN CERTIFICATE-----") as caught:
        tls_context("https://office.example/", ca_pem=text)
    assert caught.value.kind == "tls" and text not in str(caught.value)


def test_a_client_certificate_that_cannot_be_read_is_an_error(office: HttpServer, clock: SkippingClock) -> None:
    class Locked(SecretValuesInMemory):
        def get_secret(self, secret: StoredSecret) -> str:
            raise SecretError("Secrets Manager doesn't return the secret (AccessDeniedException)")

    with pytest.raises(BackOfficeError, match="AccessDenied") as caught:
        fetch(client_of(office, clock, Locked(), tls=CLIENT_CERTIFICATE), office, clock)
    assert (caught.value.kind, office.requests) == ("secret", [])


def test_a_server_without_tls_is_reported(office: HttpServer, clock: SkippingClock) -> None:
    def respond() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=respond, daemon=True).start()
        office.url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        caught = failure(office, clock, attempts=1)
    assert str(caught).startswith("tls: the server doesn't speak TLS on this port; check the scheme and port")
