"""Rules that compare an API, as API Gateway exports it, with the OpenAPI document that Terraform imported into it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "x-amazon-apigateway-any-method")
"""The fields of an OpenAPI path that are operations."""

INTEGRATION = "x-amazon-apigateway-integration"
"""The field of an operation that says who answers its requests."""

INTEGRATION_DEFAULTS: dict[str, Any] = {
    "connectionType": "INTERNET",
    "passthroughBehavior": "when_no_match",
    "payloadFormatVersion": "1.0",
    "responseTransferMode": "BUFFERED",
    "timeoutInMillis": 29000,
    "tlsConfig": {"insecureSkipVerification": False},
}
"""The values that API Gateway uses for an integration that doesn't name them. The timeout is in milliseconds."""

AUTHORIZER_TTL = 300
"""Seconds for which API Gateway keeps an authorizer's decision if the authorizer names no time."""

GATEWAY_STATUSES = {
    "ACCESS_DENIED": "403",
    "API_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_CONFIGURATION_ERROR": "500",
    "AUTHORIZER_FAILURE": "500",
    "BAD_REQUEST_BODY": "400",
    "BAD_REQUEST_PARAMETERS": "400",
    "EXPIRED_TOKEN": "403",
    "INTEGRATION_FAILURE": "504",
    "INTEGRATION_TIMEOUT": "504",
    "INVALID_API_KEY": "403",
    "INVALID_SIGNATURE": "403",
    "MISSING_AUTHENTICATION_TOKEN": "403",
    "QUOTA_EXCEEDED": "429",
    "REQUEST_TOO_LARGE": "413",
    "RESOURCE_NOT_FOUND": "404",
    "THROTTLED": "429",
    "UNAUTHORIZED": "401",
    "UNSUPPORTED_MEDIA_TYPE": "415",
    "WAF_FILTERED": "403",
}
"""API Gateway's response types, and the status that each has if the gateway response names none."""

GATEWAY_TEMPLATES = {"application/json": '{"message":$context.error.messageString}'}
"""The templates that API Gateway uses for a gateway response that names none."""

NormalForm = dict[str, dict[tuple[str, ...], Any]]
"""An API's parts by name, such as "GET /health". A part has a value, such as "mock", for each path of a field, such as
("integration", "type")."""


class Difference(NamedTuple):
    """A field that the document and the deployed API set to different values.

    part: a route ("GET /health"), an authorizer, a gateway response, the resource policy, or the API itself
    field: the field's path; "exists" if one side lacks the whole part
    document: the document's value; None if the document doesn't set the field
    deployed: the deployed API's value; None if the deployed API doesn't set the field
    """

    part: str
    field: str
    document: Any
    deployed: Any


def differences(document: Mapping[str, Any], deployed: Mapping[str, Any]) -> list[Difference]:
    """Return every difference between a document and an export of the API that the document was imported into.

    :param document: the OpenAPI document that Terraform imported
    :param deployed: what API Gateway exports (type oas30, extensions apigateway)
    """
    wanted, found = normal_form(document), normal_form(deployed)
    result: list[Difference] = []
    for part in sorted(wanted.keys() | found.keys()):
        if part not in wanted or part not in found:
            result.append(Difference(part, "exists", part in wanted, part in found))
            continue
        for path in sorted(wanted[part].keys() | found[part].keys()):
            values = wanted[part].get(path), found[part].get(path)
            if values[0] != values[1]:
                result.append(Difference(part, _name(path), *values))
    return result


def route_count(document: Mapping[str, Any]) -> int:
    """Return how many routes a document has.

    These operations aren't routes of their own: a HEAD that does the same as the GET of its path, even if it calls S3
    with another method, and the mock integrations of OPTIONS and ANY, which answer preflights and methods that a path
    doesn't have. A back office's HEAD is a route, because Terraform declares it.
    """
    return sum(
        1
        for method, path, operation in _operations(document)
        if not (method in ("OPTIONS", "ANY") and operation[INTEGRATION]["type"].lower() == "mock")
        and not (method == "HEAD" and _is_derived(operation, document["paths"][path].get("get", {})))
    )


def _is_derived(head: Mapping[str, Any], get: Mapping[str, Any]) -> bool:
    ours, its = ({**operation.get(INTEGRATION, {}), "httpMethod": None} for operation in (head, get))
    return ours == its and ours["type"].lower() != "http_proxy"


def normal_form(document: Mapping[str, Any]) -> NormalForm:
    """Return what a document makes API Gateway do. Two documents with the same meaning have the same normal form.

    API Gateway keeps an API in a form of its own, so its export is never the text that was imported. This table lists
    what the normal form leaves out or unifies, and why.

    ====================================== ===========================================================================
    in a document                          in the normal form
    ====================================== ===========================================================================
    info, servers, tags, operationId,      left out: only people read them. The exception is the setting
    descriptions, documentation parts      disableExecuteApiEndpoint, which OpenAPI 3.0 has in `servers`
    schemas, request and response bodies   left out: without a request validator, API Gateway doesn't look at them. An
                                           export adds `content: {}` to each response
    security policy and access mode of     left out: the document doesn't set them
    the endpoint
    paths without methods                  left out: they answer like a path that doesn't exist
    order of lists                         sorted, because the order has no meaning in any list that is compared
    `required` of a parameter              "required" or "optional"; an export omits `required: false`
    security: one object or several        one object. API Gateway always asks for all of them
    name of the scheme for API keys        "api_key", the name that an export gives it
    authorizers that no route uses         left out: an export lacks them
    `name` and `in` of an authorizer       the identity source, unless the authorizer names one. An export may write
                                           `name: Unused`
    authtype of an authorizer              left out: API Gateway doesn't use the text
    ttl of an authorizer                   a number; API Gateway's default if it is absent
    type, httpMethod, connectionType,      one letter case. API Gateway's API has other letter cases than its documents
    passthroughBehavior,
    responseTransferMode
    defaults of an integration             left out (INTEGRATION_DEFAULTS), because an export may name or omit them
    empty values of an integration         left out, because an export may name or omit them
    timeoutInMillis, statusCode            a number, and a text. An export has either type
    cacheNamespace                         left out if only one path uses it. An export has the id of the path's
                                           resource there. Two paths with the same namespace would share responses
    method and URI of a mock integration   left out: a mock integration calls nothing
    responses of a proxy integration       left out: API Gateway passes every response on. An export adds
                                           `default: {statusCode: 200}`. The method's responses without headers are
                                           left out too, because OpenAPI asks for one, and an export may omit it
    status of a gateway response           left out if it is the type's default (GATEWAY_STATUSES)
    template of a gateway response         left out if it is API Gateway's default (GATEWAY_TEMPLATES)
    resource policy                        parsed if it is a text; each statement under its Sid; Action, Resource,
                                           Principal and values of conditions as sorted lists; Principal "*" as
                                           {"AWS": "*"}. AWS may store a list with one member as a text
    ====================================== ===========================================================================

    :param document: an OpenAPI document in the form that API Gateway imports or exports
    """
    schemes: Mapping[str, Any] = document.get("components", {}).get("securitySchemes", {})
    key_schemes = [name for name, scheme in schemes.items() if _is_key_scheme(scheme)]
    namespaces = _paths_by_namespace(document)
    parts: dict[str, Any] = {"API": _api_settings(document)}
    used: set[str] = set()
    for method, path, operation in _operations(document):
        needs = {name: scopes for need in operation.get("security", ()) for name, scopes in need.items()}
        used.update(needs)
        integration = _integration(operation.get(INTEGRATION, {}), namespaces)
        parts[f"{method} {path}"] = {
            "security": {
                "api_key" if name in key_schemes else name: sorted(scopes) or "required"
                for name, scopes in needs.items()
            },
            "parameters": _parameters(operation),
            "integration": integration,
            "responses": _method_responses(operation, integration.get("type", "")),
            "requestValidator": _validator(document, operation),
        }
    for name in used.intersection(schemes).difference(key_schemes):
        parts[f"authorizer {name}"] = _authorizer(schemes[name])
    for kind, response in document.get("x-amazon-apigateway-gateway-responses", {}).items():
        parts[f"gateway response {kind}"] = _gateway_response(kind, response)
    if policy := document.get("x-amazon-apigateway-policy"):
        parts["resource policy"] = _policy(policy)
    return {part: dict(_flat(fields)) for part, fields in parts.items()}


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the method, the path and the OpenAPI operation of each route.

    ANY stands for the methods for which the path has no operation of their own.
    """
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in METHODS:
                yield method.upper() if not method.startswith("x-") else "ANY", path, operation


def _is_key_scheme(scheme: Mapping[str, Any]) -> bool:
    """Return whether a security scheme is API Gateway's own check of API keys."""
    return scheme.get("name", "").lower() == "x-api-key" and "x-amazon-apigateway-authorizer" not in scheme


def _api_settings(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the API itself, without those that have API Gateway's default."""
    endpoint: dict[str, Any] = {}
    for holder in (*document.get("servers", ()), document):
        endpoint |= holder.get("x-amazon-apigateway-endpoint-configuration", {})
    key_source = document.get("x-amazon-apigateway-api-key-source", "HEADER").upper()
    return {
        "disableExecuteApiEndpoint": endpoint.get("disableExecuteApiEndpoint") or None,
        "vpcEndpointIds": sorted(endpoint.get("vpcEndpointIds", ())) or None,
        "apiKeySource": key_source if key_source != "HEADER" else None,
        "binaryMediaTypes": sorted(document.get("x-amazon-apigateway-binary-media-types", ())) or None,
        "minimumCompressionSize": document.get("x-amazon-apigateway-minimum-compression-size"),
    }


def _parameters(operation: Mapping[str, Any]) -> dict[str, str]:
    """Return "required" or "optional" for each parameter of a route, by API Gateway's name for the parameter."""
    return {
        f"{'querystring' if parameter['in'] == 'query' else parameter['in']}.{parameter['name']}": (
            "required" if parameter.get("required") else "optional"
        )
        for parameter in operation.get("parameters", ())
    }


def _validator(document: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str] | None:
    """Return which parts of a request API Gateway validates. None if it validates nothing."""
    field = "x-amazon-apigateway-request-validator"
    name = operation.get(field, document.get(field))
    checks = document.get("x-amazon-apigateway-request-validators", {}).get(name, {})
    return sorted(check for check, enabled in checks.items() if enabled) or None


def _paths_by_namespace(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the paths that use each cache namespace."""
    paths: dict[str, set[str]] = {}
    for _, path, operation in _operations(document):
        namespace = operation.get(INTEGRATION, {}).get("cacheNamespace")
        paths.setdefault(namespace, set()).add(path)
    return {namespace: sorted(shared) for namespace, shared in paths.items() if namespace}


def _integration(integration: Mapping[str, Any], namespaces: Mapping[str, list[str]]) -> dict[str, Any]:
    fields = {name: value for name, value in integration.items() if not _is_empty(value)}
    for name, letters in (
        ("type", str.lower),
        ("passthroughBehavior", str.lower),
        ("httpMethod", str.upper),
        ("connectionType", str.upper),
        ("responseTransferMode", str.upper),
    ):
        if name in fields:
            fields[name] = letters(fields[name])
    if "timeoutInMillis" in fields:
        fields["timeoutInMillis"] = int(fields["timeoutInMillis"])
    fields = {name: value for name, value in fields.items() if value != INTEGRATION_DEFAULTS.get(name)}
    if "cacheKeyParameters" in fields:
        fields["cacheKeyParameters"] = sorted(fields["cacheKeyParameters"])
    sharers = namespaces.get(fields.pop("cacheNamespace", ""), [])
    if len(sharers) > 1:
        fields["cacheNamespace"] = f"shared by {', '.join(sharers)}"
    kind = fields.get("type", "")
    responses = fields.pop("responses", {})
    if kind == "mock":
        fields = {name: value for name, value in fields.items() if name not in ("httpMethod", "uri")}
    if not kind.endswith("_proxy"):
        fields["responses"] = {pattern: _integration_response(response) for pattern, response in responses.items()}
    return fields


def _integration_response(response: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in response.items() if not _is_empty(value)}
    return fields | {"statusCode": str(response["statusCode"])}


def _is_empty(value: object) -> bool:
    return value in (None, "", {}, [])


def _method_responses(operation: Mapping[str, Any], integration_type: str) -> dict[str, Any]:
    """Return the headers that a method declares for each status of its responses."""
    responses = {
        str(status): sorted(response.get("headers") or ()) or "no headers"
        for status, response in (operation.get("responses") or {}).items()
    }
    if integration_type.endswith("_proxy"):
        return {status: headers for status, headers in responses.items() if headers != "no headers"}
    return responses


def _authorizer(scheme: Mapping[str, Any]) -> dict[str, Any]:
    extension = scheme.get("x-amazon-apigateway-authorizer")
    if not extension:
        # An authorizer without settings is AWS's check of signatures.
        return {"type": scheme.get("x-amazon-apigateway-authtype", "").lower()}
    fields = {name: value for name, value in extension.items() if not _is_empty(value)}
    place = "querystring" if scheme.get("in") == "query" else scheme.get("in", "header")
    default = None if scheme.get("name") == "Unused" else f"method.request.{place}.{scheme.get('name')}"
    sources = fields.get("identitySource", default)
    return fields | {
        "type": str(fields.get("type", "")).lower(),
        "identitySource": sorted(re.split(r"\s*,\s*", sources)) if sources else None,
        "authorizerResultTtlInSeconds": int(fields.get("authorizerResultTtlInSeconds", AUTHORIZER_TTL)),
        "providerARNs": sorted(fields.get("providerARNs", ())) or None,
    }


def _gateway_response(kind: str, response: Mapping[str, Any]) -> dict[str, Any]:
    status = response.get("statusCode")
    templates = response.get("responseTemplates") or GATEWAY_TEMPLATES
    return {
        "statusCode": None if status is None or str(status) == GATEWAY_STATUSES.get(kind) else str(status),
        "responseParameters": response.get("responseParameters") or {},
        "responseTemplates": templates if templates != GATEWAY_TEMPLATES else {},
    }


def _policy(policy: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return the statements of a resource policy by their Sid. A statement without a Sid gets a number."""
    content = json.loads(policy) if isinstance(policy, str) else policy
    listed = content.get("Statement", [])
    statements = [_statement(statement) for statement in (listed if isinstance(listed, list) else [listed])]
    statements.sort(key=lambda statement: json.dumps(statement, sort_keys=True))
    result: dict[str, Any] = {}
    for number, statement in enumerate(statements, 1):
        sid = statement.pop("Sid", None) or f"statement {number}"
        result[sid if sid not in result else f"{sid} {number}"] = statement
    return result


def _statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in statement.items():
        if name in ("Principal", "NotPrincipal"):
            principals = value if isinstance(value, dict) else {"AWS": value}
            fields[name] = {kind: _texts(names) for kind, names in principals.items()}
        elif name == "Condition":
            fields[name] = {
                operator: {key: _texts(values) for key, values in keys.items()} for operator, keys in value.items()
            }
        else:
            fields[name] = value if name in ("Sid", "Effect") else _texts(value)
    return fields


def _texts(value: Any) -> list[str]:
    """Return one value or a list of values as a sorted list of texts."""
    values = value if isinstance(value, list) else [value]
    return sorted(entry if isinstance(entry, str) else json.dumps(entry) for entry in values)


def _flat(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and the value of each field in nested dicts. None counts as absent."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, (*path, key))
    elif value is not None:
        yield path, value


def _name(path: tuple[str, ...]) -> str:
    """Return the text that stands for a field's path, such as ``integration.requestTemplates[application/json]``."""
    first, *rest = path
    return first + "".join(f".{key}" if re.fullmatch("[A-Za-z0-9_]+", key) else f"[{key}]" for key in rest)
