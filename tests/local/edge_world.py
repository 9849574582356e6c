"""A world around the deployed edge, for tests that send many requests: users, documents, origins and a judge.

The distribution, its policies and the function `edge_auth` are those of the applied stack. The stand-in for CloudFront
runs them in the test's own process with a clock that the test moves, so a minute of caching takes no time. The origins
are in memory: a bucket for each Region, and an API that is worse than the real one, because each of its answers to a
user names that user, its errors too.

Every answer holds a secret word of its own, in the body and as the ETag. So the judge sees in any answer whose data it
is, however the edge came to it, also in a 304, a 206 and an answer to HEAD.
"""

import copy
import dataclasses
import gzip
import itertools
import json
import random
import re
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ops.local import emulator
from ops.local.edge import Edge, Invoke, Policies
from ops.local.edge_clock import VirtualClock
from ops.local.edge_deployed import read_distribution
from ops.local.edge_faults import FaultyOrigins, OriginFault
from ops.local.edge_functions import EdgeFunctions
from ops.local.edge_messages import Request, Response, headers_of
from readplane.model.collection import Collection
from readplane.model.keys import document_key
from tests.fakes.token_attacks import Forge, encode_number
from tests.local.support import Local

COLLECTIONS = {
    collection.name: collection
    for collection in (
        Collection("countries", "public", edge_ttl=60),
        Collection("currencies", "public"),
        Collection("subdivisions", "public"),
        Collection("tariffs", "public"),
        Collection("languages", "authenticated"),
        Collection("notices", "authenticated", edge_ttl=60),
        Collection("profiles", "owner"),
    )
}
"""The collections of environments/local.tfvars. They are written here once more, because the judge must not learn from
the deployed edge what is private."""

SOURCES = {"currencies": "public", "subdivisions": "public", "languages": "authenticated"}
"""The sources of environments/local.tfvars, and who may read their freshness."""

SITE = ("/", "/index.html", "/config.json")
USERS = 8
WORD = re.compile(r"word([0-9a-f]{16})")
ORIGIN_HEADERS = (
    *("x-amz-id-2", "x-amz-request-id", "x-amz-server-side-encryption", "x-amz-version-id"),
    *("x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-bucket-key-enabled"),
    *("x-amz-meta-readplane-version", "server"),
)
"""The headers of S3 that name the bucket's key, its account or its requests. No viewer gets them with a document."""

KMS_KEY = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d"


class Deployed(NamedTuple):
    """What boto3 says about the applied edge, and its functions.

    :param distribution: the distribution, as ``get_distribution`` returns it.
    :param policies: the policies that it refers to.
    :param invoke: runs the uploaded zip of a function.
    """

    distribution: dict[str, Any]
    policies: Policies
    invoke: Invoke

    def copied(self) -> "Deployed":
        """Return a copy that a test may change."""
        return Deployed(copy.deepcopy(self.distribution), Policies(*copy.deepcopy(tuple(self.policies))), self.invoke)

    @property
    def behaviours(self) -> list[dict[str, Any]]:
        """All behaviours in CloudFront's order. The default one, the last, has no path pattern."""
        config = self.distribution["DistributionConfig"]
        return [*config["CacheBehaviors"]["Items"], config["DefaultCacheBehavior"]]

    def behaviour(self, pattern: str) -> dict[str, Any]:
        """Return the behaviour with a path pattern."""
        return next(entry for entry in self.behaviours if entry.get("PathPattern") == pattern)


def deployed_edge(stack: Local) -> tuple[Deployed, EdgeFunctions]:
    """Read the applied edge. The caller must stop the functions."""
    assert stack.outputs.edge_id, "the local settings have an edge"
    session = stack.root()
    distribution, policies = read_distribution(session.client("cloudfront"), stack.outputs.edge_id)
    environment = {"AWS_ENDPOINT_URL": stack.stack.endpoint, **emulator.CREDENTIALS}
    functions = EdgeFunctions(session.client("lambda", region_name="us-east-1"), environment)
    return Deployed(dict(distribution), policies, functions), functions


class PoolForge(Forge):
    """Makes tokens of the stack's own user pool, with the keys of the emulator's pool."""

    def __init__(self, stack: Local) -> None:
        outputs = stack.outputs
        issuer = f"https://cognito-idp.{outputs.region}.amazonaws.com/{outputs.user_pool_id}"
        super().__init__(int(time.time()), issuer, outputs.web_client_id, f"{outputs.name}/read")
        folder = emulator.folder(stack.stack.name) / "state" / "cognito-pool-keys"
        self.key, self.id_key = (
            _private_key((folder / f"{outputs.user_pool_id}-{use}.pem").read_bytes()) for use in ("access", "id")
        )
        address = f"{stack.stack.endpoint}/{outputs.user_pool_id}/.well-known/jwks.json"
        kids = {entry["n"]: entry["kid"] for entry in requests.get(address, timeout=10).json()["keys"]}
        self.kid, self.id_kid = (
            kids[encode_number(key.public_key().public_numbers().n)] for key in (self.key, self.id_key)
        )


def _private_key(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


class Caller(NamedTuple):
    """Somebody who asks.

    :param name: for messages.
    :param sub: the user whose data the caller may see; ``None`` for callers who may only see public data.
    :param headers: what the caller sends to say who they are.
    """

    name: str
    sub: str | None
    headers: tuple[tuple[str, str], ...] = ()


class Secret(NamedTuple):
    """The data that a secret word stands for.

    :param read: ``public``, ``authenticated`` or ``owner``.
    :param owner: the only user who may see it; ``None`` if all may who pass ``read``.
    :param key: what it is a version of.
    :param seconds: how long the edge may serve it after the next version is there.
    """

    read: str
    owner: str | None
    key: str
    seconds: float


@dataclasses.dataclass
class Document:
    """A document in the buckets."""

    word: str
    body: bytes
    cache_control: str


class Asked(NamedTuple):
    """A request of a test, its answer, and what is wrong with the answer."""

    caller: Caller
    request: Request
    response: Response
    faults: tuple[str, ...]

    @property
    def result(self) -> str:
        """Hit, Miss, RefreshHit, Error, LambdaGeneratedResponse and so on."""
        return (self.response.header("x-cache") or "").partition(" ")[0]


class World:
    """An edge with an empty cache, its origins, and the judge of its answers.

    :ivar asked: how many answers the edge has given, by what X-Cache says.
    :ivar api_status: the status of the API's answers.
    :ivar on_fetch: called at each request to an origin.
    :ivar oldest: how long ago, in seconds, a document was replaced that the edge has still served.
    """

    def __init__(
        self,
        deployed: Deployed,
        users: Sequence[Caller],
        collections: Mapping[str, Collection] = COLLECTIONS,
        owner_says: str | None = None,
    ) -> None:
        """Publish the first version of each document.

        :param users: users with valid tokens.
        :param collections: the settings with which documents are published.
        :param owner_says: the ``Cache-Control`` of owners' documents in place of the project's own.
        """
        self.clock = VirtualClock()
        self.users, self.collections, self._owner_says = users, collections, owner_says
        self.origins = FaultyOrigins(self._fetch, self.clock)
        self.edge = Edge(deployed.distribution, deployed.policies, self.origins, deployed.invoke, self.clock)
        self.documents: dict[str, Document] = {}
        self.secrets: dict[str, Secret] = {}
        self.replaced: dict[str, float] = {}
        self.asked: Counter[str] = Counter()
        self.oldest = 0.0
        self.api_status = 200
        self.on_fetch: Callable[[], object] = lambda: None
        self._words = itertools.count()
        self._tokens = {value: user for user in users for _, value in user.headers}
        for collection in collections:
            self.publish(collection)
        for source, read in SOURCES.items():
            self._put(f"{read}/documents/sources/{source}", Secret(read, None, source, 0.0), "no-cache")

    # What there is

    def publish(self, collection: str, item: str = "item-1") -> None:
        """Write a new version of a document. In an owner collection, write one for each user."""
        settings = self.collections[collection]
        for owner in [user.sub for user in self.users] if settings.owned else [None]:
            key = document_key(settings.read, collection, item, owner)
            says = settings.document_cache_control
            if settings.owned and self._owner_says is not None:
                says = self._owner_says
            seconds = float(0 if settings.owned else settings.edge_ttl or settings.cache_ttl)
            self._put(key, Secret(settings.read, owner, key, seconds), says)

    def remove(self, collection: str, item: str = "item-1") -> None:
        """Remove a document, or each user's own."""
        settings = self.collections[collection]
        for owner in [user.sub for user in self.users] if settings.owned else [None]:
            if gone := self.documents.pop(document_key(settings.read, collection, item, owner), None):
                self.replaced[gone.word] = self.clock.now()

    def _put(self, key: str, secret: Secret, cache_control: str) -> None:
        if key in self.documents:
            self.replaced[self.documents[key].word] = self.clock.now()
        word = self._word(secret)
        # Every second document is long enough to be compressed.
        padding = "x" * (1_200 if len(self.secrets) % 2 else 0)
        body = json.dumps({"key": key, "owner": secret.owner, "word": word, "padding": padding, "again": word})
        self.documents[key] = Document(word, body.encode(), cache_control)

    def _word(self, secret: Secret) -> str:
        word = f"word{next(self._words):016x}"
        self.secrets[word] = secret
        return word

    # Origins

    def _fetch(self, origin: Mapping[str, Any], request: Request) -> Response:
        self.on_fetch()
        if "CustomOriginConfig" in origin:
            return self._api(request)
        if request.method not in ("GET", "HEAD"):
            return _s3_error(403, "AccessDenied")
        if "-documents-" not in origin["DomainName"]:
            return self._site(request)
        # S3 decodes the path, but doesn't normalise it.
        key = urllib.parse.unquote(origin["OriginPath"] + request.path, errors="replace")[1:]
        document = self.documents.get(key)
        if document is None:
            return _s3_error(403, "AccessDenied")
        pairs = [
            ("content-type", "application/json"),
            ("cache-control", document.cache_control),
            ("etag", f'"{document.word}"'),
            *((name, KMS_KEY) for name in ORIGIN_HEADERS if name != "x-amz-meta-readplane-version"),
            ("x-amz-meta-readplane-version", f"v-{document.word[-4:]}"),
        ]
        return _conditional(request, Response(200, headers_of(pairs), document.body))

    def _site(self, request: Request) -> Response:
        if request.path != "/index.html":
            return _s3_error(403, "AccessDenied")
        pairs = [("content-type", "text/html"), ("cache-control", "no-cache"), ("etag", '"page"')]
        return _conditional(request, Response(200, headers_of(pairs), b"<html>"))

    def _api(self, request: Request) -> Response:
        """Answer as an API would that checks the token, but puts the caller's data into every answer."""
        values = request.headers.get("authorization", [])
        user = self._tokens.get(values[0]) if len(values) == 1 else None
        parts = urllib.parse.unquote(request.path, errors="replace").removeprefix("/v1/").split("/")
        name = parts[-1] if "sources" in parts else (parts[1] if len(parts) > 1 else "")
        read = SOURCES.get(name, "public") if "sources" in parts else "public"
        if "sources" not in parts and name in self.collections:
            read = self.collections[name].read
        if parts[0] == "backends":
            read = "owner"
        if read != "public" and user is None:
            return _api_answer(401, {"detail": "This route needs a token."}, "application/problem+json")
        owner = user.sub if user else None
        own = Secret("owner" if owner else "public", owner, request.path, 0.0)
        if self.api_status != 200:  # the error names the caller, and says nothing about caching
            word = self._word(own)
            return _api_answer(self.api_status, {"detail": f"{owner} {word}"}, "application/problem+json")
        shared = Secret(read, None, request.path, 0.0)
        word = self._word(own if read == "owner" else shared)
        says = {"public": "public, max-age=0", "authenticated": "private, max-age=0"}.get(read, "private, no-cache")
        body = {"word": word, "padding": "x" * 1_200}
        return _api_answer(200, body, "application/json", ("cache-control", says), ("etag", f'"{word}"'))

    # Requests

    def ask(self, caller: Caller, target: str, method: str = "GET", headers: Sequence[tuple[str, str]] = ()) -> Asked:
        """Send a request to the edge, and judge the answer."""
        host = self.edge._distribution["DomainName"]
        request = Request(method, target, headers_of([("host", host), *caller.headers, *headers]))
        outage = len(self.origins.faults) > 1
        response = self.edge.handle(request)
        result = (response.header("x-cache") or "").partition(" ")[0]
        self.asked[result] += 1
        faults = tuple(self._judge(caller, request, response, result, outage))
        return Asked(caller, request, response, faults)

    def _judge(self, caller: Caller, request: Request, response: Response, result: str, outage: bool) -> list[str]:
        faults = []
        now = self.clock.now()
        says = response.header("cache-control") or ""
        for word in words_of(response):
            secret = self.secrets[word]
            if secret.read != "public" and not (caller.sub and secret.owner in (None, caller.sub)):
                faults.append(f"a leak: {caller.name} gets {secret.key} of {secret.owner or secret.read}")
            if secret.read != "public" and "private" not in says and response.status < 400:
                faults.append(f"{secret.key} goes to viewers with Cache-Control: {says}")
            if secret.owner and result in ("Hit", "RefreshHit"):
                faults.append(f"{secret.key} of an owner comes from the cache")
            replaced = self.replaced.get(word, now)
            if not outage and replaced < now:
                self.oldest = max(self.oldest, now - replaced)
                if now - replaced > secret.seconds:
                    faults.append(f"{secret.key} was replaced {now - replaced:g} s ago, and {secret.seconds:g} count")
        if request.path.startswith("/documents/"):
            faults += [f"the header {name}" for name in ORIGIN_HEADERS if name in response.headers and _s3(response)]
        return faults


def words_of(response: Response) -> set[str]:
    """Return the secret words of an answer, in its headers and in its body."""
    body = response.body
    if response.header("content-encoding") == "gzip" and response.status == 200 and body:
        body = gzip.decompress(body)
    text = body.decode("utf-8", "replace") + json.dumps(response.headers)
    return {match[0] for match in WORD.finditer(text)}


def _s3(response: Response) -> bool:
    return "Generated by cloudfront" not in response.body.decode("utf-8", "replace")


def _s3_error(status: int, code: str) -> Response:
    pairs = [("content-type", "application/xml"), *((name, "bucket-and-key") for name in ORIGIN_HEADERS)]
    body = f"<Error><Code>{code}</Code><BucketName>documents</BucketName></Error>"
    return Response(status, headers_of(pairs), body.encode())


def _api_answer(status: int, body: object, kind: str, *headers: tuple[str, str]) -> Response:
    return Response(status, headers_of([("content-type", kind), *headers]), json.dumps(body).encode())


def _conditional(request: Request, response: Response) -> Response:
    etag = response.header("etag") or ""
    if etag in (request.header("if-none-match") or ""):
        return Response(304, {name: values for name, values in response.headers.items() if name != "content-type"})
    return dataclasses.replace(response, body=b"") if request.method == "HEAD" else response


# Callers


def users_of(forge: Forge) -> list[Caller]:
    """Return users with valid access tokens of the stack's pool."""
    users = []
    for number in range(USERS):
        sub = f"{number:08x}-4031-70b5-6a1e-0d6f2b1f0c11"
        users.append(Caller(f"user {number}", sub, (("authorization", f"Bearer {forge.token(sub=sub)}"),)))
    return users


def strangers_of(forge: Forge, users: Sequence[Caller]) -> list[Caller]:
    """Return callers who may only see what is public, although some of them have something like a token."""
    ((_, own),) = users[0].headers
    sub = users[0].sub
    return [
        Caller("nobody", None),
        Caller("an expired token", None, (("authorization", f"Bearer {forge.token(sub=sub, exp=forge.now - 60)}"),)),
        Caller("another client", None, (("authorization", f"Bearer {forge.token(sub=sub, client_id='x')}"),)),
        Caller("an ID token", None, (("authorization", f"Bearer {forge.token(sub=sub, token_use='id')}"),)),
        Caller("another key", None, (("authorization", own[:-8] + ("A" * 8)),)),
        Caller("two tokens", None, (("authorization", own), ("authorization", users[1].headers[0][1]))),
        Caller("a cookie", None, (("cookie", f"access_token={own.removeprefix('Bearer ')}"),)),
        Caller("another header", None, (("x-authorization", own),)),
    ]


# Requests


def routes(stack: Local) -> list[str]:
    """Return a path for every GET route that Terraform declares: those of the documents, the API's and the site's."""
    declared = [route.removeprefix("GET ") for route in stack.outputs.routes if route.startswith("GET ")]
    paths = [
        path.replace("{item_id}", "item-1").replace("{change_id}", "change-1").replace("{proxy+}", "x")
        for path in declared
    ]
    return [
        *(path for path in paths if path.startswith("/documents/")),
        *(f"/v1{path}" for path in paths),
        *SITE,
    ]


def is_private(path: str) -> bool:
    """Whether the path of a document is one that not everybody may read."""
    name = path.split("/")[3 if path.startswith("/documents/sources/") else 2]
    return (SOURCES[name] if "/sources/" in path else COLLECTIONS[name].read) != "public"


HEADERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (),
    (("range", "bytes=0-99"),),
    (("if-none-match", "*"),),
    (("accept-encoding", "gzip"),),
    (("accept-encoding", "gzip, br"), ("range", "bytes=-40")),
    (("origin", "http://localhost:8080"),),
    (("host", "evil.example"), ("x-forwarded-host", "evil.example")),
    (("cookie", "session=1"), ("x-forwarded-for", "203.0.113.7")),
    (("cache-control", "no-cache"), ("pragma", "no-cache")),
    (("x-original-url", "/documents/profiles/item-1"), ("x-rewrite-url", "/documents/profiles/item-1")),
    (("x-http-method-override", "GET"), ("if-modified-since", "Wed, 01 Jan 2098 00:00:00 GMT")),
)


def variants(path: str, subs: Sequence[str]) -> list[str]:
    """Return other ways to write a path, and paths that could reach the same object without its check."""
    name = path.rpartition("/")[2]
    found = [path, path, path, f"{path}?v=1", f"{path}?versionId=1&{subs[0]}", f"{path}/", f"/{path}", f"{path}%00"]
    found += [path.replace("/documents/", "//documents//"), path.replace("/documents/", "/documents/./")]
    found += [path.replace("documents", "document%73"), path[:-1] + f"%{ord(path[-1]):02x}", path.upper()]
    for prefix in ("public", "authenticated", "owner", "nothing", "v1", "%61uthenticated", "documents/.."):
        found.append(f"/{prefix}{path}")
    for sub in subs:
        own = path.replace(name, f"{sub}/{name}")
        found += [own, f"/owner{own}", own.replace("/profiles/", "/countries/../profiles/")]
        found += [own.replace("/profiles/", "/countries/..%2fprofiles/"), path.replace(name, f"{sub}%2F{name}")]
    found += [
        path.replace("/countries/", "/countries/../notices/"),
        path.replace("/notices/", "/countries/../notices/"),
    ]
    found += [path.replace("/notices/", "/countries/%2e%2e/notices/"), f"/documents/countries/..{path}"]
    return found


STATES: dict[str, Callable[[World], object]] = {
    "cold": lambda world: world.edge.clear(),
    "a new version": lambda world: _with_new_versions(world),
    "warm": lambda _: None,
    "just expired": lambda world: world.clock.sleep(60),
    "an error before": lambda world: _with_errors(world, 503),
    "after a failover": lambda world: setattr(
        world.origins, "faults", (OriginFault("*-primary", "status", status=503),)
    ),
}
"""The states of the cache, in the order in which a sweep meets them."""


def _with_new_versions(world: World) -> None:
    """Replace every document half a second ago."""
    world.origins.faults = ()
    for collection in world.collections:
        world.publish(collection)
    world.clock.sleep(0.5)


def _with_errors(world: World, status: int) -> None:
    """Let every origin fail, and let the users ask, so that whatever the edge keeps of errors is there."""
    world.edge.clear()
    world.origins.faults = (OriginFault("*-primary", "status", status=status), OriginFault("*-replica", "refuse"))
    world.api_status = status
    for user in world.users[:2]:
        for collection in world.collections:
            world.ask(user, f"/documents/{collection}/item-1")
            world.ask(user, f"/v1/items/{collection}/item-1")
    world.origins.faults, world.api_status = (), 200


class History:
    """A sequence of requests, writes, pauses and faults, which a seed decides."""

    def __init__(self, world: World, seed: int, paths: Sequence[str], strangers: Sequence[Caller]) -> None:
        """Choose a few paths, so that many requests meet what the edge keeps."""
        self._world = world
        self._random = random.Random(seed)
        self._callers = [*world.users, *strangers]
        self._subs = [str(user.sub) for user in world.users[:3]]
        documents = [path for path in paths if path.startswith("/documents/")]
        self._documents = self._random.sample(documents, 3)
        self._others = self._random.sample([path for path in paths if path not in documents], 3)
        self._collections = [name for path in self._documents if (name := path.split("/")[2]) in world.collections]

    def run(self, steps: int) -> Asked | None:
        """Take steps until an answer is wrong. Return that answer, or ``None`` if each was right."""
        for _ in range(steps):
            asked = self._step()
            if asked is not None and asked.faults:
                return asked
        return None

    def _step(self) -> Asked | None:
        choose, world = self._random, self._world
        kind = choose.choices(("ask", "publish", "remove", "sleep", "fault", "end", "clear"), (40, 2, 1, 4, 1, 2, 1))[0]
        if kind == "ask":
            path = choose.choice(self._documents if choose.random() < 0.7 else self._others)
            target = choose.choice(variants(path, self._subs)) if choose.random() < 0.3 else path
            method = choose.choices(("GET", "HEAD", "OPTIONS", "POST"), (16, 3, 2, 1))[0]
            return world.ask(choose.choice(self._callers), target, method, choose.choice(HEADERS))
        if kind in ("publish", "remove"):
            for collection in self._collections:
                getattr(world, kind)(collection)
        elif kind == "sleep":
            world.clock.sleep(choose.choice((0.1, 0.5, 0.9, 9.5, 10, 59, 60)))
        elif kind == "fault":
            names = choose.choice((("*-primary",), ("*-replica",), ("*-primary", "*-replica")))
            world.origins.faults = [OriginFault(name, choose.choice(("status", "refuse", "hang"))) for name in names]
            world.api_status = choose.choice((200, 500, 503, 404))
        elif kind == "end":
            world.origins.faults, world.api_status = (), 200
        else:
            world.edge.clear()
        return None


# Mutants


def without_function(deployed: Deployed, pattern: str) -> Deployed:
    """Take the viewer-request function off a behaviour."""
    mutant = deployed.copied()
    entry = mutant.behaviour(pattern)["LambdaFunctionAssociations"]
    entry["Items"] = [item for item in entry["Items"] if item["EventType"] != "viewer-request"]
    return mutant


def with_cache_policy(deployed: Deployed, pattern: str, policy: str) -> Deployed:
    """Give a behaviour another cache policy."""
    mutant = deployed.copied()
    mutant.behaviour(pattern)["CachePolicyId"] = policy
    return mutant


def events_of(behaviour: Mapping[str, Any]) -> list[str]:
    """Return the events for which a behaviour runs a function."""
    return [entry["EventType"] for entry in behaviour.get("LambdaFunctionAssociations", {}).get("Items", [])]


def documents_policy(deployed: Deployed) -> str:
    """Return the id of the cache policy of documents."""
    return str(deployed.behaviour("/documents/*")["CachePolicyId"])
