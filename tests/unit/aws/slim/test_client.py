"""Tests of the slim client: the requests that it sends, the spans that it records, and the modules that it loads."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import readplane
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.aws.slim import client as slim_client
from readplane.aws.slim.client import SlimClient
from tests.unit.aws.slim.server import Received, authority, close, error_response, response
from tests.unit.aws.slim.support import GET, OK, StartServer, dynamodb


def botocore_authorization(request: Received, service: str, url: str) -> str:
    """Return the ``Authorization`` header that botocore computes for a request that the slim client has sent."""
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
    ("s3", "GetObject", {"Bucket": "docs", "Key": "config/a.json", "VersionId": "a+/=&ü~b_c.d"}, b"", ""),
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
def test_each_call_sends_the_request_that_aws_expects_with_botocores_signature(
    serve: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    call: tuple[str, str, dict[str, Any], bytes, str],
    token: str | None,
) -> None:
    service, operation, parameters, body, target = call
    if token:
        monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    server = serve(response(b""))
    SlimClient(service).call(operation, **parameters)

    (request,) = server.requests
    assert request.body == body
    assert request.headers.get("x-amz-target", "") == target
    assert request.headers.get("x-amz-security-token") == token
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["user-agent"] == "readplane"
    assert request.headers["authorization"] == botocore_authorization(request, service, server.url)


def test_only_a_lambda_function_sends_its_trace_header(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(OK)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0"
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    dynamodb().call("GetItem", **GET)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "read")
    dynamodb().call("GetItem", **GET)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"{trace}\r\nx-amz-target: DynamoDB_20120810.DeleteTable")
    dynamodb().call("GetItem", **GET)

    outside_lambda, in_lambda, with_line_break = server.requests
    assert in_lambda.headers["x-amzn-trace-id"] == trace
    assert "x-amzn-trace-id" not in in_lambda.headers["authorization"]
    assert "x-amzn-trace-id" not in outside_lambda.headers.keys() | with_line_break.headers.keys()


def test_an_unknown_service_is_refused_at_init() -> None:
    with pytest.raises(ValueError, match="kinesis"):
        SlimClient("kinesis")


def test_without_credentials_nothing_is_sent(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    server = serve(OK)
    with pytest.raises(UnansweredError, match="NoCredentialsError") as unanswered:
        dynamodb().call("GetItem", **GET)
    assert not unanswered.value.sent
    assert not server.connections


class RecordedSpans:
    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.ended: list[tuple[int | None, str | None, int]] = []

    def begin(self, service: str, operation: str, parameters: Any) -> "RecordedSpans":
        self.begun.append((service, operation))
        return self

    def end(self, status: int | None, request_id: str | None, retries: int) -> None:
        self.ended.append((status, request_id, retries))


def test_every_call_has_a_span_whatever_its_outcome(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = RecordedSpans()
    monkeypatch.setattr(slim_client, "process_tracing", lambda kind: spans if kind == "datagrams" else None)
    serve(
        response(x_amzn_RequestId="r1"), response(b"", 500), response(x_amzn_RequestId="r2"), error_response("X"), close
    )
    client = dynamodb()
    client.call("GetItem", **GET)
    client.call("GetItem", **GET)
    with pytest.raises(RefusedError):
        client.call("PutItem")
    with pytest.raises(UnansweredError):
        client.call("PutItem")
    assert spans.begun == [("dynamodb", operation) for operation in ("GetItem", "GetItem", "PutItem", "PutItem")]
    assert spans.ended == [(200, "r1", 0), (200, "r2", 1), (400, None, 0), (None, None, 2)]


def test_a_call_loads_few_modules_and_no_slow_ones(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = authority("localhost")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted.bundle)
    server = serve(OK, tls=trusted.server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://localhost:{server.port}")
    package = str(Path(readplane.__file__).parent.parent)
    command = [sys.executable, "-I", str(Path(__file__).with_name("loaded_modules.py")), package, json.dumps(GET)]
    loaded = set(subprocess.check_output(command, text=True).split())
    assert server.requests
    sdk = {"boto3", "botocore", "urllib3"}
    slow = {"asyncio", "concurrent.futures", "dataclasses", "datetime", "email", "http.client", "inspect", "logging"}
    slow |= {"random", "subprocess", "tempfile", "threading", "traceback", "urllib.parse", "urllib.request", "uuid"}
    slow |= {"encodings.idna", "stringprep", "unicodedata"}
    assert not loaded & (sdk | slow)
    assert len(loaded) < 95
