"""Tests of the slim client's connections: network faults, time limits, reuse, and the choice of an address."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from readplane.aws.faults import UnansweredError
from readplane.aws.slim import connection as slim_connection
from readplane.aws.slim.client import SlimClient
from readplane.aws.slim.retry import BACKOFF_SECONDS
from tests.unit.aws.slim.server import Received, Step, authority, close, echo, hang, raw_response, reset, response
from tests.unit.aws.slim.support import GET, OK, StartServer, count_idle, dynamodb, wait_until

# --- network faults and time limits


def test_a_head_that_never_ends_is_a_network_fault(serve: StartServer) -> None:
    serve(raw_response(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 150_000))
    with pytest.raises(UnansweredError, match="LineTooLong"):
        dynamodb(attempts=1).call("GetItem", **GET)


def test_an_attempt_on_two_connections_has_no_more_time_than_one(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slim_connection, "CONNECT_SECONDS", 0.1)

    def close_late(connection: socket.socket, request: Received) -> bool:
        time.sleep(0.8)
        return close(connection, request)

    serve(OK, close_late, hang)
    client = dynamodb(attempts=2, read_timeout=1)
    client.call("GetItem", **GET)
    (pool,) = client._pools.values()
    began = time.monotonic()
    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        pool.exchange(b"GET / HTTP/1.1\r\n\r\n", resend=True)
    assert time.monotonic() - began < 1.5


HALF_RESPONSES = [
    raw_response(b"HTTP/1.1 200 OK\r\nContent-", close=True),
    raw_response(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{", close=True),
    raw_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", close=True),
]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("step", "code"),
    [
        (close, "ConnectionClosedError"),
        (reset, "ConnectionClosedError"),
        (hang, "ReadTimeoutError"),
        *((half, "IncompleteReadError") for half in HALF_RESPONSES),
    ],
)
def test_a_request_without_a_response_is_retried_and_counts_as_sent(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, backoffs: list[float], tls: bool, step: Step, code: str
) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(step, tls=trusted.server if tls else None)
    with pytest.raises(UnansweredError) as unanswered:
        dynamodb(read_timeout=0.15).call("PutItem")
    assert unanswered.value.sent
    # With TLS, also allow ConnectionClosedError. The client raises this error if the TCP connection ends without TLS's
    # closing message.
    assert unanswered.value.code in ({code, "ConnectionClosedError"} if tls else {code})
    assert len(server.requests) == 3
    assert backoffs == [BACKOFF_SECONDS, 2 * BACKOFF_SECONDS]

    server = serve(step, OK, tls=trusted.server if tls else None)
    assert "Item" in dynamodb(read_timeout=0.15).call("GetItem", **GET)
    assert len(server.requests) == 2

    server = serve(step, OK, tls=trusted.server if tls else None)
    with pytest.raises(UnansweredError) as unanswered:
        dynamodb(read_timeout=0.15, attempts=1).call("PutItem")
    assert unanswered.value.sent
    assert len(server.requests) == 1


def test_a_refused_connection_has_sent_nothing(serve: StartServer, backoffs: list[float]) -> None:
    serve(OK).stop()
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent
    assert len(backoffs) == 2


def test_an_unresolved_name_has_sent_nothing(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(OK)
    monkeypatch.setattr(socket, "getaddrinfo", mock.Mock(side_effect=socket.gaierror(-2, "Name not known")))
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent


def test_a_call_counts_as_sent_if_any_attempt_was(serve: StartServer) -> None:
    def stop_server(_: socket.socket, __: Received) -> bool:
        server.stop()
        return False

    server = serve(stop_server)
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        dynamodb().call("PutItem")
    assert unanswered.value.sent


def test_connecting_has_a_time_limit_with_the_handshake_included(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slim_connection, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections, but never does a TLS handshake
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnansweredError, match="ConnectTimeoutError") as unanswered:
            dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent


# --- reuse of open connections


def test_a_connection_is_reused(serve: StartServer) -> None:
    server = serve(OK)
    client = dynamodb()
    for _ in range(5):
        client.call("GetItem", **GET)
    assert server.connections == 1


def test_a_connection_with_unread_tls_data_is_not_reused(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    # Send the response in two TLS records. The second record also holds another response, which the client didn't ask
    # for. So after the client has read the first response, the TLS layer still holds unread data.
    text = b'{"a":"%b"}' % (b"x" * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
    server = serve(raw_response(head + text[:9], text[9:] + head + text), OK, tls=trusted.server)
    client = dynamodb()
    assert "a" in client.call("GetItem", **GET)
    assert "Item" in client.call("GetItem", **GET)
    assert server.connections == 2


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_the_server_closed_is_not_reused(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(response(close=True), OK, tls=trusted.server if tls else None)
    client = dynamodb(attempts=1)
    client.call("GetItem", **GET)
    (pool,) = client._pools.values()
    wait_until(lambda: not pool._idle[0].is_quiet())
    client.call("GetItem", **GET)
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_request_on_a_stale_connection_is_sent_again_at_once(serve: StartServer, backoffs: list[float]) -> None:
    server = serve(OK, close, OK)
    client = dynamodb(attempts=2)
    client.call("GetItem", **GET)
    client.call("GetItem", **GET)
    assert [request.connection for request in server.requests] == [1, 1, 2]
    assert not backoffs


def test_a_request_on_a_stale_connection_counts_as_sent_even_if_no_server_listens_any_more(serve: StartServer) -> None:
    def stop_server(_: socket.socket, __: Received) -> bool:
        server.stop()
        return False

    server = serve(OK, stop_server)
    client = dynamodb(attempts=2)
    client.call("PutItem")
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        client.call("PutItem")
    assert unanswered.value.sent


def test_with_one_attempt_a_request_on_a_stale_connection_is_not_sent_again(serve: StartServer) -> None:
    server = serve(OK, close, OK)
    client = dynamodb(attempts=1)
    client.call("PutItem")
    with pytest.raises(UnansweredError, match="ConnectionClosedError") as unanswered:
        client.call("PutItem")
    assert unanswered.value.sent
    assert len(server.requests) == 2


@pytest.mark.parametrize(("seconds", "connections"), [(59, 1), (61, 2), (-10, 2)])
def test_a_connection_idle_for_over_a_minute_is_not_reused(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, seconds: int, connections: int
) -> None:
    server = serve(OK)
    client = dynamodb()
    client.call("GetItem", **GET)
    later = time.time() + seconds
    monkeypatch.setattr(slim_connection, "time", SimpleNamespace(time=lambda: later, monotonic=time.monotonic))
    client.call("GetItem", **GET)
    assert server.connections == connections


def test_many_threads_share_a_client(serve: StartServer) -> None:
    server = serve(echo)
    client = dynamodb(connections=4)
    together = threading.Barrier(8)

    def call_many_times(worker: int) -> None:
        together.wait()
        for turn in range(20):
            parameters = {"Key": {"pk": {"S": f"{worker}/{turn}"}}}
            assert client.call("GetItem", **parameters) == parameters

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(call_many_times, range(8)))
    assert len(server.requests) == 160
    assert 1 <= count_idle(client) <= 4


def test_the_connection_used_last_is_reused_first(serve: StartServer) -> None:
    server = serve(response(b"text"))
    client = SlimClient("s3")
    streams = [client.call("GetObject", Bucket="b", Key="k")["Body"] for _ in range(3)]
    for stream in streams:
        stream.read()
    client.call("GetObject", Bucket="b", Key="k")
    assert [request.connection for request in server.requests] == [1, 2, 3, 3]


# --- addresses


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[int, str, int]) -> None:
    """Make every host name resolve to these addresses. Each address is a tuple of family, host and port."""
    resolved: list[Any] = [(family, socket.SOCK_STREAM, 0, "", (host, port)) for family, host, port in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)


def test_every_address_of_a_name_is_tried(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(OK)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        unused_port = closed.getsockname()[1]
    resolve_to(monkeypatch, (socket.AF_INET, "127.0.0.1", unused_port), (socket.AF_INET, "127.0.0.1", server.port))
    assert "Item" in dynamodb(attempts=1).call("GetItem", **GET)


def test_addresses_that_do_not_respond_share_the_time(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(OK)
    monkeypatch.setattr(slim_connection, "CONNECT_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        silent = (socket.AF_INET, *full.getsockname())
        for filler in (first, second):  # fill the backlog of `full`, so that no more connections to it succeed
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        resolve_to(monkeypatch, silent, silent, silent, silent)
        began = time.monotonic()
        with pytest.raises(UnansweredError, match="ConnectTimeoutError"):
            dynamodb(attempts=1).call("GetItem", **GET)
        assert time.monotonic() - began < 0.8
        resolve_to(monkeypatch, silent, (socket.AF_INET, "127.0.0.1", server.port))
        assert "Item" in dynamodb(attempts=1).call("GetItem", **GET)


def test_an_address_of_a_family_that_the_machine_lacks_is_skipped(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(OK)
    unknown = 9999
    resolve_to(monkeypatch, (unknown, "::1", server.port), (socket.AF_INET, "127.0.0.1", server.port))
    assert "Item" in dynamodb(attempts=1).call("GetItem", **GET)
    resolve_to(monkeypatch, (unknown, "::1", server.port))
    with pytest.raises(UnansweredError, match="EndpointConnectionError"):
        dynamodb(attempts=1).call("GetItem", **GET)


@pytest.mark.parametrize("tls", [False, True])
def test_ipv6_endpoints_work(serve: StartServer, monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    trusted = authority("::1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(OK, host="::1", tls=trusted.server if tls else None)
    assert "Item" in dynamodb().call("GetItem", **GET)
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"
