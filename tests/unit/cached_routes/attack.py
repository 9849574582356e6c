"""Attacks the cached routes of a stack with generated sequences of requests, writes and pauses, and judges each answer.

The judge knows no rule of Readplane. It only asks whether a plain request, with the same path and the same declared
query parameters and nothing else, could have got the same response at the moment when the cache entry was filled.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any
from urllib.parse import quote, unquote

import pytest

from readplane.model.version import is_version
from tests.fakes.gateway_cache import Delivery, Gateway, Method, Sent
from tests.fakes.gateway_integrations import Message
from tests.unit.cached_routes.stacks import Stack
from tests.unit.cached_routes.world import (
    API_KEY,
    BACK_OFFICE_STATUSES,
    CLOCK,
    TOKENS,
    Function,
    State,
    World,
    methods,
)
from tests.unit.support import NOW_MS, change, version_at

STEPS = 14
DAY_MS = 86_400_000
ITEM_IDS = ("a-1", "b~2", "c.3")
OTHER_IDS = ("nobody", "-bad", "a+1", "..", "a 1")
BACK_OFFICE_PATHS = ("x", "x/y", "x-y", *BACK_OFFICE_STATUSES)
SOURCES = {"stock": "shop", "rates": "bank"}
ORIGINS = ("https://a.example.com", "https://b.example.com", "https://evil.example")

HEADERS: dict[str, tuple[str, ...]] = {
    "Accept": ("application/xml", "text/html", "*/*"),
    "Accept-Charset": ("utf-16",),
    "Accept-Encoding": ("gzip", "br, gzip", "identity;q=0"),
    "Accept-Language": ("de", "fr-CH"),
    "Cache-Control": ("no-cache", "max-age=0", "no-store", "only-if-cached"),
    "Content-Encoding": ("gzip",),
    "Content-Type": ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"),
    "Cookie": ("session=1",),
    "Expect": ("100-continue",),
    "Forwarded": ("host=evil.example;proto=http",),
    "Host": ("evil.example",),
    "Idempotency-Key": ("k",),
    "If-Match": ('"x"',),
    "If-Modified-Since": ("Wed, 01 Jan 2098 00:00:00 GMT",),
    "If-None-Match": ("*", '"x"', 'W/"x", *'),
    "If-Range": ('"x"',),
    "If-Unmodified-Since": ("Wed, 01 Jan 1998 00:00:00 GMT",),
    "Origin": ORIGINS,
    "Pragma": ("no-cache",),
    "Prefer": ("return=minimal",),
    "Range": ("bytes=0-3", "bytes=9-"),
    "Referer": ("https://evil.example/",),
    "TE": ("trailers",),
    "User-Agent": ("curl/8.5.0",),
    "Via": ("1.1 evil.example",),
    "X-Amz-Security-Token": ("t",),
    "X-Amzn-RequestId": ('chosen","status":200,"x":"',),
    "X-Amzn-Trace-Id": ("Root=1-67a1b2c3-4d5e6f708192a3b4c5d6e7f8",),
    "X-Forwarded-For": ("203.0.113.7, 10.0.0.1",),
    "X-Forwarded-Host": ("evil.example",),
    "X-Forwarded-Prefix": ("/evil",),
    "X-Forwarded-Proto": ("http",),
    "X-HTTP-Method": ("DELETE",),
    "X-HTTP-Method-Override": ("HEAD", "PUT", "DELETE"),
    "X-Method-Override": ("HEAD",),
    "X-Original-URL": ("/items/drafts",),
    "X-Requested-With": ("XMLHttpRequest",),
    "X-Rewrite-URL": ("/items/drafts",),
    "traceparent": ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",),
}
"""Headers that a client may add to a request, with values. :class:`Attack` adds some that name ETags and versions."""

UNDECLARED = (
    "utm_source",
    "limit",
    "cursor",
    "next",
    "min_version",
    "Limit",
    "MIN_VERSION",
    "page",
    "filter",
    "sort",
    "q",
    "_",
    "callback",
)
NOT_COMPARED = ("date", "x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id")
"""Response headers that may differ between two requests, because they name the request or its time."""


class AttackError(AssertionError):
    """A client got a response that depends on something other than its path and its declared query parameters."""


class Attack:
    """An attacked stack. Each call of :meth:`run` is one sequence, which depends only on its seed.

    ``tally`` counts the responses by route, by whether they came from the cache, and by status.
    """

    def __init__(
        self,
        stack: Stack,
        patch: pytest.MonkeyPatch,
        *,
        mutate: Callable[[Function], Function] = lambda read: read,
        mutate_methods: Callable[[list[Method]], list[Method]] = lambda found: found,
    ) -> None:
        """Prepare a stack.

        :param mutate: takes `read` and returns a function to call instead, which breaks a rule.
        :param mutate_methods: takes the methods of the API, and returns methods of which one breaks a rule.
        """
        patch.setattr("readplane.clock.time", CLOCK)
        patch.setattr("readplane.telemetry.Telemetry.event", _unexpected_events)
        found = mutate_methods(methods(stack))
        self.cached = [method for method in found if method.ttl_ms]
        self.tally: Counter[tuple[str, bool, int]] = Counter()
        self._world = World(stack, patch)
        self._gateway = self._world.gateway(found, mutate(self._world.read), lambda: self._world.state)
        other = World(stack, patch)
        self._judge = _Judge(other, other.gateway(found, mutate(other.read)))
        self._sequences = 0

    def run(self, seed: int) -> None:
        """Run one sequence.

        :raises AttackError: if a client gets a response that it should not get.
        """
        random = Random(seed)
        self._sequences += 1
        # A day passes between two sequences, so that none can use what `read` remembers of an earlier one.
        self._world.state = State({}, {}, {}, 0, NOW_MS + self._sequences * DAY_MS)
        self._gateway.clear()
        self._gateway.decodes_paths = random.random() < 0.5
        self._judge.start(decodes_paths=self._gateway.decodes_paths)
        sequence = _Sequence(random, self._world, random.sample(self.cached, 2))
        for step in range(STEPS):
            match random.choices(("request", "write", "wait"), (9, 2, 2))[0]:
                case "write":
                    sequence.write()
                case "wait":
                    sequence.wait()
                case _:
                    sent = sequence.request()
                    self._world.stale = random.random() < 0.2
                    delivery = self._gateway.send(sent)
                    problem = self._judge.problem(sent, delivery, self._world.state)
                    if problem:
                        raise AttackError(f"seed {seed}, step {step}: {problem}\n{_story(sent, delivery)}")
                    self._note(delivery)
                    sequence.see(delivery.response)

    def _note(self, delivery: Delivery) -> None:
        if delivery.method:
            self.tally[delivery.method.resource, delivery.hit, delivery.response.status] += 1


class _Sequence:
    """Generates the steps of one sequence, on two cached routes of which it knows the items' versions."""

    def __init__(self, random: Random, world: World, routes: Sequence[Method]) -> None:
        self._random = random
        self._world = world
        self._routes = routes
        self._writes = 0
        self._etags = ['"x"']
        # A version that is too old to be on its way, one that may be on its way, and one that is too far in the future.
        self._versions = [version_at(world.now_ms + ahead) for ahead in (-DAY_MS, 3_000, 1_000_000)]
        self._cursors = ["WzAsbnVsbF0", "WzMsImEtMSJd", "not-a-cursor"]
        self._favourites = {route.resource: self._target(route) for route in routes}
        for collection in sorted({name for _, kind, name, *_ in map(_segments, routes) if kind != "backends"}):
            for item_id in ITEM_IDS[:2]:
                self._apply(collection, item_id, published=True)
            if random.random() < 0.5 and collection in SOURCES:
                world.poll(SOURCES[collection])

    def write(self) -> None:
        """Let a client or a back office change an item, a back office change its responses, or `poll` read a source."""
        route = self._random.choice(self._routes)
        _, kind, name, *_ = _segments(route)
        if kind == "backends":
            self._world.edition += 1
        elif name in SOURCES and self._random.random() < 0.3:
            self._world.poll(SOURCES[name])
        else:
            self._apply(name, self._random.choice(ITEM_IDS), published=self._random.random() < 0.8)

    def _apply(self, collection: str, item_id: str, *, published: bool) -> None:
        self._writes += 1
        self._world.now_ms += 1
        content = json.dumps({"n": self._writes, "name": f"{self._writes % 3} {item_id}"})
        data = None if self._writes > 4 and self._random.random() < 0.3 else content
        source = SOURCES.get(collection, "api")
        new = change(item_id, ms=self._world.now_ms, tail=self._writes, data=data, collection=collection, source=source)
        self._versions.append(new.version)
        if self._random.random() < 0.9:  # otherwise the change is accepted, but not applied yet
            self._world.apply(new)
            if published:
                self._world.publish(new)

    def wait(self) -> None:
        """Let time pass: less than any ttl, about one, or more."""
        ttl = self._random.choice(self._routes).ttl_ms
        self._world.now_ms += self._random.choice((1, 999, ttl // 2, ttl - 1, ttl, ttl + 1))

    def see(self, response: Message) -> None:
        """Remember the ETag of a response, and the cursor in it, for later requests."""
        if etag := response.headers.get("etag"):
            self._etags.append(etag)
        if response.body.startswith('{"items"') and (cursor := json.loads(response.body)["next"]):
            self._cursors.append(cursor)

    def request(self) -> Sent:
        """Return a request of some client: a plain one, or one with all kinds of additions."""
        random = self._random
        route = random.choice(self._routes)
        # Let most requests have the same key, so that clients meet in the cache.
        name, query = self._favourites[route.resource] if random.random() < 0.6 else self._target(route)
        path = re.sub(r"\{.+\}", _encoded(random, name), route.resource)
        headers = self._credentials(route)
        body = ""
        if random.random() < 0.75:
            query = self._other_query(route, query)
            headers += [self._header(name) for name in random.choices(_OFTEN, k=random.randrange(6))]
            random.shuffle(headers)
            body = random.choice(("", "", "", '{"limit":1}', "limit=1"))
        return Sent(path, query, headers, body)

    def _target(self, route: Method) -> tuple[str, list[tuple[str, str]]]:
        """Return what a request may be for: the value of the path parameter, and the declared query parameters."""
        random = self._random
        names = BACK_OFFICE_PATHS if "+}" in route.resource else (*ITEM_IDS, *ITEM_IDS, *OTHER_IDS)
        query = [(name, self._value(name)) for name in route.declared_query if random.random() < 0.3]
        return random.choice(names), query

    def _value(self, name: str) -> str:
        """Return a value of a query parameter, whether or not the route has declared this parameter."""
        random = self._random
        if name.lower() == "limit":
            return random.choice(("1", "2", "200", "0", "", "x"))
        if name in ("cursor", "next"):
            return random.choice((*self._cursors, ""))
        if name == "filter":
            return random.choice(("n:ge:2", "n:lt:4", "n:ne:1,n:ge:0", "n:eq:x", "m:eq:1", "n", ""))
        if name == "sort":
            return random.choice(("n", "-n", "m", ""))
        if name.lower() == "min_version":
            return random.choice((*self._versions, ",".join(self._versions[-2:]), "", "x", ",".join(["x"] * 21)))
        return random.choice(("1", "2", ""))

    def _other_query(self, route: Method, query: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return a query with undeclared, empty and repeated parameters. Its effective values may change."""
        random = self._random
        names = random.choices(UNDECLARED, k=random.randrange(3))
        names += [name for name, _ in query if random.random() < 0.2]
        query = query + [(name, "") for name in route.declared_query if random.random() < 0.1]
        query = query + [(name, self._value(name)) for name in names]
        random.shuffle(query)
        return query

    def _credentials(self, route: Method) -> list[tuple[str, str]]:
        random = self._random
        headers = []
        if route.scopes or random.random() < 0.2:
            token = random.choices((*TOKENS, "", "stolen"), (4, 4, 3, 3, 3, 1, 1, 1, 1))[0]
            headers += [(_spelling(random, "Authorization"), f"Bearer {token}")] if token else []
        if route.needs_key or random.random() < 0.1:
            headers.append((_spelling(random, "X-Api-Key"), API_KEY if random.random() < 0.9 else "wrong"))
        return headers

    def _header(self, name: str) -> tuple[str, str]:
        random = self._random
        values = HEADERS.get(name, ())
        if name in ("If-None-Match", "If-Match", "If-Range") and random.random() < 0.8:
            values = tuple(self._etags[-3:])
        if name in _NAMING:
            values = tuple(self._versions)
        return _spelling(random, name), random.choice(values)


_NAMING = ("Readplane-Min-Version", "Min-Version", "X-Min-Version")
"""Headers that could name a version."""

_OFTEN = (*HEADERS, *_NAMING, *(("If-None-Match", "Origin", "Range", "Readplane-Min-Version", "X-Forwarded-Host") * 4))
"""The headers to choose from. Those on which a response is most likely to depend occur more often."""


def _segments(route: Method) -> list[str]:
    return route.resource.split("/")


def _encoded(random: Random, text: str) -> str:
    """Percent-encode what must be encoded in a path, and some other characters, once or twice."""
    letters = (f"%{ord(letter):02{random.choice('xX')}}" if random.random() < 0.1 else letter for letter in text)
    encoded = "".join(letter if len(letter) > 1 else quote(letter, safe="/+") for letter in letters)
    return encoded.replace("%", "%25") if random.random() < 0.05 else encoded


def _spelling(random: Random, name: str) -> str:
    """Return the name of a header in some spelling: as documented, as HTTP/2 sends it, or in any other."""
    mixed = "".join(random.choice((letter.lower(), letter.upper())) for letter in name)
    return random.choice((name, name.lower(), name.lower(), name.upper(), name.title(), mixed))


class _Judge:
    """Finds out whether a client got what it should get."""

    def __init__(self, world: World, gateway: Gateway) -> None:
        """Make a judge.

        :param world: a second world, which the judge brings into the states of the attacked one.
        :param gateway: the API in front of that world.
        """
        self._world = world
        self._gateway = gateway
        self._expected: dict[Any, Any] = {}

    def start(self, *, decodes_paths: bool) -> None:
        """Begin a sequence."""
        self._gateway.decodes_paths = decodes_paths
        self._expected.clear()

    def problem(self, sent: Sent, delivery: Delivery, now: State) -> str | None:
        """Return what is wrong with a delivery; ``None`` if nothing is.

        :param now: the state of the attacked world.
        """
        method, response = delivery.method, delivery.response
        assert method, "every request of a sequence is for a route of the API"
        if not _may_call(sent, method):
            return None if response.status in (401, 403) and delivery.entry is None else "a stranger got in"
        if delivery.entry is None:
            # API Gateway itself responded, and may only do so because of this client's own Content-Type.
            own = (sent.header("Content-Type") or "application/json").startswith("application/json")
            return "API Gateway refused the request" if response.status != 415 or own else None
        state: State = delivery.entry.stamp
        if now.now_ms >= delivery.entry.expires_ms:
            return "the cache entry is too old"
        plain = _plain(sent, method)
        expected = self._plain_response(method, plain, state)
        if _compared(response) != expected:
            # An eventually consistent read of DynamoDB may have been late.
            late = self._plain_response(method, plain, state, stale=True)
            if _compared(response) != late:
                return f"a plain request would have got {expected}"
        return self._older_than_named(plain, method, response, state)

    def _plain_response(self, method: Method, plain: Sent, state: State, *, stale: bool = False) -> Any:
        """Return what a plain request would have got in a state."""
        key = (id(state.items), id(state.documents), state.edition, state.now_ms, plain.path, tuple(plain.query), stale)
        if key not in self._expected:
            self._world.state, self._world.stale = state, stale
            answer = self._gateway.answer_directly(method, plain)
            # Keep the state, so that its dictionaries, and so their ids, live as long as the sequence.
            self._expected[key] = _compared(answer), state
        return self._expected[key][0]

    def _older_than_named(self, plain: Sent, method: Method, response: Message, state: State) -> str | None:
        """Check that an item is at least as new as the versions in ``min_version``."""
        versions = dict(plain.query).get("min_version", "").split(",")
        if response.status not in (200, 404) or not all(map(is_version, versions)):
            return None
        version = json.loads(response.body).get("version")
        if version is None:
            self._world.state = state
            _, _, collection, item_id = plain.path.split("/")
            version = self._world.version(collection, unquote(unquote(item_id)))
        return f"version {version} is older than min_version" if version < max(versions) else None


def _story(sent: Sent, delivery: Delivery) -> str:
    origin = "from the cache" if delivery.hit else "not from the cache"
    resource = delivery.method.resource if delivery.method else None
    return f"{resource}: {sent}\ngot, {origin}: {delivery.response}"


def _may_call(sent: Sent, method: Method) -> bool:
    token = TOKENS.get((sent.header("Authorization") or "").removeprefix("Bearer "))
    if method.scopes and (token is None or method.scopes.isdisjoint(token.scopes)):
        return False
    return not method.needs_key or sent.header("X-Api-Key") == API_KEY


def _plain(sent: Sent, method: Method) -> Sent:
    """Return the plain request with the path and the declared query parameters of a request."""
    query = dict(sent.query)
    headers = [("X-Api-Key", API_KEY)] if method.needs_key else []
    # Bob has the scope that backends ask for, and is a user of one of the stack's own clients.
    headers += [("Authorization", "Bearer bob")] if method.scopes else []
    return Sent(sent.path, [(name, query[name]) for name in method.declared_query if name in query], headers)


def _compared(response: Message) -> Any:
    """Return the parts of a response that must be equal."""
    headers = {name: value for name, value in response.headers.items() if name not in NOT_COMPARED}
    return response.status, headers, response.body


def _unexpected_events(_: Any, code: str, message: str, **fields: object) -> None:
    """Take the place of ``Telemetry.event``: keep the log quiet, and don't let a bug of `read` pass as a 503."""
    assert code == "request_refused", (code, message, fields)
