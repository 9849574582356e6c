"""The events of Lambda@Edge: what a function receives, and what CloudFront accepts of its result.

The comments name the pages of AWS's CloudFront Developer Guide with the rules.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import http
import re
from collections.abc import Mapping
from typing import Any

from ops.local.edge_messages import Headers, Request, Response

VIEWER_RESPONSE_BYTES = 40 * 1024
ORIGIN_RESPONSE_BYTES = 1024 * 1024
"""The most bytes of a response that a function makes, with its headers, in viewer events and in origin events."""
# See cloudfront-limits.html#limits-lambda-at-edge

_DISALLOWED = re.compile(
    r"connection|expect|keep-alive|proxy-(authenticate|authorization|connection)|trailer|upgrade"
    r"|x-accel-(buffering|charset|limit-rate|redirect)|x-amz-cf-.*|x-amzn-(auth|cf-.*|errortype|fle-profile|header-.*"
    r"|lambda-integration-tag|requestid)|x-cache|x-edge-.*|x-forwarded-proto|x-real-ip"
)
"""The headers that a function neither sees nor may add."""
# See edge-function-restrictions-all.html#function-restrictions-headers, which also has the lists below.

_READ_ONLY = {
    "viewer-request": ("content-length", "host", "transfer-encoding", "via"),
    "origin-request": (
        *("accept-encoding", "content-length", "if-modified-since", "if-none-match", "if-range"),
        *("if-unmodified-since", "transfer-encoding", "via"),
    ),
    "origin-response": ("transfer-encoding", "via"),
    "viewer-response": ("content-encoding", "content-length", "transfer-encoding", "warning", "via"),
}
"""The headers that a function may read, but neither add, change nor remove, by the event."""


class FunctionError(Exception):
    """An edge function failed, or its result isn't valid.

    status: the status that CloudFront sends to the viewer
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def invalid(message: str) -> FunctionError:
    """Return the error for a result that CloudFront doesn't accept."""
    # See http-502-bad-gateway.html
    return FunctionError(message, 502)


def event(
    kind: str,
    distribution: Mapping[str, Any],
    request: Request,
    *,
    request_id: str,
    origin: Mapping[str, Any] | None = None,
    response: Response | None = None,
) -> dict[str, Any]:
    """Return the event of one invocation.

    :param kind: `viewer-request`, `origin-request`, `origin-response` or `viewer-response`
    :param distribution: the distribution with its `Id` and `DomainName`
    :param origin: the origin that CloudFront calls, in origin events
    :param response: the response, in response events
    """
    # lambda-event-structure.html
    entry: dict[str, Any] = {
        "config": {
            "distributionDomainName": distribution["DomainName"],
            "distributionId": distribution["Id"],
            "eventType": kind,
            "requestId": request_id,
        },
        "request": {
            "clientIp": request.client_ip,
            "headers": _event_headers(request.headers),
            "method": request.method,
            "querystring": request.query,
            "uri": request.path,
        },
    }
    if origin is not None:
        entry["request"]["origin"] = _event_origin(origin)
    if response is not None:
        phrase = http.HTTPStatus(response.status).phrase if response.status in list(http.HTTPStatus) else ""
        entry["response"] = {
            "headers": _event_headers(response.headers),
            "status": str(response.status),
            "statusDescription": phrase,
        }
    return {"Records": [{"cf": entry}]}


def _event_headers(headers: Headers) -> dict[str, list[dict[str, str]]]:
    visible = {name: values for name, values in headers.items() if not _DISALLOWED.fullmatch(name)}
    return {name: [{"key": _title(name), "value": value} for value in values] for name, values in visible.items()}


def _title(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))


def _event_origin(origin: Mapping[str, Any]) -> dict[str, Any]:
    custom = origin.get("CustomOriginConfig")
    own = {entry["HeaderName"].lower(): [entry["HeaderValue"]] for entry in origin["CustomHeaders"].get("Items", [])}
    common = {
        "customHeaders": {
            name: [{"key": _title(name), "value": value} for value in values] for name, values in own.items()
        },
        "domainName": origin["DomainName"],
        "path": origin.get("OriginPath", ""),
    }
    if custom is None:
        return {"s3": {**common, "authMethod": "none", "region": ""}}
    secure = custom["OriginProtocolPolicy"] != "http-only"
    return {
        "custom": {
            **common,
            "keepaliveTimeout": custom.get("OriginKeepaliveTimeout", 5),
            "port": custom["HTTPSPort"] if secure else custom["HTTPPort"],
            "protocol": "https" if secure else "http",
            "readTimeout": custom.get("OriginReadTimeout", 30),
            "sslProtocols": custom.get("OriginSslProtocols", {}).get("Items", []),
        }
    }


def result_of_request(kind: str, sent: Mapping[str, Any], request: Request, result: object) -> Request | Response:
    """Return the request or the generated response that a function returned for a request event.

    :param kind: `viewer-request` or `origin-request`
    :param sent: the event that the function received
    :param request: the request that the event describes
    :raises FunctionError: if CloudFront doesn't accept the result
    """
    if not isinstance(result, dict):
        raise invalid(f"the result is {type(result).__name__}, not a request or a response")
    if "status" in result:
        # lambda-generating-http-responses.html
        return _generated(kind, result, Response(0), None)
    before = sent["Records"][0]["cf"]["request"]
    if result.get("method", request.method) != request.method or result.get("origin") != before.get("origin"):
        # lambda-event-structure.html: the method is read-only. A function may choose another origin on AWS. The
        # stand-in refuses that, because Readplane's functions don't do it.
        raise invalid("the function changed the method, or the origin, which the stand-in doesn't support")
    # lambda-event-structure.html: the new URI begins with a slash. It changes the object, but not the behaviour.
    uri, query = result.get("uri"), result.get("querystring", "")
    if not isinstance(uri, str) or not uri.startswith("/") or "?" in uri or not isinstance(query, str):
        raise invalid(f"the URI {uri!r} doesn't begin with a slash, or has a query")
    headers = _headers_of(kind, result.get("headers", {}), before["headers"])
    # The function doesn't see the disallowed headers, so it can't remove them either.
    unseen = {name: values for name, values in request.headers.items() if _DISALLOWED.fullmatch(name)}
    return dataclasses.replace(request, target=uri + ("?" + query if query else ""), headers=headers | unseen)


def result_of_response(kind: str, sent: Mapping[str, Any], response: Response, result: object) -> Response:
    """Return the response that a function returned for a response event.

    :param kind: `origin-response` or `viewer-response`
    :raises FunctionError: if CloudFront doesn't accept the result
    """
    if not isinstance(result, dict) or "status" not in result:
        raise invalid("the result isn't a response")
    before = sent["Records"][0]["cf"]["response"]
    changed = _generated(kind, result, response, before["headers"])
    # See lambda-at-edge-function-restrictions.html#lambda-at-edge-restrictions-status-codes
    if kind == "viewer-response" and changed.status != response.status:
        raise invalid("a viewer-response function can't change the status")
    return changed


def _generated(kind: str, result: Mapping[str, Any], response: Response, before: Mapping[str, Any] | None) -> Response:
    """Return the response that a result describes. Without `body`, it has the body of the given response.

    :param before: the headers of the response in the event; None if the function makes a response of its own
    """
    status = str(result["status"])
    if not re.fullmatch("[2-5][0-9]{2}", status):
        raise invalid(f"the status {status} isn't a number from 200 to 599")
    # A function may add neither Via nor Transfer-Encoding to a response of its own.
    headers = _headers_of("origin-response" if before is None else kind, result.get("headers", {}), before or {})
    unseen = {name: values for name, values in response.headers.items() if _DISALLOWED.fullmatch(name)}
    # lambda-updating-http-responses.html: a body in the result replaces the origin's. Without one, the origin's stays.
    body = response.body
    if "body" in result:
        try:
            encoded = result.get("bodyEncoding", "text") == "base64"
            body = base64.b64decode(result["body"], validate=True) if encoded else str(result["body"]).encode()
        except (binascii.Error, TypeError) as error:
            raise invalid("the body isn't in the encoding that bodyEncoding names") from error
        most = VIEWER_RESPONSE_BYTES if kind.startswith("viewer") else ORIGIN_RESPONSE_BYTES
        size = len(body) + sum(len(name) + len(value) + 4 for name, values in headers.items() for value in values)
        if size > most:
            raise invalid(f"the response has {size} bytes. At most {most} are allowed in {kind}")
        headers.pop("content-length", None)
    return Response(int(status), headers | unseen, body)


def _headers_of(kind: str, headers: object, before: Mapping[str, Any]) -> Headers:
    """Return the headers of a result.

    :param before: the headers of the event; a function mustn't change the read-only ones among them
    """
    if not isinstance(headers, dict):
        raise invalid("the headers aren't an object")
    found: Headers = {}
    for name, entries in headers.items():
        if not isinstance(entries, list) or not all(isinstance(entry, dict) and "value" in entry for entry in entries):
            raise invalid(f"the header {name} isn't a list of objects with a value")
        if _DISALLOWED.fullmatch(name.lower()):
            raise invalid(f"a function can't add the header {name}")
        found[name.lower()] = [str(entry["value"]) for entry in entries]
    for name in _READ_ONLY.get(kind, ()):
        if found.get(name) != ([entry["value"] for entry in before[name]] if name in before else None):
            raise invalid(f"the header {name} is read-only in {kind}")
    return found
