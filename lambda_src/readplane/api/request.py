"""Parses API Gateway's REST proxy events into requests, and checks the parameters of a request."""

import base64
from collections.abc import Mapping
from typing import NamedTuple

from ..entrypoint import Event
from ..model.collection import Collection, is_item_id
from ..model.errors import InvalidError
from ..model.version import MAX_AHEAD_MS, is_version, time_ms
from .caller import Caller, caller_from_claims
from .problem import bad_parameter, not_found

MIN_VERSION = "min_version"
"""The query parameter with which a request names versions. A header would not do, because caches ignore headers."""

QUERY_PARAMETERS = frozenset({MIN_VERSION, "limit", "cursor", "next", "filter", "sort", "q"})
"""The names of the query parameters of all routes."""

_MAX_MIN_VERSIONS = 20


class Request(NamedTuple):
    """The parts of an HTTP request that `read`, `query` and `write` need.

    :param method: the HTTP method.
    :param resource: the route's path, split at its slashes: ``("items", "products", "{item_id}")``.
    :param path: the path parameters as the client sent them, so they may be percent-encoded. Use :meth:`item_id` and
        :meth:`change_id`, which decode them.
    :param query: the query parameters, decoded. If the client sent a parameter more than once, this is its last value.
    :param query_values: all values of each query parameter.
    :param headers: the headers as API Gateway passes them. Use :meth:`header`, because the names may be in any case.
    :param claims: the claims of the verified access token; empty if the route is public.
    :param request_id: API Gateway's id of the request. It is `extendedRequestId`, because clients can choose
        `requestId`.
    :param encoded_body: the body as API Gateway passes it, as text or base64; empty if the request has none.
    :param body_is_base64: whether ``encoded_body`` is base64.
    """

    method: str
    resource: tuple[str, ...]
    path: Mapping[str, str]
    query: Mapping[str, str]
    query_values: Mapping[str, list[str]]
    headers: Mapping[str, str]
    claims: Mapping[str, object]
    request_id: str
    encoded_body: str
    body_is_base64: bool

    def header(self, name: str) -> str | None:
        """Return the value of a header, or ``None`` if the request doesn't have it.

        :param name: the header's name in lower case.
        """
        length = len(name)
        for sent in self.headers:
            if len(sent) == length and sent.lower() == name:  # the length first, because most headers are others
                return self.headers[sent]
        return None

    def body(self) -> bytes:
        """Return the bytes of the request's body.

        :raises InvalidError: if API Gateway says that the body is base64, but the body isn't valid base64.
        """
        if not self.body_is_base64:
            return self.encoded_body.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.encoded_body, validate=True)
        except ValueError as error:  # binascii.Error for wrong base64, a plain ValueError for non-ASCII text
            raise InvalidError("", "The body's encoding is broken.", "not_utf8") from error

    def collection(self, collections: Mapping[str, Collection]) -> Collection:
        """Return the collection that the route's path names (``/items/<collection>/...``).

        :raises ProblemError: 404 if the function's settings don't declare the collection. During a deployment, for
            example, API Gateway may still have the routes of a collection that the new settings no longer declare.
        """
        name = self.resource[1] if len(self.resource) > 1 else ""
        if name not in collections:
            raise not_found("collection")
        return collections[name]

    def item_id(self) -> str:
        """Return the item id in the request's path.

        :raises ProblemError: 400 if the item id is malformed.
        """
        text = _decode(self.path.get("item_id", ""))
        if not is_item_id(text):
            raise bad_parameter("item_id", "item_id must be 1-256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit.")
        return text

    def change_id(self) -> str:
        """Return the change id in the request's path.

        :raises ProblemError: 400 if the change id is malformed.
        """
        text = _decode(self.path.get("change_id", ""))
        if not is_version(text):
            raise bad_parameter("change_id", "change_id must be one that a write returned.")
        return text

    def refuse_unknown_parameters(self, *names: str) -> None:
        """Refuse a query parameter that the route doesn't have, or that occurs more than once.

        Otherwise a misspelt parameter would have no effect, and the client wouldn't notice. Never call this method on a
        cached route. API Gateway would return the cached 400 to other clients, whose requests have the same cache key
        but not this parameter.

        :param names: the query parameters of the route.
        :raises ProblemError: 400 that names the first such parameter.
        """
        for name in self.query:
            if name not in names:
                raise bad_parameter(name, f"The query parameters of this route are: {', '.join(names) or 'none'}.")
            if len(self.query_values.get(name, ())) > 1:
                raise bad_parameter(name, f"Send {name} only once.")

    def caller(self, client_ids: frozenset[str]) -> Caller:
        """Return the user who sent the request.

        :raises ProblemError: 403 unless the request has an access token that was issued to one of ``client_ids``.
        """
        return caller_from_claims(self.claims, client_ids)

    def by_reader(
        self, collection: Collection, client_ids: frozenset[str], *, cached: bool
    ) -> tuple["Request", str | None]:
        """Return this request as a route that reads a collection must take it, and the owner whose items it may read.

        The owner is ``None`` unless this is an owner collection.

        :param cached: whether API Gateway may cache the response.
        :raises ProblemError: 403 as :meth:`caller` says, unless the route is public or cached.
        """
        # A public route has no authorizer, so its request has no claims. For any other route, check the claims that API
        # Gateway's authorizer doesn't check. Don't check them on a cached route: API Gateway would return the cached
        # 403 to all callers. The check would also protect nothing, because a cached 200 doesn't reach the function.
        caller = None if cached or collection.read == "public" else self.caller(client_ids)
        owner = caller.sub if caller and collection.owned else None
        if cached and "" in self.query.values():
            # AWS doesn't say whether the cache key tells an empty parameter from a missing one. So let both mean the
            # same. Otherwise API Gateway might return the 400 for `?limit=` to callers who send no limit.
            return self._replace(query={name: value for name, value in self.query.items() if value}), owner
        return self, owner

    def min_versions(self, now_ms: int) -> list[str]:
        """Return the versions in the query parameter ``min_version``, which are separated by commas.

        The list is empty if the request doesn't have this parameter.

        :param now_ms: the current time in Unix milliseconds.
        :raises ProblemError: 400 if the parameter has no version or more than 20, or if a version is malformed or its
            time lies more than 5 seconds in the future.
        """
        text = self.query.get(MIN_VERSION)
        if text is None:
            return []
        versions = [part.strip(" \t") for part in text.split(",")]
        if len(versions) > _MAX_MIN_VERSIONS or not all(map(is_version, versions)):
            detail = f"Name 1-{_MAX_MIN_VERSIONS} versions, each as a write or a read returned it, separated by commas."
            raise bad_parameter(MIN_VERSION, detail)
        if any(time_ms(version) > now_ms + MAX_AHEAD_MS for version in versions):
            raise bad_parameter(MIN_VERSION, "A named version is more than 5 seconds in the future.")
        return versions


def request_of(event: Event) -> Request:
    """Parse an event of an API Gateway REST API (payload format 1.0) into a request."""
    context = event.get("requestContext") or {}
    return Request(
        method=event["httpMethod"],
        resource=tuple(event["resource"].strip("/").split("/")),
        path=event.get("pathParameters") or {},
        query=event.get("queryStringParameters") or {},
        query_values=event.get("multiValueQueryStringParameters") or {},
        headers=event.get("headers") or {},
        claims=(context.get("authorizer") or {}).get("claims") or {},
        request_id=context.get("extendedRequestId") or context.get("requestId", ""),
        encoded_body=event.get("body") or "",
        body_is_base64=bool(event.get("isBase64Encoded")),
    )


def _decode(text: str) -> str:
    """Decode a path parameter. A REST API passes it as the client sent it, for example ``a%7Eb`` for ``a~b``.

    Decode only once: ``%252F`` becomes ``%2F``, which no id may contain. Bytes that aren't UTF-8 become U+FFFD, which
    no id may contain either.
    """
    if "%" not in text:
        return text
    from urllib.parse import unquote  # imported here, because the import is slow and seldom needed

    return unquote(text)
