"""A stand-in for CloudFront, as AWS documents it. It runs a distribution as it is deployed.

The stand-in serves viewers' requests by the distribution and the policies that boto3 returns, from an emulator or from
AWS. It reads nothing from the Terraform text and does no I/O of its own: it calls origins, edge functions and the clock
through the objects that its caller gives it. The rules are in edge_rules.py, edge_headers.py and edge_events.py. This
file applies them in CloudFront's order, with the cache, request collapsing and origin groups. A comment beside a rule
names the page of AWS's CloudFront Developer Guide that has it. docs/edge-standin.md lists all rules.

Request collapsing works with threads: `handle` may run in many threads at once, and a request that finds another one
for the same key on its way waits for that one's response. A test is deterministic if its origin blocks on an event
until `waiting` says that the other requests have arrived.
"""

from __future__ import annotations

import collections
import dataclasses
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ops.local import edge_events, edge_rules
from ops.local.edge_clock import Clock
from ops.local.edge_headers import apply_policy
from ops.local.edge_messages import (
    Headers,
    OriginConnectionError,
    OriginError,
    OriginTimeoutError,
    Request,
    Response,
)

Fetch = Callable[[Mapping[str, Any], Request], Response]
"""Sends a request to an origin, once, and returns its response. It gets the distribution's `Origin` and the request
without `OriginPath`, and raises OriginError if there is no response."""

Invoke = Callable[[str, dict[str, Any]], Any]
"""Invokes an edge function by its ARN with an event, and returns its result. It raises FunctionError."""

FAILOVER_METHODS = ("GET", "HEAD", "OPTIONS")


class Policies(NamedTuple):
    """The policies that a distribution refers to, by their ids, as boto3 returns their configurations."""

    cache: Mapping[str, Mapping[str, Any]]
    origin_request: Mapping[str, Mapping[str, Any]]
    response_headers: Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass
class _Entry:
    """A response in the cache.

    fetched: when the origin sent or last confirmed it, in seconds since 1970
    fresh_until: until when the cache serves it without asking the origin
    stale_until: until when it may replace an error of the origin; None for no limit
    etag: the origin's ETag, which isn't weakened by compression
    """

    response: Response
    etag: str | None
    fetched: float
    fresh_until: float
    stale_until: float | None


class _Flight:
    """A request to an origin that others for the same key wait for. `response` stays None if they mustn't share it."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.response: Response | None = None


class _Exchange(NamedTuple):
    """A viewer's request as the viewer-request function left it, with the behaviour that serves it and its policies."""

    request: Request
    behaviour: Mapping[str, Any]
    cache_policy: Mapping[str, Any]
    origin_policy: Mapping[str, Any] | None


class _Answer(NamedTuple):
    """A response with the value of its header X-Cache, and its age in seconds."""

    response: Response
    result: str
    age: int = 0


class Edge:
    """One edge location that serves one distribution."""

    def __init__(
        self, distribution: Mapping[str, Any], policies: Policies, fetch: Fetch, invoke: Invoke, clock: Clock
    ) -> None:
        """Serve a distribution, with an empty cache.

        :param distribution: the distribution as boto3's `get_distribution` returns it
        :param policies: all policies that the distribution refers to
        """
        self.deploy(distribution, policies)
        self._fetch, self._invoke, self._clock = fetch, invoke, clock
        self._entries: dict[tuple[Any, ...], _Entry] = {}
        self._flights: dict[tuple[Any, ...], _Flight] = {}
        self._lock = threading.Lock()
        self.waiting = 0
        self.results: collections.Counter[str] = collections.Counter()
        self.fetches: collections.Counter[str] = collections.Counter()

    def deploy(self, distribution: Mapping[str, Any], policies: Policies) -> None:
        """Serve a changed configuration. The cache keeps its objects, as on AWS."""
        self._distribution, self._policies = distribution, policies
        self._config: Mapping[str, Any] = distribution["DistributionConfig"]
        self._origins = {origin["Id"]: origin for origin in self._config["Origins"]["Items"]}
        groups = self._config.get("OriginGroups", {}).get("Items", [])
        self._groups: dict[str, Mapping[str, Any]] = {group["Id"]: group for group in groups}

    def clear(self) -> None:
        """Remove all objects from the cache, like an invalidation of `/*`."""
        with self._lock:
            self._entries.clear()

    def handle(self, request: Request) -> Response:
        """Return the response to a viewer's request, as the viewer gets it."""
        answer = self._handle(request)
        self.results[answer.result.partition(" ")[0]] += 1
        headers = answer.response.headers | {"x-cache": [f"{answer.result} from cloudfront"]}
        headers |= {"via": [f"1.1 {self._distribution['DomainName']} (CloudFront)"]}
        if answer.result in ("Hit", "RefreshHit"):
            # RequestAndResponseBehaviorCustomOrigin.html: CloudFront says for how long it has had the object.
            headers["age"] = [str(answer.age)]
        body = answer.response.body
        if request.method == "HEAD":
            # The length of what a GET would get (RFC 9110, 8.6). Without the object, the origin's word counts.
            headers |= {"content-length": [str(len(body))]} if body else {}
            return dataclasses.replace(answer.response, headers=headers, body=b"")
        headers = _but(headers, "content-length")
        if answer.response.status not in (204, 304):
            headers["content-length"] = [str(len(body))]
        return dataclasses.replace(answer.response, headers=headers)

    def _handle(self, request: Request) -> _Answer:
        if early := edge_rules.refusal(request):
            return _Answer(_own_page(*early), "Error")
        behaviour = edge_rules.behaviour_for(self._config, request.path)
        if refused := _viewer_refusal(request, behaviour):
            return refused
        try:
            changed = self._viewer_request(request, behaviour)
            if isinstance(changed, Response):
                return _Answer(changed, "LambdaGeneratedResponse")
            exchange = self._exchange(changed, behaviour)
            answer = self._with_error_page(self._obtain(exchange))
            return self._to_viewer(exchange, answer)
        except edge_events.FunctionError as error:
            return _Answer(_own_page(error.status, f"The Lambda function failed: {error}"), "LambdaError")

    def _exchange(self, request: Request, behaviour: Mapping[str, Any]) -> _Exchange:
        policy = behaviour.get("OriginRequestPolicyId")
        return _Exchange(
            request,
            behaviour,
            self._policies.cache[behaviour["CachePolicyId"]],
            self._policies.origin_request[policy] if policy else None,
        )

    def _viewer_request(self, request: Request, behaviour: Mapping[str, Any]) -> Request | Response:
        # lambda-cloudfront-trigger-events.html: the function runs before CloudFront looks into the cache, on every
        # request. It may answer. It may change the URI, but the behaviour stays (lambda-event-structure.html).
        changed: Request | Response = request
        if arn := _function(behaviour, "viewer-request"):
            sent = self._event("viewer-request", request)
            changed = edge_events.result_of_request("viewer-request", sent, request, self._invoke(arn, sent))
        root = self._config.get("DefaultRootObject")
        if isinstance(changed, Request) and changed.path == "/" and root:
            # DefaultRootObject.html: it replaces the path `/`, and no other path that ends with a slash.
            changed = dataclasses.replace(changed, target=f"/{root}" + changed.target[1:])
        return changed

    def _event(self, kind: str, request: Request, **parts: Any) -> dict[str, Any]:
        return edge_events.event(kind, self._distribution, request, request_id=uuid.uuid4().hex, **parts)

    # The cache

    def _obtain(self, exchange: _Exchange) -> _Answer:
        """Return a response from the cache, or else from an origin."""
        # HTTPStatusCodes.html: CloudFront caches responses to GET and HEAD, and to OPTIONS if the behaviour says so.
        cached_methods = exchange.behaviour.get("AllowedMethods", {}).get("CachedMethods", {}).get("Items", [])
        method = exchange.request.method
        if method not in ("GET", "HEAD", *(["OPTIONS"] if "OPTIONS" in cached_methods else [])):
            return _Answer(self._from_origins(exchange, exchange.request), "Miss")
        key = (method, *edge_rules.cache_key(self._distribution["Id"], exchange.request, exchange.cache_policy))
        return self._whole(exchange, key)

    def _whole(self, exchange: _Exchange, key: tuple[Any, ...]) -> _Answer:
        # using-managed-cache-policies.html, CachingDisabled, and Expiration.html: with a maximum TTL of 0 nothing is
        # kept, so requests don't wait for one another either.
        collapsing = exchange.cache_policy.get("MaxTTL", 1) > 0
        with self._lock:
            now = self._clock.now()
            entry = self._find(key)
            if entry and now < entry.fresh_until:
                result = "Error" if entry.response.status >= 400 else "Hit"
                return _Answer(entry.response, result, int(now - entry.fetched))
            flight = self._flights.get(key) if collapsing else None
            if flight is None:
                mine = _Flight()
                if collapsing:
                    self._flights[key] = mine
            else:
                self.waiting += 1
        if flight is None:
            return self._lead(exchange, key, entry, mine)
        # See RequestAndResponseBehaviorCustomOrigin.html#request-custom-traffic-spikes: CloudFront sends the response
        # to the first request to all that wait for it. `_store` says which responses it doesn't share.
        flight.landed.wait()
        with self._lock:
            self.waiting -= 1
        if flight.response is not None:
            return _Answer(flight.response, "Hit")
        return self._refresh(exchange, key, entry, _Flight())

    def _find(self, key: tuple[Any, ...]) -> _Entry | None:
        # See RequestAndResponseBehaviorCustomOrigin.html#RequestCustomHTTPMethods: a GET's response also answers HEAD.
        # The response to a HEAD has no body, so it answers no GET.
        if key[0] == "HEAD" and ("GET", *key[1:]) in self._entries:
            return self._entries["GET", *key[1:]]
        return self._entries.get(key)

    def _lead(self, exchange: _Exchange, key: tuple[Any, ...], entry: _Entry | None, flight: _Flight) -> _Answer:
        """Fetch for this request and for those that wait for it."""
        try:
            return self._refresh(exchange, key, entry, flight)
        finally:
            with self._lock:
                if self._flights.get(key) is flight:
                    del self._flights[key]
            flight.landed.set()

    def _refresh(self, exchange: _Exchange, key: tuple[Any, ...], entry: _Entry | None, flight: _Flight) -> _Answer:
        """Ask the origin for an object that the cache lacks, or whether the expired object is still current."""
        request = exchange.request
        if exchange.cache_policy.get("MaxTTL", 1) > 0:
            # RangeGETs.html: CloudFront may fetch more than the range.
            request = dataclasses.replace(request, headers=_but(request.headers, "range", "if-range"))
        validating = entry is not None and entry.response.status < 400
        if validating and entry:
            request = _conditional(request, entry)
        fetched = self._from_origins(exchange, request)
        now = self._clock.now()
        if validating and entry and fetched.status == 304:
            # Expiration.html: an origin answers 304 if the cache already has the latest version.
            renewed = {name: fetched.headers[name] for name in ("cache-control", "expires") if name in fetched.headers}
            current = dataclasses.replace(entry.response, headers=entry.response.headers | renewed)
            self._store(exchange, key, current, entry.etag, now, flight)
            return _Answer(current, "RefreshHit")
        if validating and entry and fetched.status >= 500 and (entry.stale_until is None or now < entry.stale_until):
            # See HTTPStatusCodes.html#HTTPStatusCodes-no-custom-error-pages-in-cache: if the origin answers 5xx, or not
            # at all, CloudFront serves the expired object, and asks again after the error caching minimum TTL.
            with self._lock:
                entry.fresh_until = now + edge_rules.error_seconds(fetched, self._config)
            flight.response = entry.response
            return _Answer(entry.response, "Hit", int(now - entry.fetched))
        encodings = edge_rules.accepted_encodings(exchange.request, exchange.cache_policy)
        response = edge_rules.compressed(fetched, encodings, exchange.behaviour)
        self._store(exchange, key, response, fetched.header("etag"), now, flight)
        return _Answer(response, "Error" if response.status >= 400 else "Miss")

    def _store(
        self,
        exchange: _Exchange,
        key: tuple[Any, ...],
        response: Response,
        etag: str | None,
        now: float,
        flight: _Flight,
    ) -> None:
        """Put a response into the cache, and give it to the requests that wait, as far as the rules allow."""
        if response.status >= 400:
            seconds = edge_rules.error_seconds(response, self._config)
            lifetime = edge_rules.Lifetime(seconds, seconds > 0, seconds > 0, 0.0)
        elif response.status in (206, 304):
            lifetime = edge_rules.Lifetime(0.0, False, False, 0.0)  # the answer to this viewer's own condition or range
        else:
            lifetime = edge_rules.lifetime(response, exchange.cache_policy, now)
        if lifetime.shared:
            flight.response = response
        with self._lock:
            if lifetime.stored:
                stale = None if lifetime.stale_seconds is None else now + lifetime.seconds + lifetime.stale_seconds
                self._entries[key] = _Entry(response, etag, now, now + lifetime.seconds, stale)
            elif response.status not in (206, 304):
                # The origin's last word counts: an object that must not be kept also ends an older one.
                self._entries.pop(key, None)

    # Origins

    def _from_origins(self, exchange: _Exchange, request: Request) -> Response:
        """Return the response of the behaviour's origin. An origin group gets a second attempt at its second origin."""
        target = exchange.behaviour["TargetOriginId"]
        if target not in self._groups:
            return self._from_origin(exchange, request, self._origins[target])[0]
        group = self._groups[target]
        first, second = (self._origins[member["OriginId"]] for member in group["Members"]["Items"])
        codes = group["FailoverCriteria"]["StatusCodes"]["Items"]
        response, error = self._from_origin(exchange, request, first)
        # high_availability_origin_failover.html: CloudFront fails over for GET, HEAD and OPTIONS only, on the statuses
        # that the group lists. It does so if it can't connect and the group lists 503, and on a time-out with 504.
        # Each request begins at the first origin, and the origin events run again for the second origin.
        if isinstance(error, OriginConnectionError):
            status = 503
        else:
            status = 504 if isinstance(error, OriginTimeoutError) else response.status
        if request.method in FAILOVER_METHODS and status in codes:
            response, _ = self._from_origin(exchange, request, second)
        return response

    def _from_origin(
        self, exchange: _Exchange, request: Request, origin: Mapping[str, Any]
    ) -> tuple[Response, OriginError | None]:
        """Return an origin's response after the origin's events, and the error if the origin didn't respond."""
        call = edge_rules.origin_request(request, origin, exchange.cache_policy, exchange.origin_policy)
        if arn := _function(exchange.behaviour, "origin-request"):
            # lambda-cloudfront-trigger-events.html: it runs on misses only. It may answer instead of the origin.
            sent = self._event("origin-request", call, origin=origin)
            changed = edge_events.result_of_request("origin-request", sent, call, self._invoke(arn, sent))
            if isinstance(changed, Response):
                return changed, None
            call = changed
        try:
            response = self._attempts(origin, call)
        except OriginError as error:
            # http-502-bad-gateway.html and http-504-gateway-timeout.html. No origin-response event: nothing responded.
            status = 502 if isinstance(error, OriginConnectionError) else 504
            return _own_page(status, "The origin didn't respond."), error
        if edge_rules.header_bytes(response.headers) > edge_rules.MOST_HEADER_BYTES:
            # cloudfront-limits.html: an origin's response may have 20,480 bytes of headers.
            response = _own_page(502, "The origin's response has more than 20,480 bytes of headers.")
        if edge_rules.strips_cookies(exchange.cache_policy, exchange.origin_policy):
            response = Response(response.status, _but(response.headers, "set-cookie"), response.body)
        if arn := _function(exchange.behaviour, "origin-response"):
            # See edge-function-restrictions-all.html#function-restrictions-status-codes: it runs for every status. The
            # cache keeps the function's response, and the origin group judges its status.
            sent = self._event("origin-response", call, origin=origin, response=response)
            result = self._invoke(arn, sent)
            response = edge_events.result_of_response("origin-response", sent, response, result)
        return response, None

    def _attempts(self, origin: Mapping[str, Any], call: Request) -> Response:
        """Send a request to an origin as often as `ConnectionAttempts` allows."""
        # See DownloadDistValuesOrigin.html: 3 by default. A time-out of the response is
        # retried for GET and HEAD only (RequestAndResponseBehaviorCustomOrigin.html#request-custom-request-timeout).
        left = origin.get("ConnectionAttempts", 3)
        while True:
            left -= 1
            self.fetches[origin["Id"]] += 1
            try:
                return self._fetch(origin, call)
            except OriginError as error:
                if left <= 0 or (isinstance(error, OriginTimeoutError) and call.method not in ("GET", "HEAD")):
                    raise

    # What the viewer gets

    def _with_error_page(self, answer: _Answer) -> _Answer:
        # creating-custom-error-pages.html: entries of the distribution, not of a behaviour, replace an error by the
        # page that the behaviour for the page's path gets, without a viewer-request event.
        for entry in self._config.get("CustomErrorResponses", {}).get("Items", []):
            if entry["ErrorCode"] == answer.response.status and entry.get("ResponsePagePath"):
                request = Request("GET", entry["ResponsePagePath"])
                behaviour = edge_rules.behaviour_for(self._config, request.path)
                page = self._obtain(self._exchange(request, behaviour)).response
                if page.status < 400:
                    return _Answer(dataclasses.replace(page, status=int(entry["ResponseCode"])), "Error")
        return answer

    def _to_viewer(self, exchange: _Exchange, answer: _Answer) -> _Answer:
        """Apply what differs by viewer: conditions, ranges, the headers policy and the viewer-response event."""
        response, request = answer.response, exchange.request
        if response.status == 200 and request.method in ("GET", "HEAD"):
            if edge_rules.not_modified(request, response):
                response = Response(304, _but(response.headers, "content-length", "content-type", "content-encoding"))
            elif request.method == "GET":
                response = edge_rules.ranged(request, response)
        policy = exchange.behaviour.get("ResponseHeadersPolicyId")
        response = apply_policy(self._policies.response_headers[policy] if policy else None, request, response)
        arn = _function(exchange.behaviour, "viewer-response")
        # See edge-function-restrictions-all.html#function-restrictions-status-codes: not for 400 and above.
        if arn and response.status < 400:
            sent = self._event("viewer-response", request, response=response)
            result = self._invoke(arn, sent)
            response = edge_events.result_of_response("viewer-response", sent, response, result)
        return answer._replace(response=response)


def _function(behaviour: Mapping[str, Any], kind: str) -> str | None:
    """Return the ARN of the Lambda@Edge function that a behaviour associates with an event."""
    for entry in behaviour.get("LambdaFunctionAssociations", {}).get("Items", []):
        if entry["EventType"] == kind:
            return str(entry["LambdaFunctionARN"])
    return None


def _viewer_refusal(request: Request, behaviour: Mapping[str, Any]) -> _Answer | None:
    """Return the answer to a request that its behaviour doesn't allow."""
    # See DownloadDistValuesCacheBehavior.html#DownloadDistValuesViewerProtocolPolicy
    protocol = behaviour["ViewerProtocolPolicy"]
    if not request.https and protocol == "redirect-to-https":
        status = 301 if request.method in ("GET", "HEAD") else 307
        location = f"https://{request.header('host')}{request.target}"
        return _Answer(_own_page(status, "Use HTTPS.").with_headers(location=location), "Redirect")
    if not request.https and protocol == "https-only":
        return _Answer(_own_page(403, "Use HTTPS."), "Error")
    # See DownloadDistValuesCacheBehavior.html#DownloadDistValuesAllowedHTTPMethods, http-403-permission-denied.html
    if request.method not in behaviour.get("AllowedMethods", {}).get("Items", ["GET", "HEAD"]):
        return _Answer(_own_page(403, "This distribution isn't configured to allow this method."), "Error")
    return None


def _own_page(status: int, reason: str) -> Response:
    """Return a response of CloudFront's own. It is HTML, not a problem document."""
    body = f"<HTML><BODY><H1>{status} ERROR</H1><PRE>{reason}\nGenerated by cloudfront (stand-in)</PRE></BODY></HTML>"
    return Response(status, {"content-type": ["text/html"], "server": ["CloudFront"]}, body.encode())


def _but(headers: Headers, *names: str) -> Headers:
    return {name: values for name, values in headers.items() if name not in names}


def _conditional(request: Request, entry: _Entry) -> Request:
    """Return the request that asks whether an entry is still current, whatever the viewer has."""
    # See RequestAndResponseBehaviorCustomOrigin.html#RequestCustomConditionalGETs
    conditions = ("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since")
    headers = _but(request.headers, *conditions)
    modified = entry.response.header("last-modified")
    if entry.etag:
        headers["if-none-match"] = [entry.etag]
    elif modified:
        headers["if-modified-since"] = [modified]
    return dataclasses.replace(request, headers=headers)
