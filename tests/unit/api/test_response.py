"""Tests of responses: problem documents, CORS headers, and what the log says about an error."""

import json

import pytest

from readplane.api.response import respond
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
    ("origin", "allowed"), [("https://app.example.com", True), ("https://evil.example.com", False), (None, False)]
)
def test_cors_headers_name_the_callers_origin_if_it_is_listed(
    service: WriteService, origin: str | None, allowed: bool
) -> None:
    _, _, headers = service(put(headers={"Origin": origin} if origin else {}))
    assert headers["Vary"] == "Origin"
    assert headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_with_one_listed_origin_every_caller_gets_the_same_headers(service: WriteService) -> None:
    """Check this, because a cache may then serve the same response to callers of all origins."""
    origins = ("https://app.example.com",)
    responses = [
        respond(put(headers=headers), origins, service.write.telemetry, service.write)["headers"]
        for headers in ({}, {"Origin": origins[0]}, {"Origin": "https://evil.example.com"})
    ]
    for headers in responses:
        assert headers["Access-Control-Allow-Origin"] == origins[0] and "Vary" not in headers
    plain = respond(put(headers={"Origin": origins[0]}), (), service.write.telemetry, service.write)["headers"]
    assert not [name for name in plain if name.startswith("Access-Control")]


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
