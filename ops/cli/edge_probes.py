"""The requests with which `edge probe` compares a distribution with the rules of the stand-in for CloudFront.

Each probe names its rule, as the table in docs/edge-standin.md does. What a probe expects follows from the deployed
distribution and its policies, by the stand-in's own functions.
"""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ops.local import edge_rules
from ops.local.edge import Policies
from ops.local.edge_headers import apply_policy
from ops.local.edge_messages import Headers, Request, Response, headers_of

TIMEOUT = 30.0


class Paths(NamedTuple):
    """The paths that the probes read.

    public: a document that everybody may read
    private: a document that only users who are signed in may read; None to leave its probes out
    """

    public: str
    private: str | None


class Outcome(NamedTuple):
    """What one probe expects and sees."""

    probe: str
    rule: str
    expected: str
    seen: str

    @property
    def same(self) -> bool:
        """Whether the distribution behaves as the stand-in's rule says."""
        return self.expected == self.seen


class Viewer:
    """Sends requests to a distribution exactly as given, each over a connection of its own."""

    def __init__(self, url: str) -> None:
        """Send nothing yet.

        :param url: the distribution's base URL
        """
        parts = urllib.parse.urlsplit(url)
        self.secure = parts.scheme == "https"
        self.host = parts.netloc

    def __call__(
        self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Response:
        """Return the response to a request for a raw path and query.

        :raises OSError: if the distribution doesn't respond
        """
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        connection = kind(self.host, timeout=TIMEOUT)
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Response(response.status, headers_of(response.getheaders()), response.read())
        finally:
            connection.close()


def probe(viewer: Viewer, distribution: Mapping[str, Any], policies: Policies, paths: Paths) -> Iterator[Outcome]:
    """Send all requests, and yield an outcome for each.

    :param distribution: the deployed distribution, as boto3's `get_distribution` returns it
    """
    config = distribution["DistributionConfig"]
    yield from _cache(viewer, config, policies, paths.public)
    yield from _methods(viewer, config, paths.public)
    yield from _paths(viewer, paths.public)
    yield from _limits(viewer, paths.public)
    yield from _headers(viewer, config, policies, paths.public)
    yield from _api(viewer, config)
    if paths.private:
        yield from _private(viewer, paths.private)


def _result(response: Response) -> str:
    """Return the status with what X-Cache says."""
    return f"{response.status} {(response.header('x-cache') or 'no X-Cache').removesuffix(' from cloudfront')}"


def _cache(viewer: Viewer, config: Mapping[str, Any], policies: Policies, path: str) -> Iterator[Outcome]:
    first = viewer(path)
    yield Outcome("a public document", "behaviours", "200", str(first.status))
    behaviour = edge_rules.behaviour_for(config, path)
    policy = policies.cache[behaviour["CachePolicyId"]]
    fresh = edge_rules.lifetime(first, policy, 0.0).seconds > 0
    hit = "200 Hit" if fresh else "200 RefreshHit"
    etag = first.header("etag") or '""'
    yield Outcome("the same again", "freshness", hit, _result(viewer(path)))
    head = viewer(path, "HEAD")
    yield Outcome("HEAD after GET", "freshness", hit, _result(head))
    # What isn't in the key can't lead to a miss.
    for name, target, headers in (
        ("a query", f"{path}?probe=1", {}),
        ("a cookie", path, {"Cookie": "probe=1"}),
        ("a token", path, {"Authorization": "Bearer probe"}),
        ("Cache-Control of the viewer", path, {"Cache-Control": "no-cache", "Pragma": "no-cache"}),
        ("another language", path, {"Accept-Language": "de"}),
    ):
        request = Request("GET", target, headers_of(headers.items()))
        plain = edge_rules.cache_key("", Request("GET", path), policy)
        in_key = edge_rules.cache_key("", request, policy) != plain
        expected = "200 Miss" if in_key else hit
        yield Outcome(f"the document with {name}", "cache key", expected, _result(viewer(target, headers=headers)))
    yield Outcome("If-None-Match", "conditions", "304", str(viewer(path, headers={"If-None-Match": etag}).status))
    weak = etag if etag.startswith("W/") else f"W/{etag}"
    yield Outcome("If-None-Match, weak", "conditions", "304", str(viewer(path, headers={"If-None-Match": weak}).status))
    other = viewer(path, headers={"If-None-Match": '"other"'})
    yield Outcome("If-None-Match of another", "conditions", "200", str(other.status))
    part = viewer(path, headers={"Range": "bytes=0-1"})
    yield Outcome("a range", "ranges", f"206 {first.body[:2]!r}", f"{part.status} {part.body!r}")
    beyond = viewer(path, headers={"Range": f"bytes={len(first.body)}-"})
    yield Outcome("a range beyond the end", "ranges", "416", str(beyond.status))
    packed = viewer(path, headers={"Accept-Encoding": "gzip"})
    wanted = edge_rules.compressed(first, edge_rules.accepted_encodings(_gzip(path), policy), behaviour)
    names = ("content-encoding", "etag")
    yield Outcome("with gzip", "compression", _some(wanted, names), _some(packed, names))


def _gzip(path: str) -> Request:
    return Request("GET", path, {"accept-encoding": ["gzip"]})


def _some(response: Response, names: tuple[str, ...]) -> str:
    return " ".join(f"{name}={response.header(name)}" for name in names)


def _methods(viewer: Viewer, config: Mapping[str, Any], path: str) -> Iterator[Outcome]:
    allowed = edge_rules.behaviour_for(config, path)["AllowedMethods"]["Items"]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        if method not in allowed:
            yield Outcome(method, "methods", "403", str(viewer(path, method, body=b"{}").status))
    yield Outcome("TRACE", "methods", "405", str(viewer(path, "TRACE").status))
    if viewer.secure:
        insecure = Viewer(f"http://{viewer.host}")
        policy = edge_rules.behaviour_for(config, path)["ViewerProtocolPolicy"]
        statuses = {"https-only": "403", "redirect-to-https": "301", "allow-all": "200"}
        yield Outcome("without HTTPS", "viewer protocol", statuses[policy], str(insecure(path).status))


def _paths(viewer: Viewer, path: str) -> Iterator[Outcome]:
    folder, _, name = path.rpartition("/")
    missing = viewer(f"{folder}/no-such-document-probe")
    yield Outcome("a missing document", "origin-response event", "404 problem", _problem(missing))
    yield Outcome("a repeated slash", "raw path", "404", str(viewer(f"{folder}//{name}").status))
    yield Outcome("a dot segment", "raw path", "404", str(viewer(f"{folder}/x/../{name}").status))
    encoded = f"{folder}/%{ord(name[0]):02X}{name[1:]}"
    yield Outcome("an encoded letter", "cache key", "200", str(viewer(encoded).status))
    direct = _unlike(viewer(f"/public{path}"), viewer(path))
    yield Outcome("the key of the bucket", "raw path", "not the document", direct)


def _problem(response: Response) -> str:
    kind = (response.header("content-type") or "").partition(";")[0]
    return f"{response.status} {'problem' if kind == 'application/problem+json' else kind or 'without type'}"


def _unlike(response: Response, document: Response) -> str:
    same = response.status == 200 and response.body == document.body
    return "the document" if same else "not the document"


def _limits(viewer: Viewer, path: str) -> Iterator[Outcome]:
    yield Outcome("a URL of 8,193 bytes", "limits", "414", str(viewer(path + "?" + "x" * (8_192 - len(path))).status))
    large = viewer(path, headers={"X-Probe": "x" * 21_000})
    yield Outcome("headers of 21,000 bytes", "limits", "494", str(large.status))
    yield Outcome("GET with a body", "limits", "403", str(viewer(path, body=b"{}").status))


def _headers(viewer: Viewer, config: Mapping[str, Any], policies: Policies, path: str) -> Iterator[Outcome]:
    identity = edge_rules.behaviour_for(config, path).get("ResponseHeadersPolicyId")
    if not identity:
        return
    policy = policies.response_headers[identity]
    seen = viewer(path)
    removed = {entry["Header"].lower() for entry in policy.get("RemoveHeadersConfig", {}).get("Items", [])}
    left = ", ".join(sorted(removed & set(seen.headers))) or "none"
    yield Outcome("removed headers", "response headers policy", "none", left)
    yield from _policy_headers("added headers", policy, path, seen, {})
    origins = policy.get("CorsConfig", {}).get("AccessControlAllowOrigins", {}).get("Items", [])
    for origin in [*origins[:1], "https://probe.invalid"] if origins else []:
        headers = {"Origin": "https://other.invalid" if origin == "*" else origin}
        yield from _policy_headers(f"a page of {origin}", policy, path, viewer(path, headers=headers), headers)


def _policy_headers(
    name: str, policy: Mapping[str, Any], path: str, seen: Response, headers: Mapping[str, str]
) -> Iterator[Outcome]:
    request = Request("GET", path, headers_of(headers.items()))
    wanted = apply_policy(policy, request, Response(200)).headers
    names = sorted({*wanted, "access-control-allow-origin"})
    yield Outcome(name, "response headers policy", _all(wanted, names), _all(seen.headers, names))


def _all(headers: Headers, names: list[str]) -> str:
    return "; ".join(f"{name}={', '.join(headers[name])}" for name in names if name in headers) or "none"


def _api(viewer: Viewer, config: Mapping[str, Any]) -> Iterator[Outcome]:
    if edge_rules.behaviour_for(config, "/v1/health").get("PathPattern") != "/v1/*":
        return
    for number in ("once", "twice"):
        yield Outcome(f"the API {number}", "caching disabled", "200 Miss", _result(viewer("/v1/health")))
    unknown = viewer("/v1/no-such-route-probe")
    whose = "a page" if b"<html" in unknown.body.lower() else "the API's"
    yield Outcome("an unknown route of the API", "error pages", "the API's", whose)


def _private(viewer: Viewer, path: str) -> Iterator[Outcome]:
    refused = "401 LambdaGeneratedResponse"
    yield Outcome("a private document", "viewer-request event", refused, _result(viewer(path)))
    yield Outcome("HEAD of it", "viewer-request event", refused, _result(viewer(path, "HEAD")))
    wrong = viewer(path, headers={"Authorization": "Bearer probe"})
    yield Outcome("it with a wrong token", "viewer-request event", refused, _result(wrong))
    yield Outcome("the type of the refusal", "viewer-request event", "401 problem", _problem(wrong))
    yield Outcome(
        "its query as a token", "viewer-request event", refused, _result(viewer(f"{path}?access_token=probe"))
    )
