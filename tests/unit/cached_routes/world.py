"""The items, lists, documents and back offices behind a planned API, in memory, with a clock that the test moves.

All that a response can depend on is in a :class:`State`. A test can go back to an earlier state and ask what a plain
request would have got then. So the stores never change a dictionary: each write makes a new one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest

from readplane.aws.faults import RefusedError
from readplane.config import VARIABLE
from readplane.model.change import Change
from readplane.model.collection import Collection
from readplane.model.fields import Relational
from readplane.model.keys import document_key, source_key
from readplane.model.timestamp import rfc3339
from readplane.query import handler as query_handler
from readplane.read import handler as read_handler
from readplane.stores.documents import S3Documents
from readplane.stores.items import DynamoItems
from readplane.stores.relational.settings import DatabaseSettings
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.gateway_cache import Gateway, Method, Token, methods_of
from tests.fakes.gateway_integrations import Message, Outgoing
from tests.unit.cached_routes.database import MemoryLists
from tests.unit.cached_routes.stacks import Stack
from tests.unit.support import ALICE, BOB, NOW_MS, settings_text

BUCKET = "a-bucket"
BACK_OFFICE_STATUSES = {"missing": 404, "broken": 503, "unusual": 418}
"""A part of a path -> the status of the back office's response. API Gateway doesn't pass on the last one."""
API_KEY = "an-api-key-of-the-back-office"
READ = "readplane/read"

TOKENS = {
    "alice": Token(
        frozenset({"aws.cognito.signin.user.admin"}), {"sub": ALICE, "client_id": "web", "token_use": "access"}
    ),
    "bob": Token(frozenset({READ, "openid"}), {"sub": BOB, "client_id": "mobile", "token_use": "access"}),
    # Tokens of other clients of the same user pool. Their scopes are enough for API Gateway.
    "partner": Token(frozenset({READ}), {"sub": BOB, "client_id": "partner", "token_use": "access"}),
    "machine": Token(frozenset({READ}), {"client_id": "machine", "token_use": "access"}),
    "strange": Token(frozenset({READ}), {"sub": "../other", "client_id": "web", "token_use": "access"}),
    "writer": Token(frozenset({"readplane/write"}), {"sub": BOB, "client_id": "web", "token_use": "access"}),
    "id": Token(frozenset(), {"sub": ALICE, "aud": "web", "token_use": "id"}),
}
"""Tokens by the text that a client sends. API Gateway's authorizer accepts the first five on a read."""

Function = Callable[[Any, None], Mapping[str, Any]]


class State(NamedTuple):
    """All that a response can depend on.

    :param items: the items table.
    :param previous: the items before their last write, which an eventually consistent read may return.
    :param documents: the objects of the documents bucket, by key.
    :param edition: a number that every response of a back office contains.
    """

    items: dict[str, Any]
    previous: dict[str, Any]
    documents: dict[str, Message]
    edition: int
    now_ms: int


class Clock:
    """A replacement of the module `time` in `readplane.clock`. It returns the time of the world that was asked last."""

    ms = NOW_MS

    def time_ns(self) -> int:
        """Return the time in Unix nanoseconds."""
        return self.ms * 1_000_000


CLOCK = Clock()
"""The clock of all worlds, which takes the place of the module `time` in `readplane.clock`."""


class World:
    """The functions `read` and `query` of a stack, S3 and the back offices, on a :class:`State`."""

    def __init__(self, stack: Stack, patch: pytest.MonkeyPatch) -> None:
        self._dynamo = MemoryDynamo(stack.read_settings["items_table"])
        self._dynamo.stale = lambda _: self.stale
        self.stale: bool = False
        """Whether eventually consistent reads return the items as they were before their last write."""
        self.documents: dict[str, Message] = {}
        self.edition = 0
        self.now_ms = NOW_MS
        self._items = DynamoItems(self._dynamo, "items", stack.read_settings["items_index"], horizon_ms=30 * 86_400_000)
        self._collections = {
            name: Collection(name, entry["read"], cache_ttl=entry["cache_ttl"])
            for name, entry in stack.read_settings["collections"].items()
        }
        clients = {"dynamodb": self._dynamo, "s3": self}
        with patch.context() as making:
            making.setenv(VARIABLE, settings_text(stack.read_settings))
            making.setattr(read_handler, "make_client", lambda service, **_: clients[service])
            read = read_handler.make_read()
            making.setenv(VARIABLE, settings_text(stack.query_settings))
            making.setattr(query_handler, "make_client", lambda service, **_: clients[service])
            making.setattr(query_handler, "RelationalLists", self._lists)
            query = query_handler.make_query()
        lists = {f"/items/{name}" for name in stack.query_settings["collections"]}

        def call(event: Any, context: None) -> Mapping[str, Any]:
            CLOCK.ms = self.now_ms
            return (query if event["resource"] in lists else read)(event, context)

        self.read: Function = call
        """The function that answers a route: `query` the lists of relational collections, `read` everything else."""

    def _lists(self, _: DatabaseSettings, relational: Mapping[str, Relational]) -> MemoryLists:
        return MemoryLists(self._items, self._collections, relational)

    @property
    def state(self) -> State:
        """The state now. Setting it brings an earlier state back, of this world or of another."""
        return State(self._dynamo.items, self._dynamo._previous, self.documents, self.edition, self.now_ms)

    @state.setter
    def state(self, state: State) -> None:
        self._dynamo.items, self._dynamo._previous, self.documents, self.edition, self.now_ms = state

    def apply(self, change: Change) -> None:
        """Apply a change to its item, as `apply` does."""
        self._copy()
        self._items.apply(change)

    def publish(self, change: Change) -> None:
        """Publish the document of a change, as `publish` does."""
        collection = self._collections[change.collection]
        key = document_key(collection.read, change.collection, change.item_id, None)
        store = S3Documents(cast(Any, self), BUCKET)
        if change.data is None:
            store.remove_document(key)
        else:
            store.put_document(key, change.representation(), change.version, collection.cache_control)

    def poll(self, source: str) -> None:
        """Publish the freshness of a source.

        Let five seconds pass before that, because `read` may use the freshness that it has for this long. No read of it
        is late, because `read` would remember a late one too.
        """
        self.now_ms += 5_000
        self._copy()
        fresh = {"fresh_as_of": rfc3339(self.now_ms - 1_000), "breaker": "closed", "checked_at": rfc3339(self.now_ms)}
        key = source_key(source)
        self._dynamo.items[key] = {"pk": {"S": key}, **{name: {"S": text} for name, text in fresh.items()}}

    def _copy(self) -> None:
        self._dynamo.items, self._dynamo._previous = dict(self._dynamo.items), dict(self._dynamo._previous)

    def version(self, collection: str, item_id: str) -> str:
        """Return an item's version; an empty text if there is no such item."""
        record = self._dynamo.items.get(f"item/{collection}/{item_id}")
        return record["version"]["S"] if record else ""

    def endpoint(self, request: Outgoing) -> Message:
        """Answer a request of API Gateway to S3 or to a back office."""
        if ":s3:path/" in request.url:
            _, _, key = request.url.partition(f":s3:path/{BUCKET}/")
            return s3_response(self.documents.get(key), request.method, request.headers)
        return self._back_office(request)

    def _back_office(self, request: Outgoing) -> Message:
        """Answer as the worst back office would: the response depends on all of the request."""
        seen = {**request._asdict(), "headers": dict(sorted(request.headers.items())), "edition": self.edition}
        body = json.dumps(seen)
        if request.headers.get("accept") == "text/html":
            return Message(406, {}, "not HTML")
        status = next((status for name, status in BACK_OFFICE_STATUSES.items() if name in request.url), 200)
        origin = request.headers.get("origin", "none")
        return s3_response(
            _object(body, {"vary": "*", "access-control-allow-origin": origin}, self.now_ms)._replace(status=status),
            request.method,
            request.headers,
        )

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out an operation of S3, as an AWS client does."""
        key = parameters["Key"]
        if operation == "GetObject":
            condition = parameters.get("IfNoneMatch")
            response = s3_response(self.documents.get(key), "GET", {"if-none-match": condition} if condition else {})
            if response.status != 200:
                code = {304: "NotModified", 403: "AccessDenied"}[response.status]
                raise RefusedError(code, response.status, {"ETag": response.headers.get("etag", "")})
            return {
                "ContentType": response.headers["content-type"],
                "CacheControl": response.headers["cache-control"],
                "ETag": response.headers["etag"],
                "Metadata": {"readplane-version": response.headers["x-amz-meta-readplane-version"]},
                "Body": SimpleNamespace(read=response.body.encode),
            }
        self.documents = {name: document for name, document in self.documents.items() if name != key}
        if operation == "PutObject":
            headers = {
                "content-type": parameters["ContentType"],
                "cache-control": parameters["CacheControl"],
                "x-amz-meta-readplane-version": parameters["Metadata"]["readplane-version"],
            }
            self.documents[key] = _object(parameters["Body"].decode(), headers, self.now_ms)
        else:
            assert operation == "DeleteObject", operation
        return {}

    def gateway(self, found: list[Method], read: Function, stamp: Callable[[], Any] = lambda: None) -> Gateway:
        """Return an API in front of this world.

        :param read: the function to call, which is ``self.read`` or a mutant of it.
        :param stamp: returns what the cache notes when an entry is filled.
        """
        now_ms = lambda: self.now_ms  # noqa: E731
        return Gateway(found, read, self.endpoint, tokens=TOKENS, api_key=API_KEY, now_ms=now_ms, stamp=stamp)


def methods(stack: Stack) -> list[Method]:
    """Return the methods of a stack's API."""
    return methods_of(stack.document, stack.method_settings)


def _object(body: str, headers: Mapping[str, str], now_ms: int) -> Message:
    etag = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    modified = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return Message(
        200, {"content-type": "application/json", "etag": f'"{etag}"', "last-modified": modified, **headers}, body
    )


def s3_response(stored: Message | None, method: str, headers: Mapping[str, str]) -> Message:
    """Answer as S3 does: 403 for a missing object, and every condition, range and method is honoured."""
    if stored is None:
        return Message(403, {}, "<Error><Code>AccessDenied</Code></Error>")
    if method not in ("GET", "HEAD"):
        return Message(405, {}, "")
    etag, modified = stored.headers["etag"], stored.headers["last-modified"]
    matches = {name: _lists(headers.get(name), etag) for name in ("if-none-match", "if-match")}
    if matches["if-match"] is False or headers.get("if-unmodified-since", modified) != modified:
        return Message(412, {}, "")
    if matches["if-none-match"] or headers.get("if-modified-since") == modified:
        return stored._replace(status=304, body="")
    if "range" in headers and headers.get("if-range", etag) == etag:
        return stored._replace(status=206, body=stored.body[:4])
    return stored._replace(body="") if method == "HEAD" else stored


def _lists(tags: str | None, etag: str) -> bool | None:
    """Return whether a list of ETags contains an ETag, or ``None`` if there is no list."""
    return None if tags is None else etag in tags or "*" in tags
