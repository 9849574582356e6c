"""Serves an API Gateway event: turns errors into problem documents and adds the CORS headers to the response."""

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
"""The response headers that a browser lets scripts from other origins read. CORS always lets them read a few more
headers, such as ``Cache-Control`` and ``Content-Type``."""


class Response(NamedTuple):
    """An HTTP response.

    :param status: the HTTP status.
    :param text: the body, which is JSON; empty if the response has none.
    :param headers: the headers. :func:`respond` adds the CORS headers.
    """

    status: HTTPStatus
    text: str
    headers: dict[str, str]


def respond(
    event: Event, cors_origins: tuple[str, ...], telemetry: Telemetry, serve: Callable[[Request], Response]
) -> dict[str, Any]:
    """Serve an API Gateway event and return the response in the form that API Gateway expects.

    Every error becomes a problem document. An unexpected error becomes a 503 that says nothing about the exception.

    :param cors_origins: the web origins whose scripts may read the response.
    :param serve: a function that returns the response to a request, or raises an error.
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
    # Don't log the problem's `detail` and `pointer`, because both may quote names from the caller's request body.
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
        # If only one origin is allowed, send the same headers to every caller. A cache can then return one response to
        # callers from any origin, so `Vary: Origin` isn't needed.
        return {"Access-Control-Allow-Origin": allowed[0], "Access-Control-Expose-Headers": EXPOSED_HEADERS}
    # Send `Vary` even if the caller's origin isn't allowed. This response then lacks the other two CORS headers, and
    # without `Vary` a cache could return it to an allowed origin, which needs them.
    headers = {"Vary": "Origin"}
    if origin in allowed:
        headers |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}
    return headers
