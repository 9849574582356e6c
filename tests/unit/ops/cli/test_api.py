"""Test the command `api compare`, and the rules by which it compares an export of API Gateway with the document.

api_document.json is a small document of the kind that terraform/modules/api makes. api_export.json is what API Gateway
exports after an import of that document.
"""

import copy
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner, Result

from ops.cli.api import WIDTH, shorten
from ops.cli.api_differences import Difference, differences, route_count
from ops.cli.main import main
from ops.cli.target import Target
from tests.unit.ops.cli.support import OUTPUTS

HERE = Path(__file__).parent
DOCUMENT: dict[str, Any] = json.loads((HERE / "api_document.json").read_text())
EXPORT: dict[str, Any] = json.loads((HERE / "api_export.json").read_text())

HEALTH = "/health"
ITEM = "/items/notices/{item_id}"
ITEM_DOCUMENT = "/documents/notices/{item_id}"
BACKEND = "/backends/backoffice/{proxy+}"
CACHED_BACKEND = "/backends/stock/{proxy+}"
ANY = "x-amazon-apigateway-any-method"
RESPONSES = "x-amazon-apigateway-gateway-responses"
VALIDATORS = {
    "all": {"validateRequestBody": True, "validateRequestParameters": True},
    "none": {"validateRequestBody": False, "validateRequestParameters": False},
}

Change = Callable[[dict[str, Any]], Any]
"""A function that changes a document in place."""


def operation(document: dict[str, Any], path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


def integration(document: dict[str, Any], path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = operation(document, path, method)["x-amazon-apigateway-integration"]
    return found


def authorizer(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["securitySchemes"][name]["x-amazon-apigateway-authorizer"]
    return found


def statement(document: dict[str, Any], number: int) -> dict[str, Any]:
    found: dict[str, Any] = document["x-amazon-apigateway-policy"]["Statement"][number]
    return found


def changed(change: Change) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    assert json.dumps(document) != json.dumps(DOCUMENT), "the change changes nothing"
    return document


def rename_key_scheme(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    schemes["keys"] = schemes.pop("api_key") | {"name": "X-API-Key"}
    operation(document, BACKEND)["security"] = [{"keys": [], "key_owner": []}]


def validate(document: dict[str, Any], name: str) -> None:
    document["x-amazon-apigateway-request-validators"] = VALIDATORS
    operation(document, ITEM, "put")["x-amazon-apigateway-request-validator"] = name


def test_an_export_of_api_gateway_equals_the_document_that_was_imported() -> None:
    assert differences(DOCUMENT, EXPORT) == []
    assert differences(EXPORT, DOCUMENT) == []
    assert route_count(DOCUMENT) == route_count(EXPORT) == 6


COUNTS: dict[str, tuple[Change, int]] = {
    "a HEAD that does the same as GET isn't a route": (lambda d: d["paths"][HEALTH].pop("head"), 6),
    "a HEAD that calls S3 with HEAD, and else does the same as GET, isn't a route": (
        lambda d: (
            d["paths"][ITEM_DOCUMENT].update(head=copy.deepcopy(operation(d, ITEM_DOCUMENT))),
            integration(d, ITEM_DOCUMENT, "head").update(httpMethod="HEAD"),
        ),
        6,
    ),
    "a HEAD of another document is a route": (
        lambda d: (
            d["paths"][ITEM_DOCUMENT].update(head=copy.deepcopy(operation(d, ITEM_DOCUMENT))),
            integration(d, ITEM_DOCUMENT, "head").update(httpMethod="HEAD", uri="other"),
        ),
        7,
    ),
    "a HEAD with an integration of its own is a route": (
        lambda d: integration(d, HEALTH, "head").update(type="http_proxy"),
        7,
    ),
    "a back office's HEAD is a route": (
        lambda d: (
            d["paths"][BACKEND].update(head=copy.deepcopy(operation(d, BACKEND))),
            integration(d, BACKEND, "head").update(type="http_proxy", httpMethod="HEAD"),
            integration(d, BACKEND).update(type="http_proxy"),
        ),
        7,
    ),
    "a HEAD without a GET is a route": (lambda d: d["paths"][BACKEND].update(head=d["paths"][BACKEND].pop("get")), 6),
    "the 405 isn't a route": (lambda d: d["paths"][HEALTH].pop(ANY), 6),
    "the 405 isn't a route in capitals": (lambda d: integration(d, HEALTH, ANY).update(type="MOCK"), 6),
    "another ANY is a route": (lambda d: integration(d, HEALTH, ANY).update(type="http_proxy"), 7),
    "the preflight isn't a route": (lambda d: d["paths"][HEALTH].pop("options"), 6),
    "a GET is a route": (lambda d: d["paths"][ITEM].pop("get"), 5),
}


@pytest.mark.parametrize(("change", "count"), COUNTS.values(), ids=COUNTS)
def test_only_routes_are_counted(change: Change, count: int) -> None:
    assert route_count(changed(change)) == count


SAME: dict[str, Change] = {
    "what people read": lambda d: d["info"].update(title="other", version="2026-01-01T00:00:00Z"),
    "servers": lambda d: d.update(servers=[{"url": "https://x.execute-api.eu-central-1.amazonaws.com/{basePath}"}]),
    "a name of an operation": lambda d: operation(d, HEALTH).update(operationId="health", tags=["x"], summary="y"),
    "schemas": lambda d: d["components"].update(schemas={"Empty": {"type": "object"}}),
    "bodies": lambda d: (
        operation(d, HEALTH)["responses"]["200"].update(content={}),
        operation(d, ITEM, "put").update(requestBody={"content": {"application/json": {}}}),
    ),
    "documentation parts": lambda d: d.update({"x-amazon-apigateway-documentation": {"version": "1"}}),
    "the version of an export": lambda d: d.update({"x-amazon-apigateway-importexport-version": "1.0"}),
    "settings of the endpoint": lambda d: d.update(
        {"x-amazon-apigateway-security-policy": "TLS_1_2", "x-amazon-apigateway-endpoint-access-mode": "BASIC"}
    ),
    "the endpoint's configuration, absent": lambda d: d.pop("x-amazon-apigateway-endpoint-configuration"),
    "the source of API keys": lambda d: d.update({"x-amazon-apigateway-api-key-source": "HEADER"}),
    "paths without methods": lambda d: d["paths"].update({"/items": {}, "/items/notices": {"parameters": []}}),
    "the order of parameters": lambda d: operation(d, ITEM)["parameters"].reverse(),
    "required: false, absent": lambda d: operation(d, ITEM)["parameters"][1].pop("required"),
    "a validator that checks nothing": lambda d: validate(d, "none"),
    "validators that no route uses": lambda d: d.update({"x-amazon-apigateway-request-validators": VALIDATORS}),
    "security, split": lambda d: operation(d, BACKEND).update(security=[{"key_owner": []}, {"api_key": []}]),
    "no security, empty": lambda d: operation(d, HEALTH).update(security=[]),
    "the order of scopes": lambda d: operation(d, ITEM)["security"][0]["access_token"].reverse(),
    "the name of the scheme for API keys": rename_key_scheme,
    "an authorizer that no route uses": lambda d: d["components"]["securitySchemes"].update(
        unused={"type": "apiKey", "name": "X", "in": "header", "x-amazon-apigateway-authorizer": {"type": "token"}}
    ),
    "the name of a header, beside an identity source": lambda d: d["components"]["securitySchemes"]["key_owner"].update(
        name="X-Api-Key"
    ),
    "the identity source, named": lambda d: authorizer(d, "access_token").update(
        identitySource="method.request.header.Authorization"
    ),
    "the authtype": lambda d: d["components"]["securitySchemes"]["key_owner"].update(
        {"x-amazon-apigateway-authtype": "Custom"}
    ),
    "the authorizer's type in capitals": lambda d: authorizer(d, "access_token").update(type="COGNITO_USER_POOLS"),
    "the authorizer's time, named": lambda d: authorizer(d, "access_token").update(authorizerResultTtlInSeconds="300"),
    "the authorizer's time, absent": lambda d: authorizer(d, "key_owner").pop("authorizerResultTtlInSeconds"),
    "an authorizer's empty fields": lambda d: authorizer(d, "key_owner").update(
        identityValidationExpression="", authorizerCredentials=None
    ),
    "letter cases of an integration": lambda d: integration(d, BACKEND).update(
        type="HTTP_PROXY", passthroughBehavior="WHEN_NO_MATCH", httpMethod="get", connectionType="vpc_link"
    ),
    "an integration's defaults, named": lambda d: integration(d, ITEM).update(
        timeoutInMillis=29000,
        connectionType="INTERNET",
        responseTransferMode="BUFFERED",
        payloadFormatVersion="1.0",
        tlsConfig={"insecureSkipVerification": False},
    ),
    "an integration's defaults, absent": lambda d: integration(d, ITEM).pop("passthroughBehavior"),
    "an integration's empty fields": lambda d: integration(d, ITEM).update(
        requestTemplates={}, requestParameters={}, credentials=None, contentHandling=None
    ),
    "an integration response's empty fields": lambda d: integration(d, ITEM_DOCUMENT)["responses"]["304"].update(
        responseTemplates={}, contentHandling=None
    ),
    "an empty cache key": lambda d: integration(d, BACKEND).update(cacheKeyParameters=[]),
    "the order of a cache key": lambda d: integration(d, ITEM)["cacheKeyParameters"].reverse(),
    "a timeout as text": lambda d: integration(d, BACKEND).update(timeoutInMillis="2000"),
    "the cache namespace of one path": lambda d: (
        integration(d, ITEM).update(cacheNamespace="m2d8xz"),
        integration(d, ITEM, "put").update(cacheNamespace="m2d8xz"),
        integration(d, BACKEND).update(cacheNamespace="zk61bt"),
    ),
    "what a mock integration calls": lambda d: integration(d, HEALTH).update(httpMethod="POST", uri=""),
    "a status as number": lambda d: integration(d, HEALTH)["responses"]["default"].update(statusCode=200),
    "the responses of a proxy": lambda d: integration(d, BACKEND).update(responses={"default": {"statusCode": "200"}}),
    "a proxy without method responses": lambda d: operation(d, BACKEND).pop("responses"),
    "the order of response headers": lambda d: operation(d, HEALTH)["responses"].update(
        {"200": {"headers": dict(reversed(operation(d, HEALTH)["responses"]["200"]["headers"].items()))}}
    ),
    "a gateway response's status as number": lambda d: d[RESPONSES]["MISSING_AUTHENTICATION_TOKEN"].update(
        statusCode=404
    ),
    "a gateway response's default status, absent": lambda d: d[RESPONSES]["UNAUTHORIZED"].pop("statusCode"),
    "the policy as text": lambda d: d.update(
        {"x-amazon-apigateway-policy": json.dumps(d["x-amazon-apigateway-policy"])}
    ),
    "the order of statements": lambda d: d["x-amazon-apigateway-policy"]["Statement"].reverse(),
    "an action without a list": lambda d: statement(d, 0).update(Action="execute-api:Invoke"),
    "a resource without a list": lambda d: statement(d, 0).update(Resource=statement(d, 0)["Resource"][0]),
    "the order of resources": lambda d: statement(d, 1)["Resource"].reverse(),
    "the principal's long form": lambda d: statement(d, 0).update(Principal={"AWS": "*"}),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_a_change_of_form_is_no_difference(change: Change) -> None:
    assert differences(DOCUMENT, changed(change)) == []
    assert differences(changed(change), DOCUMENT) == []


def test_the_default_template_of_a_gateway_response_may_be_absent() -> None:
    default = {"application/json": '{"message":$context.error.messageString}'}
    named = changed(lambda d: d[RESPONSES]["DEFAULT_4XX"].update(responseTemplates=default))
    absent = changed(lambda d: d[RESPONSES]["DEFAULT_4XX"].pop("responseTemplates"))
    assert differences(named, absent) == []
    assert differences(DOCUMENT, absent), "another template than the default counts"


def test_conditions_of_a_policy_may_be_written_with_or_without_lists() -> None:
    def condition(value: object) -> dict[str, Any]:
        return changed(lambda d: statement(d, 1).update(Condition={"Bool": {"aws:SecureTransport": value}}))

    assert differences(condition(False), condition(["false"])) == []
    assert [d.field for d in differences(condition("true"), condition("false"))] == [
        "NoWayOutOfABasePath.Condition.Bool[aws:SecureTransport]"
    ]


def test_a_statement_without_a_sid_is_compared_by_its_content() -> None:
    bare = changed(lambda d: [statement(d, number).pop("Sid") for number in (0, 1)])
    other = copy.deepcopy(bare)
    other["x-amazon-apigateway-policy"]["Statement"].reverse()
    assert differences(bare, other) == []
    statement(other, 0)["Effect"] = "Allow"
    assert differences(bare, other)


GET_ITEM = f"GET {ITEM}"
GET_DOCUMENT = f"GET {ITEM_DOCUMENT}"
GET_BACKEND = f"GET {BACKEND}"
GET_CACHED_BACKEND = f"GET {CACHED_BACKEND}"
SCOPES = ["aws.cognito.signin.user.admin", "readplane/read"]
OTHER: dict[str, tuple[Change, Difference]] = {
    "a route is missing": (
        lambda d: d["paths"][HEALTH].pop("get"),
        Difference("GET /health", "exists", True, False),
    ),
    "a route was added": (
        lambda d: d["paths"][ITEM].update({ANY: operation(d, HEALTH)}),
        Difference(f"ANY {ITEM}", "exists", False, True),
    ),
    "the 405 is missing": (
        lambda d: d["paths"][HEALTH].pop(ANY),
        Difference("ANY /health", "exists", True, False),
    ),
    "another list of allowed methods": (
        lambda d: integration(d, HEALTH, ANY)["responses"]["default"]["responseParameters"].update(
            {"method.response.header.Allow": "'*'"}
        ),
        Difference(
            "ANY /health",
            "integration.responses.default.responseParameters[method.response.header.Allow]",
            "'GET,HEAD'",
            "'*'",
        ),
    ),
    "HEAD is missing": (
        lambda d: d["paths"][HEALTH].pop("head"),
        Difference("HEAD /health", "exists", True, False),
    ),
    "no token is asked for": (
        lambda d: operation(d, ITEM).update(security=[]),
        Difference(GET_ITEM, "security.access_token", SCOPES, None),
    ),
    "other scopes": (
        lambda d: operation(d, ITEM).update(security=[{"access_token": ["readplane/read"]}]),
        Difference(GET_ITEM, "security.access_token", SCOPES, ["readplane/read"]),
    ),
    "no scopes, so that ID tokens are accepted": (
        lambda d: operation(d, ITEM).update(security=[{"access_token": []}]),
        Difference(GET_ITEM, "security.access_token", SCOPES, "required"),
    ),
    "no key is asked for": (
        lambda d: operation(d, BACKEND).update(security=[{"key_owner": []}]),
        Difference(GET_BACKEND, "security.api_key", "required", None),
    ),
    "another user pool": (
        lambda d: authorizer(d, "access_token").update(providerARNs=["arn:other"]),
        Difference(
            "authorizer access_token",
            "providerARNs",
            ["arn:aws:cognito-idp:eu-central-1:111122223333:userpool/eu-central-1_Abc"],
            ["arn:other"],
        ),
    ),
    "another header with the token": (
        lambda d: d["components"]["securitySchemes"]["access_token"].update(name="X-Token"),
        Difference(
            "authorizer access_token",
            "identitySource",
            ["method.request.header.Authorization"],
            ["method.request.header.X-Token"],
        ),
    ),
    "another time for an authorizer's decision": (
        lambda d: authorizer(d, "key_owner").update(authorizerResultTtlInSeconds=0),
        Difference("authorizer key_owner", "authorizerResultTtlInSeconds", 300, 0),
    ),
    "another type of integration": (
        lambda d: integration(d, ITEM_DOCUMENT).update(type="http"),
        Difference(GET_DOCUMENT, "integration.type", "aws", "http"),
    ),
    "another URI": (
        lambda d: integration(d, BACKEND).update(uri="https://other.example.com/{proxy}"),
        Difference(
            GET_BACKEND,
            "integration.uri",
            "https://backoffice.example.com/{proxy}",
            "https://other.example.com/{proxy}",
        ),
    ),
    "another method": (
        lambda d: integration(d, BACKEND).update(httpMethod="POST"),
        Difference(GET_BACKEND, "integration.httpMethod", "GET", "POST"),
    ),
    "other credentials": (
        lambda d: integration(d, ITEM_DOCUMENT).update(credentials="arn:aws:iam::*:user/*"),
        Difference(
            GET_DOCUMENT,
            "integration.credentials",
            "arn:aws:iam::111122223333:role/shop-eu-central-1-documents",
            "arn:aws:iam::*:user/*",
        ),
    ),
    "another timeout": (
        lambda d: integration(d, BACKEND).pop("timeoutInMillis"),
        Difference(GET_BACKEND, "integration.timeoutInMillis", 2000, None),
    ),
    "another VPC link": (
        lambda d: integration(d, BACKEND).update(connectionId="other1"),
        Difference(GET_BACKEND, "integration.connectionId", "x9y8z7", "other1"),
    ),
    "another passthrough": (
        lambda d: integration(d, ITEM_DOCUMENT).pop("passthroughBehavior"),
        Difference(GET_DOCUMENT, "integration.passthroughBehavior", "never", None),
    ),
    "a conversion of bodies": (
        lambda d: integration(d, ITEM_DOCUMENT).update(contentHandling="CONVERT_TO_TEXT"),
        Difference(GET_DOCUMENT, "integration.contentHandling", None, "CONVERT_TO_TEXT"),
    ),
    "a certificate that isn't checked": (
        lambda d: integration(d, BACKEND).update(tlsConfig={"insecureSkipVerification": True}),
        Difference(GET_BACKEND, "integration.tlsConfig.insecureSkipVerification", None, True),
    ),
    "a mapping of a request is missing": (
        lambda d: integration(d, BACKEND)["requestParameters"].pop("integration.request.header.Authorization"),
        Difference(GET_BACKEND, "integration.requestParameters[integration.request.header.Authorization]", "'-'", None),
    ),
    "another query parameter reaches a cached back office": (
        lambda d: integration(d, CACHED_BACKEND)["requestParameters"].update(
            {"integration.request.querystring.r": "method.request.querystring.r"}
        ),
        Difference(
            GET_CACHED_BACKEND,
            "integration.requestParameters[integration.request.querystring.r]",
            None,
            "method.request.querystring.r",
        ),
    ),
    "another status of a cached back office": (
        lambda d: integration(d, CACHED_BACKEND)["responses"]["404"].update(statusCode="200"),
        Difference(GET_CACHED_BACKEND, "integration.responses.404.statusCode", "404", "200"),
    ),
    "another template": (
        lambda d: integration(d, ITEM_DOCUMENT).update(requestTemplates={"application/json": "##"}),
        Difference(
            GET_DOCUMENT,
            "integration.requestTemplates[application/json]",
            DOCUMENT["paths"][ITEM_DOCUMENT]["get"]["x-amazon-apigateway-integration"]["requestTemplates"][
                "application/json"
            ],
            "##",
        ),
    ),
    "another cache key": (
        lambda d: integration(d, ITEM)["cacheKeyParameters"].pop(),
        Difference(
            GET_ITEM,
            "integration.cacheKeyParameters",
            ["method.request.path.item_id", "method.request.querystring.min_version"],
            ["method.request.path.item_id"],
        ),
    ),
    "another status of a response": (
        lambda d: integration(d, ITEM_DOCUMENT)["responses"]["default"].update(statusCode="200"),
        Difference(GET_DOCUMENT, "integration.responses.default.statusCode", "404", "200"),
    ),
    "another mapping of a response": (
        lambda d: integration(d, ITEM_DOCUMENT)["responses"]["304"].pop("responseParameters"),
        Difference(
            GET_DOCUMENT,
            "integration.responses.304.responseParameters[method.response.header.ETag]",
            "integration.response.header.ETag",
            None,
        ),
    ),
    "a template that empties a body": (
        lambda d: integration(d, ITEM_DOCUMENT)["responses"]["304"].update(responseTemplates={"application/json": ""}),
        Difference(GET_DOCUMENT, "integration.responses.304.responseTemplates[application/json]", None, ""),
    ),
    "a parameter is missing": (
        lambda d: operation(d, ITEM)["parameters"].pop(),
        Difference(GET_ITEM, "parameters[querystring.min_version]", "optional", None),
    ),
    "a parameter is required": (
        lambda d: operation(d, ITEM)["parameters"][1].update(required=True),
        Difference(GET_ITEM, "parameters[header.If-None-Match]", "optional", "required"),
    ),
    "requests are validated": (
        lambda d: validate(d, "all"),
        Difference(f"PUT {ITEM}", "requestValidator", None, ["validateRequestBody", "validateRequestParameters"]),
    ),
    "a header of a method's response is missing": (
        lambda d: operation(d, ITEM_DOCUMENT)["responses"]["200"]["headers"].pop("ETag"),
        Difference(GET_DOCUMENT, "responses.200", ["Content-Type", "ETag"], ["Content-Type"]),
    ),
    "a method's response is missing": (
        lambda d: operation(d, ITEM_DOCUMENT)["responses"].pop("304"),
        Difference(GET_DOCUMENT, "responses.304", ["ETag"], None),
    ),
    "a method's response without headers": (
        lambda d: operation(d, ITEM_DOCUMENT)["responses"].update({"500": {"description": "500 response"}}),
        Difference(GET_DOCUMENT, "responses.500", None, "no headers"),
    ),
    "a gateway response is missing": (
        lambda d: d[RESPONSES].pop("UNAUTHORIZED"),
        Difference("gateway response UNAUTHORIZED", "exists", True, False),
    ),
    "another status of a gateway response": (
        lambda d: d[RESPONSES]["MISSING_AUTHENTICATION_TOKEN"].pop("statusCode"),
        Difference("gateway response MISSING_AUTHENTICATION_TOKEN", "statusCode", "404", None),
    ),
    "another header of a gateway response": (
        lambda d: d[RESPONSES]["DEFAULT_4XX"].pop("responseParameters"),
        Difference(
            "gateway response DEFAULT_4XX",
            "responseParameters[gatewayresponse.header.Cache-Control]",
            "'no-store'",
            None,
        ),
    ),
    "another body of a gateway response": (
        lambda d: d[RESPONSES]["DEFAULT_4XX"].update(responseTemplates={"application/json": "{}"}),
        Difference(
            "gateway response DEFAULT_4XX", "responseTemplates[application/json]", '{"title":"Request failed"}', "{}"
        ),
    ),
    "no resource policy": (
        lambda d: d.pop("x-amazon-apigateway-policy"),
        Difference("resource policy", "exists", True, False),
    ),
    "another effect in the policy": (
        lambda d: statement(d, 1).update(Effect="Allow"),
        Difference("resource policy", "NoWayOutOfABasePath.Effect", "Deny", "Allow"),
    ),
    "another principal in the policy": (
        lambda d: statement(d, 0).update(Principal={"AWS": "111122223333"}),
        Difference("resource policy", "MethodsDecide.Principal.AWS", ["*"], ["111122223333"]),
    ),
    "binary media types": (
        lambda d: d.update({"x-amazon-apigateway-binary-media-types": ["*/*"]}),
        Difference("API", "binaryMediaTypes", None, ["*/*"]),
    ),
    "compression": (
        lambda d: d.update({"x-amazon-apigateway-minimum-compression-size": 0}),
        Difference("API", "minimumCompressionSize", None, 0),
    ),
    "another source of API keys": (
        lambda d: d.update({"x-amazon-apigateway-api-key-source": "AUTHORIZER"}),
        Difference("API", "apiKeySource", None, "AUTHORIZER"),
    ),
    "the default endpoint is off": (
        lambda d: (
            d.update(
                servers=[
                    {"url": "/", "x-amazon-apigateway-endpoint-configuration": {"disableExecuteApiEndpoint": True}}
                ]
            )
            or d.pop("x-amazon-apigateway-endpoint-configuration")
        ),
        Difference("API", "disableExecuteApiEndpoint", None, True),
    ),
}


@pytest.mark.parametrize(("change", "expected"), OTHER.values(), ids=OTHER)
def test_a_change_of_what_the_api_does_is_named(change: Change, expected: Difference) -> None:
    assert differences(DOCUMENT, changed(change)) == [expected]
    mirrored = expected._replace(document=expected.deployed, deployed=expected.document)
    assert differences(changed(change), DOCUMENT) == [mirrored]


def test_an_authorizer_that_checks_signatures_is_a_difference() -> None:
    def sign(document: dict[str, Any]) -> None:
        document["components"]["securitySchemes"]["sigv4"] = {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "awsSigv4",
        }
        operation(document, HEALTH)["security"] = [{"sigv4": []}]

    assert differences(DOCUMENT, changed(sign)) == [
        Difference("GET /health", "security.sigv4", None, "required"),
        Difference("authorizer sigv4", "exists", False, True),
    ]


def test_two_paths_that_share_cached_responses_are_a_difference() -> None:
    def share(document: dict[str, Any]) -> None:
        for path in (ITEM, BACKEND):
            integration(document, path)["cacheNamespace"] = "m2d8xz"

    shared = f"shared by {BACKEND}, {ITEM}"
    assert differences(DOCUMENT, changed(share)) == [
        Difference(GET_BACKEND, "integration.cacheNamespace", None, shared),
        Difference(GET_ITEM, "integration.cacheNamespace", None, shared),
    ]


def test_a_proxy_in_place_of_a_cached_back_office_is_a_difference() -> None:
    """A proxy passes on every header and every status, so nothing is left of the responses."""
    proxy = changed(lambda d: integration(d, CACHED_BACKEND).update(type="http_proxy"))
    found = differences(DOCUMENT, proxy)
    assert Difference(GET_CACHED_BACKEND, "integration.type", "http", "http_proxy") in found
    assert {difference.part for difference in found} == {GET_CACHED_BACKEND}
    others = [difference.field for difference in found if difference.field != "integration.type"]
    assert others and all(field.startswith("integration.responses") for field in others)


def test_long_values_are_shown_from_where_they_differ() -> None:
    assert shorten(None, True) == ("(absent)", "yes")
    assert shorten(["a", "b"], False) == ("a, b", "no")
    assert shorten("a\nb", 1) == ("a\\nb", "1")
    document, deployed = shorten(f"{'x' * 200}one{'y' * 200}", f"{'x' * 200}two")
    assert document.startswith("…xxx") and "one" in document and document.endswith("…") and len(document) == WIDTH
    assert deployed.startswith("…xxx") and deployed.endswith("xtwo")
    assert shorten("a" * 100, None) == (f"{'a' * (WIDTH - 1)}…", "(absent)")


class Aws:
    """A stand-in for API Gateway in two Regions, which checks the parameters of the requests.

    exports: what API Gateway exports in each Region
    deployments: the deployments of each Region's API; the stage serves the first
    """

    def __init__(self) -> None:
        self.exports = {"eu-central-1": EXPORT, "us-east-1": EXPORT}
        self.deployments = {region: [("d1", 2)] for region in self.exports}

    def client(self, service: str, region: str) -> Any:
        make: Any = boto3.client
        client = make(service, region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
        stub = Stubber(client)
        if service == "s3":
            content = {"Body": io.BytesIO(json.dumps(DOCUMENT).encode())}
            stub.add_response("get_object", content, {"Bucket": f"log-{region}", "Key": "contract/api.json"})
            stub.activate()
            return client
        stage = {"restApiId": f"api-{region}", "stageName": "v1"}
        stub.add_response("get_stage", {"deploymentId": "d1"}, stage)
        stub.add_response(
            "get_export",
            {"body": io.BytesIO(json.dumps(self.exports[region]).encode())},
            stage | {"exportType": "oas30", "parameters": {"extensions": "apigateway"}, "accepts": "application/json"},
        )
        listed = [
            {"id": name, "createdDate": datetime(2026, 1, day, tzinfo=UTC)} for name, day in self.deployments[region]
        ]
        stub.add_response("get_deployments", {"items": listed[:1], "position": "p"}, {"restApiId": f"api-{region}"})
        stub.add_response("get_deployments", {"items": listed[1:]}, {"restApiId": f"api-{region}", "position": "p"})
        stub.activate()
        return client


@pytest.fixture
def aws_gateway(monkeypatch: pytest.MonkeyPatch) -> Aws:
    gateway = Aws()
    monkeypatch.setattr(Target, "client", lambda _, service, region: gateway.client(service, region))
    return gateway


def compare(folder: Path, *words: str, **outputs: Any) -> Result:
    entry = {
        region: {"id": f"api-{region}", "uri": f"s3://log-{region}/contract/api.json"}
        for region in ("us-east-1", "eu-central-1")
    }
    values = OUTPUTS | {"api_document_uris": entry} | outputs
    file = folder / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    return CliRunner().invoke(main, ["--outputs", str(file), "api", "compare", *words])


def test_the_command_says_that_every_region_is_as_its_document_says(aws_gateway: Aws, tmp_path: Path) -> None:
    result = compare(tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "The API of eu-central-1 is as the document says: 6 routes.",
        "The API of us-east-1 is as the document says: 6 routes.",
    ]
    result = compare(tmp_path, "--json")
    assert (result.exit_code, result.output) == (0, "")


def test_the_command_names_each_difference_and_its_region(aws_gateway: Aws, tmp_path: Path) -> None:
    aws_gateway.exports["us-east-1"] = changed(lambda d: integration(d, BACKEND).update(timeoutInMillis=9000))
    result = compare(tmp_path)
    assert result.exit_code == 1
    lines = [line.split() for line in result.output.splitlines()]
    assert lines[1] == ["REGION", "PART", "FIELD", "DOCUMENT", "DEPLOYED"]
    assert lines[2] == ["us-east-1", "GET", BACKEND, "integration.timeoutInMillis", "2000", "9000"]
    assert result.output.endswith("The API of us-east-1 differs from the document in 1 place.\n")
    result = compare(tmp_path, "--json")
    assert result.exit_code == 1
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "region": "us-east-1",
            "part": GET_BACKEND,
            "field": "integration.timeoutInMillis",
            "document": 2000,
            "deployed": 9000,
        }
    ]


def test_the_command_says_that_a_stage_serves_an_older_deployment(aws_gateway: Aws, tmp_path: Path) -> None:
    aws_gateway.deployments["us-east-1"] = [("d1", 2), ("d2", 3)]
    aws_gateway.deployments["eu-central-1"] = [("d1", 2), ("d0", 1)]
    result = compare(tmp_path)
    assert result.exit_code == 0
    assert (
        "The stage of us-east-1 serves the deployment d1 of 2026-01-02 00:00:00+0000. "
        "A newer one exists: d2 of 2026-01-03 00:00:00+0000." in result.output
    )
    assert "The stage of eu-central-1" not in result.output
    result = compare(tmp_path, "--json")
    assert result.stdout == "" and "d2" in result.stderr


def test_the_command_says_why_it_cannot_compare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = compare(tmp_path, api_document_uris=None)
    assert result.exit_code == 1 and "no api_document_uris" in str(result.exception)

    def refuse(service: str, operation: str) -> str:
        """Return the command's error if AWS refuses one operation of a service."""
        make: Any = boto3.client
        refusing = make(service, region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
        stub = Stubber(refusing)
        stub.add_client_error(operation, "AccessDenied", "not authorized")
        stub.activate()
        aws = Aws()
        client = lambda _, name, region: refusing if name == service else aws.client(name, region)  # noqa: E731
        monkeypatch.setattr(Target, "client", client)
        result = compare(tmp_path)
        assert result.exit_code == 1
        return str(result.exception)

    error = refuse("apigateway", "get_stage")
    assert "eu-central-1" in error and "apigateway:GET" in error
    error = refuse("s3", "get_object")
    assert "s3://log-eu-central-1/contract/api.json" in error and "s3:GetObject" in error


def test_a_wrong_command_line_gives_exit_code_2_and_help_needs_no_stack() -> None:
    assert CliRunner().invoke(main, ["api", "compare", "--dry-run"]).exit_code == 2
    for words in (["api"], ["api", "compare"]):
        result = CliRunner().invoke(main, [*words, "--help"])
        assert result.exit_code == 0 and "Usage:" in result.output
