"""The slim client against real servers: what it sends, what it makes of answers, and every way to fail."""

import base64
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from calendar import timegm
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.retries import standard
from hypothesis import given
from hypothesis import strategies as st

import readplane
from readplane.aws.faults import RefusedError, UnansweredError, pause
from readplane.aws.slim import client as slim
from readplane.aws.slim import connection as transport
from readplane.aws.slim import roots as amazon_roots
from readplane.aws.slim.client import SlimClient
from tests.unit.aws.slim.server import Received, Server, Step, answer, authority, close, echo, hang, raw, refusal, reset

Serve = Callable[..., Server]
GET = {"TableName": "items", "Key": {"pk": {"S": "products/p-1"}}}
OK = answer(b'{"Item": {"pk": {"S": "products/p-1"}}}')


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits between tries; the longest waits that there would have been."""
    told: list[float] = []
    monkeypatch.setattr(slim, "pause", told.append)
    monkeypatch.setattr(slim, "_skew", 0.0)
    monkeypatch.setattr(transport, "_contexts", {})
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    return told


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start the server that every client of the test finds."""
    servers = []

    def start(*steps: Step, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Server:
        server = Server(steps, tls=tls, host=host)
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return server

    yield start
    for server in servers:
        server.stop()


def dynamodb(**options: Any) -> SlimClient:
    return SlimClient("dynamodb", read_timeout=options.pop("read_timeout", 2), **options)


def connections_kept(client: SlimClient) -> int:
    return sum(len(pool._idle) for pool in client._pools.values())


def eventually(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


# --- what is sent


def resigned(request: Received, service: str, url: str) -> str:
    """The ``Authorization`` header that botocore gives the same request."""
    signed = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    added = ("host", "x-amz-date", "x-amz-security-token")
    own = {name: request.headers[name] for name in signed if name not in added}
    theirs: Any = AWSRequest(request.method, url + request.path, headers=own, data=request.body)
    token = request.headers.get("x-amz-security-token")
    auth_of: Any = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    moment = time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")
    with mock.patch.object(botocore.auth, "get_current_datetime") as clock:
        clock.return_value = SimpleNamespace(strftime=lambda form: time.strftime(form, moment))
        auth_of(Credentials("test", "test", token), service, "eu-central-1").add_auth(theirs)
    signature: str = theirs.headers["Authorization"]
    return signature


CALLS: list[tuple[str, str, dict[str, Any], bytes, str]] = [
    (
        "dynamodb",
        "GetItem",
        GET,
        b'{"TableName":"items","Key":{"pk":{"S":"products/p-1"}}}',
        "DynamoDB_20120810.GetItem",
    ),
    (
        "firehose",
        "PutRecord",
        {"DeliveryStreamName": "log", "Record": {"Data": b"\x00line\n"}},
        b'{"DeliveryStreamName":"log","Record":{"Data":"AGxpbmUK"}}',
        "Firehose_20150804.PutRecord",
    ),
    (
        "sqs",
        "ChangeMessageVisibility",
        {"QueueUrl": "https://q", "ReceiptHandle": "r", "VisibilityTimeout": 5},
        b'{"QueueUrl":"https://q","ReceiptHandle":"r","VisibilityTimeout":5}',
        "AmazonSQS.ChangeMessageVisibility",
    ),
    ("s3", "GetObject", {"Bucket": "docs", "Key": "public/ü +~/a..b/..", "IfNoneMatch": '"e"'}, b"", ""),
    (
        "s3",
        "PutObject",
        {
            "Bucket": "docs",
            "Key": "a/b.json",
            "Body": b"{}",
            "ContentType": "application/json",
            "CacheControl": "no-cache",
            "Metadata": {"Readplane-Version": "0198"},
        },
        b"{}",
        "",
    ),
]


@pytest.mark.parametrize("token", [None, "a/session+token=="])
@pytest.mark.parametrize("call", CALLS, ids=[call[1] for call in CALLS])
def test_a_request_is_what_aws_reads_and_signed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, call: tuple[str, str, dict[str, Any], bytes, str], token: str | None
) -> None:
    service, operation, parameters, body, target = call
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    server = serve(answer(b""))
    SlimClient(service).call(operation, **parameters)

    (request,) = server.requests
    assert request.body == body
    assert request.headers.get("x-amz-target", "") == target
    assert request.headers.get("x-amz-security-token") == token
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["user-agent"] == "readplane"
    assert request.headers["authorization"] == resigned(request, service, server.url)


def test_s3_requests_name_the_object_and_what_is_known_of_it(serve: Serve) -> None:
    server = serve(answer(b"", ETag='"e"'))
    client = SlimClient("s3")
    client.call("GetObject", **CALLS[3][2])
    assert client.call("PutObject", **CALLS[4][2]) == {"ETag": '"e"'}

    get, put = server.requests
    assert (get.method, get.path) == ("GET", "/docs/public/%C3%BC%20%2B~/a..b/..")
    assert get.headers["if-none-match"] == '"e"'
    assert (put.method, put.path) == ("PUT", "/docs/a/b.json")
    assert put.headers["content-type"] == "application/json"
    assert put.headers["cache-control"] == "no-cache"
    assert put.headers["x-amz-meta-readplane-version"] == "0198"
    digest = bytes.fromhex(put.headers["x-amz-content-sha256"])
    assert put.headers["x-amz-checksum-sha256"] == base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("bucket", "host", "path"),
    [
        ("docs", "docs.s3.eu-central-1.amazonaws.com", "/a/b"),
        # The certificate for *.s3 covers no name with a dot.
        ("my.docs", "s3.eu-central-1.amazonaws.com", "/my.docs/a/b"),
    ],
)
def test_a_bucket_on_aws_has_a_host_of_its_own(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, bucket: str, host: str, path: str
) -> None:
    trusted = authority("*.s3.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com")
    server = serve(answer(b"text"), tls=trusted.server)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    asked = []

    def here(name: bytes, port: int, **_: Any) -> list[Any]:
        asked.append((name, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))]

    monkeypatch.setattr(socket, "getaddrinfo", here)
    assert SlimClient("s3").call("GetObject", Bucket=bucket, Key="a/b")["Body"].read() == b"text"
    assert asked == [(host.encode(), 443)]
    assert (server.requests[0].headers["host"], server.requests[0].path) == (host, path)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("GetObject", {"Bucket": "docs", "Key": ""}),  # would list the bucket
        ("GetObject", {"Bucket": "", "Key": "a"}),
        ("GetObject", {"Bucket": "docs"}),
        ("GetObject", {"Bucket": "docs", "Key": "a", "Range": "bytes=0-1"}),
        ("GetObject", {"Bucket": "docs", "Key": "a", "IfNoneMatch": '"e"\r\nx-amz-acl: public-read'}),
        ("PutObject", {"Bucket": "docs", "Key": "a", "Body": b"", "Metadata": {"a\nb": "c"}}),
        ("DeleteObject", {"Bucket": "docs", "Key": "a"}),
    ],
)
def test_an_s3_call_that_would_be_another_one_is_not_made(
    serve: Serve, operation: str, parameters: dict[str, Any]
) -> None:
    server = serve(OK)
    with pytest.raises(ValueError, match="s3: "):
        SlimClient("s3").call(operation, **parameters)
    assert not server.connections


def test_lambda_is_told_the_trace_and_nobody_else(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(OK)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    dynamodb().call("GetItem", **GET)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "read")
    dynamodb().call("GetItem", **GET)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"{trace}\r\nx-amz-target: DynamoDB_20120810.DeleteTable")
    dynamodb().call("GetItem", **GET)

    without, with_it, broken = server.requests
    assert with_it.headers["x-amzn-trace-id"] == trace
    assert "x-amzn-trace-id" not in with_it.headers["authorization"]
    assert "x-amzn-trace-id" not in without.headers.keys() | broken.headers.keys()


def test_an_unknown_service_is_refused_at_init() -> None:
    with pytest.raises(ValueError, match="kinesis"):
        SlimClient("kinesis")


# --- answers


def test_an_answer_is_what_boto3_would_give(serve: Serve) -> None:
    serve(
        OK, answer(b""), answer(b"text", ETag='"e"', Content_Type="application/json", x_amz_meta_readplane_version="7")
    )
    assert dynamodb().call("GetItem", **GET) == {"Item": {"pk": {"S": "products/p-1"}}}
    assert SlimClient("sqs").call("ChangeMessageVisibility", QueueUrl="q") == {}
    got = SlimClient("s3").call("GetObject", Bucket="b", Key="k")
    assert got.pop("Body").read() == b"text"
    assert got == {"ETag": '"e"', "ContentType": "application/json", "Metadata": {"readplane-version": "7"}}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (refusal("ConditionalCheckFailedException"), "ConditionalCheckFailedException"),
        (answer(b'{"__type": "ValidationException"}', 400), "ValidationException"),
        (answer(b"", 400, x_amzn_ErrorType="AccessDenied:http://internal.example/"), "AccessDenied"),
        (
            answer(b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}', 400, x_amzn_query_error="AWS.SQS.None;Sender"),
            "AWS.SQS.None",
        ),
        (answer(b"<html>", 400), "400"),
        (answer(b"[]", 400), "400"),
    ],
)
def test_a_refusal_has_awss_code(serve: Serve, step: Step, code: str) -> None:
    server = serve(step)
    with pytest.raises(RefusedError) as refused:
        dynamodb().call("PutItem")
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert len(server.requests) == 1  # not tried again


def test_a_refusal_has_the_errors_own_members(serve: Serve) -> None:
    serve(refusal("ConditionalCheckFailedException", Item={"version": {"S": "7"}}))
    with pytest.raises(RefusedError) as refused:
        dynamodb().call("PutItem")
    assert refused.value.answer["Item"] == {"version": {"S": "7"}}


CHUNKED = b"HTTP/1.1 %b \r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("step", "code", "status"),
    [
        (answer(b"<?xml?>\n<Error><Code>NoSuchKey</Code><Key>k</Key></Error>", 404), "NoSuchKey", 404),
        (raw(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 77\r\n\r\n"), "304", 304),
        (raw(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"), "304", 304),
        (answer(b"", 403), "403", 403),
        (raw(CHUNKED % b"403", b"f\r\n<Code>Other</Co", b"\r\n3\r\nde>\r\n0\r\n\r\n"), "Other", 403),
    ],
)
def test_s3s_refusals(serve: Serve, step: Step, code: str, status: int) -> None:
    server = serve(step)
    client = SlimClient("s3")
    for _ in range(2):
        with pytest.raises(RefusedError) as refused:
            client.call("GetObject", Bucket="b", Key="k")
        assert (refused.value.code, refused.value.status) == (code, status)
    assert server.connections == 1  # read to its end, so that the connection could be used again


BODY = b'{"Item": {}}'


@pytest.mark.parametrize(
    ("pieces", "kept"),
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
def test_every_form_of_answer(serve: Serve, pieces: Sequence[bytes], kept: bool) -> None:
    server = serve(raw(*pieces))
    client = dynamodb()
    assert client.call("GetItem", **GET) == {"Item": {}}
    assert client.call("GetItem", **GET) == {"Item": {}}
    assert server.connections == (1 if kept else 2)


def test_what_tls_took_along_is_no_answer_to_the_next_request(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    # In two records of TLS, and the second holds more than the first one's head announced.
    text = b'{"a":"%b"}' % (b"x" * 100)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
    server = serve(raw(head + text[:9], text[9:] + head + text), OK, tls=trusted.server)
    client = dynamodb()
    assert "a" in client.call("GetItem", **GET)
    assert "Item" in client.call("GetItem", **GET)
    assert server.connections == 2


def test_an_answer_without_a_length_ends_with_its_connection(serve: Serve) -> None:
    serve(raw(b"HTTP/1.1 200 OK\r\n\r\n" + BODY[:5], BODY[5:], close=True))
    client = dynamodb()
    assert client.call("GetItem", **GET) == {"Item": {}}
    assert not connections_kept(client)


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
def test_what_is_no_answer_is_a_fault_and_tried_again(serve: Serve, piece: bytes) -> None:
    server = serve(raw(piece), OK)
    assert "Item" in dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 2

    serve(raw(piece))
    with pytest.raises(UnansweredError) as unanswered:
        dynamodb().call("GetItem", **GET)
    assert unanswered.value.sent


def test_a_head_that_never_ends_is_given_up(serve: Serve) -> None:
    serve(raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 150_000))
    with pytest.raises(UnansweredError, match="LineTooLong"):
        dynamodb(attempts=1).call("GetItem", **GET)


def test_dynamodbs_checksum_is_compared(serve: Serve) -> None:
    server = serve(answer(BODY, x_amz_crc32=str(zlib.crc32(BODY))), answer(BODY, x_amz_crc32="7"))
    client = dynamodb(attempts=2)
    assert client.call("GetItem", **GET) == {"Item": {}}
    with pytest.raises(UnansweredError, match="ChecksumError"):
        client.call("GetItem", **GET)
    assert len(server.requests) == 3


# --- streams


def object_of(*steps: Step, serve: Serve, **options: Any) -> tuple[SlimClient, Any]:
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

    here, there = socket.socketpair()
    with here, there:
        for piece in sent:
            there.sendall(piece)
        pool = transport.ConnectionPool("nowhere", 80, secure=False, read_timeout=1, connections=1)
        body = transport.Connection(pool, here).exchange(b"GET").body
        left = content
        for size in sizes:
            assert body.read(size) == left[:size]  # all of it, whatever the pieces were
            left = left[size:]
        assert body.read() == left
        assert body.read() == body.read(9) == b""
        assert len(pool._idle) == 1  # at the end the connection is kept


def test_a_streams_connection_is_kept_at_its_end_and_not_before(serve: Serve) -> None:
    client, body = object_of(answer(b"x" * 100_000), serve=serve)
    assert len(body.read(99_999)) == 99_999
    assert not connections_kept(client)
    assert body.read(1) == b"x"
    assert connections_kept(client) == 1


def test_a_stream_that_is_left_unread_takes_its_connection_along(serve: Serve) -> None:
    client, body = object_of(answer(b"x" * 100_000), serve=serve)
    body.read(1)
    body.close()
    assert body.read() == b""
    assert not connections_kept(client)


@pytest.mark.parametrize("step", [hang, close, reset])
def test_a_stream_that_breaks_off_is_a_fault(serve: Serve, step: Step) -> None:
    def broken(connection: socket.socket, request: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        return step(connection, request)

    client, body = object_of(broken, serve=serve, read_timeout=0.2)
    assert body.read(2) == b"ha"
    with pytest.raises(UnansweredError) as unanswered:
        body.read()
    assert unanswered.value.sent
    assert not connections_kept(client)


def test_each_read_of_a_stream_has_its_own_time(serve: Serve) -> None:
    _, body = object_of(drip(b"x", 12, 0.05), serve=serve, read_timeout=0.4)
    assert [body.read(2) for _ in range(6)] == [b"xx"] * 6  # 0.6 s
    _, body = object_of(drip(b"x", 12, 0.05), serve=serve, read_timeout=0.4)
    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        body.read()


# --- faults


def drip(piece: bytes, number: int, seconds: float) -> Step:
    """An answer whose body comes in pieces, each ``seconds`` after the last."""

    def step(connection: socket.socket, _: Received) -> bool:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (number * len(piece)))
        for _number in range(number):
            time.sleep(seconds)
            connection.sendall(piece)
        return True

    return step


def test_an_answer_that_comes_drop_by_drop_has_no_more_time_than_any_other(serve: Serve) -> None:
    serve(drip(b" ", 40, 0.05))
    began = time.monotonic()
    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        dynamodb(attempts=1, read_timeout=0.2).call("GetItem", **GET)
    assert time.monotonic() - began < 1


def test_a_try_has_no_more_time_for_being_made_on_two_connections(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.1)

    def late(connection: socket.socket, request: Received) -> bool:
        time.sleep(0.8)
        return close(connection, request)

    serve(OK, late, hang)
    client = dynamodb(attempts=2, read_timeout=1)
    client.call("GetItem", **GET)
    (pool,) = client._pools.values()
    began = time.monotonic()
    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        pool.exchange(b"GET / HTTP/1.1\r\n\r\n", again=True)
    assert time.monotonic() - began < 1.5


HALF = [
    raw(b"HTTP/1.1 200 OK\r\nContent-", close=True),
    raw(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{", close=True),
    raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", close=True),
]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("step", "code"),
    [
        (close, "ConnectionClosedError"),
        (reset, "ConnectionClosedError"),
        (hang, "ReadTimeoutError"),
        *((half, "IncompleteReadError") for half in HALF),
    ],
)
def test_without_an_answer_the_request_may_have_been_kept(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, pauses: list[float], tls: bool, step: Step, code: str
) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(step, tls=trusted.server if tls else None)
    with pytest.raises(UnansweredError) as unanswered:
        dynamodb(read_timeout=0.15).call("PutItem")
    assert unanswered.value.sent
    # Over TLS a bare end is an error of its own.
    assert unanswered.value.code in ({code, "ConnectionClosedError"} if tls else {code})
    assert len(server.requests) == 3
    assert pauses == [slim.BACKOFF_SECONDS, 2 * slim.BACKOFF_SECONDS]

    server = serve(step, OK, tls=trusted.server if tls else None)
    assert "Item" in dynamodb(read_timeout=0.15).call("GetItem", **GET)
    assert len(server.requests) == 2

    server = serve(step, OK, tls=trusted.server if tls else None)
    with pytest.raises(UnansweredError) as unanswered:
        dynamodb(read_timeout=0.15, attempts=1).call("PutItem")
    assert unanswered.value.sent
    assert len(server.requests) == 1


def test_a_refused_connection_has_sent_nothing(serve: Serve, pauses: list[float]) -> None:
    serve(OK).stop()
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent
    assert len(pauses) == 2


def test_a_name_that_is_not_found_has_sent_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(OK)
    monkeypatch.setattr(socket, "getaddrinfo", mock.Mock(side_effect=socket.gaierror(-2, "Name not known")))
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent


def test_what_was_sent_once_stays_sent(serve: Serve) -> None:
    def last(_: socket.socket, __: Received) -> bool:
        server.stop()
        return False

    server = serve(last)
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        dynamodb().call("PutItem")
    assert unanswered.value.sent


def test_a_connection_that_does_not_come_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.1)
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing in TLS
    with silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(UnansweredError, match="ConnectTimeoutError") as unanswered:
            dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent


def test_without_credentials_nothing_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    server = serve(OK)
    with pytest.raises(UnansweredError, match="NoCredentialsError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent
    assert not server.connections


# --- trying again


@pytest.mark.parametrize(
    ("step", "longest"),
    [
        (answer(b"", 500), slim.BACKOFF_SECONDS),
        (refusal("InternalServerError", 500), slim.BACKOFF_SECONDS),
        (answer(b"<html>", 502), slim.BACKOFF_SECONDS),
        (refusal("ServiceUnavailableException", 503), slim.BACKOFF_SECONDS),
        (answer(b"", 504), slim.BACKOFF_SECONDS),
        (refusal("ReplicatedWriteConflictException"), slim.BACKOFF_SECONDS),
        (refusal("ThrottlingException"), slim.THROTTLED_SECONDS),
        (refusal("ProvisionedThroughputExceededException"), slim.THROTTLED_SECONDS),
        (answer(b"", 429), slim.THROTTLED_SECONDS),
    ],
)
def test_a_passing_refusal_is_tried_again(serve: Serve, pauses: list[float], step: Step, longest: float) -> None:
    server = serve(step, OK)
    assert "Item" in dynamodb().call("GetItem", **GET)
    assert pauses == [longest]
    assert server.connections == 1

    server = serve(step)
    with pytest.raises(RefusedError):
        dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 3
    assert pauses[1:] == [longest, 2 * longest]

    server = serve(step)
    with pytest.raises(RefusedError):
        dynamodb(attempts=1).call("GetItem", **GET)
    assert len(server.requests) == 1


def test_throttling_and_passing_faults_are_what_botocore_takes_for_them() -> None:
    throttled: Any = standard.ThrottledRetryableChecker
    transient: Any = standard.TransientRetryableChecker
    assert set(throttled._THROTTLED_ERROR_CODES) == slim._THROTTLED
    # DynamoDB's service model has one of its own besides.
    assert {*transient._TRANSIENT_ERROR_CODES, "ReplicatedWriteConflictException"} - slim._THROTTLED == slim._PASSING
    assert set(transient._TRANSIENT_STATUS_CODES) == slim._PASSING_STATUS


def test_pauses_have_full_jitter_and_an_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    for _ in range(400):
        pause(0.1)
    assert 0 <= min(waits) < 0.01 < 0.09 < max(waits) < 0.1
    assert len(set(waits)) > 390


def test_pauses_stop_growing(serve: Serve, pauses: list[float]) -> None:
    serve(refusal("ThrottlingException"))
    with pytest.raises(RefusedError):
        dynamodb(attempts=9).call("GetItem", **GET)
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5, 5]


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("ahead", [-3600, 3600])
@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "InvalidSignatureException", "SignatureDoesNotMatch"])
def test_a_clock_that_is_off_is_corrected(serve: Serve, code: str, ahead: int, attempts: int) -> None:
    theirs = time.time() + ahead
    server = serve(answer(json.dumps({"__type": code}).encode(), 403, Date=formatdate(theirs, usegmt=True)), OK)
    assert "Item" in dynamodb(attempts=attempts).call("GetItem", **GET)
    assert "Item" in dynamodb(attempts=attempts).call("GetItem", **GET)  # remembered

    times = [time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for request in server.requests]
    offsets = [round((timegm(at) - theirs) / 60) for at in times]
    assert offsets == [-ahead / 60, 0, 0]


def test_the_try_that_finds_the_clock_off_does_not_count(serve: Serve) -> None:
    skewed = answer(b'{"__type": "RequestExpired"}', 400, Date=formatdate(time.time() + 3600, usegmt=True))
    server = serve(answer(b"", 500), skewed, OK)
    assert "Item" in dynamodb(attempts=2).call("GetItem", **GET)
    assert len(server.requests) == 3


def test_a_clock_that_another_thread_corrected_meanwhile_is_no_reason_to_give_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = formatdate(time.time() + 3600, usegmt=True)

    def late(connection: socket.socket, request: Received) -> bool:
        monkeypatch.setattr(slim, "_skew", 3600.0)
        return answer(b'{"__type": "RequestTimeTooSkewed"}', 403, Date=theirs)(connection, request)

    serve(late, OK)
    assert "Item" in dynamodb().call("GetItem", **GET)


@pytest.mark.parametrize("date", [{}, {"Date": "yesterday"}, {"Date": formatdate(usegmt=True)}])
def test_a_bad_signature_at_the_right_time_is_just_refused(serve: Serve, date: dict[str, Any]) -> None:
    server = serve(answer(b'{"__type": "InvalidSignatureException"}', 403, **date))
    with pytest.raises(RefusedError, match="InvalidSignatureException"):
        dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 1


def test_a_clock_that_stays_wrong_is_corrected_once_per_call(serve: Serve) -> None:
    steps = [
        answer(b'{"__type": "RequestExpired"}', 400, Date=formatdate(time.time() + 3600 * hours, usegmt=True))
        for hours in (1, 2, 3)
    ]
    server = serve(*steps)
    with pytest.raises(RefusedError, match="RequestExpired"):
        dynamodb().call("GetItem", **GET)
    assert len(server.requests) == 2


# --- connections


def test_a_connection_stays_open(serve: Serve) -> None:
    server = serve(OK)
    client = dynamodb()
    for _ in range(5):
        client.call("GetItem", **GET)
    assert server.connections == 1


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_was_closed_meanwhile_is_noticed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(answer(close=True), OK, tls=trusted.server if tls else None)
    client = dynamodb(attempts=1)
    client.call("GetItem", **GET)
    (pool,) = client._pools.values()
    eventually(lambda: not pool._idle[0].quiet())
    client.call("GetItem", **GET)
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_request_that_a_closed_connection_swallowed_is_sent_again_at_once(serve: Serve, pauses: list[float]) -> None:
    server = serve(OK, close, OK)
    client = dynamodb(attempts=2)
    client.call("GetItem", **GET)
    client.call("GetItem", **GET)
    assert [request.connection for request in server.requests] == [1, 1, 2]
    assert not pauses


def test_a_swallowed_request_stays_sent_when_nobody_listens_any_more(serve: Serve) -> None:
    def last(_: socket.socket, __: Received) -> bool:
        server.stop()
        return False

    server = serve(OK, last)
    client = dynamodb(attempts=2)
    client.call("PutItem")
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        client.call("PutItem")
    assert unanswered.value.sent


def test_where_tries_are_counted_a_swallowed_request_is_told(serve: Serve) -> None:
    server = serve(OK, close, OK)
    client = dynamodb(attempts=1)
    client.call("PutItem")
    with pytest.raises(UnansweredError, match="ConnectionClosedError") as unanswered:
        client.call("PutItem")
    assert unanswered.value.sent
    assert len(server.requests) == 2


@pytest.mark.parametrize(("seconds", "connections"), [(59, 1), (61, 2), (-10, 2)])
def test_a_connection_that_was_idle_for_long_is_not_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, seconds: int, connections: int
) -> None:
    server = serve(OK)
    client = dynamodb()
    client.call("GetItem", **GET)
    later = time.time() + seconds
    monkeypatch.setattr(transport, "time", SimpleNamespace(time=lambda: later, monotonic=time.monotonic))
    client.call("GetItem", **GET)
    assert server.connections == connections


def test_many_threads_share_a_client(serve: Serve) -> None:
    server = serve(echo)
    client = dynamodb(connections=4)
    together = threading.Barrier(8)

    def work(worker: int) -> None:
        together.wait()
        for turn in range(20):
            asked = {"Key": {"pk": {"S": f"{worker}/{turn}"}}}
            assert client.call("GetItem", **asked) == asked

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))
    assert len(server.requests) == 160
    assert 1 <= connections_kept(client) <= 4


def test_the_connection_used_last_is_used_next(serve: Serve) -> None:
    server = serve(answer(b"text"))
    client = SlimClient("s3")
    streams = [client.call("GetObject", Bucket="b", Key="k")["Body"] for _ in range(3)]
    for stream in streams:
        stream.read()
    client.call("GetObject", Bucket="b", Key="k")
    assert [request.connection for request in server.requests] == [1, 2, 3, 3]


# --- TLS and addresses


def test_over_tls_a_bare_end_is_not_the_end_of_an_answer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority("127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    # Without a length, only TLS tells the end from a connection that somebody cut.
    serve(raw(b"HTTP/1.1 200 OK\r\n\r\n{}", close=True), tls=trusted.server)
    with pytest.raises(UnansweredError, match="ConnectionClosedError"):
        dynamodb(attempts=1).call("GetItem", **GET)


def test_tls_with_a_bundle_of_ones_own(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
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
        (("127.0.0.1",), None),  # the system's store
        (("127.0.0.1",), ("127.0.0.1", "another.example")),  # another authority
        (("another.example",), ("another.example",)),  # another host
    ],
)
def test_a_server_that_is_not_trusted_gets_no_request(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, served: tuple[str, ...], trusted: tuple[str, ...] | None
) -> None:
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", authority(*trusted).bundle)
    server = serve(OK, tls=authority(*served).server)
    with pytest.raises(UnansweredError, match="SSLError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent
    assert not server.requests


@pytest.mark.parametrize(
    ("host", "authorities"),
    [
        ("dynamodb.eu-central-1.amazonaws.com", 5),
        ("dynamodb.eu-central-1.api.aws", 5),
        ("dynamodb.cn-north-1.amazonaws.com.cn", None),
        ("amazonaws.com.example", None),
        ("my-amazonaws.com", None),
    ],
)
def test_aws_itself_is_known_by_amazons_roots_alone(
    monkeypatch: pytest.MonkeyPatch, host: str, authorities: int | None
) -> None:
    made = mock.Mock(return_value=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    monkeypatch.setattr(ssl, "create_default_context", made)
    context = transport._context(host)
    assert context is transport._context(host)  # once per process
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    if authorities:
        assert len(context.get_ca_certs()) == authorities
    else:
        made.assert_called_once_with(cafile=None)


STARFIELD = "Starfield Services Root Certificate Authority - G2"
# SHA-256 of the public keys, as https://www.amazontrust.com/repository gives them.
ROOTS = {
    "Amazon Root CA 1": "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2",
    "Amazon Root CA 2": "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461",
    "Amazon Root CA 3": "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9",
    "Amazon Root CA 4": "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5",
    STARFIELD: "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92",
}


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # Starfield's is 0
def test_the_roots_are_amazons() -> None:
    from hashlib import sha256

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    found = {}
    for certificate in x509.load_pem_x509_certificates(amazon_roots.PEM.encode()):
        (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found[str(name.value)] = sha256(key).hexdigest()
        # In good time: a year before one ends.
        assert certificate.not_valid_after_utc.timestamp() > time.time() + 365 * 86_400, name
    assert found == ROOTS


def test_the_roots_are_those_that_everybody_trusts() -> None:
    import certifi

    begin = "-----BEGIN CERTIFICATE-----"
    everybodys = {part.split("-----END")[0] for part in Path(certifi.where()).read_text("utf-8").split(begin)[1:]}
    ours = {part.split("-----END")[0] for part in amazon_roots.PEM.split(begin)[1:]}
    assert len(ours) == 5
    assert ours <= everybodys


def test_every_address_of_a_name_is_tried(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(OK)
    refused = socket.create_server(("127.0.0.1", 0))
    port = refused.getsockname()[1]
    refused.close()
    addresses = [("127.0.0.1", port), ("127.0.0.1", server.port)]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", at) for at in addresses]
    )
    assert "Item" in dynamodb(attempts=1).call("GetItem", **GET)


def addresses_of(monkeypatch: pytest.MonkeyPatch, *found: tuple[int, str, int]) -> None:
    """Let every name have these addresses: family, host, port."""
    answers = [(family, socket.SOCK_STREAM, 0, "", (host, port)) for family, host, port in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)


def test_addresses_that_do_not_answer_share_the_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(OK)
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.4)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as one, socket.socket() as two:
        silent = (socket.AF_INET, *full.getsockname())
        for filler in (one, two):  # from now on it takes no connection
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        addresses_of(monkeypatch, silent, silent, silent, silent)
        began = time.monotonic()
        with pytest.raises(UnansweredError, match="ConnectTimeoutError"):
            dynamodb(attempts=1).call("GetItem", **GET)
        assert time.monotonic() - began < 0.8
        addresses_of(monkeypatch, silent, (socket.AF_INET, "127.0.0.1", server.port))
        assert "Item" in dynamodb(attempts=1).call("GetItem", **GET)


def test_an_address_of_a_kind_that_the_machine_does_not_have_is_passed_over(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(OK)
    unknown = 9999
    addresses_of(monkeypatch, (unknown, "::1", server.port), (socket.AF_INET, "127.0.0.1", server.port))
    assert "Item" in dynamodb(attempts=1).call("GetItem", **GET)
    addresses_of(monkeypatch, (unknown, "::1", server.port))
    with pytest.raises(UnansweredError, match="EndpointConnectionError"):
        dynamodb(attempts=1).call("GetItem", **GET)


@pytest.mark.parametrize("tls", [False, True])
def test_ipv6(serve: Serve, monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    trusted = authority("::1")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(OK, host="::1", tls=trusted.server if tls else None)
    assert "Item" in dynamodb().call("GetItem", **GET)
    assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


# --- tracing and cost


class Spans:
    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.ended: list[tuple[int | None, str | None, int]] = []

    def begin(self, service: str, operation: str, parameters: Any) -> "Spans":
        self.begun.append((service, operation))
        return self

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        self.ended.append((status, request_id, retries))


def test_every_call_has_a_span(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = Spans()
    monkeypatch.setattr(slim, "tracing", lambda kind: spans if kind == "datagrams" else None)
    serve(answer(x_amzn_RequestId="r1"), answer(b"", 500), answer(x_amzn_RequestId="r2"), refusal("X"), close)
    client = dynamodb()
    client.call("GetItem", **GET)
    client.call("GetItem", **GET)
    with pytest.raises(RefusedError):
        client.call("PutItem")
    with pytest.raises(UnansweredError):
        client.call("PutItem")
    assert spans.begun == [("dynamodb", operation) for operation in ("GetItem", "GetItem", "PutItem", "PutItem")]
    assert spans.ended == [(200, "r1", 0), (200, "r2", 1), (400, None, 0), (None, None, 2)]


def test_a_call_brings_few_modules_along(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority("localhost")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(OK, tls=trusted.server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
    code = f"""
import sys
sys.path.append({str(Path(readplane.__file__).parent.parent)!r})
from readplane.aws.slim.client import SlimClient
SlimClient("dynamodb").call("GetItem", **{GET!r})
print(*sys.modules)
"""
    loaded = set(subprocess.check_output([sys.executable, "-I", "-c", code], text=True).split())
    assert server.requests
    sdk = {"boto3", "botocore", "urllib3"}
    costly = {"asyncio", "concurrent.futures", "dataclasses", "datetime", "email", "http.client", "inspect", "logging"}
    costly |= {"random", "subprocess", "tempfile", "threading", "traceback", "urllib.parse", "urllib.request", "uuid"}
    costly |= {"encodings.idna", "stringprep", "unicodedata"}
    assert not loaded & (sdk | costly)
    assert len(loaded) < 95
