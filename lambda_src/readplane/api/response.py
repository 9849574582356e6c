"""Responses: serves a request, turns its errors into problem documents and adds the CORS headers."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from ..entrypoint import Event
from ..model.errors import InvalidError
from ..telemetry import Telemetry
from .problem import ProblemError, bad_body, unavailable
from .request import Request, request_of

EXPOSED_HEADERS = "ETag, Location, Readplane-Stale, Readplane-Version, Retry-After"
"""The response headers that a script in a browser may read, besides the CORS-safelisted ones."""


class Response(NamedTuple):
    """One response.

    :param status: the HTTP status.
    :param text: the body, which is JSON; empty if there is none.
    :param headers: the headers, without the CORS headers.
    """

    status: HTTPStatus
    text: str
    headers: dict[str, str]


def respond(
    event: Event, cors_origins: tuple[str, ...], telemetry: Telemetry, serve: Callable[[Request], Response]
) -> dict[str, Any]:
    """Serve an API Gateway event and return API Gateway's form of the response.

    Every error becomes a problem document. An unexpected error becomes a 503 that says nothing about the exception.

    :param cors_origins: the origins whose scripts may read the response.
    :param serve: returns the response to a request, or raises an error.
    """
    request = request_of(event)
    try:
        response = serve(request)
    except ProblemError as problem:
        response = _refuse(request, problem, telemetry)
    except InvalidError as error:
        response = _refuse(request, bad_body(error), telemetry)
    except Exception as error:  # noqa: BLE001 (the client must not see the exception of a bug)
        telemetry.failure(
            "request_failed",
            "A request failed because of a bug or a failing dependency.",
            error,
            request_id=request.request_id,
            method=request.method,
        )
        response = _problem_response(unavailable(1), request)
    return {
        "statusCode": int(response.status),
        "headers": {**response.headers, **_cors_headers(request.headers.get("origin"), cors_origins)},
        "body": response.text,
        "isBase64Encoded": False,
    }


def _refuse(request: Request, problem: ProblemError, telemetry: Telemetry) -> Response:
    # Don't log detail and pointer, because both may hold names that the caller made up.
    telemetry.event(
        "request_refused",
        "A request was refused.",
        request_id=request.request_id,
        method=request.method,
        resource="/".join(request.resource),
        status=int(problem.status),
        parameter=problem.members.get("parameter"),
    )
    return _problem_response(problem, request)


def _problem_response(problem: ProblemError, request: Request) -> Response:
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **problem.headers}
    return Response(problem.status, json.dumps(problem.document(request.request_id)), headers)


def _cors_headers(origin: str | None, allowed: tuple[str, ...]) -> dict[str, str]:
    if not allowed:
        return {}
    if len(allowed) == 1:
        # The headers are the same for every origin, so a cache key needn't include the origin.
        return {"Access-Control-Allow-Origin": allowed[0], "Access-Control-Expose-Headers": EXPOSED_HEADERS}
    # Send `Vary` even if the origin isn't allowed. Otherwise a cache could return this response to an allowed origin,
    # which needs the other two headers.
    headers = {"Vary": "Origin"}
    if origin in allowed:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
    return headers
