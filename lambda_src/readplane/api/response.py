"""Serves an API Gateway event: turns errors into problem documents and adds the CORS headers to the response."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from ..entrypoint import Event
from ..model.errors import InvalidError
from ..telemetry import Telemetry
from .problem import ProblemError, bad_body, unavailable
from .request import QUERY_PARAMETERS, Request, request_of

EXPOSED_HEADERS = "Allow, Cache-Status, ETag, Location, Readplane-Stale, Readplane-Version, Retry-After"
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


def cors_headers(origins: tuple[str, ...]) -> dict[str, str]:
    """Return the CORS headers of every response. A function makes them once, at init.

    They are the same for every caller, so that a cache may return one response to callers of all origins. With several
    origins, no header names the caller's origin, because a cache would return that header to callers of the other
    origins. The headers then allow every origin. This is safe, because callers send bearer tokens and never cookies. So
    a page without a token can't read more than any program could.

    :param origins: the web origins whose scripts may read responses. If there are none, the result is empty.
    """
    if not origins:
        return {}
    allowed = origins[0] if len(origins) == 1 else "*"
    return {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": EXPOSED_HEADERS}


def _not_cached(_: Request) -> int:
    return 0


def respond(
    event: Event,
    cors_headers: Mapping[str, str],
    telemetry: Telemetry,
    serve: Callable[[Request], Response],
    *,
    cache_ttl: Callable[[Request], int] = _not_cached,
) -> dict[str, Any]:
    """Serve an API Gateway event and return the response in the form that API Gateway expects.

    Every error becomes a problem document. An unexpected error becomes a 503 that says nothing about the exception.
    The response to a HEAD request has no body, except on a cached route. A response to a request with an access token
    has the header ``Vary: Authorization``. Otherwise a browser's cache could return it to the next user after a
    sign-out.

    :param cors_headers: the result of :func:`cors_headers`, which every response gets.
    :param serve: a function that returns the response to a request, or raises an error.
    :param cache_ttl: a function that returns how long API Gateway may cache the response to a request, in seconds. 0
        means not at all.
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
        # API Gateway caches this 503 too, so an earlier retry would get it again.
        response = _problem_response(unavailable(max(1, cache_ttl(request))), request)
    headers = {**response.headers, **cors_headers}
    if request.claims:
        headers["Vary"] = "Authorization"
    # A cached route has only GET. But if a GET has the header X-HTTP-Method-Override, API Gateway may call the function
    # with HEAD ("Amazon API Gateway important notes"), and it would cache an empty body for all callers of GET.
    has_body = request.method != "HEAD" or cache_ttl(request) > 0
    return {
        "statusCode": int(response.status),
        "headers": headers,
        "body": response.text if has_body else "",
        "isBase64Encoded": False,
    }


def _refuse(request: Request, problem: ProblemError, telemetry: Telemetry) -> Response:
    # Don't log the problem's `detail` and `pointer`, because both may quote names from the caller's request body. Don't
    # log the name of an unknown query parameter either, because it is the caller's text.
    parameter = problem.members.get("parameter")
    if parameter in request.query and parameter not in QUERY_PARAMETERS:
        parameter = "an unknown query parameter"
    telemetry.event(
        "request_refused",
        "A request was refused.",
        request_id=request.request_id,
        method=request.method,
        resource="/".join(request.resource),
        status=int(problem.status),
        parameter=parameter,
    )
    return _problem_response(problem, request)


def _problem_response(problem: ProblemError, request: Request) -> Response:
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **problem.headers}
    return Response(problem.status, json.dumps(problem.document(request.request_id)), headers)
