"""Decides on each request for a document that needs sign-in, before CloudFront looks into its cache (Lambda@Edge).

One zip serves two CloudFront events:

====================  ==============================================================================================
event                 what the function does
====================  ==============================================================================================
``viewer-request``    checks the access token and the path; then CloudFront serves the document, or the function's
                      401, 403, 404, 405 or 503 goes to the client
``origin-response``   turns S3's errors into problem documents, and sets ``Readplane-Version``
====================  ==============================================================================================

Every doubt ends in a refusal: without settings or keys there is a 503, and never the document.
"""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from ..api.problem import ProblemError, not_found, unavailable
from ..api.response import cors_headers
from ..aws.faults import AwsError
from ..config import SettingsError
from ..entrypoint import Entrypoint, Event, Function
from ..model.collection import is_item_id, is_owner
from ..telemetry import Telemetry
from .keys import KeySet, KeySetError, NoKeysError, parse_key_set, read_key_set
from .logs import log_failure
from .settings import (
    REGION,
    EdgeAuthSettings,
    NoSettingsError,
    SettingsSource,
    make_parameter_reader,
    parse_edge_settings,
)
from .token import Pool, ScopeError, TokenError, verify_token

METHODS = "GET, HEAD, OPTIONS"
"""The methods that documents have."""

RETRY_AFTER_SECONDS = 5

_SCHEME = re.compile(r"bearer ([^ \t,]+)", re.IGNORECASE)
_PATH = re.compile(r"/documents/([a-z][a-z0-9-]{0,62})/([^/]+)")
_VERSION_HEADER = "x-amz-meta-readplane-version"

_KEPT_HEADERS = ("content-range", "transfer-encoding", "via")
"""The headers of S3's error that stay. A function must not remove the last two ("Restrictions on all edge functions",
read-only headers of origin response), or CloudFront sends a 502. A 416 needs the first one."""

_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>Not found</title><h1>Not found</h1><p>There is nothing at this address.</p>"
    '<p><a href="/">Go to the start page</a></p></html>'
)
"""The page for an address that the web client lacks. It has no style, because the policy of the web client allows
none in a page."""

Headers = Mapping[str, str]
Json = dict[str, Any]


class Rules:
    """What follows from one version of the settings. It is made once for each version.

    :ivar settings: the settings.
    :ivar pools: the accepted pools, by issuer.
    :ivar headers: the headers of every response to the client.
    :ivar preflight: the headers of a response to ``OPTIONS``.
    """

    def __init__(self, settings: EdgeAuthSettings, key_sets: Mapping[str, KeySet]) -> None:
        self.settings = settings
        self.pools = {pool.issuer: Pool(pool.client_ids, key_sets[pool.jwks_uri].find) for pool in settings.pools}
        cors = cors_headers(settings.origins)
        self.headers = cors | ({"Strict-Transport-Security": settings.hsts} if settings.hsts else {})
        self.preflight = {"Allow": METHODS, **self.headers}
        if cors:
            self.preflight |= {
                "Access-Control-Allow-Methods": "GET,HEAD",
                "Access-Control-Allow-Headers": ",".join(settings.headers),
                "Access-Control-Max-Age": "7200",  # seconds, the longest for which Chromium caches a preflight
            }

    def document_path(self, path: str, claims: Mapping[str, Any]) -> str:
        """Return the path under which S3 holds the document that a caller asks for.

        CloudFront chooses the behaviour by the normalised path, but passes the path as the client sent it on to the
        function and to S3. So the path must be one that needs no normalising, and the returned path is made from
        checked parts.

        :param path: the path as the client sent it.
        :param claims: the claims of the caller's verified access token.
        :raises ProblemError: 404 if no collection or source of this edge has such a path.
        :raises TokenError: if the token names no user.
        """
        sub = claims.get("sub")
        if not isinstance(sub, str) or not is_owner(sub):
            raise TokenError("The access token names no user.")
        match = _PATH.fullmatch(path)
        if match and is_item_id(match[2]):
            collection, item_id = match.groups()
            if collection in self.settings.owner:
                return f"/documents/{collection}/{sub}/{item_id}"
            if collection in self.settings.shared or (collection == "sources" and item_id in self.settings.sources):
                return f"/documents/{collection}/{item_id}"
        raise not_found("document")


class EdgeAuth:
    """The function `edge_auth`."""

    def __init__(
        self,
        source: SettingsSource,
        make_key_set: Callable[[str], KeySet],
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        """Make the function without reading anything.

        :param make_key_set: makes the key set at an address.
        :param clock: returns the current time in Unix seconds.
        """
        self._source = source
        self._make_key_set = make_key_set
        self._telemetry = telemetry
        self._clock = clock
        self._key_sets: dict[str, KeySet] = {}
        self._rules: Rules | None = None

    def prepare(self) -> None:
        """Read the settings and each pool's key set at init. After a failure, the next request reads them."""
        self._source.load()
        try:
            self._current_rules()
        except NoSettingsError:
            return
        for key_set in self._key_sets.values():
            key_set.refresh()

    def __call__(self, event: Event) -> Json:
        """Serve one event of CloudFront. Return the request to serve on, or the response to the client.

        :raises ValueError: for an event that the function isn't made for.
        """
        record = event["Records"][0]["cf"]
        kind = record["config"]["eventType"]
        if kind == "origin-response":
            return serve_origin_response(record)
        if kind != "viewer-request":
            raise ValueError(f"edge_auth serves no {kind} events")
        return self._serve_viewer_request(record)

    def _serve_viewer_request(self, record: Json) -> Json:
        request: Json = record["request"]
        headers: Headers = {}
        try:
            rules = self._current_rules()
            headers = rules.headers
            if request["method"] == "OPTIONS":
                return _response(HTTPStatus.NO_CONTENT, rules.preflight)
            if request["method"] not in ("GET", "HEAD"):
                detail = f"The methods of documents are {METHODS}."
                raise ProblemError(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": METHODS})
            self._authorise(request, rules)
        except ProblemError as error:
            problem = error
        except Exception as error:  # noqa: BLE001 (a bug must neither open a document nor become CloudFront's 502 page)
            if not isinstance(error, NoSettingsError | NoKeysError):  # these two are in the log already
                log_failure(
                    self._telemetry, "request_failed", "A request failed because of a bug.", error, self._clock()
                )
            problem = unavailable(RETRY_AFTER_SECONDS)
        else:
            return request
        return _problem_response(problem, record, headers)

    def _authorise(self, request: Json, rules: Rules) -> None:
        """Check the caller, and set the request's path to that of the document.

        :raises ProblemError: 401, 403 or 404 if the caller gets no document.
        """
        try:
            claims = verify_token(_bearer_token(request["headers"]), rules.pools, rules.settings.scopes, self._clock())
            request["uri"] = rules.document_path(request["uri"], claims)
        except ScopeError as error:
            scopes = " ".join(sorted(rules.settings.scopes))
            raise _refusal(
                HTTPStatus.FORBIDDEN, error.detail, f'error="insufficient_scope", scope="{scopes}"'
            ) from error
        except TokenError as error:
            challenge = f'error="invalid_token", error_description="{error.detail}"'
            raise _refusal(HTTPStatus.UNAUTHORIZED, error.detail, challenge) from error
        # S3 reads some query parameters, and the token has done its work. Neither may leave the edge, whatever the
        # policies of the behaviour forward.
        request["querystring"] = ""
        del request["headers"]["authorization"]

    def _current_rules(self) -> Rules:
        """Return the rules of the current settings.

        :raises NoSettingsError: if the function has never had valid settings.
        """
        settings = self._source.current()
        rules = self._rules
        if rules is None or rules.settings is not settings:
            # Keep the key sets of pools that stay, with their keys and their penalty boxes.
            addresses = [pool.jwks_uri for pool in settings.pools]
            self._key_sets = {uri: self._key_sets.get(uri) or self._make_key_set(uri) for uri in addresses}
            rules = self._rules = Rules(settings, self._key_sets)
        return rules


def _bearer_token(headers: Mapping[str, list[Json]]) -> str:
    """Return the token of the only ``Authorization`` header.

    A token in a cookie, a query parameter or another header counts as none.

    :raises ProblemError: 401 if there is no such header.
    :raises TokenError: if there are several headers, or if the header holds anything but one bearer token.
    """
    values = headers.get("authorization") or []
    if not values:
        raise _refusal(HTTPStatus.UNAUTHORIZED, "This document needs an access token.", "")
    match = _SCHEME.fullmatch(values[0]["value"]) if len(values) == 1 else None
    if not match:
        raise TokenError("Send one header Authorization, with the scheme Bearer and one access token.")
    return match[1]


def _refusal(status: HTTPStatus, detail: str, challenge: str) -> ProblemError:
    """Return a problem with the header ``WWW-Authenticate`` (RFC 6750, section 3).

    :param challenge: the header's parameters. If a request has no token, there are none, as the RFC demands.
    """
    return ProblemError(status, detail, headers={"WWW-Authenticate": f"Bearer {challenge}".rstrip()})


def serve_origin_response(record: Json) -> Json:
    """Return S3's response, or the problem document that replaces S3's error.

    S3's errors name the bucket and say nothing to a client. The status of a failing S3 stays, because CloudFront asks
    the second Region after certain statuses of the first.

    =================  ========================================================================
    S3's status        response
    =================  ========================================================================
    less than 400      S3's own, with ``Readplane-Version``
    400 and above      to ``OPTIONS``: 204. The bucket has no CORS rules, so S3 refuses each preflight
    403, 404           404. S3 says 403 for a missing key, because CloudFront may not list keys. Outside /documents/,
                       where the web client is, it is a page instead of a problem document
    any other          a problem document with the same status
    =================  ========================================================================
    """
    response: Json = record["response"]
    headers: dict[str, list[Json]] = response["headers"]
    status = int(response["status"])
    if status < 400:
        if version := headers.get(_VERSION_HEADER):
            headers["readplane-version"] = [{"key": "Readplane-Version", "value": version[0]["value"]}]
        return response
    if record["request"]["method"] == "OPTIONS":
        # Without this, S3's refusal would end every preflight of a public document. The response headers policy adds
        # the CORS headers. The empty body replaces S3's.
        allowed = _response(HTTPStatus.NO_CONTENT, {"Allow": METHODS}) | {"body": "", "bodyEncoding": "text"}
        allowed["headers"] |= {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        return allowed
    problem = not_found("document")
    if status >= 500:
        problem = unavailable(RETRY_AFTER_SECONDS)
        problem.status = _known_status(status)
    elif status not in (403, 404):
        problem = ProblemError(_known_status(status), "The document can't be served in this way.")
    if status in (403, 404) and not record["request"]["uri"].startswith("/documents/"):
        result = _made_response(problem.status, record, {"Content-Type": "text/html; charset=utf-8"}, _PAGE)
    else:
        result = _problem_response(problem, record, {})
    result["headers"] |= {name: headers[name] for name in _KEPT_HEADERS if name in headers}
    return result


def _known_status(status: int) -> HTTPStatus:
    try:
        return HTTPStatus(status)
    except ValueError:  # a status without a phrase
        return HTTPStatus.BAD_GATEWAY


def _problem_response(problem: ProblemError, record: Json, headers: Headers) -> Json:
    headers = {"Content-Type": "application/problem+json", **problem.headers, **headers}
    return _made_response(problem.status, record, headers, json.dumps(problem.document(record["config"]["requestId"])))


def _made_response(status: HTTPStatus, record: Json, headers: Headers, body: str) -> Json:
    # CloudFront adds a response headers policy's headers to what it has from an origin. It isn't documented whether it
    # does so to a response that a function makes, so the function sets its own.
    response = _response(status, {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **headers})
    if record["request"]["method"] != "HEAD":
        response |= {"body": body, "bodyEncoding": "text"}
    return response


def _response(status: HTTPStatus, headers: Headers) -> Json:
    listed = {name.lower(): [{"key": name, "value": value}] for name, value in headers.items()}
    return {"status": str(int(status)), "statusDescription": status.phrase, "headers": listed}


def _function_name() -> str:
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")


def make_edge_auth() -> Function:
    """Make `edge_auth`, and read its settings and key sets.

    It never fails, because the function must go on serving `origin-response` without settings.
    """
    name = _function_name()
    telemetry = Telemetry("edge_auth", name.removeprefix(f"{REGION}."))
    source = SettingsSource(make_parameter_reader(name), telemetry, time.time)
    edge_auth = EdgeAuth(source, lambda uri: KeySet(uri, telemetry, time.time), telemetry, time.time)
    edge_auth.prepare()
    return lambda event, _: edge_auth(event)


def check_edge_auth() -> list[str]:
    """Return the problems with the parameter and with the key sets that it names, one sentence each."""
    try:
        settings = parse_edge_settings(make_parameter_reader(_function_name())())
    except (AwsError, SettingsError) as error:
        return [f"The settings can't be read: {error}."]
    problems = []
    for pool in settings.pools:
        try:
            parse_key_set(read_key_set(pool.jwks_uri))
        except (AwsError, KeySetError) as error:
            problems.append(f"The key set {pool.jwks_uri} can't be read: {error}.")
    return problems


handler = Entrypoint(make_edge_auth, check_edge_auth)
