"""Patch MiniStack where it differs from AWS, and start it. ops/local/emulator.py runs this file as a process.

Each public function below except `main` is one patch. Its docstring says what MiniStack does without the patch, and
what AWS does.
"""

from __future__ import annotations

import copy
import functools
import json
import queue
import re
from collections.abc import Callable
from typing import Any

import hypercorn.config
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import apigateway, apigateway_v1, dynamodb, lambda_svc

REPLAYED_RESPONSES = 5000
"""The maximum number of responses to keep for retried requests. One `terraform apply` sends about 3,000 requests."""


def keep_idle_connections_open() -> None:
    """Keep idle HTTP connections open for two hours, which is longer than any run.

    Without this patch, MiniStack closes a connection that has been idle for 75 seconds. A request that arrives at the
    moment of closing gets no response. Of 200 requests that were sent within 10 ms of that moment, 3 got none.
    MiniStack may have carried such a request out. Then Terraform's retry fails with a conflict. Such a request is
    likely, because a `terraform apply` lasts about 75 seconds, just as long as a connection may be idle.
    """

    def two_hours(_config: hypercorn.config.Config) -> float:
        return 7200.0

    def ignore_value(_config: hypercorn.config.Config, _seconds: float) -> None:
        """Do nothing when MiniStack sets the timeout to 75 seconds."""

    hypercorn.config.Config.keep_alive_timeout = property(two_hours, ignore_value)  # type: ignore[assignment]


def replay_responses_to_retries() -> None:
    """Answer a retried request with the response to its first try, instead of carrying the request out twice.

    Even on open connections, MiniStack loses a few of the 3,000 responses of a `terraform apply`. The AWS SDK then
    retries the request. The retry has the same invocation id, which is a header. Without this patch, the retry would
    fail with a conflict, because MiniStack has already carried the request out.
    """
    # Import MiniStack's application only now, because its modules must see the other patches.
    import ministack.app

    responses: dict[bytes, list[dict[str, Any]]] = {}
    serve = ministack.app.app

    async def serve_once(scope: Any, receive: Any, send: Any) -> None:
        invocation = dict(scope.get("headers") or ()).get(b"amz-sdk-invocation-id")
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or invocation is None:
            await serve(scope, receive, send)
            return
        if invocation in responses:
            while (await receive()).get("more_body"):
                pass
            for message in responses[invocation]:
                await send(message)
            return
        response: list[dict[str, Any]] = []

        async def send_and_keep(message: dict[str, Any]) -> None:
            response.append(message)
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and response[0]["status"] < 300:
                responses[invocation] = response
                if len(responses) > REPLAYED_RESPONSES:
                    del responses[next(iter(responses))]
            await send(message)

        await serve(scope, receive, send_and_keep)

    ministack.app.app = serve_once


def check_each_statement_of_a_batch() -> None:
    """Let IAM check each PartiQL statement of a batch, with the statement's own action and table.

    Without this patch, MiniStack checks the whole batch once, for `dynamodb:BatchExecuteStatement` on all resources.
    AWS has no such IAM action. On AWS, each statement needs the permission PartiQLInsert or PartiQLUpdate on its table.
    """
    original = iam_actions.dynamodb_transaction_checks

    def checks(action: str, body: bytes, region: str, account: str) -> Any:
        if action != "dynamodb:BatchExecuteStatement":
            return original(action, body, region, account)
        statements = [statement["Statement"] for statement in json.loads(body)["Statements"]]
        matches = [re.match('(INSERT|UPDATE) (?:INTO )?"([^"]+)"', statement) for statement in statements]
        tables = f"arn:aws:dynamodb:{region}:{account}:table/"
        understood = [match for match in matches if match]
        if len(understood) < len(matches):
            return []
        return [(f"dynamodb:PartiQL{match[1].capitalize()}", tables + match[2]) for match in understood]

    iam_actions.dynamodb_transaction_checks = checks


def tell_iam_the_item_key() -> None:
    """Let IAM policies restrict a request by the key of the item that it names (`dynamodb:LeadingKeys`), as on AWS.

    Without this patch, MiniStack doesn't know `dynamodb:LeadingKeys`. A condition on `dynamodb:LeadingKeys` in a policy
    would then be true for every item, so the policy would restrict nothing.
    """
    original = iam_actions.dynamodb_service_context

    def context(body: bytes) -> dict[str, Any]:
        values: dict[str, Any] = original(body)
        request = json.loads(body) if values else {}
        keys = [request[part]["pk"]["S"] for part in ("Item", "Key") if "pk" in (request.get(part) or {})]
        return values | ({"dynamodb:LeadingKeys": keys} if keys else {})

    iam_actions.dynamodb_service_context = context


def redeliver_failed_kinesis_records() -> None:
    """Deliver a Kinesis batch again if the function reports some of its records as failed.

    Without this patch, MiniStack ignores the function's report, so the failed records would be lost. AWS delivers the
    batch again, beginning with the first failed record. This patch delivers the whole batch again. The functions can
    handle that, because AWS too may deliver any record twice.
    """
    original = lambda_svc._execute_function

    def execute(function: Any, event: Any) -> Any:
        result = original(function, event)
        records = event.get("Records") if isinstance(event, dict) else None
        if records and records[0].get("eventSource") == "aws:kinesis" and not result.get("error"):
            body = result.get("body")
            report = json.loads(body or "{}") if isinstance(body, str) else body
            if isinstance(report, dict) and report.get("batchItemFailures"):
                return {**result, "error": True}
        return result

    lambda_svc._execute_function = execute


def stream_partiql_writes() -> None:
    """When a PartiQL statement writes an item, send the item to the table's stream and replica, as AWS does.

    Without this patch, MiniStack sends such an item to neither. Items that `apply` writes in bulk would then never
    become documents. This patch works only for tables without a sort key. Readplane has no other tables.
    """

    def streamed(statement: Callable[..., Any], key_of: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def execute(table: Any, parsed: Any, *more: Any) -> Any:
            key = key_of(table, parsed)
            before = copy.deepcopy(table["items"].get(key, {}).get("__no_sort__"))
            response = statement(table, parsed, *more)
            if response[0] == 200:
                after = copy.deepcopy(table["items"][key]["__no_sort__"])
                dynamodb._emit_stream_event(table["TableName"], "MODIFY" if before else "INSERT", before, after)
            return response

        return execute

    def inserted_key(table: Any, parsed: Any) -> Any:
        item = parsed["item"]
        return dynamodb._extract_key_val(item.get("M", item).get(table["pk_name"]))

    def updated_key(table: Any, parsed: Any) -> Any:
        return dynamodb._partiql_key_target(table, parsed)[0]

    dynamodb._partiql_insert = streamed(dynamodb._partiql_insert, inserted_key)
    dynamodb._partiql_update = streamed(dynamodb._partiql_update, updated_key)


def match_line_breaks_in_policies() -> None:
    """Let `*` in an IAM policy match a line break too, as AWS does.

    Without this patch, `*` matches no line break, so MiniStack would deny every request whose path contains `%0A`.
    """
    compile_pattern = iam_evaluator._fnmatch_compile

    @functools.cache
    def compile_with_line_breaks(pattern: str, ignore_case: bool) -> re.Pattern[str]:
        flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
        return re.compile(compile_pattern(pattern, ignore_case).pattern, flags)

    iam_evaluator._fnmatch_compile = compile_with_line_breaks

    arn_matches = apigateway_v1._arn_matches
    apigateway_v1._arn_matches = lambda pattern, arn: arn_matches(pattern, arn.replace("\n", " "))


def publish_whole_log() -> None:
    """Publish all log lines of an invocation when the invocation ends, as AWS does.

    Without this patch, MiniStack publishes the lines that its reader thread has read 5 ms after the end. It keeps the
    others until the same process of the function runs again. If that process isn't needed again, they are lost. With
    this patch, each process marks the end of an invocation in its log, and MiniStack reads the log up to the mark.
    """
    mark = "ministack: end of invocation"
    respond = "        _real_stdout.flush()\n\nrun()\n"
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    assert script.count(respond) == 1, "MiniStack's worker script has another end than this patch expects"
    mark_end = f"        sys.stderr.write({mark!r} + chr(10))\n        sys.stderr.flush()\n"
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(respond, mark_end + respond)

    def drain_to_mark(worker: Any, **_waits: float) -> str:
        lines: list[str] = []
        try:
            # A process that died has left no mark. Its log is whole when nothing more comes.
            while (line := worker._stderr_queue.get(timeout=1)) != mark:
                lines.append(line)
        except queue.Empty:
            pass
        return "\n".join(lines)

    lambda_runtime.Worker._drain_stderr_bounded = drain_to_mark


def put_rest_apis() -> None:
    """Let API Gateway import an OpenAPI document into an API (PutRestApi), as on AWS.

    MiniStack has no PutRestApi. It imports documents only for CloudFormation, and then without request parameters,
    mappings, templates, responses, gateway responses and resource policy. With this patch, it imports all of them. As
    on AWS, the import removes what the document doesn't name, and what is imported takes effect when the stage gets a
    new deployment.
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
        apigateway_v1._import_path_item(api_id, path, operations, schemes)
        resources = apigateway_v1._resources[api_id].values()
        resource = next(resource for resource in resources if resource["path"] == path)
        for method, operation in operations.items():
            _complete_operation(api_id, resource, method.upper(), operation)
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
            key = "x-amazon-apigateway-any-method" if name == "ANY" else name.lower()
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


def main() -> None:
    """Apply every patch and run MiniStack until it is stopped."""
    keep_idle_connections_open()
    check_each_statement_of_a_batch()
    tell_iam_the_item_key()
    redeliver_failed_kinesis_records()
    stream_partiql_writes()
    match_line_breaks_in_policies()
    publish_whole_log()
    put_rest_apis()
    serve_what_is_deployed()
    create_vpc_links()
    export_whole_apis()
    replay_responses_to_retries()

    import ministack.app  # import it only now, because its modules must see the patches above

    ministack.app.main()


if __name__ == "__main__":
    main()
