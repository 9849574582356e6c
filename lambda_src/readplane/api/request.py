"""API Gateway's REST proxy events, and the answers to them."""

import base64
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from ..model.collection import Collection, is_item_id
from ..model.version import MAX_AHEAD_MS, is_version, time_ms
from ..telemetry import Telemetry
from .caller import Caller, caller_from_claims
from .problem import ProblemError, bad_body, bad_parameter

EXPOSED = "ETag, Location, Readplane-Stale, Readplane-Version, Retry-After"
"""Response headers that a browser's script may read besides the safelisted ones."""

MIN_VERSION = "Readplane-Min-Version"
_MAX_NAMED_VERSIONS = 20

Event = Mapping[str, Any]


class Request(NamedTuple):
    """What the functions look at of a request; header names are lower-case."""

    method: str
    resource: tuple[str, ...]
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    claims: Mapping[str, object]
    request_id: str
    encoded_body: str
    body_is_base64: bool

    def body(self) -> bytes:
        """The body's bytes.

        :raises Problem: 400 where a gateway that calls it base64 sends something else.
        """
        if not self.body_is_base64:
            return self.encoded_body.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.encoded_body, validate=True)
        except ValueError as error:  # as binascii.Error is, and not only that: a letter beyond ASCII is no digit at all
            raise bad_body("", "The body's encoding is broken.") from error

    def collection(self, collections: Mapping[str, Collection]) -> Collection:
        """The collection whose static route was called (``/items/<c>/…``).

        :raises Problem: 404 where the API and the function are of different versions, during a deployment.
        """
        name = self.resource[1] if len(self.resource) > 1 else ""
        if name not in collections:
            raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such collection.")
        return collections[name]

    def item_id(self) -> str:
        """The path's item id.

        :raises Problem: 400 unless it is well formed.
        """
        text = self.path.get("item_id", "")
        if not is_item_id(text):
            raise bad_parameter("item_id", "item_id must be 1-256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit.")
        return text

    def caller(self, client_ids: frozenset[str]) -> Caller:
        """Who asks.

        :raises Problem: 401.
        """
        return caller_from_claims(self.claims, client_ids)

    def min_versions(self, now_ms: int) -> list[str]:
        """The versions that ``Readplane-Min-Version`` names, separated by commas.

        :raises Problem: 400 for anything else, and for a version that is more than 5 minutes ahead of our clock.
        """
        text = self.headers.get(MIN_VERSION.lower(), "")
        versions = [version for version in (part.strip(" \t") for part in text.split(",")) if version]
        if len(versions) > _MAX_NAMED_VERSIONS or not all(map(is_version, versions)):
            raise bad_parameter(MIN_VERSION, f"Name at most {_MAX_NAMED_VERSIONS} versions as write answered them.")
        if any(time_ms(version) > now_ms + MAX_AHEAD_MS for version in versions):
            raise bad_parameter(MIN_VERSION, "A named version is more than 5 minutes in the future.")
        return versions


class Response(NamedTuple):
    """An answer; ``text`` is JSON, empty for none."""

    status: HTTPStatus
    text: str
    headers: dict[str, str]


def request_of(event: Event) -> Request:
    """Read a REST proxy event (payload format 1.0)."""
    context = event.get("requestContext") or {}
    headers = event.get("headers") or {}
    return Request(
        method=event["httpMethod"],
        resource=tuple(event["resource"].strip("/").split("/")),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        headers={name.lower(): value for name, value in headers.items()},
        claims=(context.get("authorizer") or {}).get("claims") or {},
        request_id=context.get("requestId", ""),
        encoded_body=event.get("body") or "",
        body_is_base64=bool(event.get("isBase64Encoded")),
    )


def answer(
    event: Event, cors_origins: tuple[str, ...], telemetry: Telemetry, serve: Callable[[Request], Response]
) -> dict[str, Any]:
    """Serve a request; whatever goes wrong becomes a problem document without a word of the exception."""
    request = request_of(event)
    try:
        response = serve(request)
    except ProblemError as problem:
        response = _refusal(problem, request)
        # Not the detail or the pointer: both may hold names that the caller made up.
        telemetry.event(
            "request_refused",
            "A request was refused.",
            request_id=request.request_id,
            method=request.method,
            resource="/".join(request.resource),
            status=int(problem.status),
            parameter=problem.members.get("parameter"),
        )
    except Exception as error:  # the last resort: a bug or a dead dependency must not reach the client as it is
        telemetry.failure(
            "request_failed",
            "A request failed for a reason of ours.",
            error,
            request_id=request.request_id,
            method=request.method,
        )
        response = _refusal(unavailable(1), request)
    return {
        "statusCode": int(response.status),
        "headers": {**response.headers, **_cors(request.headers.get("origin"), cors_origins)},
        "body": response.text,
        "isBase64Encoded": False,
    }


def unavailable(seconds: int) -> ProblemError:
    """A 503 for a dependency that doesn't answer; ask again in ``seconds``."""
    detail = "The request could not be served now."
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(seconds)})


def _refusal(problem: ProblemError, request: Request) -> Response:
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **problem.headers}
    return Response(problem.status, json.dumps(problem.document(request.request_id)), headers)


def _cors(origin: str | None, allowed: tuple[str, ...]) -> dict[str, str]:
    if not allowed:
        return {}
    if len(allowed) == 1:
        # The same answer for everybody: it may be cached without the caller's origin in its key.
        return {"Access-Control-Allow-Origin": allowed[0], "Access-Control-Expose-Headers": EXPOSED}
    # Vary even where the origin isn't allowed, or a cache would hand that answer to one that is.
    headers = {"Vary": "Origin"}
    if origin in allowed:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED}
    return headers
