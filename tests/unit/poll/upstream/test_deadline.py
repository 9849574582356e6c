"""Tests that a request ends at its deadline even if the back office stalls or sends its response byte by byte.

This file also tests broken connections, proxy variables and TLS.
"""

import gzip
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from readplane.poll.errors import BackOfficeError
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
def test_a_broken_response_is_an_error_and_is_retried(office: HttpServer, clock: SkippingClock, broken: Serve) -> None:
    office.will(broken, broken, says())
    assert fetch(client_of(office, clock), office, clock).body == PAGE
    office.will(broken)
    assert failure(office, clock, attempts=1).kind == "broken"


def test_a_port_that_nobody_listens_on_is_a_connect_error(office: HttpServer, clock: SkippingClock) -> None:
    office.close()
    assert failure(office, clock).kind == "connect"
    assert clock.slept == [1.0, 2.0]


def test_a_host_that_does_not_exist_is_a_connect_error(office: HttpServer, clock: SkippingClock) -> None:
    office.url = "http://back-office.invalid"
    assert failure(office, clock, attempts=1, timeout_seconds=5).kind in ("connect", "timeout")


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
    assert (caught.kind, caught.detail, office.requests) == ("connect", "SSLCertVerificationError", [])

    client = client_of(office, clock, timeout_seconds=0.5, attempts=1)
    client._session.verify = str(certificate)
    assert [fetch(client, office, clock).status for _ in range(2)] == [200, 200]
    office.will(drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
    start = time.monotonic()
    with pytest.raises(BackOfficeError) as slow:
        fetch(client, office, clock)
    assert slow.value.kind == "timeout" and time.monotonic() - start < 10
    wait_for_threads()
    office.close()
