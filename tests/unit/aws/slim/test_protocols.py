"""Tests of the protocols of AWS's services: S3 requests, results in the form of boto3's, and AWS's error codes."""

import base64
import socket
import zlib
from typing import Any

import pytest

from readplane.aws.faults import RefusedError, UnansweredError
from readplane.aws.slim.client import SlimClient
from tests.unit.aws.slim.server import Step, authority, error_response, raw_response, response
from tests.unit.aws.slim.support import GET, OK, StartServer, dynamodb


def test_s3_requests_carry_the_object_and_its_metadata(serve: StartServer) -> None:
    server = serve(response(b"", ETag='"e"'))
    client = SlimClient("s3")
    client.call("GetObject", Bucket="docs", Key="public/ü +~/a..b/..", IfNoneMatch='"e"')
    result = client.call(
        "PutObject",
        Bucket="docs",
        Key="a/b.json",
        Body=b"{}",
        ContentType="application/json",
        CacheControl="no-cache",
        Metadata={"Readplane-Version": "0198"},
    )
    assert result == {"ETag": '"e"'}

    get, put = server.requests
    assert (get.method, get.path) == ("GET", "/docs/public/%C3%BC%20%2B~/a..b/..")
    assert get.headers["if-none-match"] == '"e"'
    assert (put.method, put.path) == ("PUT", "/docs/a/b.json")
    assert put.headers["content-type"] == "application/json"
    assert put.headers["cache-control"] == "no-cache"
    assert put.headers["x-amz-meta-readplane-version"] == "0198"
    digest = bytes.fromhex(put.headers["x-amz-content-sha256"])
    assert put.headers["x-amz-checksum-sha256"] == base64.b64encode(digest).decode()


def test_a_version_of_an_object_is_named_in_the_query(serve: StartServer) -> None:
    server = serve(response(b"text"))
    body = SlimClient("s3").call("GetObject", Bucket="docs", Key="a", VersionId="3/L4k+q=")["Body"]
    assert body.read() == b"text"
    assert server.requests[0].path == "/docs/a?versionId=3%2FL4k%2Bq%3D"


@pytest.mark.parametrize(
    ("bucket", "host", "path"),
    [
        ("docs", "docs.s3.eu-central-1.amazonaws.com", "/a/b"),
        # Name the bucket in the path, because AWS's wildcard certificate doesn't cover a bucket name with a dot.
        ("my.docs", "s3.eu-central-1.amazonaws.com", "/my.docs/a/b"),
    ],
)
def test_on_aws_a_bucket_has_its_own_host_unless_its_name_has_a_dot(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch, bucket: str, host: str, path: str
) -> None:
    trusted = authority("*.s3.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com")
    server = serve(response(b"text"), tls=trusted.server)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    resolved = []

    def resolve_to_server(name: bytes, port: int, **_: Any) -> list[Any]:
        resolved.append((name, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve_to_server)
    assert SlimClient("s3").call("GetObject", Bucket=bucket, Key="a/b")["Body"].read() == b"text"
    assert resolved == [(host.encode(), 443)]
    assert (server.requests[0].headers["host"], server.requests[0].path) == (host, path)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("GetObject", {"Bucket": "docs", "Key": ""}),  # refused, because S3 would list the bucket instead
        ("GetObject", {"Bucket": "", "Key": "a"}),
        ("GetObject", {"Bucket": "docs"}),
        ("GetObject", {"Bucket": "docs", "Key": "a", "Range": "bytes=0-1"}),
        ("PutObject", {"Bucket": "docs", "Key": "a", "Body": b"", "VersionId": "1"}),
        ("GetObject", {"Bucket": "docs", "Key": "a", "IfNoneMatch": '"e"\r\nx-amz-acl: public-read'}),
        ("PutObject", {"Bucket": "docs", "Key": "a", "Body": b"", "Metadata": {"a\nb": "c"}}),
        ("DeleteObject", {"Bucket": "docs", "Key": "a"}),
    ],
)
def test_an_s3_call_that_would_do_something_else_is_refused_before_it_is_sent(
    serve: StartServer, operation: str, parameters: dict[str, Any]
) -> None:
    server = serve(OK)
    with pytest.raises(ValueError, match="s3: "):
        SlimClient("s3").call(operation, **parameters)
    assert not server.connections


def test_a_result_is_what_boto3_returns(serve: StartServer) -> None:
    serve(
        OK,
        response(b""),
        response(b"text", ETag='"e"', Content_Type="application/json", x_amz_meta_readplane_version="7"),
    )
    assert dynamodb().call("GetItem", **GET) == {"Item": {"pk": {"S": "products/p-1"}}}
    assert SlimClient("sqs").call("ChangeMessageVisibility", QueueUrl="q") == {}
    result = SlimClient("s3").call("GetObject", Bucket="b", Key="k")
    assert result.pop("Body").read() == b"text"
    assert result == {"ETag": '"e"', "ContentType": "application/json", "Metadata": {"readplane-version": "7"}}


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (error_response("ConditionalCheckFailedException"), "ConditionalCheckFailedException"),
        (response(b'{"__type": "ValidationException"}', 400), "ValidationException"),
        (response(b"", 400, x_amzn_ErrorType="AccessDenied:http://internal.example/"), "AccessDenied"),
        (
            response(
                b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist"}', 400, x_amzn_query_error="AWS.SQS.None;Sender"
            ),
            "AWS.SQS.None",
        ),
        (response(b"<html>", 400), "400"),
        (response(b"[]", 400), "400"),
    ],
)
def test_a_refused_call_raises_awss_error_code_without_a_retry(serve: StartServer, step: Step, code: str) -> None:
    server = serve(step)
    with pytest.raises(RefusedError) as refused:
        dynamodb().call("PutItem")
    assert (refused.value.code, refused.value.status) == (code, 400)
    assert len(server.requests) == 1


def test_a_refused_call_raises_the_errors_other_members(serve: StartServer) -> None:
    serve(error_response("ConditionalCheckFailedException", Item={"version": {"S": "7"}}))
    with pytest.raises(RefusedError) as refused:
        dynamodb().call("PutItem")
    assert refused.value.members["Item"] == {"version": {"S": "7"}}


CHUNKED = b"HTTP/1.1 %b \r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("step", "code", "status"),
    [
        (response(b"<?xml?>\n<Error><Code>NoSuchKey</Code><Key>k</Key></Error>", 404), "NoSuchKey", 404),
        (raw_response(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 77\r\n\r\n"), "304", 304),
        (raw_response(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"), "304", 304),
        (response(b"", 403), "403", 403),
        (raw_response(CHUNKED % b"403", b"f\r\n<Code>Other</Co", b"\r\n3\r\nde>\r\n0\r\n\r\n"), "Other", 403),
    ],
)
def test_s3_errors_are_read_to_their_end_so_that_the_connection_can_be_reused(
    serve: StartServer, step: Step, code: str, status: int
) -> None:
    server = serve(step)
    client = SlimClient("s3")
    for _ in range(2):
        with pytest.raises(RefusedError) as refused:
            client.call("GetObject", Bucket="b", Key="k")
        assert (refused.value.code, refused.value.status) == (code, status)
    assert server.connections == 1


def test_dynamodbs_checksum_is_verified(serve: StartServer) -> None:
    body = b'{"Item": {}}'
    server = serve(response(body, x_amz_crc32=str(zlib.crc32(body))), response(body, x_amz_crc32="7"))
    client = dynamodb(attempts=2)
    assert client.call("GetItem", **GET) == {"Item": {}}
    with pytest.raises(UnansweredError, match="ChecksumError"):
        client.call("GetItem", **GET)
    assert len(server.requests) == 3
