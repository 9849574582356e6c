"""Patch MiniStack's API Gateway where it differs from AWS. emulator_patches.py applies these patches.

Each public function below except `apply` is one patch. Its docstring says what MiniStack does without the patch, and
what AWS does.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import http.client
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ministack.services import apigateway, apigateway_v1

ANY_METHOD = "x-amazon-apigateway-any-method"
"""The key of the operation that serves every method without an operation of its own, in an OpenAPI document."""


def apply() -> None:
    """Apply the patches that MiniStack's services must see before its application is imported."""
    put_rest_apis()
    serve_what_is_deployed()
    create_vpc_links()
    export_whole_apis()
    answer_mocks_as_configured()
    call_back_offices_as_configured()
    refuse_calls_of_busy_functions()
    name_requests_in_refusals()


def put_rest_apis() -> None:
    """Let API Gateway import an OpenAPI document into an API (PutRestApi), as on AWS.

    MiniStack has no PutRestApi. It imports documents only for CloudFormation, and then without methods for any verb
    (`x-amazon-apigateway-any-method`), request parameters, mappings, templates, responses, gateway responses and
    resource policy. With this patch, it imports all of them. As on AWS, the import removes what the document doesn't
    name, and what is imported takes effect when the stage gets a new deployment.
    """
    handle = apigateway_v1.handle_request

    async def handle_or_put(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        match = re.fullmatch("/restapis/([^/]+)/?", path)
        if method == "PUT" and match:
            return _put_rest_api(match[1], json.loads(body))
        return await handle(method, path, headers, body, query_params)

    apigateway_v1.handle_request = handle_or_put


_IMPORTED: dict[str, dict[str, Any]] = {}
"""The parts of each API that a document was imported into, as the next deployment copies them, by the API's id."""

_DEPLOYED: dict[str, dict[str, Any]] = {}
"""The parts that each deployment of such an API has copied, by the deployment's id."""


def _put_rest_api(api_id: str, document: dict[str, Any]) -> Any:
    api = apigateway_v1._rest_apis.get(api_id)
    if api is None:
        return apigateway_v1._v1_error("NotFoundException", "Invalid API identifier specified", 404)
    info = document["info"]
    api.update(name=info["title"], description=info.get("description", ""), version=info["version"])
    # MiniStack can import only into the parts that it serves. So put empty parts there while it imports.
    served = _served_parts(api_id)
    root = next(resource for resource in served["resources"].values() if resource["path"] == "/")
    _serve_parts(
        api_id, {"resources": {root["id"]: {**root, "resourceMethods": {}}}, "authorizers": {}, "policy": None}
    )
    schemes = apigateway_v1._import_security_schemes(api_id, document)
    for path, operations in document["paths"].items():
        apigateway_v1._import_path_item(api_id, path, {})
        resources = apigateway_v1._resources[api_id].values()
        resource = next(resource for resource in resources if resource["path"] == path)
        for key, operation in operations.items():
            method = "ANY" if key == ANY_METHOD else key.upper()
            apigateway_v1._import_operation(api_id, resource["id"], method, operation, schemes)
            _complete_operation(api_id, resource, method, operation)
    policy = document.get("x-amazon-apigateway-policy")
    api["policy"] = policy and json.dumps(policy)
    _IMPORTED[api_id] = _served_parts(api_id)
    _serve_parts(api_id, served)
    apigateway_v1._gateway_responses[api_id] = {}
    for response_type, response in document.get("x-amazon-apigateway-gateway-responses", {}).items():
        apigateway_v1._put_gateway_response(api_id, response_type, response)
    return apigateway_v1._v1_response(apigateway_v1._rest_api_view(api))


def _complete_operation(api_id: str, resource: dict[str, Any], method: str, operation: dict[str, Any]) -> None:
    """Add to an imported method what MiniStack's own import leaves out."""
    parameters = resource["resourceMethods"][method]["requestParameters"]
    for parameter in operation.get("parameters", ()):
        kind = "querystring" if parameter["in"] == "query" else parameter["in"]
        parameters[f"method.request.{kind}.{parameter['name']}"] = parameter["required"]
    place = (api_id, resource["id"], method)
    for status, response in operation["responses"].items():
        headers = {f"method.response.header.{header}": False for header in response.get("headers", ())}
        apigateway_v1._put_method_response(*place, status, {"responseParameters": headers})
    integration = dict(operation["x-amazon-apigateway-integration"])
    responses = integration.pop("responses", {})
    # A document has these values in lower case, MiniStack in upper case.
    for field in ("type", "passthroughBehavior"):
        integration[field] = integration[field].upper()
    apigateway_v1._put_integration(*place, integration)
    if "connectionId" in integration:
        resource["resourceMethods"][method]["methodIntegration"]["connectionId"] = integration["connectionId"]
    for pattern, response in responses.items():
        selection = {} if pattern == "default" else {"selectionPattern": pattern}
        apigateway_v1._put_integration_response(*place, response["statusCode"], response | selection)


def _served_parts(api_id: str) -> dict[str, Any]:
    return {
        "resources": apigateway_v1._resources[api_id],
        "authorizers": apigateway_v1._authorizers_v1[api_id],
        "policy": apigateway_v1._rest_apis[api_id]["policy"],
    }


def _serve_parts(api_id: str, parts: dict[str, Any]) -> None:
    apigateway_v1._resources[api_id] = parts["resources"]
    apigateway_v1._authorizers_v1[api_id] = parts["authorizers"]
    apigateway_v1._rest_apis[api_id]["policy"] = parts["policy"]


def serve_what_is_deployed() -> None:
    """Let a stage serve a copy of the API that its deployment made, as on AWS.

    Without this patch, every change of an API takes effect at once. So no test would notice if Terraform deployed an
    API before it changed the API. With this patch, an imported document takes effect when the API's only stage gets a
    deployment that was made after the import. As on AWS, API Gateway refuses to delete a stage's deployment.
    """
    create_deployment = apigateway_v1._create_deployment
    delete_deployment = apigateway_v1._delete_deployment

    def create(api_id: str, data: Any) -> Any:
        response = create_deployment(api_id, data)
        if api_id in _IMPORTED:
            newest = list(apigateway_v1._deployments_v1[api_id])[-1]
            _DEPLOYED[newest] = copy.deepcopy(_IMPORTED[api_id])
        return response

    def delete(api_id: str, deployment_id: str) -> Any:
        stages = apigateway_v1._stages_v1.get(api_id, {}).values()
        if deployment_id in [stage["deploymentId"] for stage in stages]:
            message = "Active stages pointing to this deployment must be moved or deleted"
            return apigateway_v1._v1_error("BadRequestException", message, 400)
        _DEPLOYED.pop(deployment_id, None)
        return delete_deployment(api_id, deployment_id)

    def then_serve(change_stage: Callable[..., Any]) -> Callable[..., Any]:
        def change(api_id: str, *details: Any) -> Any:
            response = change_stage(api_id, *details)
            for stage in apigateway_v1._stages_v1.get(api_id, {}).values():
                if stage["deploymentId"] in _DEPLOYED:
                    _serve_parts(api_id, _DEPLOYED[stage["deploymentId"]])
            return response

        return change

    apigateway_v1._create_deployment = create
    apigateway_v1._delete_deployment = delete
    apigateway_v1._create_stage = then_serve(apigateway_v1._create_stage)
    apigateway_v1._update_stage = then_serve(apigateway_v1._update_stage)


def create_vpc_links() -> None:
    """Let API Gateway create VPC links for REST APIs, and refuse to delete one that an API uses, as on AWS.

    MiniStack has no such VPC links. With this patch, it keeps and lists them. It still doesn't route requests through
    them.
    """
    handle = apigateway.handle_request
    links: dict[str, dict[str, Any]] = {}

    def is_used(link_id: str) -> bool:
        return any(link_id in json.dumps(parts) for parts in (*_DEPLOYED.values(), *_IMPORTED.values()))

    async def handle_or_link(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        match = re.fullmatch("/vpclinks(?:/([^/]+))?", path)
        if match is None:
            return await handle(method, path, headers, body, query_params)
        if method == "POST":
            link = json.loads(body) | {"id": apigateway_v1._new_id()[:6], "status": "AVAILABLE"}
            links[link["id"]] = link
            return apigateway_v1._v1_response(link, 202)
        if match[1] not in links:
            return apigateway_v1._v1_error("NotFoundException", "Invalid Vpc Link identifier specified", 404)
        if method == "DELETE" and is_used(match[1]):
            message = f"Cannot delete vpc link. Vpc link '{match[1]}', is referenced by an API"
            return apigateway_v1._v1_error("BadRequestException", message, 400)
        if method == "DELETE":
            del links[match[1]]
            return 202, {}, b""
        return apigateway_v1._v1_response(links[match[1]])

    apigateway.handle_request = handle_or_link


def export_whole_apis() -> None:
    """Let API Gateway export everything that a stage serves (GetExport, as OpenAPI 3.0), as on AWS.

    Without this patch, MiniStack's export lacks Cognito authorizers, the scopes of methods, gateway responses and the
    resource policy. Then `readplane api compare` would report all of them as missing.
    """
    build = apigateway_v1._build_api_export

    def build_whole(api_id: str, stage_name: str, export_type: str, *extensions: bool) -> dict[str, Any]:
        document: dict[str, Any] = build(api_id, stage_name, export_type, *extensions)
        # Only the value "apigateway" of the parameter `extensions` includes all extensions.
        if export_type == "oas30" and all(extensions):
            _export_cognito_authorizers(api_id, document)
            deployment = apigateway_v1._stages_v1[api_id][stage_name]["deploymentId"]
            responses = apigateway_v1._deployed_gateway_responses.get(api_id, {}).get(deployment, {})
            fields = ("statusCode", "responseParameters", "responseTemplates")
            document["x-amazon-apigateway-gateway-responses"] = {
                response_type: {field: response[field] for field in fields if field in response}
                for response_type, response in responses.items()
            }
            if policy := apigateway_v1._rest_apis[api_id].get("policy"):
                document["x-amazon-apigateway-policy"] = json.loads(policy)
        return document

    apigateway_v1._build_api_export = build_whole


def _export_cognito_authorizers(api_id: str, document: dict[str, Any]) -> None:
    """Add Cognito authorizers, and the scopes of their methods, to an exported OpenAPI document."""
    authorizers = apigateway_v1._authorizers_v1.get(api_id, {})
    for resource in apigateway_v1._resources[api_id].values():
        for name, method in resource["resourceMethods"].items():
            authorizer = authorizers.get(method.get("authorizerId"))
            if authorizer is None or authorizer["type"] != "COGNITO_USER_POOLS":
                continue
            key = ANY_METHOD if name == "ANY" else name.lower()
            operation = document["paths"][resource["path"]][key]
            operation.setdefault("security", [{}])[0][authorizer["name"]] = method.get("authorizationScopes", [])
            document["components"].setdefault("securitySchemes", {})[authorizer["name"]] = {
                "type": "apiKey",
                "name": authorizer["identitySource"].removeprefix("method.request.header."),
                "in": "header",
                "x-amazon-apigateway-authtype": "cognito_user_pools",
                "x-amazon-apigateway-authorizer": {
                    "type": "cognito_user_pools",
                    "providerARNs": authorizer["providerARNs"],
                },
            }


def route_by_the_path_as_sent() -> None:
    """Route a request to a REST API by its percent-encoded path, and pass path parameters on encoded, as AWS does.

    Without this patch, MiniStack decodes the path first. An encoded slash (%2F) then separates two segments, and
    functions get decoded path parameters. AWS passes `path` and `pathParameters` to a function as the client sent them.
    For a back office, AWS decodes a path parameter and encodes it again for the URL. So does this patch.
    """
    import ministack.app

    handle = ministack.app._handle_execute_api_request
    call_back_office = apigateway_v1._invoke_http_proxy_v1

    async def handle_as_sent(host: str, path: str, *request: Any, raw_path: str | None = None, **more: Any) -> Any:
        parsed = ministack.app._parse_execute_api_url(host, path)
        if raw_path and parsed and apigateway_v1.find_api_scope(parsed[0]) is not None:
            path = raw_path
        return await handle(host, path, *request, raw_path=raw_path, **more)

    async def call_with_plain_path(*request: Any) -> Any:
        *others, path_params = request
        plain = {name: _encoded_again(value) for name, value in (path_params or {}).items()}
        return await call_back_office(*others, plain)

    ministack.app._handle_execute_api_request = handle_as_sent
    apigateway_v1._invoke_http_proxy_v1 = call_with_plain_path


def _encoded_again(parameter: str) -> str:
    """Return a path parameter as API Gateway puts it into a back office's URL. An encoded slash becomes a slash."""
    return urllib.parse.quote(urllib.parse.unquote(parameter), safe="/-._~!$&'()*+,;=:@")


_REQUEST: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("request")
"""The request to a REST API that MiniStack serves now: MiniStack's own dict of its parts, and the `body`."""


def answer_mocks_as_configured() -> None:
    """Answer requests to mock integrations with their templates and status patterns, as on AWS.

    Without this patch, MiniStack always uses the request template for application/json, leaves variables such as
    `$context.extendedRequestId` in the response, and answers "{}" if there is no response template. On AWS, the
    Content-Type of the request chooses the request template, and a response without a template has no body. On AWS, a
    mock whose request has no template takes the status from the request's body, and responds 500 if the body has none.
    """
    execute = apigateway_v1._execute_in_scope

    async def execute_and_remember(
        request: dict[str, Any], api: str, stage: str, method: str, path: str, headers: Any, body: bytes, *more: Any
    ) -> Any:
        _REQUEST.set(request)
        request["body"] = body
        return await execute(request, api, stage, method, path, headers, body, *more)

    def answer(integration: dict[str, Any]) -> Any:
        request = _REQUEST.get()
        try:
            status = int(json.loads(_mapped_body(integration, request))["statusCode"])
        except (ValueError, TypeError, KeyError):
            return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
        return _mapped_response(integration, status, {}, "", request)

    apigateway_v1._execute_in_scope = execute_and_remember
    apigateway_v1._invoke_mock_v1 = answer


def call_back_offices_as_configured() -> None:
    """Send a back office behind an `http` integration only what the integration maps, as on AWS.

    Without this patch, MiniStack treats `http` as `http_proxy`: it passes on every header and query parameter and the
    body, and returns the back office's response. On AWS, the back office gets the mapped parameters, and the body that
    the request template prints. The integration's responses map the status, the headers and the body of the response.
    """
    call_unmapped = apigateway_v1._invoke_http_proxy_v1

    async def call(integration: dict[str, Any], *request: Any) -> Any:
        if integration["type"] != "HTTP":
            return await call_unmapped(integration, *request)
        return await asyncio.to_thread(_call_back_office, integration, _REQUEST.get())

    apigateway_v1._invoke_http_proxy_v1 = call


def _call_back_office(integration: dict[str, Any], request: dict[str, Any]) -> Any:
    url, query = integration["uri"], []
    # API Gateway sends these headers unless the integration maps others.
    headers = {"Accept": "application/json", "User-Agent": f"AmazonAPIGateway_{request['api_id']}"}
    for target, source in integration["requestParameters"].items():
        kind, name = target.removeprefix("integration.request.").split(".", 1)
        values = list(_mapped_values(source, request))
        if kind == "path":
            url = url.replace(f"{{{name}}}", "".join(map(_encoded_again, values)))
        elif kind == "querystring":
            query += [(name, value) for value in values]
        elif values:
            headers[name] = values[-1]
    parts = urllib.parse.urlsplit(url)
    queries = "&".join(filter(None, (parts.query, urllib.parse.urlencode(query))))
    body = _mapped_body(integration, request)
    if body:
        headers.setdefault("Content-Type", "application/json")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=integration["timeoutInMillis"] / 1000)
    try:
        connection.request(
            integration["httpMethod"],
            urllib.parse.urlunsplit(("", "", parts.path or "/", queries, "")),
            body=body.encode() or None,
            headers=headers,
        )
        # A redirection is a response like any other, because API Gateway doesn't follow it.
        response = connection.getresponse()
        content = response.read().decode(errors="replace")
    except TimeoutError:
        return apigateway_v1._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    except (OSError, http.client.HTTPException):
        return apigateway_v1._gw_error("INTEGRATION_FAILURE", "Internal server error")
    finally:
        connection.close()
    return _mapped_response(integration, response.status, dict(response.getheaders()), content, request)


def _mapped_values(source: str, request: dict[str, Any]) -> Iterable[str]:
    """Return the values of a mapping's source, such as ``method.request.querystring.page``; empty if there is none."""
    if source.startswith("'"):
        return [source[1:-1]]
    place, _, name = source.removeprefix("method.request.").partition(".")
    if place == "path":
        return [request["path_params"][name]]
    if place in ("querystring", "multivaluequerystring"):
        values: list[str] = (request["query_params"] or {}).get(name, [])
        return values if place == "multivaluequerystring" else values[-1:]
    if place == "header":
        # MiniStack has put all names into lower case. On AWS, the case must be the client's.
        return [value for key, value in request["headers"].items() if key == name.lower()]
    raise NotImplementedError(f"The patched emulator doesn't map {source}.")


def _mapped_body(integration: dict[str, Any], request: dict[str, Any]) -> str:
    """Return the body that an integration gets: what the template for the request's Content-Type prints.

    Without such a template it gets the request's body. MiniStack has already refused the request (415) if the
    integration's passthroughBehavior forbids this.
    """
    body = (request["body"] or b"").decode(errors="replace")
    content_type = request["headers"].get("content-type", "application/json").partition(";")[0].strip().lower()
    templates = {name.lower(): text for name, text in (integration["requestTemplates"] or {}).items()}
    return body if content_type not in templates else _rendered(templates[content_type], body, request)


def _rendered(template: str, body: str, request: dict[str, Any]) -> str:
    context = {"requestId": request["request_id"], "extendedRequestId": request["request_id"]}
    parameters = {**request["path_params"], **{name: values[0] for name, values in request["query_params"].items()}}
    rendered: str = apigateway_v1._render_request_template_v1(template, body, parameters, context)
    return rendered


_RESPONSE_HEADER = "integration.response.header."


def _mapped_response(
    integration: dict[str, Any], status: int, headers: Mapping[str, str], content: str, request: dict[str, Any]
) -> Any:
    """Return the response to the client that an integration makes from the response of its back office or mock."""
    selected = apigateway_v1._select_service_integration_response(integration, status)
    if selected is None:
        return apigateway_v1._gw_error("API_CONFIGURATION_ERROR", "Internal server error")
    mapped = {"Content-Type": "application/json", "x-amzn-requestid": request["request_id"]}
    for target, source in (selected["responseParameters"] or {}).items():
        # AWS compares the names of headers with case.
        value = source[1:-1] if source.startswith("'") else headers.get(source.removeprefix(_RESPONSE_HEADER))
        if value is not None:
            mapped[target.removeprefix("method.response.header.")] = value
    templates = list((selected["responseTemplates"] or {}).values())
    if templates:  # with a single template, API Gateway ignores the request's Accept header
        content = _rendered(templates[0], content, request)
    return int(selected["statusCode"]), mapped, content.encode()


class _ThrottledError(Exception):
    """Lambda refuses to run a function, because the function has no free concurrency."""


def refuse_calls_of_busy_functions() -> None:
    """Answer with the gateway response INTEGRATION_FAILURE if a function has no free concurrency, as AWS does.

    Without this patch, MiniStack responds 429 with Lambda's own error, which no gateway response can change.
    """
    invoke = apigateway_v1._invoke_lambda_proxy_v1
    shape = apigateway_v1._lambda_proxy_response

    def shape_or_refuse(result: dict[str, Any]) -> Any:
        if result.get("throttle"):
            raise _ThrottledError
        return shape(result)

    async def invoke_or_refuse(*request: Any, **more: Any) -> Any:
        try:
            return await invoke(*request, **more)
        except _ThrottledError:
            return apigateway_v1._gw_error("INTEGRATION_FAILURE", "Internal server error")

    apigateway_v1._invoke_lambda_proxy_v1 = invoke_or_refuse
    apigateway_v1._lambda_proxy_response = shape_or_refuse


def name_requests_in_refusals() -> None:
    """Set `$context.extendedRequestId` in the gateway responses with which API Gateway refuses a request, as on AWS.

    Without this patch, MiniStack sets `$context.requestId` and leaves `$context.extendedRequestId` as it is. The two
    are equal here, as in the events of functions. On AWS, a client can choose the first, but not the second.
    """
    respond = apigateway_v1._gateway_error_response

    def respond_with_id(error: Any, request: dict[str, Any]) -> Any:
        status, headers, body = respond(error, request)
        return status, headers, body.replace(b"$context.extendedRequestId", request["request_id"].encode())

    apigateway_v1._gateway_error_response = respond_with_id
