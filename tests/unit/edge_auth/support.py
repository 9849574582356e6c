"""Helpers for tests of `edge_auth`: CloudFront's events, settings, and a function with a virtual clock."""

import json
from collections.abc import Callable
from typing import Any

from readplane.aws.faults import UnansweredError
from readplane.edge_auth.handler import EdgeAuth
from readplane.edge_auth.keys import KeySet
from readplane.edge_auth.settings import SettingsSource
from readplane.telemetry import Telemetry
from tests.fakes.token_attacks import CLIENT_ID, ISSUER, SCOPE, Attempt, Forge

NOW = 1_795_000_000
JWKS_URI = f"{ISSUER}/.well-known/jwks.json"
SETTINGS: dict[str, Any] = {
    "v": 1,
    "pools": [{"issuer": ISSUER, "jwks_uri": JWKS_URI, "client_ids": [CLIENT_ID, "mobile"]}],
    "scopes": [SCOPE, "aws.cognito.signin.user.admin"],
    "owner": ["profiles"],
    "shared": ["orders"],
    "sources": ["erp"],
    "origins": ["https://app.example.com"],
    "headers": ["Authorization", "If-None-Match", "X-Trace"],
    "hsts": "max-age=86400; includeSubDomains",
}
REQUEST_ID = "4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ=="

Json = dict[str, Any]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Place:
    """A place to read from, such as SSM or a key set's URL. It counts the reads.

    :ivar content: what a read returns. An exception is raised instead.
    :ivar reads: the arguments of each read.
    """

    def __init__(self, content: Any) -> None:
        self.content = content
        self.reads: list[Any] = []

    def __call__(self, *arguments: Any) -> Any:
        self.reads.append(arguments)
        content = self.content(*arguments) if callable(self.content) else self.content
        if isinstance(content, Exception):
            raise content
        return content


UNREACHABLE = UnansweredError("ConnectTimeoutError", sent=False)


class Sandbox:
    """A sandbox of `edge_auth` with its clock, its settings in SSM, and its key sets."""

    def __init__(self, key_set: Any, settings: Any = SETTINGS, random: Callable[[], float] = lambda: 0.5) -> None:
        self.clock = Clock()
        self.parameter = Place(json.dumps(settings) if isinstance(settings, dict) else settings)
        self.key_set = Place(key_set)
        telemetry = Telemetry("edge_auth", "demo-edge-auth-0a1b2c3d")
        source = SettingsSource(self.parameter, telemetry, self.clock, random)
        self.function = EdgeAuth(
            source, lambda uri: KeySet(uri, telemetry, self.clock, self.key_set), telemetry, self.clock
        )

    def send(self, attempt: Attempt) -> Json:
        """Send a request through the viewer-request event. Return the request that passes, or the response."""
        return self.function(viewer_request(attempt))

    def status(self, attempt: Attempt) -> int:
        """Send a request. Return the status of the response; 200 if the request passes."""
        result = self.send(attempt)
        return 200 if "uri" in result else int(result["status"])


def viewer_request(attempt: Attempt) -> Json:
    """Return CloudFront's event of a viewer request."""
    headers: dict[str, list[Json]] = {"host": [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}]}
    for name, value in attempt.headers:
        headers.setdefault(name.lower(), []).append({"key": name, "value": value})
    request = {
        "clientIp": "203.0.113.178",
        "headers": headers,
        "method": attempt.method,
        "querystring": attempt.query,
        "uri": attempt.path,
    }
    return event("viewer-request", request=request)


def origin_response(
    status: int,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    description: str = "OK",
    uri: str = "/documents/orders/o-1",
) -> Json:
    """Return CloudFront's event of an origin response."""
    listed = {name.lower(): [{"key": name, "value": value}] for name, value in (headers or {}).items()}
    request = {"method": method, "uri": uri, "querystring": "", "headers": {}}
    response = {"status": str(status), "statusDescription": description, "headers": listed}
    return event("origin-response", request=request, response=response)


def event(kind: str, **members: Json) -> Json:
    """Return an event of CloudFront."""
    config = {
        "distributionDomainName": "d111111abcdef8.cloudfront.net",
        "distributionId": "EDFDVBD6EXAMPLE",
        "eventType": kind,
        "requestId": REQUEST_ID,
    }
    return {"Records": [{"cf": {"config": config, **members}}]}


def header(response: Json, name: str) -> str | None:
    """Return the only value of a response's header, or ``None`` if the response lacks it."""
    values = response["headers"].get(name.lower())
    if values is None:
        return None
    (entry,) = values
    text: str = entry["value"]
    return text


def sandbox(forge: Forge, **settings: Any) -> Sandbox:
    """Return a sandbox whose pool has a forge's keys."""
    return Sandbox(forge.key_set(), SETTINGS | settings)
