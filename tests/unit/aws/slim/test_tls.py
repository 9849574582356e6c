"""Tests of TLS: which servers the slim client trusts, and the oldest TLS version that it accepts."""

import ssl
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from readplane.aws.faults import UnansweredError
from readplane.aws.slim import roots
from readplane.aws.slim.tls import tls_context
from tests.unit.aws.slim.server import authority, raw_response
from tests.unit.aws.slim.support import GET, OK, StartServer, dynamodb

AMAZON_HOST = "dynamodb.eu-central-1.amazonaws.com"
OTHER_HOST = "dynamodb.example"


def test_over_tls_a_tcp_end_without_a_closing_message_is_not_the_end_of_a_response(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    # Respond without a Content-Length, so that only TLS's closing message could show that the response is complete. The
    # test server closes the TCP connection without that message.
    serve(raw_response(b"HTTP/1.1 200 OK\r\n\r\n{}", close=True), tls=trusted.server)
    with pytest.raises(UnansweredError, match="ConnectionClosedError"):
        dynamodb(attempts=1).call("GetItem", **GET)


def test_a_custom_bundle_is_trusted(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(OK, tls=trusted.server)
    client = dynamodb()
    for _ in range(3):
        assert "Item" in client.call("GetItem", **GET)
    assert server.connections == 1


@pytest.mark.parametrize(
    ("served", "trusted"),
    [
        (("127.0.0.1",), None),  # the client trusts only the system's root certificates
        (("127.0.0.1",), ("127.0.0.1", "another.example")),  # the client trusts only another certificate authority
        (("another.example",), ("another.example",)),  # the certificate is for another host
    ],
)
def test_a_server_that_is_not_trusted_gets_no_request(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, served: tuple[str, ...], trusted: tuple[str, ...] | None
) -> None:
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", authority(*trusted).bundle)
    server = serve(OK, tls=authority(*served).server)
    with pytest.raises(UnansweredError, match="SSLError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent
    assert not server.requests


@pytest.mark.parametrize("host", [AMAZON_HOST, OTHER_HOST])
def test_given_certificates_are_the_only_ones_that_are_trusted(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", authority("another.example").bundle)
    pem = Path(authority("127.0.0.1").bundle).read_text()
    context = tls_context(host, pem)
    assert context is tls_context(host, pem)
    assert context is not tls_context(host)
    assert context.get_ca_certs(binary_form=True) == [ssl.PEM_cert_to_DER_cert(pem)]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("host", "authorities"),
    [
        (AMAZON_HOST, 5),
        ("dynamodb.eu-central-1.api.aws", 5),
        ("dynamodb.cn-north-1.amazonaws.com.cn", None),
        ("amazonaws.com.example", None),
        ("my-amazonaws.com", None),
    ],
)
def test_for_awss_own_hosts_only_amazons_roots_are_trusted(
    monkeypatch: pytest.MonkeyPatch, host: str, authorities: int | None
) -> None:
    system_context = mock.Mock(return_value=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    monkeypatch.setattr(ssl, "create_default_context", system_context)
    context = tls_context(host)
    assert context is tls_context(host)  # the process makes each context only once
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    if authorities:
        assert len(context.get_ca_certs()) == authorities
    else:
        system_context.assert_called_once_with(cafile=None)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
@pytest.mark.parametrize(("host", "bundle"), [(AMAZON_HOST, False), (OTHER_HOST, False), (OTHER_HOST, True)])
def test_no_context_accepts_less_than_tls_1_2_whatever_the_systems_openssl_allows(
    monkeypatch: pytest.MonkeyPatch, host: str, bundle: bool
) -> None:
    if bundle:
        monkeypatch.setenv("AWS_CA_BUNDLE", authority("127.0.0.1").bundle)

    make_context = ssl.SSLContext.__new__

    def make_lenient_context(*args: Any, **options: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = make_context(*args, **options)
        context.minimum_version = ssl.TLSVersion.TLSv1
        return context

    # Make each new context allow TLS 1.0 by default, as OpenSSL does on Debian 12.
    monkeypatch.setattr(ssl.SSLContext, "__new__", staticmethod(make_lenient_context))
    assert ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).minimum_version == ssl.TLSVersion.TLSv1
    assert tls_context(host).minimum_version == ssl.TLSVersion.TLSv1_2


STARFIELD = "Starfield Services Root Certificate Authority - G2"
# The SHA-256 hashes of the public keys of Amazon's five root certificates, from https://www.amazontrust.com/repository.
ROOTS = {
    "Amazon Root CA 1": "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",
    "Amazon Root CA 2": "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",
    "Amazon Root CA 3": "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",
    "Amazon Root CA 4": "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",
    STARFIELD: "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92",
}


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # Starfield's root has the serial number 0
def test_the_roots_are_amazons_and_valid_for_another_year() -> None:
    fingerprints = {}
    for certificate in x509.load_pem_x509_certificates(roots.PEM.encode()):
        (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        fingerprints[str(name.value)] = sha256(key).hexdigest()
        assert certificate.not_valid_after_utc.timestamp() > time.time() + 365 * 86_400, name
    assert fingerprints == ROOTS


def test_the_roots_are_among_those_that_browsers_trust() -> None:
    begin = "-----BEGIN CERTIFICATE-----"
    trusted = {part.split("-----END")[0] for part in Path(certifi.where()).read_text("utf-8").split(begin)[1:]}
    ours = {part.split("-----END")[0] for part in roots.PEM.split(begin)[1:]}
    assert len(ours) == 5
    assert ours <= trusted
