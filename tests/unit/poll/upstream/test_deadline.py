"""Tests that a request ends at its deadline even if the back office stalls or sends its response byte by byte.

This file also tests broken connections, proxy variables and TLS.
"""

import gzip
import socket
import ssl
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import HTTPError

from readplane.poll.errors import BackOfficeError
from readplane.poll.upstream.deadline import Exchange, HttpRequest, HttpResponse, new_session
from readplane.poll.upstream.network_faults import network_error
from tests.unit.poll.upstream.http_server import (
    PAGE,
    HttpServer,
    Serve,
    SkippingClock,
    client_of,
    drips,
    failure,
    fetch,
    raw,
    resets,
    says,
    stalls,
    wait_for_threads,
)


class error(Exception):  # noqa: N801, N818 - some libraries give their exceptions this name
    pass


def test_a_stall_times_out_and_is_retried(office: HttpServer, clock: SkippingClock) -> None:
    office.will(stalls, says())
    start = time.monotonic()
    assert fetch(client_of(office, clock, timeout_seconds=0.3), office, clock).status == 200
    assert 0.3 <= time.monotonic() - start < 10


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"",
    ],
)
def test_bytes_that_drip_in_do_not_extend_the_timeout(office: HttpServer, clock: SkippingClock, head: bytes) -> None:
    office.will(drips(head))
    start = time.monotonic()
    caught = failure(office, clock, timeout_seconds=0.4, attempts=2)
    assert caught.kind == "timeout" and 0.8 <= time.monotonic() - start < 10
    assert len(office.requests) == 2
    wait_for_threads()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PACKED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (resets, "the back office reset the connection before its response was complete"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), "the response is cut off"),
        (raw(CHUNKED + b'5\r\n{"ro'), "the response is cut off"),
        (raw(CHUNKED + b'5\r\n{"row\r\n'), "the response is cut off"),
        (raw(CHUNKED + b"zz\r\n"), "the response is cut off"),
        (raw(PACKED + gzip.compress(PAGE)[:-9]), "the response is cut off"),
        (raw(PACKED + b"not packed"), "the response's GZIP data is damaged"),
        (raw(b"SSH-2.0-OpenSSH\r\n"), "the response isn't HTTP"),
        (raw(b""), "the back office closed the connection without a response"),
    ],
)
def test_a_broken_response_is_an_error_and_is_retried(
    office: HttpServer, clock: SkippingClock, broken: Serve, problem: str
) -> None:
    office.will(broken, broken, says())
    assert fetch(client_of(office, clock), office, clock).body == PAGE
    office.will(broken)
    caught = failure(office, clock, attempts=1)
    assert (caught.kind, caught.problem, caught.retryable) == ("broken", problem, True)


def test_a_port_that_nobody_listens_on_is_a_connect_error(office: HttpServer, clock: SkippingClock) -> None:
    office.close()
    caught = failure(office, clock)
    assert (caught.kind, caught.problem) == ("connect", "the host refuses connections on this port")
    assert clock.slept == [1.0, 2.0] and "check the host and port" in caught.detail


def test_a_host_that_does_not_exist_is_a_connect_error(office: HttpServer, clock: SkippingClock) -> None:
    office.url = "http://back-office.invalid"
    caught = failure(office, clock, attempts=1, timeout_seconds=5)
    assert (caught.kind, caught.problem) in (
        ("connect", "the host name can't be resolved"),
        ("timeout", "no whole response within 5 s"),
    )


@pytest.mark.parametrize(
    ("fault", "sent", "text"),
    [
        (zlib.error("Error -3"), True, "broken: the response's GZIP data is damaged; "),
        (OSError(113, "No route to host"), False, "connect: no connection (OSError); "),
        (socket.gaierror(-2, "x"), False, "connect: the host name can't be resolved; "),
        (BrokenPipeError(), True, "broken: the connection failed (BrokenPipeError); "),
        (error(), True, "broken: the connection failed (tests.unit.poll.upstream.test_deadline.error); "),
        (ssl.SSLError(1, "x"), True, "tls: the TLS connection failed (SSLError); "),
        (ssl.SSLEOFError(8, "x"), True, "broken: the server ended the TLS connection too early; "),
    ],
)
def test_a_fault_is_described_in_words_and_with_advice(fault: Exception, sent: bool, text: str) -> None:
    for outer in (fault, requests.ConnectionError(fault), HTTPError(fault)):
        described = str(network_error(outer, sent=sent))
        assert described.startswith(text) and len(described) > len(text) + 10


def test_the_body_of_a_redirect_is_not_read(office: HttpServer, clock: SkippingClock) -> None:
    office.will(drips(b"HTTP/1.1 302 Moved\r\nLocation: /there\r\n\r\n"), says())
    assert fetch(client_of(office, clock), office, clock).url == f"{office.url}/there"
    assert office.requests[1].startswith(b"GET /there ")


def test_proxies_and_credentials_of_the_environment_are_ignored(
    office: HttpServer, clock: SkippingClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    office.will(says(Set_Cookie="a=b"))
    client = client_of(office, clock)
    for _ in range(2):
        assert fetch(client, office, clock).status == 200
    assert office.header("Authorization") is None and office.header("Cookie") is None


def test_tls_certificates_are_checked_and_slow_bytes_over_tls_time_out(clock: SkippingClock, certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    office = HttpServer(tls)
    office.will(says())
    caught = failure(office, clock, attempts=1)
    assert (caught.kind, caught.problem, office.requests) == ("tls", "the server's certificate is self-signed", [])

    ca_pem = certificate.read_text().partition("-----BEGIN PRIVATE KEY")[0]
    client = client_of(office, clock, timeout_seconds=0.5, attempts=1, tls={"ca_pem": ca_pem})
    assert [fetch(client, office, clock).status for _ in range(2)] == [200, 200]
    office.will(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
    start = time.monotonic()
    with pytest.raises(BackOfficeError) as slow:
        fetch(client, office, clock)
    assert slow.value.kind == "timeout" and time.monotonic() - start < 10
    wait_for_threads()
    office.close()


def test_nothing_shows_a_request_with_its_secrets() -> None:
    request = HttpRequest("POST", "https://office.example/?key=s3cret", {"X-Key": "s3cret"}, b"s3cret")
    assert "s3cret" not in f"{request} {request!r}"
    assert "s3cret" not in repr(HttpResponse(200, {"X-Key": "s3cret"}, b"s3cret"))


def test_a_header_that_cannot_be_sent_is_an_error(office: HttpServer) -> None:
    request = HttpRequest("GET", office.url, {"X-Key": "\u20ac"})
    exchange = Exchange(new_session(), request, name="articles", timeout_seconds=2, max_bytes=1024)
    with pytest.raises(BackOfficeError) as caught:
        exchange.response_within(5)
    assert not caught.value.retryable and office.requests == []
