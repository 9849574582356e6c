"""Mutants of `read` and of the API, each of which breaks one rule of cached routes. The attack must catch every one."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from readplane.api.request import QUERY_PARAMETERS
from tests.fakes.gateway_cache import Method
from tests.unit.cached_routes.world import Function

Event = Mapping[str, Any]
Response = Mapping[str, Any]


def _header(event: Event, name: str) -> str | None:
    """Return a header of an event, whatever its spelling, as `read` sees it."""
    return {key.lower(): value for key, value in event["headers"].items()}.get(name)


def _refusal(status: int, response: Response) -> Response:
    headers = {**response["headers"], "Content-Type": "application/problem+json"}
    return {**response, "statusCode": status, "headers": headers, "body": f'{{"status":{status}}}'}


def _answers_conditions(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        tags, etag = _header(event, "if-none-match"), response["headers"].get("ETag")
        if tags and etag and (etag in tags or "*" in tags):
            return {**response, "statusCode": 304, "body": ""}
        return response

    return mutant


def _names_the_origin(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        origin = _header(event, "origin")
        headers = {"Access-Control-Allow-Origin": origin} if origin == "https://b.example.com" else {}
        return {**response, "headers": {**response["headers"], **headers}}

    return mutant


def _takes_versions_from_a_header(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        version = _header(event, "readplane-min-version")
        if version and event["resource"].endswith("{item_id}"):
            query = {**(event["queryStringParameters"] or {}), "min_version": version}
            event = {**event, "queryStringParameters": query}
        return read(event, context)

    return mutant


def _examines_the_client(status: int) -> Callable[[Function], Function]:
    def mutate(read: Function) -> Function:
        def mutant(event: Event, context: None) -> Response:
            response = read(event, context)
            claims = event["requestContext"].get("authorizer", {}).get("claims")
            if claims and claims["client_id"] not in ("web", "mobile"):
                return _refusal(status, response)
            return response

        return mutant

    return mutate


def _examines_the_user(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        claims = event["requestContext"].get("authorizer", {}).get("claims")
        return _refusal(403, response) if claims and "sub" not in claims else response

    return mutant


def _refuses_unknown_parameters(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        return (
            response if QUERY_PARAMETERS.issuperset(event["queryStringParameters"] or {}) else _refusal(400, response)
        )

    return mutant


def _refuses_repeated_parameters(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        repeated = [values for values in (event["multiValueQueryStringParameters"] or {}).values() if len(values) > 1]
        return _refusal(400, response) if repeated else response

    return mutant


def _refuses_empty_parameters(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        query = event["queryStringParameters"] or {}
        return _refusal(400, response) if query.get("limit") == "" or query.get("min_version") == "" else response

    return mutant


def _refuses_bodies(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        return _refusal(400, response) if event["body"] else response

    return mutant


def _obeys_method_overrides(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        return {**response, "body": ""} if event["httpMethod"] == "HEAD" else response

    return mutant


def _links_to_the_forwarded_host(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        response = read(event, context)
        host = _header(event, "x-forwarded-host")
        return {**response, "headers": {**response["headers"], **({"Link": f"<https://{host}/>"} if host else {})}}

    return mutant


def _names_the_request_as_the_client(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        request = event["requestContext"]
        return read({**event, "requestContext": {**request, "extendedRequestId": request["requestId"]}}, context)

    return mutant


def _ignores_the_minimum_version(read: Function) -> Function:
    def mutant(event: Event, context: None) -> Response:
        query = {name: value for name, value in (event["queryStringParameters"] or {}).items() if name != "min_version"}
        return read({**event, "queryStringParameters": query}, context)

    return mutant


READ_MUTANTS: dict[str, Callable[[Function], Function]] = {
    "answers If-None-Match with 304": _answers_conditions,
    "names the caller's origin": _names_the_origin,
    "takes the minimum version from a header": _takes_versions_from_a_header,
    "answers 401 to the token of another client": _examines_the_client(401),
    "answers 403 to the token of another client": _examines_the_client(403),
    "answers 403 to a token without a user": _examines_the_user,
    "refuses an unknown query parameter": _refuses_unknown_parameters,
    "refuses a repeated query parameter": _refuses_repeated_parameters,
    "refuses an empty query parameter": _refuses_empty_parameters,
    "refuses a GET with a body": _refuses_bodies,
    "obeys X-HTTP-Method-Override": _obeys_method_overrides,
    "writes X-Forwarded-Host into a header": _links_to_the_forwarded_host,
    "answers with a request id that the client chooses": _names_the_request_as_the_client,
    "ignores min_version": _ignores_the_minimum_version,
}
"""What a mutant of `read` does -> a function that makes the mutant from `read`."""


MethodMutant = Callable[[Method], Method]


def _with_header(name: str, *, in_key: bool) -> MethodMutant:
    """Map a header of the request to the integration."""

    def mutate(method: Method) -> Method:
        parameters = {
            **method.integration["requestParameters"],
            f"integration.request.header.{name}": f"method.request.header.{name}",
        }
        keys = (*method.key_parameters, f"header.{name}") if in_key else method.key_parameters
        return method._replace(integration={**method.integration, "requestParameters": parameters}, key_parameters=keys)

    return mutate


def _with(**fields: Any) -> MethodMutant:
    return lambda method: method._replace(integration={**method.integration, **fields})


def _names_the_request_as_the_client_does(method: Method) -> Method:
    text = json.dumps(method.integration).replace("$context.extendedRequestId", "$context.requestId")
    return method._replace(integration=json.loads(text))


def _without_key(name: str) -> MethodMutant:
    return lambda method: method._replace(key_parameters=tuple(key for key in method.key_parameters if key != name))


DOCUMENT, BACKEND = "/documents/*", "/backends/catalog/{proxy+}"
ITEM, LIST, RELATIONAL_LIST = "/items/*/{item_id}", "/items/products", "/items/stock"
UNKEYED_TEMPLATE = {"requestTemplates": {}, "passthroughBehavior": "when_no_match"}

METHOD_MUTANTS: dict[str, tuple[str, MethodMutant]] = {
    "S3 gets If-None-Match": (DOCUMENT, _with_header("If-None-Match", in_key=False)),
    "S3 gets If-None-Match, which is in the key": (DOCUMENT, _with_header("If-None-Match", in_key=True)),
    "S3 gets Range": (DOCUMENT, _with_header("Range", in_key=False)),
    "a back office gets X-Forwarded-Host": (BACKEND, _with_header("X-Forwarded-Host", in_key=False)),
    "a back office gets X-Forwarded-Host, which is in the key": (
        BACKEND,
        _with_header("X-Forwarded-Host", in_key=True),
    ),
    "a back office gets Accept-Language, which is in the key": (BACKEND, _with_header("Accept-Language", in_key=True)),
    "a back office gets the body and its type": (BACKEND, _with(**UNKEYED_TEMPLATE)),
    "a back office gets the whole request": (BACKEND, _with(type="http_proxy")),
    "the problem of a document has a request id that the client chooses": (
        DOCUMENT,
        _names_the_request_as_the_client_does,
    ),
    "the problem of a backend has a request id that the client chooses": (
        BACKEND,
        _names_the_request_as_the_client_does,
    ),
    "the key of an item lacks its id": (ITEM, _without_key("path.item_id")),
    "the key of an item lacks min_version": (ITEM, _without_key("querystring.min_version")),
    "the key of a list lacks limit": (LIST, _without_key("querystring.limit")),
    "the key of a list lacks next": (LIST, _without_key("querystring.next")),
    "the key of a relational list lacks filter": (RELATIONAL_LIST, _without_key("querystring.filter")),
    "the key of a relational list lacks sort": (RELATIONAL_LIST, _without_key("querystring.sort")),
    "the key of a relational list lacks q": (RELATIONAL_LIST, _without_key("querystring.q")),
    "the key of a relational list lacks limit": (RELATIONAL_LIST, _without_key("querystring.limit")),
    "the key of a relational list lacks cursor": (RELATIONAL_LIST, _without_key("querystring.cursor")),
    "the key of a backend lacks a query parameter": (BACKEND, _without_key("querystring.page")),
}
"""What a mutant of the API does -> a pattern of the cached routes that it changes, and a function that changes one."""
