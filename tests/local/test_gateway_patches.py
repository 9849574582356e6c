"""Tests that the patched emulator serves a REST API as AWS does. ops/local/gateway_patches.py has the patches."""

import io
import json
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ops.local.session import Api
from tests.local.calls import is_problem
from tests.local.support import Local


@pytest.fixture(autouse=True)
def only_ministack(stack: Local) -> None:
    if not stack.ministack:
        pytest.skip("these are patches of MiniStack")


@contextmanager
def imported(stack: Local, paths: dict[str, Any], **extensions: Any) -> Iterator[tuple[Api, Callable[[], Any]]]:
    """Import an OpenAPI document with these paths into a new REST API, and deploy it.

    :param extensions: further members of the document
    :returns: a client of the API, and a function that returns API Gateway's export of the API
    """
    gateway: Any = stack.root().client("apigateway")
    api = gateway.create_rest_api(name="patches")["id"]
    document = {"openapi": "3.0.1", "info": {"title": "patches", "version": "1"}, "paths": paths, **extensions}
    try:
        gateway.put_rest_api(restApiId=api, mode="overwrite", body=json.dumps(document).encode())
        deployment = gateway.create_deployment(restApiId=api)["id"]
        gateway.create_stage(restApiId=api, deploymentId=deployment, stageName="v1")

        def export() -> Any:
            arguments = {"restApiId": api, "stageName": "v1", "exportType": "oas30"}
            exported = gateway.get_export(**arguments, parameters={"extensions": "apigateway"})
            return json.load(exported["body"])

        yield Api(f"{stack.stack.endpoint}/_aws/execute-api/{api}"), export
    finally:
        gateway.delete_rest_api(restApiId=api)


def operation(integration: dict[str, Any], *parameters: str) -> dict[str, Any]:
    """Return an operation of an OpenAPI document.

    :param parameters: the parameters that it declares, such as ``path.id``
    """
    places = [parameter.split(".", 1) for parameter in parameters]
    statuses = {response["statusCode"]: {"description": ""} for response in integration.get("responses", {}).values()}
    return {
        "parameters": [{"in": place, "name": name, "required": place == "path"} for place, name in places],
        "responses": statuses or {"200": {"description": ""}},
        "x-amazon-apigateway-integration": integration,
    }


def mock(status: int, *, body: str | None = None, allow: str | None = None, types: tuple[str, ...] = ()) -> Any:
    """Return a mock integration with one response.

    :param body: the response's template; ``None`` for no template
    :param allow: the value of the response's header ``Allow``; ``None`` for no such header
    :param types: the Content-Types of requests that the mock answers, beside application/json
    """
    template = json.dumps({"statusCode": status})
    response: dict[str, Any] = {"statusCode": str(status)}
    if body is not None:
        response["responseTemplates"] = {"application/json": body}
    if allow is not None:
        response["responseParameters"] = {"method.response.header.Allow": f"'{allow}'"}
    return {
        "type": "mock",
        "passthroughBehavior": "never",
        "requestTemplates": dict.fromkeys(("application/json", *types), template),
        "responses": {"default": response},
    }


@contextmanager
def echo_function(stack: Local) -> Iterator[str]:
    """Create a function whose response is its event; return its name."""
    functions: Any = stack.root().client("lambda")
    archive = io.BytesIO()
    code = "import json\ndef handler(event, context):\n    return {'statusCode': 200, 'body': json.dumps(event)}\n"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("echo.py", code)
    name = f"echo-{uuid.uuid4().hex[:8]}"
    role = f"{stack.outputs.name}-{stack.outputs.region}-read"  # any role will do
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=stack.root().client("iam").get_role(RoleName=role)["Role"]["Arn"],
        Handler="echo.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    yield name
    functions.delete_function(FunctionName=name)


def invocation(stack: Local, function: str) -> dict[str, Any]:
    """Return an operation that calls a function."""
    region = stack.outputs.region
    arn = f"arn:aws:lambda:{region}:000000000000:function:{function}"
    uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
    return operation({"type": "aws_proxy", "httpMethod": "POST", "uri": uri, "passthroughBehavior": "never"})


@pytest.fixture(scope="module")
def echo(stack: Local) -> Iterator[str]:
    if not stack.ministack:
        yield ""
        return
    with echo_function(stack) as name:
        yield name


def event_of(status: int, _: dict[str, str], body: bytes) -> dict[str, Any]:
    assert status == 200, body
    event: dict[str, Any] = json.loads(body)
    return event


@pytest.mark.parametrize("sent", ["a%7Eb", "a%2Fb", "%2e%2e", "a%252Fb", "%C3%A4", "%0A", "a%20b", "a+b", "%zz", "~"])
def test_a_path_parameter_reaches_a_function_as_sent(stack: Local, echo: str, sent: str) -> None:
    call = invocation(stack, echo)
    with imported(stack, {"/things/{id}": {"get": call}, "/all/{proxy+}": {"get": call}}) as (api, _):
        event = event_of(*api.raw("GET", f"/things/{sent}"))
        assert (event["pathParameters"], event["path"]) == ({"id": sent}, f"/things/{sent}")
        event = event_of(*api.raw("GET", f"/all/{sent}/x/{sent}"))
        assert event["pathParameters"] == {"proxy": f"{sent}/x/{sent}"}


def test_the_names_of_headers_arrive_in_lower_case(stack: Local, echo: str) -> None:
    """Check that functions get header names in lower case, whatever case the client sent.

    AWS does this for HTTP/2, and keeps the case for HTTP/1.1. The unit tests of the functions send both.
    """
    call = invocation(stack, echo)
    with imported(stack, {"/things": {"get": call}}) as (api, _):
        event = event_of(*api.raw("GET", "/things", headers={"X-Mixed-CASE": "Value"}))
    assert event["headers"]["x-mixed-case"] == "Value" and "X-Mixed-CASE" not in event["headers"]


def test_a_function_without_free_concurrency_is_a_503_that_says_when_to_retry(stack: Local) -> None:
    """Throttle a function behind an API that has the gateway responses of the stack's own API.

    The stack's own functions can't be throttled, because the emulator ignores the limit of a function that an alias
    invokes.
    """
    gateway, functions = stack.root().client("apigateway"), stack.root().client("lambda")
    api_id = stack.outputs.api_url.rpartition("/")[2]
    ours: Any = gateway.get_gateway_response(restApiId=api_id, responseType="INTEGRATION_FAILURE")
    responses = {"INTEGRATION_FAILURE": {name: ours[name] for name in ("statusCode", *MAPPINGS)}}
    with echo_function(stack) as busy:
        functions.put_function_concurrency(FunctionName=busy, ReservedConcurrentExecutions=0)
        paths = {"/busy": {"get": invocation(stack, busy)}}
        with imported(stack, paths, **{"x-amazon-apigateway-gateway-responses": responses}) as (api, _):
            response = api("GET", "/busy")
    assert is_problem(response, 503) and int(response.headers["Retry-After"]) >= 1


def test_a_refusal_names_the_request(stack: Local) -> None:
    """Check the variable that the stack's own responses have. Without the patch, they would show its name."""
    template = {"responseTemplates": {"application/json": '{"id":"$context.extendedRequestId"}'}, "statusCode": "404"}
    responses = {"x-amazon-apigateway-gateway-responses": {"MISSING_AUTHENTICATION_TOKEN": template}}
    with imported(stack, {"/things": {"get": operation(mock(200, body="{}"))}}, **responses) as (api, _):
        response = api("GET", "/nothing")
    assert (response.status_code, response.json()) == (404, {"id": response.headers["x-amzn-requestid"]})


MAPPINGS = ("responseParameters", "responseTemplates")


def test_any_method_serves_the_methods_without_an_operation(stack: Local) -> None:
    refusal = mock(405, body='{"id":"$context.extendedRequestId"}', allow="GET,HEAD", types=("text/plain",))
    paths = {
        "/things": {
            "get": operation(mock(200, body='{"status":"ok"}')),
            "head": operation(mock(200, body='{"status":"ok"}')),
            "x-amazon-apigateway-any-method": operation(refusal),
        }
    }
    with imported(stack, paths) as (api, export):
        assert api("GET", "/things").json() == {"status": "ok"}
        head = api("HEAD", "/things")
        assert (head.status_code, head.content) == (200, b"")
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            response = api(method, "/things")
            assert (response.status_code, response.headers["Allow"]) == (405, "GET,HEAD"), method
            assert response.json() == {"id": response.headers["x-amzn-requestid"]}, "a template's variables are set"
        exported = export()["paths"]["/things"]
    assert set(exported) == set(paths["/things"])
    assert exported["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]["type"] == "mock"


def test_a_mock_has_a_template_for_each_content_type(stack: Local) -> None:
    types = mock(200, body='{"status":"ok"}', types=("text/plain",))
    types["requestTemplates"]["text/csv"] = '{"statusCode": 418}'
    types["responses"]["418"] = {"statusCode": "418", "responseTemplates": {"application/json": '{"status":"tea"}'}}
    when_no_match = mock(200, body="{}") | {"passthroughBehavior": "when_no_match"}
    paths = {"/types": {"post": operation(types)}, "/open": {"post": operation(when_no_match)}}
    with imported(stack, paths) as (api, _):

        def status(path: str, content_type: str | None, body: bytes = b"") -> int:
            headers = {} if content_type is None else {"Content-Type": content_type}
            return api("POST", path, data=body, headers=headers).status_code

        assert status("/types", None) == status("/types", "Application/JSON; charset=x") == 200
        assert status("/types", "text/plain") == 200
        assert status("/types", "text/csv") == 418
        assert status("/types", "text/xml") == 415
        # Without a template, the mock takes its status from the body.
        assert status("/open", "text/xml", b'{"statusCode": 200}') == 200
        assert status("/open", "text/xml", b"<x/>") == 500


def test_a_mock_without_a_response_template_has_no_body(stack: Local) -> None:
    paths = {"/none": {"options": operation(mock(204)), "get": operation(mock(200))}}
    with imported(stack, paths) as (api, _):
        for method, status in (("OPTIONS", 204), ("GET", 200)):
            response = api(method, "/none")
            assert (response.status_code, response.content) == (status, b"")
            assert response.headers.get("Content-Length", "0") == "0"


def test_a_greedy_path_serves_what_no_other_path_serves(stack: Local) -> None:
    other = operation(mock(204, allow="any"))
    paths = {
        "/": {"options": other},
        "/{proxy+}": {"options": other},
        "/things": {"get": operation(mock(200, body="{}")), "options": operation(mock(204, allow="things"))},
        "/things/{id}/parts": {"get": operation(mock(200, body="{}"))},
    }
    with imported(stack, paths) as (api, _):
        assert api("OPTIONS", "/things").headers["Allow"] == "things"
        for path in ("/", "/other", "/things/x", "/things/x/other", "/things/x/parts"):
            assert api("OPTIONS", path).headers["Allow"] == "any", path
        for path in ("/", "/other", "/things/x", "/things/x/other"):
            assert api("GET", path).status_code == 403, path


class BackOffice(ThreadingHTTPServer):
    """A back office that keeps the requests that it gets. The path of a request ends with the status to respond."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        self.allow_reuse_address = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: BackOffice

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.path, headers, body))
        if "slow" in self.path:
            time.sleep(1)
        self.send_response(int(self.path.partition("?")[0][-3:]))
        self.send_header("ETag", '"1"')
        self.send_header("Location", "/elsewhere")
        self.send_header("Set-Cookie", "secret=1")
        self.end_headers()
        self.wfile.write(b'{"from":"back office"}')

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing about requests."""


@pytest.fixture
def office() -> Iterator[BackOffice]:
    with BackOffice() as office:
        threading.Thread(target=office.serve_forever, daemon=True).start()
        yield office
        office.shutdown()


def back_office_integration(office: BackOffice) -> dict[str, Any]:
    return {
        "type": "http",
        "httpMethod": "GET",
        "uri": f"{office.url}/base/{{proxy}}",
        "passthroughBehavior": "never",
        "timeoutInMillis": 500,
        "requestParameters": {
            "integration.request.path.proxy": "method.request.path.proxy",
            "integration.request.querystring.page": "method.request.querystring.page",
            "integration.request.header.Accept": "'*/*'",
            "integration.request.header.Accept-Encoding": "'identity'",
        },
        "requestTemplates": {"application/json": "##"},
        "responses": {
            "2..": {
                "statusCode": "200",
                "responseParameters": {
                    "method.response.header.ETag": "integration.response.header.ETag",
                    "method.response.header.Last-Modified": "integration.response.header.Last-Modified",
                    "method.response.header.Cache-Control": "'no-store'",
                },
            },
            "404|410": {
                "statusCode": "404",
                "responseTemplates": {"application/json": '{"id":"$context.extendedRequestId"}'},
            },
            "default": {"statusCode": "502", "responseTemplates": {"application/json": "{}"}},
        },
    }


def test_a_back_office_gets_only_what_its_integration_maps(stack: Local, office: BackOffice) -> None:
    call = operation(back_office_integration(office), "path.proxy", "query.page")
    with imported(stack, {"/office/{proxy+}": {"get": call}}) as (api, _):
        headers = {"Authorization": "Bearer x", "X-Other": "1", "If-None-Match": '"1"', "Accept": "text/html"}
        response = api("GET", "/office/a%20b/%7E%2F200?page=1&page=2&other=3", data=b"{}", headers=headers)
        ((target, received, body),) = office.received
    assert (target, body) == ("/base/a%20b/~/200?page=2", b"")
    assert received == {
        "host": f"127.0.0.1:{office.server_port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": received["user-agent"],
    }
    assert (response.status_code, response.json()) == (200, {"from": "back office"})
    assert response.headers["ETag"] == '"1"' and response.headers["Cache-Control"] == "no-store"
    assert not {"Set-Cookie", "Location", "Last-Modified"} & set(response.headers)


def test_the_response_of_a_back_office_is_chosen_by_its_status(stack: Local, office: BackOffice) -> None:
    integration = back_office_integration(office)
    strict = integration | {"responses": {"2..": {"statusCode": "200"}}}
    paths = {
        "/office/{proxy+}": {"get": operation(integration, "path.proxy", "query.page")},
        "/strict/{proxy+}": {"get": operation(strict, "path.proxy", "query.page")},
    }
    with imported(stack, paths) as (api, _):
        for sent, status in ((200, 200), (207, 200), (404, 404), (410, 404), (302, 502), (500, 502)):
            response = api("GET", f"/office/{sent}")
            assert response.status_code == status, sent
        missing = api("GET", "/office/404")
        assert missing.json() == {"id": missing.headers["x-amzn-requestid"]}
        assert api("GET", "/strict/404").status_code == 500
        assert api("GET", "/office/slow/200").status_code == 504
        assert api("GET", "/office/200", headers={"Content-Type": "text/plain"}).status_code == 415
        before = len(office.received)
    assert before == 9, "a redirection isn't followed, and the refused request isn't passed on"
