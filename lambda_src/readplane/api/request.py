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

MIN_VERSION = "Readplane-Min-Version"
_MAX_MIN_VERSIONS = 20


class Request(NamedTuple):
    """The parts of an HTTP request that `read` and `write` need.

    :param method: the HTTP method.
    :param resource: the route's path, split at its slashes: ``("items", "products", "{item_id}")``.
    :param path: the path parameters.
    :param query: the query parameters.
    :param headers: the headers; their names are lower-case.
    :param claims: the claims of the verified access token; empty if the route is public.
    :param request_id: API Gateway's id of the request.
    :param encoded_body: the body as API Gateway passes it, as text or base64; empty if the request has none.
    :param body_is_base64: whether ``encoded_body`` is base64.
    """

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
        """Return the bytes of the request's body.

        :raises InvalidError: if API Gateway says that the body is base64, but the body isn't valid base64.
        """
        if not self.body_is_base64:
            return self.encoded_body.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.encoded_body, validate=True)
        except ValueError as error:  # binascii.Error for wrong base64, a plain ValueError for non-ASCII text
            raise InvalidError("", "The body's encoding is broken.") from error

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
        text = self.path.get("item_id", "")
        if not is_item_id(text):
            raise bad_parameter("item_id", "item_id must be 1-256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit.")
        return text

    def caller(self, client_ids: frozenset[str]) -> Caller:
        """Return the user who sent the request.

        :raises ProblemError: 401 unless the request has an access token that was issued to one of ``client_ids``.
        """
        return caller_from_claims(self.claims, client_ids)

    def min_versions(self, now_ms: int) -> list[str]:
        """Return the versions in the header ``Readplane-Min-Version``, which are separated by commas.

        :raises ProblemError: 400 if the header has more than 20 versions, or if a version is malformed or its time lies
            more than 5 minutes in the future.
        """
        text = self.headers.get(MIN_VERSION.lower(), "")
        versions = [version for version in (part.strip(" \t") for part in text.split(",")) if version]
        if len(versions) > _MAX_MIN_VERSIONS or not all(map(is_version, versions)):
            raise bad_parameter(MIN_VERSION, f"Name at most {_MAX_MIN_VERSIONS} versions, each as a write returned it.")
        if any(time_ms(version) > now_ms + MAX_AHEAD_MS for version in versions):
            raise bad_parameter(MIN_VERSION, "A named version is more than 5 minutes in the future.")
        return versions


def request_of(event: Event) -> Request:
    """Parse an event of an API Gateway REST API (payload format 1.0) into a request."""
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
