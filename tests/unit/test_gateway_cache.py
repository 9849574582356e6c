"""Tests of the fake of API Gateway's cache, because a fake that is too kind would let every attack fail."""

import json
from typing import Any

import pytest

from tests.fakes.gateway_cache import (
    EXTENDED_REQUEST_ID,
    MAX_CACHED_BYTES,
    REQUEST_ID,
    Delivery,
    Gateway,
    Sent,
    Token,
    methods_of,
)
from tests.fakes.gateway_integrations import Message, Outgoing

SETTINGS: dict[str, Any] = {
    "caching_enabled": True,
    "cache_ttl_in_seconds": 60,
    "require_authorization_for_cache_control": True,
    "unauthorized_cache_control_header_strategy": "SUCCEED_WITHOUT_RESPONSE_HEADER",
}
PROXY = {"type": "aws_proxy", "uri": "a-function"}
OBJECT = {
    "type": "aws",
    "httpMethod": "GET",
    "uri": "s3/{id}.json",
    "cacheKeyParameters": ["method.request.path.id"],
    "requestParameters": {"integration.request.path.id": "'-'"},
    "requestTemplates": {
        "application/json": "#set($id = \"$input.params().path.get('id')\")#if($id.matches('([a-z]|%[0-9A-F]{2})+'))"
        "#set($id = $util.urlDecode($id))#end#if($id.matches('[a-z]+'))#set($context.requestOverride.path.id = $id)#end"
    },
    "passthroughBehavior": "never",
    "responses": {
        "200": {
            "statusCode": "200",
            "responseParameters": {"method.response.header.ETag": "integration.response.header.etag"},
        },
        "default": {
            "statusCode": "404",
            "responseTemplates": {
                "application/json": '{"id":"$context.requestId","extended":"$context.extendedRequestId"}'
            },
        },
    },
}


class Stage:
    """A stage with one GET method at ``/things/{id}``, whose function and back office echo what they get."""

    def __init__(self, integration: dict[str, Any], *, scopes: tuple[str, ...] = ()) -> None:
        operation: dict[str, Any] = {"x-amazon-apigateway-integration": integration}
        if scopes:
            operation["security"] = [{"access_token": list(scopes)}]
        document = json.dumps({"paths": {"/things/{id}": {"get": operation}}})
        settings = [
            {"method_path": "*/*", "settings": [{**SETTINGS, "caching_enabled": False}]},
            {"method_path": "~1things~1{id}/GET", "settings": [SETTINGS]},
        ]
        self.now_ms = 0
        self.calls: list[Any] = []
        self.body = "x"
        self.status = 200
        self.gateway = Gateway(
            methods_of(document, settings),
            self._function,
            self._endpoint,
            tokens={"reader": Token(frozenset({"read"}), {"sub": "a"}), "writer": Token(frozenset({"write"}), {})},
            api_key="k",
            now_ms=lambda: self.now_ms,
            stamp=lambda: len(self.calls),
        )

    def _function(self, event: Any, _: None) -> dict[str, Any]:
        self.calls.append(event)
        return {"statusCode": self.status, "headers": {"Cache-Control": "no-store"}, "body": self.body}

    def _endpoint(self, request: Outgoing) -> Message:
        self.calls.append(request)
        return Message(403 if request.url.endswith("/-.json") else 200, {"etag": '"e"', "x-secret": "s"}, "{}")

    def send(self, path: str = "/things/a", *query: tuple[str, str], **headers: str) -> Delivery:
        """Send a request. The underscores in the names of headers stand for hyphens."""
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        return self.gateway.send(Sent(path, query, pairs))


def proxy(*keys: str) -> dict[str, Any]:
    return {**PROXY, "cacheKeyParameters": [f"method.request.{key}" for key in ("path.id", *keys)]}


def test_a_header_in_the_key_is_compared_with_case() -> None:
    stage = Stage(proxy("header.If-None-Match"))
    assert not stage.send(if_none_match="*").hit
    assert stage.send().hit, "HTTP/2 sends lower case, so the key holds nothing"
    assert not stage.send(If_None_Match="*").hit and stage.send(If_None_Match="*").hit


def test_a_key_holds_the_declared_parameters_alone() -> None:
    stage = Stage(proxy("querystring.limit"))
    assert not stage.send("/things/a", ("limit", "1")).hit
    assert stage.send("/things/a", ("limit", "1"), ("x", "2"), accept="text/html").hit
    assert not stage.send("/things/a", ("limit", "2")).hit
    assert stage.send("/things/a", ("limit", "1"), ("limit", "2")).hit, "the last of repeated values counts"
    assert not stage.send("/things/a", ("Limit", "1")).hit
    assert stage.send("/things/a", ("limit", "")).hit, "an empty parameter is like none"


def test_all_encodings_of_a_path_share_an_entry() -> None:
    stage = Stage(proxy())
    assert not stage.send("/things/a").hit and stage.send("/things/%61").hit and not stage.send("/things/%2561").hit
    assert [event["pathParameters"]["id"] for event in stage.calls] == ["a", "%2561"]
    stage.gateway.decodes_paths = True
    stage.send("/things/%7e")
    assert stage.calls[-1]["pathParameters"] == {"id": "~"}


@pytest.mark.parametrize("status", [200, 304, 400, 401, 404, 409, 500, 503])
def test_a_response_of_every_status_is_cached_for_the_ttl(status: int) -> None:
    stage = Stage(proxy())
    stage.status = status
    first = stage.send()
    stage.now_ms = 59_999
    second = stage.send(cache_control="no-cache", pragma="no-cache")
    assert (second.hit, second.response, second.response.status) == (True, first.response, status)
    assert second.entry is not None and second.entry.stamp == 1
    stage.now_ms = 60_000
    assert not stage.send().hit and len(stage.calls) == 2


def test_a_large_response_is_not_cached() -> None:
    stage = Stage(proxy())
    stage.body = "x" * MAX_CACHED_BYTES
    assert not stage.send("/things/a").hit and stage.send("/things/a").hit
    stage.body += "x"
    assert not stage.send("/things/b").hit and not stage.send("/things/b").hit


def test_the_authorizer_comes_before_the_cache_and_is_not_in_the_key() -> None:
    stage = Stage(proxy(), scopes=("read",))
    for token in ("Bearer writer", "Bearer nobody"):
        assert stage.send(authorization=token).response.status == 401
    assert stage.send().response.status == 401 and not stage.calls
    assert not stage.send(authorization="Bearer reader").hit
    assert stage.calls[0]["requestContext"]["authorizer"]["claims"] == {"sub": "a"}
    assert stage.send(AUTHORIZATION="Bearer reader").hit
    assert stage.send(authorization="Bearer writer").response.status == 401


def test_an_event_has_the_headers_as_sent_and_the_overriding_method() -> None:
    stage = Stage(proxy())
    stage.gateway.send(Sent("/things/a", [("q", "1"), ("q", "2")], [("X-hTTp-Method-Override", "HEAD")], "{}"))
    event = stage.calls[0]
    assert event["headers"] == {"X-hTTp-Method-Override": "HEAD"} and event["httpMethod"] == "HEAD"
    assert event["queryStringParameters"] == {"q": "2"} and event["body"] == "{}"
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"]}


def test_a_template_overrides_the_path_of_an_object() -> None:
    stage = Stage(OBJECT)
    for path, url in {"a": "s3/a.json", "%62": "s3/b.json", "a%2Fb": "s3/-.json", "..": "s3/-.json"}.items():
        delivery = stage.send(f"/things/{path}", if_none_match="*")
        assert stage.calls[-1] == Outgoing("GET", url, {}, {}, "")
        assert delivery.response.status == (404 if "-" in url else 200)
    assert stage.send("/things/a").response.headers == {"content-type": "application/json", "etag": '"e"'}
    missing = json.loads(stage.send("/things/..").response.body)
    assert missing == {"id": REQUEST_ID, "extended": EXTENDED_REQUEST_ID}


def test_a_client_chooses_the_request_id_but_not_the_extended_one() -> None:
    chosen = json.loads(Stage(OBJECT).send("/things/..", x_amzn_requestid="chosen").response.body)
    assert chosen == {"id": "chosen", "extended": EXTENDED_REQUEST_ID}
    stage = Stage(proxy())
    stage.send("/things/a", X_Amzn_RequestId="chosen")
    stage.send("/things/b")
    contexts = [event["requestContext"] for event in stage.calls]
    assert [context["requestId"] for context in contexts] == ["chosen", REQUEST_ID]
    assert [context["extendedRequestId"] for context in contexts] == [EXTENDED_REQUEST_ID] * 2


def test_a_response_that_api_gateway_itself_makes_is_not_cached() -> None:
    stage = Stage(OBJECT)
    assert stage.send(content_type="text/plain").response.status == 415 and not stage.calls
    assert not stage.send(content_type="application/json; charset=utf-8").hit
    assert stage.send(content_type="text/plain").hit


def test_what_a_custom_integration_maps_reaches_the_back_office_and_nothing_else() -> None:
    mapped = {
        "integration.request.path.id": "method.request.path.id",
        "integration.request.querystring.page": "method.request.querystring.page",
        "integration.request.header.Accept": "'*/*'",
    }
    responses = {"default": {"statusCode": "200"}}
    templates = {"application/json": "##"}
    integration = {**OBJECT, "type": "http", "requestParameters": mapped, "responses": responses}
    stage = Stage({**integration, "requestTemplates": templates})
    sent = Sent("/things/a%7eb", [("page", "1"), ("q", "2")], [("accept", "text/html"), ("x-tenant", "t")], "body")
    stage.gateway.send(sent)
    assert stage.calls == [Outgoing("GET", "s3/a~b.json", {"page": "1"}, {"accept": "*/*"}, "")]

    # A header that is mapped arrives in any spelling. Without a template, so do the body and its type.
    mapped = {**mapped, "integration.request.header.X-Tenant": "method.request.header.X-Tenant"}
    passed_on = {
        **integration,
        "requestParameters": mapped,
        "requestTemplates": {},
        "passthroughBehavior": "when_no_match",
    }
    stage = Stage(passed_on)
    stage.gateway.send(sent)
    headers = {"content-type": "application/json", "accept": "*/*", "x-tenant": "t"}
    assert stage.calls == [Outgoing("GET", "s3/a~b.json", {"page": "1"}, headers, "body")]

    stage = Stage({**passed_on, "type": "http_proxy"})
    stage.gateway.send(sent)
    headers = {"accept": "*/*", "x-tenant": "t"}
    assert stage.calls == [Outgoing("GET", "s3/a~b.json", {"page": "1", "q": "2"}, headers, "body")]


def test_methods_have_their_own_settings() -> None:
    document = json.dumps({"paths": {"/a": {"get": {"x-amazon-apigateway-integration": PROXY}}}})
    without_cache = [{"method_path": "*/*", "settings": [{**SETTINGS, "caching_enabled": False}]}]
    (method,) = methods_of(document, without_cache)
    assert (method.ttl_ms, method.scopes, method.needs_key, method.key_parameters) == (0, frozenset(), False, ())
    lets_clients_invalidate = [
        {"method_path": "*/*", "settings": [{**SETTINGS, "require_authorization_for_cache_control": False}]}
    ]
    with pytest.raises(AssertionError):
        methods_of(document, lets_clients_invalidate)
