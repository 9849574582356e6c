"""Tests of the body readers: which reader each HTTP response gets, and how each reader detects the body's end."""

import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.aws.faults import UnansweredError
from readplane.aws.slim.client import SlimClient
from readplane.aws.slim.connection import Connection, ConnectionPool
from readplane.aws.slim.framing import (
    BodyReader,
    ChunkedReader,
    ContentLengthReader,
    EmptyReader,
    UntilCloseReader,
    make_body_reader,
)
from tests.unit.aws.slim.server import Received, Step, close, hang, raw_response, reset, response
from tests.unit.aws.slim.support import GET, OK, StartServer, count_idle, dynamodb


class UnreadStream:
    """A connection that fails the test if a body reader uses it in any way."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


CHUNKED = {"transfer-encoding": "Chunked"}


@pytest.mark.parametrize(
    ("status", "headers", "reader"),
    [
        (204, {"content-length": "3"}, EmptyReader),
        (304, CHUNKED, EmptyReader),
        (200, CHUNKED | {"content-length": "x"}, ChunkedReader),
        (200, {}, UntilCloseReader),
        (200, {"content-length": "0"}, EmptyReader),
        (404, {"content-length": "3"}, ContentLengthReader),
    ],
)
def test_status_and_headers_select_the_reader(status: int, headers: dict[str, str], reader: type[BodyReader]) -> None:
    assert type(make_body_reader(UnreadStream(), status, headers)) is reader


@pytest.mark.parametrize("length", ["", "-1", "3.0", "0x3"])
def test_a_length_that_is_no_number_is_an_error(length: str) -> None:
    with pytest.raises(UnansweredError, match="BadContentLength"):
        make_body_reader(UnreadStream(), 200, {"content-length": length})


BODY = b'{"Item": {}}'


@pytest.mark.parametrize(
    ("pieces", "reused"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length:12\r\n\r\n" + BODY], True),
        ([b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 12\r\n", b"\r", b"\n" + BODY[:5], BODY[5:]], True),
        (
            [
                b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\n" + BODY[:5] + b"\r\n",
                b"7\r\n",
                BODY[5:],
                b"\r\n0\r\nT: 1\r\n\r\n",
            ],
            True,
        ),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + BODY], True),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: Close\r\n\r\n" + BODY], False),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 12\r\n\r\n" + BODY], False),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n" + BODY + b"HTTP/1.1 200 OK"], False),
    ],
)
def test_every_form_of_response_is_read_and_its_connection_reused_if_possible(
    serve: StartServer, pieces: Sequence[bytes], reused: bool
) -> None:
    server = serve(raw_response(*pieces))
    client = dynamodb()
    assert client.call("GetItem", **GET) == {"Item": {}}
    assert client.call("GetItem", **GET) == {"Item": {}}
    assert server.connections == (1 if reused else 2)


def test_a_response_without_a_length_ends_with_its_connection(serve: StartServer) -> None:
    serve(raw_response(b"HTTP/1.1 200 OK\r\n\r\n" + BODY[:5], BODY[5:], close=True))
    client = dynamodb()
    assert client.call("GetItem", **GET) == {"Item": {}}
    assert not count_idle(client)


@pytest.mark.parametrize(
    "piece",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{""',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-amz-crc32: 7\r\n\r\n{}",
    ],
)
def test_a_malformed_response_is_a_network_fault_and_retried(serve: StartServer, piece: bytes) -> None:
    server = serve(raw_response(piece), OK)
    assert "Item" in dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 2

    serve(raw_response(piece))
    with pytest.raises(UnansweredError) as unanswered:
        dynamodb().call("GetItem", **GET)
    assert unanswered.value.sent


# --- streams


def get_object_body(*steps: Step, serve: StartServer, **options: Any) -> tuple[SlimClient, Any]:
    serve(*steps)
    client = SlimClient("s3", **options)
    return client, client.call("GetObject", Bucket="b", Key="k")["Body"]


@pytest.mark.parametrize("chunked", [False, True])
@given(
    content=st.binary(max_size=200),
    cuts=st.lists(st.integers(1, 60), max_size=8),
    sizes=st.lists(st.integers(0, 90), max_size=8),
)
def test_a_stream_reads_like_a_file(chunked: bool, content: bytes, cuts: list[int], sizes: list[int]) -> None:
    pieces, at = [], 0
    for cut in [*cuts, len(content)]:
        pieces.append(content[at : at + cut])
        at += cut
    pieces = [piece for piece in pieces if piece]
    if chunked:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        sent = [head, *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n"]
    else:
        sent = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content), *pieces]

    client_end, server_end = socket.socketpair()
    with client_end, server_end:
        for piece in sent:
            server_end.sendall(piece)
        pool = ConnectionPool("nowhere", 80, secure=False, read_timeout=1, connections=1)
        body = Connection(pool, client_end).exchange(b"GET").body
        rest = content
        for size in sizes:
            assert body.read(size) == rest[:size]  # not fewer bytes, although they arrived in other pieces
            rest = rest[size:]
        assert body.read() == rest
        assert body.read() == body.read(9) == b""
        assert len(pool._idle) == 1  # at the end of the body, the reader has released the connection


def test_a_streams_connection_is_released_at_its_end_and_not_before(serve: StartServer) -> None:
    client, body = get_object_body(response(b"x" * 100_000), serve=serve)
    assert len(body.read(99_999)) == 99_999
    assert not count_idle(client)
    assert body.read(1) == b"x"
    assert count_idle(client) == 1


def test_a_stream_that_is_closed_unread_closes_its_connection(serve: StartServer) -> None:
    client, body = get_object_body(response(b"x" * 100_000), serve=serve)
    body.read(1)
    body.close()
    assert body.read() == b""
    assert not count_idle(client)


@pytest.mark.parametrize("step", [hang, close, reset])
def test_a_stream_that_breaks_off_is_a_network_fault(serve: StartServer, step: Step) -> None:
    def break_off(connection: socket.socket, request: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        return step(connection, request)

    client, body = get_object_body(break_off, serve=serve, read_timeout=0.2)
    assert body.read(2) == b"ha"
    with pytest.raises(UnansweredError) as unanswered:
        body.read()
    assert unanswered.value.sent
    assert not count_idle(client)


def trickle(piece: bytes, count: int, seconds: float) -> Step:
    """Return a step that sends a body in ``count`` pieces, with a pause of ``seconds`` before each piece."""

    def step(connection: socket.socket, _: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * len(piece)))
        for _number in range(count):
            time.sleep(seconds)
            connection.sendall(piece)
        return True

    return step


def test_each_read_of_a_stream_has_the_full_read_timeout(serve: StartServer) -> None:
    _, body = get_object_body(trickle(b"x", 12, 0.05), serve=serve, read_timeout=0.4)
    assert [body.read(2) for _ in range(6)] == [b"xx"] * 6  # 0.6 s in total, longer than the timeout of one read
    _, body = get_object_body(trickle(b"x", 12, 0.05), serve=serve, read_timeout=0.4)
    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        body.read()


def test_a_response_that_trickles_in_has_no_more_time_than_any_other(serve: StartServer) -> None:
    serve(trickle(b" ", 40, 0.05))
    began = time.monotonic()
    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        dynamodb(attempts=1, read_timeout=0.2).call("GetItem", **GET)
    assert time.monotonic() - began < 1
