"""CloudFront's rules that need no cache and no clock: paths, policies, lifetimes, compression, ranges and limits.

Each function is one rule, and the comment in it names the page of AWS's CloudFront Developer Guide that has the rule.
docs/edge-standin.md lists all rules. `edge.py` applies them in CloudFront's order.
"""

from __future__ import annotations

import dataclasses
import email.utils
import gzip
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple

from ops.local.edge_messages import Headers, Request, Response

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

ALWAYS_CACHED_ERRORS = (500, 502, 503, 504)
CACHED_UNLESS_FORBIDDEN_ERRORS = (404, 410, 414, 501)
CACHED_ON_REQUEST_ERRORS = (400, 403, 405, 412, 415)
DEFAULT_ERROR_SECONDS = 10.0
MOST_HEADER_BYTES = 20_480

COMPRESSED_TYPES = {
    *(f"application/{kind}" for kind in ("javascript", "json", "rss+xml", "wasm", "x-javascript", "xhtml+xml", "xml")),
    *(f"text/{kind}" for kind in ("css", "csv", "html", "javascript", "plain", "tab-separated-values", "xml")),
    *("font/otf", "font/ttf", "image/svg+xml"),
}
"""The content types that CloudFront compresses, without the rare ones for fonts, scripts and playlists. Problem
documents (application/problem+json) aren't on CloudFront's list."""

_FORWARDED_ALWAYS = (
    *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"),
    *("content-type", "content-encoding"),
)
"""The headers that CloudFront forwards whatever the policies say. It acts on the first line itself first."""


def normalise(path: str) -> str:
    """Return a path as CloudFront compares it with the behaviours' path patterns. Only that comparison uses it."""
    # See DownloadDistValuesCacheBehavior.html#path-normalization: CloudFront normalises the path as in RFC 3986 and
    # removes repeated slashes and dot segments to match a behaviour. The origin and the edge functions get the raw
    # path.
    unreserved = re.compile(r"[A-Za-z0-9._~-]")

    def decode(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if unreserved.fullmatch(character) else match[0].upper()

    parts: list[str] = []
    segments = re.sub("/+", "/", re.sub("%([0-9A-Fa-f]{2})", decode, path)).split("/")
    for number, segment in enumerate(segments):
        if segment == "..":
            del parts[max(1, len(parts) - 1) :]
        elif segment != ".":
            parts.append(segment)
        if segment in (".", "..") and number == len(segments) - 1:
            parts.append("")
    return "/".join(parts) or "/"


def matches(pattern: str, path: str) -> bool:
    """Whether a normalised path matches a behaviour's path pattern."""
    # See DownloadDistValuesCacheBehavior.html#DownloadDistValuesPathPattern: `*` is any number of characters, `?` is
    # one character, letter case counts, and a leading slash is optional.
    expression = {"*": ".*", "?": "."}
    text = "".join(expression.get(character, re.escape(character)) for character in "/" + pattern.lstrip("/"))
    return re.fullmatch(text, path, re.DOTALL) is not None


def behaviour_for(config: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the cache behaviour that serves a raw path."""
    # DownloadDistValuesCacheBehavior.html: CloudFront takes the first behaviour in the order listed whose pattern
    # matches, and the default behaviour if none does.
    normalised = normalise(path)
    for behaviour in config.get("CacheBehaviors", {}).get("Items", []):
        if matches(behaviour["PathPattern"], normalised):
            return dict(behaviour)
    return dict(config["DefaultCacheBehavior"])


def selects(policy: Mapping[str, Any] | None, part: str, name: str) -> bool:
    """Whether a cache policy or an origin request policy includes a header, a cookie or a query parameter.

    :param policy: a cache policy's `ParametersInCacheKeyAndForwardedToOrigin`, an origin request policy, or None
    :param part: `Header`, `Cookie` or `QueryString`
    """
    # controlling-the-cache-key.html and controlling-origin-requests.html: none, whitelist, allExcept, all, allViewer.
    if policy is None:
        return False
    settings = policy[f"{part}sConfig"]
    behaviour = settings[f"{part}Behavior"]
    names = settings.get(f"{part}s", {}).get("Items", [])
    listed = name.lower() in [entry.lower() for entry in names] if part == "Header" else name in names
    if behaviour in ("whitelist", "allExcept"):
        return bool(listed == (behaviour == "whitelist"))
    return bool(behaviour != "none")


def _cookies(request: Request) -> list[str]:
    return [pair.strip() for pair in (request.header("cookie") or "").replace(",", ";").split(";") if "=" in pair]


def _chosen(pairs: list[str], part: str, *policies: Mapping[str, Any] | None) -> list[str]:
    """Return the pairs `name=value` that at least one of the policies includes."""
    names = [(pair, urllib.parse.unquote_plus(pair.partition("=")[0])) for pair in pairs if pair]
    return [pair for pair, name in names if any(selects(policy, part, name) for policy in policies)]


def accepted_encodings(request: Request, cache_policy: Mapping[str, Any]) -> str:
    """Return the normalised `Accept-Encoding`, which is in the cache key and goes to the origin."""
    # See controlling-the-cache-key.html#cache-policy-compressed-objects: with both settings on, it is `br,gzip`, `br`,
    # `gzip` or missing. A request for a range of bytes gets the object as it is.
    parameters = cache_policy["ParametersInCacheKeyAndForwardedToOrigin"]
    wanted = request.header("accept-encoding") or ""
    offered = {
        part.partition(";")[0].strip() for part in wanted.lower().split(",") if not re.search(r"q=0(\.0*)?$", part)
    }
    enabled = [
        name
        for name, setting in (("br", "EnableAcceptEncodingBrotli"), ("gzip", "EnableAcceptEncodingGzip"))
        if parameters.get(setting) and name in offered and "range" not in request.headers
    ]
    return ",".join(enabled)


def cache_key(distribution: str, request: Request, cache_policy: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the key of a request's response in the cache."""
    # understanding-the-cache-key.html: the key is the distribution's name, the URL's path, and what the cache policy
    # includes. The behaviour and the origin aren't in it.
    parameters = cache_policy["ParametersInCacheKeyAndForwardedToOrigin"]
    headers = [
        (name, *request.headers[name]) for name in sorted(request.headers) if selects(parameters, "Header", name)
    ]
    cookies = _chosen(_cookies(request), "Cookie", parameters)
    query = _chosen(request.query.split("&"), "QueryString", parameters)
    encodings = accepted_encodings(request, cache_policy)
    return (distribution, request.path, tuple(headers), tuple(cookies), tuple(query), encodings)


def origin_request(
    request: Request, origin: Mapping[str, Any], cache_policy: Mapping[str, Any], policy: Mapping[str, Any] | None
) -> Request:
    """Return the request that CloudFront sends to an origin for a viewer's request, without `OriginPath`."""
    parameters = cache_policy["ParametersInCacheKeyAndForwardedToOrigin"]
    headers: Headers = {}
    for name, values in request.headers.items():
        # See RequestAndResponseBehaviorCustomOrigin.html#request-custom-headers-behavior: CloudFront removes
        # Authorization from GET, HEAD and OPTIONS requests unless a policy includes it, and forwards it with other
        # methods.
        with_body = name == "authorization" and request.method in ("POST", "PUT", "PATCH", "DELETE")
        forwarded = name in _FORWARDED_ALWAYS or selects(parameters, "Header", name) or selects(policy, "Header", name)
        if (forwarded or with_body) and name not in ("cookie", "accept-encoding", "host", "connection"):
            headers[name] = list(values)
    # The same page: the origin's own name replaces Host, and `Amazon CloudFront` replaces User-Agent, unless a policy
    # includes them.
    host = selects(parameters, "Header", "host") or selects(policy, "Header", "host")
    headers["host"] = request.headers.get("host", [""]) if host else [origin["DomainName"]]
    headers.setdefault("user-agent", ["Amazon CloudFront"])
    if encodings := accepted_encodings(request, cache_policy):
        headers["accept-encoding"] = [encodings]
    if cookies := _chosen(_cookies(request), "Cookie", parameters, policy):
        headers["cookie"] = ["; ".join(cookies)]
    # add-origin-custom-headers.html: an origin custom header replaces the viewer's header of the same name.
    for header in origin.get("CustomHeaders", {}).get("Items", []):
        headers[header["HeaderName"].lower()] = [header["HeaderValue"]]
    query = "&".join(_chosen(request.query.split("&"), "QueryString", parameters, policy))
    return dataclasses.replace(request, target=request.path + ("?" + query if query else ""), headers=headers)


def strips_cookies(cache_policy: Mapping[str, Any], policy: Mapping[str, Any] | None) -> bool:
    """Whether CloudFront removes `Set-Cookie` from the origin's responses."""
    # Cookies.html: if CloudFront forwards no cookies, it also removes Set-Cookie headers from the responses.
    parameters = cache_policy["ParametersInCacheKeyAndForwardedToOrigin"]
    settings = (parameters, policy) if policy else (parameters,)
    return all(setting["CookiesConfig"]["CookieBehavior"] == "none" for setting in settings)


def directives(response: Response) -> dict[str, str]:
    """Return the directives of a response's `Cache-Control`, by their names in lower case."""
    parts = [part.strip().partition("=") for part in (response.header("cache-control") or "").split(",")]
    return {name.strip().lower(): value.strip(' "') for name, _, value in parts if name}


class Lifetime(NamedTuple):
    """What a response's headers and the cache policy say about keeping the response.

    seconds: how long the response is fresh
    stored: whether the cache keeps the response at all
    shared: whether requests that wait for the same object get this response (request collapsing)
    stale_seconds: how long after `seconds` the response may replace an error; None for no limit
    """

    seconds: float
    stored: bool
    shared: bool
    stale_seconds: float | None


def lifetime(response: Response, cache_policy: Mapping[str, Any], now: float) -> Lifetime:
    """Return how long the cache keeps a response that is no error.

    :param now: the time of the response, in seconds since 1970
    """
    least, most = float(cache_policy["MinTTL"]), float(cache_policy.get("MaxTTL", 31_536_000))
    words = directives(response)
    forbidding = {"no-cache", "no-store", "private"} & set(words)
    stated = _stated_seconds(response, words, now)
    # See Expiration.html and HTTPStatusCodes.html: CloudFront serves an expired object if the origin
    # fails. `stale-if-error` limits how long. RFC 9111, 5.2.2.4: a response with `no-cache` needs a validation each
    # time.
    stale = float(words["stale-if-error"]) if _is_whole(words.get("stale-if-error")) else None
    stale = 0.0 if "no-cache" in words else stale
    # See RequestAndResponseBehaviorCustomOrigin.html#request-custom-traffic-spikes: to prevent request collapsing, set
    # the minimum TTL to 0, and send private, no-store, no-cache, max-age=0 or s-maxage=0.
    shared = least > 0 or not (forbidding or stated == 0)
    # See Expiration.html#ExpirationDownloadDist, the table. Its last row: with a minimum TTL of 0, CloudFront respects
    # no-cache, no-store and private. With a greater one, it keeps the object for the minimum TTL all the same.
    if forbidding:
        return Lifetime(least, least > 0 or forbidding == {"no-cache"}, shared, stale)
    if stated is None:
        return Lifetime(max(least, float(cache_policy.get("DefaultTTL", 86_400))), most > 0, shared, stale)
    return Lifetime(max(least, min(stated, most)), most > 0, shared, stale)


def _is_whole(text: str | None) -> bool:
    return text is not None and re.fullmatch("[0-9]+", text) is not None


def _stated_seconds(response: Response, words: Mapping[str, str], now: float) -> float | None:
    """Return the lifetime that the origin states. Return None if it states none."""
    # Expiration.html: s-maxage counts before max-age, and Cache-Control before Expires.
    for name in ("s-maxage", "max-age"):
        if _is_whole(words.get(name)):
            return float(words[name])
    expires = response.header("expires")
    if expires is None:
        return None
    try:
        return max(0.0, email.utils.parsedate_to_datetime(expires).timestamp() - now)
    except ValueError:
        return 0.0


def error_seconds(response: Response, config: Mapping[str, Any]) -> float:
    """Return for how many seconds the cache keeps an error response. 0 means not at all."""
    # See HTTPStatusCodes.html#HTTPStatusCodes-cached-errors and custom-error-pages-expiration.html: CloudFront keeps an
    # error for the error caching minimum TTL (10 s by default), or for the longer max-age or s-maxage of the origin.
    words = directives(response)
    least = next(
        (
            float(entry["ErrorCachingMinTTL"])
            for entry in config.get("CustomErrorResponses", {}).get("Items", [])
            if entry["ErrorCode"] == response.status and "ErrorCachingMinTTL" in entry
        ),
        DEFAULT_ERROR_SECONDS,
    )
    stated = next((float(words[name]) for name in ("s-maxage", "max-age") if _is_whole(words.get(name))), None)
    forbidden = bool({"no-cache", "no-store", "private"} & set(words))
    # The same pages: no-store, no-cache and private count for 404, 410, 414 and 501 only. 400, 403, 405, 412 and 415
    # are kept only if the origin states a time. Other errors, such as 401 and 429, are never kept.
    if response.status in ALWAYS_CACHED_ERRORS:
        return max(least, stated or 0.0)
    if response.status in CACHED_UNLESS_FORBIDDEN_ERRORS:
        return 0.0 if forbidden else max(least, stated or 0.0)
    if response.status in CACHED_ON_REQUEST_ERRORS:
        return 0.0 if stated is None or forbidden else max(least, stated)
    return 0.0


def compressed(response: Response, encodings: str, behaviour: Mapping[str, Any]) -> Response:
    """Return a response as CloudFront compresses it for viewers that accept these encodings."""
    # ServingCompressedFiles.html: CloudFront compresses whole objects of 1,000 to 10,000,000 bytes with a listed
    # content type and without Content-Encoding. It makes a strong ETag weak, and removes an invalid one.
    # The stand-in has no Brotli. It uses gzip if the viewer accepts that as well, and compresses nothing otherwise.
    kind = (response.header("content-type") or "").partition(";")[0].strip().lower()
    whole = response.status in (200, 403, 404) and "content-encoding" not in response.headers
    fits = 1_000 <= len(response.body) <= 10_000_000 and kind in COMPRESSED_TYPES
    if not (behaviour.get("Compress") and "gzip" in encodings and whole and fits):
        return response
    headers = response.headers | {"content-encoding": ["gzip"], "vary": ["Accept-Encoding"]}
    etag = response.header("etag")
    if etag is not None and not etag.startswith("W/"):
        if etag.startswith('"'):
            headers["etag"] = ["W/" + etag]
        else:
            del headers["etag"]
    return Response(response.status, headers, gzip.compress(response.body, mtime=0))


def not_modified(request: Request, response: Response) -> bool:
    """Whether a viewer that sent this conditional request has the response's object already."""
    # See RequestAndResponseBehaviorCustomOrigin.html#RequestCustomConditionalGETs. RFC 9110, 13.1: If-None-Match
    # counts before If-Modified-Since, and compares weakly.
    wanted = request.header("if-none-match")
    etag = response.header("etag")
    if wanted is not None:
        tags = [tag.strip().removeprefix("W/") for tag in wanted.split(",")]
        return etag is not None and ("*" in tags or etag.removeprefix("W/") in tags)
    since, modified = request.header("if-modified-since"), response.header("last-modified")
    try:
        return bool(
            since
            and modified
            and email.utils.parsedate_to_datetime(modified) <= email.utils.parsedate_to_datetime(since)
        )
    except (ValueError, TypeError):
        return False


def ranged(request: Request, response: Response) -> Response:
    """Return the range of bytes that a viewer asks for. Return the whole response if it asks for none."""
    # RangeGETs.html: CloudFront serves a range from the object in the cache, and may fetch more than the range.
    # One range is served. For several ranges, the whole object is a valid answer (RFC 9110, 14.2).
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", request.header("range") or "")
    if response.status != 200 or match is None or not any(match.groups()):
        return response
    size = len(response.body)
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start >= size or start > end:
        return Response(416, {"content-range": [f"bytes */{size}"]})
    headers = response.headers | {"content-range": [f"bytes {start}-{end}/{size}"]}
    return Response(206, headers, response.body[start : end + 1])


def header_bytes(headers: Headers) -> int:
    """Return how many bytes the headers have on the wire, with HTTP/1.1."""
    return sum(len(name) + len(value) + 4 for name, values in headers.items() for value in values)


def refusal(request: Request) -> tuple[int, str] | None:
    """Return the status and the reason with which CloudFront refuses a request before it looks at a behaviour."""
    # cloudfront-limits.html: a URL has 8,192 bytes at most, and a request without its body 20,480.
    # See RequestAndResponseBehaviorCustomOrigin.html#RequestCustom-get-body: a GET request with a body gets 403.
    # http-403-permission-denied.html: the seven methods are the only ones that a distribution can allow.
    if len(request.target) > 8_192:
        return 414, "The URL is longer than 8,192 bytes."
    if len(request.target) + header_bytes(request.headers) > MOST_HEADER_BYTES:
        return 494, "The request's headers are longer than 20,480 bytes."
    if request.method not in METHODS:
        return 405, "CloudFront doesn't support this method."
    if request.method == "GET" and request.body:
        return 403, "A GET request has no body."
    return None
