"""Tests of responses: problem documents, CORS headers, and what the log says about an error."""

import json
from http import HTTPStatus

import pytest

from readplane.api.problem import not_found
from readplane.api.request import Request
from readplane.api.response import Response, cors_headers, respond
from readplane.telemetry import Telemetry
from tests.unit.support import api_event
from tests.unit.write.support import WriteService, put


@pytest.fixture
def service() -> WriteService:
    return WriteService()


def test_a_bug_is_logged_by_type_and_place_but_not_by_text(
    service: WriteService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.log.failure = RuntimeError("token=abc")
    status, body, headers = service(put())
    out = capsys.readouterr().out
    assert status == 503 and headers["Retry-After"] == "1"
    assert "abc" not in json.dumps(body) and "abc" not in out
    logged = json.loads(out.splitlines()[0])
    assert logged["error"] == ["RuntimeError"] and any("support.py" in place for place in logged["place"])


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        (("https://app.example.com",), "https://app.example.com"),
        (("https://app.example.com", "https://admin.example.com"), "*"),
        ((), None),
    ],
)
def test_cors_headers_are_the_same_for_every_caller(
    service: WriteService, origins: tuple[str, ...], allowed: str | None
) -> None:
    """Check this, because a cache may then return one response to callers of all origins."""
    constant = cors_headers(origins)
    for caller in ({}, {"Origin": "https://app.example.com"}, {"Origin": "https://evil.example.com"}):
        for event in (put(headers=caller), put("[", headers=caller)):
            headers = respond(event, constant, service.write.telemetry, service.write)["headers"]
            assert headers.get("Access-Control-Allow-Origin") == allowed
            assert ("Access-Control-Expose-Headers" in headers) == (allowed is not None)
            assert "Origin" not in headers.get("Vary", "")


def test_a_response_that_needs_a_token_varies_with_it() -> None:
    """Check this, because a browser's cache would otherwise return the response to the next user."""

    def serve(request: Request) -> Response:
        if "fail" in request.query:
            raise not_found("item")
        return Response(HTTPStatus.OK, "{}", {})

    def vary(query: dict[str, str], *, signed_in: bool) -> str | None:
        event = api_event("GET", "/items/products", query=query)
        if not signed_in:
            del event["requestContext"]["authorizer"]
        headers: dict[str, str] = respond(event, {}, Telemetry("read", "demo"), serve)["headers"]
        return headers.get("Vary")

    for query in ({}, {"fail": "1"}):
        assert vary(query, signed_in=True) == "Authorization"
        assert vary(query, signed_in=False) is None


def test_the_response_to_a_head_request_has_no_body() -> None:
    def serve(request: Request) -> Response:
        if "fail" in request.query:
            raise not_found("item")
        return Response(HTTPStatus.OK, '{"a":1}', {"ETag": '"e"'})

    for query, status in (({}, 200), ({"fail": "1"}, 404)):
        get, head = (
            respond(api_event(method, "/items/products", query=query), {}, Telemetry("read", "demo"), serve)
            for method in ("GET", "HEAD")
        )
        assert (head["statusCode"], head["body"]) == (status, "") and get["body"]
        assert head["headers"] == get["headers"]


def test_the_log_of_a_refusal_holds_no_text_of_the_caller(
    service: WriteService, capsys: pytest.CaptureFixture[str]
) -> None:
    service(put('{"name": 7, "s3cret-name": 1, "s3cret-name": 2}'))
    service(put(item_id="s3cret/name"))
    out = capsys.readouterr().out
    assert "s3cret" not in out
    first, second = map(json.loads, out.splitlines())
    assert (first["status"], first["resource"]) == (400, "items/products/{item_id}")
    assert second["parameter"] == "item_id"


def test_the_log_of_a_refusal_holds_no_name_of_an_unknown_query_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    def serve(request: Request) -> Response:
        request.refuse_unknown_parameters()
        raise AssertionError

    for name, logged in (("s3cret", "an unknown query parameter"), ("cursor", "cursor")):
        event = api_event("GET", "/items/products", query={name: "x"})
        response = respond(event, {}, Telemetry("read", "demo"), serve)
        assert json.loads(response["body"])["parameter"] == name
        assert json.loads(capsys.readouterr().out)["parameter"] == logged
