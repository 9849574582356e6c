"""API Gateway's stage with its cache, in process: the methods of a planned API, their authorizers, keys and answers.

The rules of the cache come from AWS's documentation, which the comments quote ("Cache settings for REST APIs" unless
they say otherwise). If AWS doesn't say what API Gateway does, this fake does what is worse for Readplane:

- A method caches a response of every status, whatever its ``Cache-Control`` or ``Vary`` says.
- An absent query parameter or header has the same key as an empty one.
- A path parameter is decoded in the key, so that all its encodings share an entry.
- A GET with ``X-HTTP-Method-Override`` is answered by the GET method, and cached as one, but the function's event has
  the other HTTP method. (S3 and back offices get the method that the integration names.)

The pages of AWS's developer guide that the comments name are api-gateway-caching ("Cache settings for REST APIs") and
api-gateway-known-issues ("Important notes for REST APIs"). API_Integration is in AWS's API reference.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from tests.fakes.gateway_integrations import Call, Endpoint, Message, UnsupportedMediaTypeError, send

MAX_CACHED_BYTES = 1048576
"""“The maximum size of a response that can be cached is 1048576 bytes.”"""


REQUEST_ID = "a-request-id"
EXTENDED_REQUEST_ID = "an-extended-request-id"


class Token(NamedTuple):
    """An access token that a client sends: the scopes and the claims that its verified form has."""

    scopes: frozenset[str]
    claims: Mapping[str, str]


class Sent(NamedTuple):
    """A request of a client.

    :param path: the path without the stage, as the client encoded it.
    :param query: the query parameters, decoded, in order.
    :param headers: the headers, in the client's spelling and order.
    """

    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Sequence[tuple[str, str]] = ()
    body: str = ""
    method: str = "GET"

    def header(self, name: str) -> str | None:
        """Return a header, whatever its spelling. Of repeated headers, return the last."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[-1] if values else None


class Method(NamedTuple):
    """A method of the API: who may call it, who answers it, and how its responses are cached.

    :param resource: the path with its parameters, such as ``/items/products/{item_id}``.
    :param scopes: the scopes of which a token must have one; empty if the method takes no token.
    :param needs_key: whether a caller needs an API key.
    :param key_parameters: the inputs of the cache key, such as ``querystring.limit``.
    :param ttl_ms: how long a response is cached; 0 if it isn't.
    """

    verb: str
    resource: str
    scopes: frozenset[str]
    needs_key: bool
    integration: Mapping[str, Any]
    key_parameters: tuple[str, ...]
    ttl_ms: int

    @property
    def declared_query(self) -> tuple[str, ...]:
        """The query parameters in the cache key."""
        return self.inputs("querystring")

    def inputs(self, place: str) -> tuple[str, ...]:
        """The names of the inputs of one kind (``path``, ``querystring``, ``header``) in the cache key."""
        return tuple(name.split(".", 1)[1] for name in self.key_parameters if name.startswith(f"{place}."))


class Entry(NamedTuple):
    """An entry of the cache.

    :param stamp: what the test noted when the entry was filled.
    """

    response: Message
    expires_ms: int
    stamp: Any


class Delivery(NamedTuple):
    """What a client gets.

    :param method: the method that answered; ``None`` if the API has none for the request.
    :param entry: the entry of the cache from which the response comes, or which it filled; ``None`` if the method isn't
        cached or API Gateway answered by itself.
    :param hit: whether the response comes from the cache.
    """

    response: Message
    method: Method | None
    entry: Entry | None
    hit: bool


def methods_of(document: str, settings: Sequence[Mapping[str, Any]]) -> list[Method]:
    """Return the methods of an API.

    :param document: the OpenAPI document that Terraform imports into API Gateway.
    :param settings: the ``aws_api_gateway_method_settings`` of the stage, as a plan has them.
    """
    api = json.loads(document)
    caching = {_method_of(entry["method_path"]): entry["settings"][0] for entry in settings}
    methods = []
    for resource, operations in api["paths"].items():
        for name, operation in operations.items():
            verb = "ANY" if name == "x-amazon-apigateway-any-method" else name.upper()
            # A method with settings of its own inherits none of the stage's.
            cache = caching.get((resource, verb), caching["*", "*"])
            security = operation.get("security", [])
            integration = operation["x-amazon-apigateway-integration"]
            keys = integration.get("cacheKeyParameters", [])
            methods.append(
                Method(
                    verb,
                    resource,
                    frozenset(scope for needs in security for scope in needs.get("access_token", [])),
                    any("api_key" in needs for needs in security),
                    integration,
                    tuple(key.removeprefix("method.request.") for key in keys),
                    cache["cache_ttl_in_seconds"] * 1000 if cache["caching_enabled"] else 0,
                )
            )
            # Nothing here models a client that may invalidate an entry: "Ignore cache control header: process the
            # request and do not add a warning header in the response".
            strategy = (
                cache["require_authorization_for_cache_control"],
                cache["unauthorized_cache_control_header_strategy"],
            )
            assert strategy == (True, "SUCCEED_WITHOUT_RESPONSE_HEADER"), resource
    return methods


def _method_of(method_path: str) -> tuple[str, str]:
    path, _, verb = method_path.rpartition("/")
    return path.replace("~1", "/"), verb


class Gateway:
    """The stage of an API. A test sets ``decodes_paths`` to let functions get path parameters decoded or encoded.

    The developer guide says that "REST APIs decode URL-encoded request parameters before passing them to backend
    integrations", but a Lambda proxy integration gets path parameters as the client encoded them.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        function: Callable[[Any, None], Mapping[str, Any]],
        endpoint: Endpoint,
        *,
        tokens: Mapping[str, Token],
        api_key: str,
        now_ms: Callable[[], int],
        stamp: Callable[[], Any],
    ) -> None:
        """Make a stage with an empty cache.

        :param function: the function behind every Lambda integration.
        :param endpoint: S3 and the back offices.
        :param tokens: the valid tokens by the text that a client sends as a bearer token.
        :param api_key: the API key that opens every backend with keys.
        :param stamp: returns what an :class:`Entry` notes when it is filled.
        """
        self.decodes_paths = False
        self._function = function
        self._endpoint = endpoint
        self._tokens = tokens
        self._api_key = api_key
        self._now_ms = now_ms
        self._stamp = stamp
        self._entries: dict[tuple[str, ...], Entry] = {}
        # A resource without parameters is more specific than one with parameters, and a greedy one is the least.
        ordered = sorted(methods, key=lambda method: ("+}" in method.resource, method.resource.count("{")))
        self._routes = [(re.compile(_pattern(method.resource)), method) for method in ordered]

    def clear(self) -> None:
        """Empty the cache."""
        self._entries.clear()

    def send(self, sent: Sent) -> Delivery:
        """Answer a request."""
        method, path = self._route(sent)
        if method is None:
            return Delivery(_refusal(404), None, None, False)
        # AWS doesn't say that the authorizer comes before the cache. If it didn't, no scope would protect a cached
        # method. The caller isn't part of the key: cacheKeyParameters are "request parameters" (API_Integration), and a
        # token's claims are none.
        token = self._tokens.get((sent.header("Authorization") or "").removeprefix("Bearer "))
        if method.scopes and (token is None or method.scopes.isdisjoint(token.scopes)):
            return Delivery(_refusal(401), method, None, False)
        if method.needs_key and sent.header("X-Api-Key") != self._api_key:
            return Delivery(_refusal(403), method, None, False)
        claims = token.claims if token and method.scopes else {}
        call = _call(sent, path, claims)
        if not method.ttl_ms:
            return Delivery(self._answer(method, call, sent), method, None, False)
        key = cache_key(method, call)
        entry = self._entries.get(key)
        # "API Gateway then responds to the request by looking up the endpoint response from the cache instead of making
        # a request to your endpoint."
        if entry and self._now_ms() < entry.expires_ms:
            return Delivery(entry.response, method, entry, True)
        try:
            response = self._answer(method, call, sent)
        except UnsupportedMediaTypeError:
            # "API Gateway caches responses from your endpoint." Nobody called it for this response.
            return Delivery(_refusal(415), method, None, False)
        entry = Entry(response, self._now_ms() + method.ttl_ms, self._stamp())
        if len(response.body.encode()) <= MAX_CACHED_BYTES:
            self._entries[key] = entry
        return Delivery(response, method, entry, False)

    def answer_directly(self, method: Method, sent: Sent) -> Message:
        """Answer a request by the integration of a method, without authorizer and cache.

        The request may do anything: ``sent`` has a valid token if the method needs one.
        """
        path = re.fullmatch(_pattern(method.resource), sent.path).groupdict()  # type: ignore[union-attr]
        token = self._tokens.get((sent.header("Authorization") or "").removeprefix("Bearer "))
        claims = token.claims if token and method.scopes else {}
        call = _call(sent, path, claims)
        return self._answer(method, call, sent)

    def _route(self, sent: Sent) -> tuple[Method | None, dict[str, str]]:
        for verbs in ((sent.method,), ("ANY",)):
            for pattern, method in self._routes:
                if method.verb in verbs and (match := pattern.fullmatch(sent.path)):
                    return method, match.groupdict()
        return None, {}

    def _answer(self, method: Method, call: Call, sent: Sent) -> Message:
        if method.integration["type"] == "aws_proxy":
            response = self._function(self._event(method, call, sent), None)
            headers = {name.lower(): value for name, value in response["headers"].items()}
            return Message(response["statusCode"], headers, response["body"])
        return send(method.integration, call, self._endpoint)

    def _event(self, method: Method, call: Call, sent: Sent) -> dict[str, Any]:
        """Return the event of a Lambda proxy integration, payload format 1.0."""
        path = {name: unquote(value) if self.decodes_paths else value for name, value in call.path.items()}
        # "When sending requests to an API by passing the X-HTTP-Method-Override header, API Gateway overrides the
        # method" (Important notes for REST APIs). AWS doesn't say whether that also chooses the method of the API.
        override = call.header("X-HTTP-Method-Override")
        return {
            "resource": method.resource,
            "path": sent.path,
            "httpMethod": override or call.method,
            "headers": dict(call.headers),
            "multiValueHeaders": _all_values(call.headers),
            "queryStringParameters": dict(call.query) or None,
            "multiValueQueryStringParameters": _all_values(call.query) or None,
            "pathParameters": path or None,
            "requestContext": {
                "requestId": call.request_id,
                "extendedRequestId": call.extended_request_id,
                "stage": "v1",
                "path": f"/v1{sent.path}",
                **({"authorizer": {"claims": dict(call.claims)}} if call.claims else {}),
            },
            "body": call.body or None,
            "isBase64Encoded": False,
        }


def cache_key(method: Method, call: Call) -> tuple[str, ...]:
    """Return the key under which a method caches the response to a call.

    "When a cached method or integration has parameters, which can take the form of custom headers, URL paths, or query
    strings, you can use some or all of the parameters to form cache keys." A request that differs in any other
    parameter gets the cached response; AWS's own example is such a request. "By default, API Gateway uses the resource
    ID as the cacheNamespace" (API_Integration), so the methods of one resource share their entries.

    A key holds one value of a parameter. AWS refuses ``multivaluequerystring`` in a key, and doesn't say which of
    repeated values ``querystring`` means. The fake takes the last, as ``queryStringParameters`` of an event does.
    """
    values = [method.resource]
    for parameter in method.key_parameters:
        place, name = parameter.split(".", 1)
        if place == "path":
            values.append(unquote(call.path[name]))
        elif place == "querystring":
            values.append(call.parameter(name) or "")
        else:
            assert place == "header", parameter
            # "Header names and query parameters are processed in a case-sensitive way" (Important notes for REST APIs).
            values.append(dict(call.headers).get(name, ""))
    return tuple(values)


def _call(sent: Sent, path: Mapping[str, str], claims: Mapping[str, str]) -> Call:
    """Return a request as it arrives at a method. All requests have the same id, unless a client chooses another.

    "Clients can override this request ID" (Variables for data transformations, about ``$context.requestId``). AWS
    doesn't say how. The fake takes the id from the header in which API Gateway returns it.
    """
    chosen = sent.header("X-Amzn-RequestId") or REQUEST_ID
    return Call(sent.method, path, sent.query, sent.headers, sent.body, claims, chosen, EXTENDED_REQUEST_ID)


def _pattern(resource: str) -> str:
    return re.sub(
        r"\\\{(\w+)(\\\+)?\\\}", lambda found: f"(?P<{found[1]}>{'.+' if found[2] else '[^/]+'})", re.escape(resource)
    )


def _all_values(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _refusal(status: int) -> Message:
    """Return a response that API Gateway itself makes."""
    return Message(status, {"content-type": "application/problem+json"}, json.dumps({"status": status}))
