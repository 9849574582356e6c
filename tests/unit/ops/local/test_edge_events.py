"""Test the events of Lambda@Edge in the stand-in: when a function runs, what it sees, and what it may return."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from ops.local.edge_events import FunctionError
from ops.local.edge_messages import OriginConnectionError, Response
from tests.unit.ops.local.edge_support import (
    AUTH,
    Stand,
    answer,
    behaviour,
    changed,
    custom,
    functions,
    items,
    result,
)

Function = Callable[[dict[str, Any]], Any]


def stand_with(function: Function, *events: str, target: str = "site", **replies: Any) -> Stand:
    """Return a stand-in whose default behaviour associates a function with these events."""
    associations = functions(**dict.fromkeys(events, AUTH))
    return Stand(changed(DefaultCacheBehavior=behaviour(None, target, **associations)), function=function, **replies)


def same(entry: dict[str, Any]) -> Any:
    """Return the request or the response of an event without a change."""
    return entry.get("response") or entry["request"]


def one(key: str, value: str) -> list[dict[str, str]]:
    return [{"key": key, "value": value}]


HOST = {"host": one("Host", "d1.cloudfront.net")}
"""The read-only headers of the tests' viewer requests."""

ALL_EVENTS = ("viewer_request", "origin_request", "origin_response", "viewer_response")


def kinds(stand: Stand) -> list[str]:
    """Return the types of the events so far."""
    return [entry["config"]["eventType"] for entry in stand.events]


def test_a_miss_runs_all_events_and_a_hit_only_the_viewers() -> None:
    stand = stand_with(same, *ALL_EVENTS, site=answer("x", cache_control="max-age=60"))
    stand("/x")
    assert kinds(stand) == ["viewer-request", "origin-request", "origin-response", "viewer-response"]
    stand.events.clear()
    assert result(stand("/x")) == "Hit"
    assert kinds(stand) == ["viewer-request", "viewer-response"]


def test_viewer_request_refuses_on_a_warm_cache() -> None:
    """A warm object doesn't help a viewer without a token."""

    def check(entry: dict[str, Any]) -> Any:
        allowed = "authorization" in entry["request"]["headers"]
        return entry["request"] if allowed else {"status": "401", "headers": {}, "body": "no"}

    stand = stand_with(check, "viewer_request", site=answer("secret", cache_control="max-age=60"))
    assert stand("/x", authorization="Bearer t").body == b"secret"
    refused = stand("/x")
    assert (refused.status, refused.body, result(refused)) == (401, b"no", "LambdaGeneratedResponse")
    assert result(stand("/x", authorization="Bearer u")) == "Hit"


def test_an_answer_of_viewer_request_is_not_cached_and_runs_no_other_event() -> None:
    stand = stand_with(
        lambda entry: {"status": 200, "headers": {"cache-control": one("Cache-Control", "max-age=60")}, "body": "x"},
        "viewer_request",
        "viewer_response",
    )
    for _ in range(2):
        assert result(stand("/x")) == "LambdaGeneratedResponse"
    assert kinds(stand) == ["viewer-request"] * 2


def test_viewer_request_changes_the_object_but_not_the_behaviour() -> None:
    def rewrite(entry: dict[str, Any]) -> Any:
        return entry["request"] | {"uri": "/pair/y", "querystring": "a=1"}

    stand = stand_with(rewrite, "viewer_request", site=answer("site"))
    assert stand("/x").body == b"site"
    assert stand.origins.received[0][1].path == "/pair/y"


def test_an_event_describes_the_request() -> None:
    stand = stand_with(same, "viewer_request", site=answer())
    stand("/a//b?x=1", accept_language="de", connection="close", x_edge_secret="1")
    entry = stand.events[0]
    assert entry["config"] | {"requestId": ""} == {
        "distributionDomainName": "d1.cloudfront.net",
        "distributionId": "E1",
        "eventType": "viewer-request",
        "requestId": "",
    }
    assert entry["request"] == {
        "clientIp": "127.0.0.1",
        "method": "GET",
        "querystring": "x=1",
        "uri": "/a//b",
        "headers": {
            "host": one("Host", "d1.cloudfront.net"),
            "accept-language": one("Accept-Language", "de"),
        },
    }, "the function gets the raw path, and no disallowed header"


def test_repeated_headers_reach_the_function_apart() -> None:
    from ops.local.edge_messages import Request

    stand = stand_with(same, "viewer_request", site=answer())
    stand.edge.handle(Request("GET", "/x", {"authorization": ["Bearer a", "Bearer b"]}))
    assert [entry["value"] for entry in stand.events[0]["request"]["headers"]["authorization"]] == [
        "Bearer a",
        "Bearer b",
    ]


def test_an_origin_event_describes_the_origin_and_the_forwarded_request() -> None:
    header = {"HeaderName": "Referer", "HeaderValue": "secret"}
    origins = items(custom("site", CustomHeaders=items(header), OriginPath="/v2"))
    stand = Stand(
        changed(
            Origins=origins,
            OriginGroups=items(),
            DefaultCacheBehavior=behaviour(None, "site", **functions(origin_request=AUTH)),
            CacheBehaviors=items(),
        ),
        site=answer(),
    )
    stand("/x", authorization="Bearer t", cookie="a=1")
    request = stand.events[0]["request"]
    assert not {"authorization", "cookie"} & set(request["headers"])
    described = request["origin"]["custom"]
    assert (described["domainName"], described["path"]) == ("api.example.com", "/v2")
    assert described["customHeaders"] == {"referer": one("Referer", "secret")}
    assert (described["port"], described["protocol"], described["readTimeout"]) == (443, "https", 20)


def test_origin_request_may_answer_and_the_cache_keeps_the_answer() -> None:
    stand = stand_with(
        lambda entry: {"status": "200", "headers": {"cache-control": one("Cache-Control", "max-age=60")}, "body": "x"},
        "origin_request",
    )
    assert [(result(response), response.body) for response in (stand("/x"), stand("/x"))] == [
        ("Miss", b"x"),
        ("Hit", b"x"),
    ]
    assert stand.origins.count == 0


def problem(entry: dict[str, Any]) -> Any:
    """Turn every error of an origin into a problem document with the same status."""
    response = entry["response"]
    if int(response["status"]) < 400:
        return response
    headers = {"content-type": one("Content-Type", "application/problem+json")}
    return {"status": response["status"], "headers": headers, "body": '{"title":"x"}'}


def test_origin_response_runs_for_errors_and_the_cache_keeps_its_result() -> None:
    stand = stand_with(problem, "origin_response", "viewer_response", site=answer("<xml/>", 404))
    for _ in range(2):
        response = stand("/x")
        assert (response.status, response.body) == (404, b'{"title":"x"}')
        assert response.header("content-type") == "application/problem+json"
    assert kinds(stand) == ["origin-response"], "the error is cached, and viewer-response doesn't run for 4xx"


def test_origin_response_keeps_the_body_that_it_does_not_replace() -> None:
    def add_header(entry: dict[str, Any]) -> Any:
        entry["response"]["headers"]["x-version"] = one("X-Version", "7")
        return entry["response"]

    stand = stand_with(add_header, "origin_response", site=answer("body", etag='"1"'))
    response = stand("/x")
    assert (response.body, response.header("x-version"), response.header("etag")) == (b"body", "7", '"1"')


def test_origin_response_does_not_run_without_a_response() -> None:
    stand = stand_with(problem, "origin_response", site=OriginConnectionError())
    response = stand("/x")
    assert (response.status, response.header("content-type"), stand.events) == (502, "text/html", [])


def test_the_origin_events_run_again_for_the_second_origin() -> None:
    stand = stand_with(
        same, "origin_request", "origin_response", target="pair",
        docs=answer(status=503), docs2=answer("second"),
    )  # fmt: skip
    assert stand("/x").body == b"second"
    assert kinds(stand) == ["origin-request", "origin-response"] * 2
    assert [entry["request"]["origin"]["s3"]["domainName"].partition(".")[0] for entry in stand.events] == [
        *("docs", "docs"),
        *("docs2", "docs2"),
    ]


def test_the_group_judges_the_status_that_origin_response_returns() -> None:
    kept = stand_with(problem, "origin_response", target="pair", docs=answer(status=503), docs2=answer("second"))
    assert kept("/x").body == b"second"
    hidden = stand_with(
        lambda entry: {"status": "404", "headers": {}},
        "origin_response",
        target="pair",
        docs=answer(status=503),
        docs2=answer("second"),
    )
    assert hidden("/x").status == 404


@pytest.mark.parametrize("event", ["origin_response", "viewer_response"])
def test_a_function_may_set_headers_of_the_response(event: str) -> None:
    def add(entry: dict[str, Any]) -> Any:
        return entry["response"] | {"headers": {"x-a": one("X-A", "1")}}

    response = stand_with(add, event, site=answer("x", x_old="1"))("/x")
    assert (response.header("x-a"), response.header("x-old"), response.body) == ("1", None, b"x")


def test_a_body_may_be_base64() -> None:
    body = base64.b64encode(b"\xff\x00").decode()
    stand = stand_with(lambda entry: {"status": "200", "body": body, "bodyEncoding": "base64"}, "viewer_request")
    assert stand("/x").body == b"\xff\x00"


@pytest.mark.parametrize(
    ("event", "wrong"),
    [
        ("viewer_request", None),
        ("viewer_request", "text"),
        ("viewer_request", {"status": "abc"}),
        ("viewer_request", {"status": "199"}),
        ("viewer_request", {"status": "600"}),
        ("viewer_request", {"status": "200", "headers": {"x-edge-a": one("X-Edge-A", "1")}}),
        ("viewer_request", {"status": "200", "headers": {"connection": one("Connection", "close")}}),
        ("viewer_request", {"status": "200", "headers": {"via": one("Via", "1")}}),
        ("viewer_request", {"status": "200", "headers": {"x-a": "1"}}),
        ("viewer_request", {"status": "200", "headers": {"x-a": [{"key": "X-A"}]}}),
        ("viewer_request", {"status": "200", "headers": []}),
        ("viewer_request", {"status": "200", "body": "x" * 40_961}),
        ("viewer_request", {"status": "200", "body": "%", "bodyEncoding": "base64"}),
        ("viewer_request", {"uri": "x", "headers": HOST}),
        ("viewer_request", {"uri": "/x?y=1", "headers": HOST}),
        ("viewer_request", {"uri": "/x", "querystring": {}, "headers": HOST}),
        ("viewer_request", {"uri": "/x", "method": "POST", "headers": HOST}),
        ("viewer_request", {"uri": "/x", "headers": {}}),
        ("viewer_request", {"uri": "/x", "headers": {"host": one("Host", "other")}}),
        ("origin_request", {"uri": "/x", "origin": {}, "headers": {}}),
        ("origin_response", {}),
        ("origin_response", {"status": "200", "headers": {"via": one("Via", "1")}}),
        ("origin_response", {"status": "200", "body": "x" * 1_048_577}),
        ("viewer_response", {"status": "404", "headers": {}}),
        ("viewer_response", {"status": "200", "headers": {"content-encoding": one("Content-Encoding", "br")}}),
    ],
)
def test_an_invalid_result_is_502(event: str, wrong: object) -> None:
    stand = stand_with(lambda entry: wrong, event, site=answer("x"))
    assert stand("/x").status == 502


def test_a_valid_result_of_a_viewer_request_is_accepted() -> None:
    """The wrong results above differ from this one in one member each."""
    stand = stand_with(lambda _: {"uri": "/y", "querystring": "", "headers": HOST}, "viewer_request", site=answer("x"))
    assert stand("/x").body == b"x"


def test_the_limit_of_an_origin_response_is_a_megabyte() -> None:
    large = "x" * 1_000_000
    assert (
        len(stand_with(lambda _: {"status": "200", "body": large}, "origin_response", site=answer())("/x").body)
        == 1_000_000
    )
    assert stand_with(lambda _: {"status": "200", "body": "x" * 40_000}, "viewer_request")("/x").status == 200


def test_a_function_that_fails_is_503() -> None:
    def fail(entry: dict[str, Any]) -> Any:
        raise FunctionError("bug", 503)

    for event in ALL_EVENTS:
        response = stand_with(fail, event, site=answer("x"))("/x")
        assert (response.status, result(response)) == (503, "LambdaError"), event


def test_a_failed_function_does_not_block_the_requests_that_wait() -> None:
    calls: list[str] = []

    def fail_once(entry: dict[str, Any]) -> Any:
        calls.append(entry["request"]["uri"])
        if len(calls) == 1:
            raise FunctionError("bug", 503)
        return entry["response"]

    stand = stand_with(fail_once, "origin_response", site=answer("x", cache_control="max-age=60"))
    assert [stand("/x").status, stand("/x").status] == [503, 200]


def test_head_requests_get_no_body_of_a_function() -> None:
    stand = stand_with(lambda _: {"status": "401", "headers": {}, "body": "no"}, "viewer_request")
    response: Response = stand("/x", "HEAD")
    assert (response.status, response.body) == (401, b"")
