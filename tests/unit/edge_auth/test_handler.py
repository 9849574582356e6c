"""Test the events of CloudFront that `edge_auth` serves, and how it starts."""

import json
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from readplane.api.problem import not_found
from readplane.edge_auth import handler as module
from readplane.edge_auth.handler import handler, make_edge_auth
from readplane.edge_auth.settings import parameter_name
from readplane.entrypoint import CHECK
from readplane.stores.documents import VERSION_METADATA
from tests.fakes.moto_aws import Aws
from tests.fakes.token_attacks import MISSING, OWNER, Attempt, Forge, bearer
from tests.unit.edge_auth.support import (
    REQUEST_ID,
    SETTINGS,
    UNREACHABLE,
    Sandbox,
    event,
    header,
    origin_response,
    viewer_request,
)
from tests.unit.edge_auth.test_keys import respond, server

CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 5_000)

S3_ERROR = {
    "x-amz-request-id": "4442587FB7D0A2F9",
    "x-amz-id-2": "abc=",
    "x-amz-bucket-region": "eu-central-1",
    "Server": "AmazonS3",
    "Date": "Fri, 27 Nov 2026 12:00:00 GMT",
    "Content-Type": "application/xml",
    "ETag": '"old"',
    "Transfer-Encoding": "chunked",
    "Via": "1.1 example",
}

FORBIDDEN = (
    *("connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "trailer"),
    *("upgrade", "x-accel-buffering", "x-accel-charset", "x-accel-limit-rate", "x-accel-redirect", "x-cache"),
    *("x-forwarded-proto", "x-real-ip", "content-length", "host", "warning"),
)
"""The headers that a function may not add ("Restrictions on all edge functions").

Those that begin with x-amz-cf-, x-amzn- or x-edge- come on top.
"""


@pytest.mark.parametrize("status", [200, 206, 304])
def test_a_document_leaves_with_its_version(status: int, sandbox: Sandbox) -> None:
    version = "019ab3f0-0000-7000-8000-000000000000"
    record = origin_response(status, {f"x-amz-meta-{VERSION_METADATA}": version, "ETag": '"e"'})
    response = sandbox.function(record)
    assert response["status"] == str(status) and "body" not in response
    assert header(response, "Readplane-Version") == version and header(response, "ETag") == '"e"'


def test_a_document_without_a_version_leaves_unchanged(sandbox: Sandbox) -> None:
    record = origin_response(200, {"ETag": '"e"', "Cache-Control": "max-age=60"})
    assert (
        sandbox.function(record)
        == origin_response(200, {"ETag": '"e"', "Cache-Control": "max-age=60"})["Records"][0]["cf"]["response"]
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, 404), (404, 404), (400, 400), (405, 405), (412, 412), (416, 416), (499, 502)]
    + [(status, status) for status in (500, 501, 502, 503, 504)],
)
def test_an_error_of_s3_becomes_a_problem_document(status: int, expected: int, sandbox: Sandbox) -> None:
    response = sandbox.function(origin_response(status, S3_ERROR | {"Content-Range": "bytes */9"}))
    document = json.loads(response["body"])
    assert (response["status"], document["status"]) == (str(expected), expected)
    assert response["statusDescription"] == document["title"] == HTTPStatus(expected).phrase
    assert document["request_id"] == REQUEST_ID and response["bodyEncoding"] == "text"
    assert header(response, "Content-Type") == "application/problem+json"
    assert header(response, "Cache-Control") == "no-store"
    assert header(response, "Retry-After") == ("5" if expected in (500, 501, 502, 503, 504) and status != 499 else None)
    assert header(response, "Transfer-Encoding") == "chunked" and header(response, "Via") == "1.1 example"
    assert header(response, "Content-Range") == "bytes */9"
    for name in ("x-amz-request-id", "x-amz-id-2", "x-amz-bucket-region", "server", "etag"):
        assert header(response, name) is None
    if expected == 404:
        assert document == not_found("document").document(REQUEST_ID), "the same document as the API's"


def test_a_head_request_gets_no_body(sandbox: Sandbox) -> None:
    assert "body" not in sandbox.function(origin_response(403, S3_ERROR, "HEAD"))
    response = sandbox.send(Attempt(method="HEAD"))
    assert response["status"] == "401" and "body" not in response


@pytest.mark.parametrize("uri", ["/nosuch", "/assets/old.js", "/documents", "/", "/Documents/orders/o-1"])
def test_an_address_that_the_web_client_lacks_is_a_page(uri: str, sandbox: Sandbox) -> None:
    response = sandbox.function(origin_response(403, S3_ERROR, uri=uri))
    assert (response["status"], header(response, "Content-Type")) == ("404", "text/html; charset=utf-8")
    assert header(response, "Cache-Control") == "no-store" and header(response, "x-amz-request-id") is None
    assert "nothing at this address" in response["body"] and "<style" not in response["body"]
    assert "body" not in sandbox.function(origin_response(403, S3_ERROR, "HEAD", uri=uri))
    failure = sandbox.function(origin_response(503, S3_ERROR, uri=uri))
    assert (failure["status"], header(failure, "Content-Type")) == ("503", "application/problem+json")


def test_a_preflight_that_s3_refuses_is_allowed(sandbox: Sandbox) -> None:
    response = sandbox.function(origin_response(403, S3_ERROR, "OPTIONS"))
    assert (response["status"], response["body"]) == ("204", "")
    assert header(response, "Allow") == "GET, HEAD, OPTIONS" and header(response, "Content-Type") is None
    assert header(response, "Access-Control-Allow-Origin") is None, "the response headers policy adds the CORS headers"


def test_the_origin_response_needs_no_settings(forge: Forge) -> None:
    sandbox = Sandbox(UNREACHABLE, UNREACHABLE)
    assert sandbox.function(origin_response(403))["status"] == "404"
    assert not sandbox.parameter.reads and not sandbox.key_set.reads


@pytest.mark.parametrize("kind", ["origin-request", "viewer-response", "other"])
def test_another_event_fails(kind: str, sandbox: Sandbox, forge: Forge) -> None:
    # CloudFront then sends a 502, so a wrong association opens nothing.
    record = viewer_request(bearer(forge.valid))["Records"][0]["cf"]
    with pytest.raises(ValueError, match=f"no {kind} events"):
        sandbox.function(event(kind, request=record["request"]))


def test_made_responses_keep_cloudfronts_limits(sandbox: Sandbox, forge: Forge) -> None:
    attempts = [
        Attempt(),
        Attempt(method="OPTIONS"),
        Attempt(method="POST"),
        bearer(forge.valid, "/documents/orders/" + "x" * 8_000),
        bearer(forge.token(scope=MISSING)),
        bearer("x" * 20_000),
    ]
    responses = [sandbox.send(attempt) for attempt in attempts]
    responses += [Sandbox(UNREACHABLE).send(bearer(forge.valid)), sandbox.function(origin_response(403))]
    for response in responses:
        assert len(json.dumps(response)) < 40_960, "the limit of a made response"
        for name, values in response["headers"].items():
            assert name not in FORBIDDEN and not name.startswith(("x-amz-cf-", "x-amzn-", "x-edge-"))
            assert [entry["key"].lower() for entry in values] == [name]
            assert all(entry["value"].isascii() and entry["value"].isprintable() for entry in values)


def test_a_bug_ends_in_a_503_and_a_log_line(
    sandbox: Sandbox, forge: Forge, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(forge.valid)

    monkeypatch.setattr(module, "verify_token", fail)
    response = sandbox.send(bearer(forge.valid, OWNER))
    assert response["status"] == "503" and header(response, "Access-Control-Allow-Origin")
    printed = capsys.readouterr().out
    line = json.loads(printed)
    assert (line["event"], line["error"]) == ("request_failed", ["ZeroDivisionError"]) and line["timestamp"]
    assert forge.valid not in printed


def test_it_starts_from_its_parameter_and_its_key_set(aws: Aws, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    make: Any = boto3.client
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "us-east-1.demo-edge-auth")
    with server(respond(b"200 OK", forge.key_set())) as (uri, requests):
        settings = SETTINGS | {"pools": [SETTINGS["pools"][0] | {"jwks_uri": uri}]}
        name = parameter_name("demo-edge-auth")
        ssm = make("ssm", region_name="us-east-1")
        ssm.put_parameter(Name=name, Value=json.dumps(settings), Type="String")
        assert len(json.dumps(settings, separators=(",", ":"))) < 4_096
        function, calls = aws.during(make_edge_auth)
        assert calls == ["GetParameter"] and len(requests) == 1, "init reads both"
        response, calls = aws.during(lambda: function(viewer_request(Attempt()), None))
        assert response["status"] == "401" and not calls and len(requests) == 1

        assert handler(CHECK, CONTEXT) == {"problems": []}
        ssm.put_parameter(Name=name, Value=json.dumps(settings | {"v": 9}), Type="String", Overwrite=True)
        assert handler(CHECK, CONTEXT) == {"problems": ["The settings can't be read: v must be 1."]}
        ssm.put_parameter(Name=name, Value=json.dumps(settings), Type="String", Overwrite=True)
    (problem,) = handler(CHECK, CONTEXT)["problems"]
    assert problem == f"The key set {uri} can't be read: EndpointConnectionError."


def test_without_ssm_it_starts_and_serves_origin_responses(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, forge: Forge, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("readplane.aws.faults.time.sleep", lambda _: None)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "us-east-1.another-edge-auth")
    function = make_edge_auth()
    assert function(origin_response(404), None)["status"] == "404"
    assert function(viewer_request(bearer(forge.valid)), None)["status"] == "503"
    assert '"error_code":"ParameterNotFound"' in capsys.readouterr().out
