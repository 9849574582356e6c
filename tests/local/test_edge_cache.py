"""Tests of what the applied edge keeps: how often it hits, how old its answers are, and what it does with errors."""

import collections
import dataclasses
import json
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ops.local.edge_faults import OriginFault
from readplane.model.collection import Collection
from tests.local import edge_world
from tests.local.edge_world import COLLECTIONS, ORIGIN_HEADERS, SOURCES, Asked, Caller, Deployed, PoolForge, World
from tests.local.support import Local, eventually

DOCUMENTS = 8
"""Documents in each collection of the load."""

SECONDS, PER_SECOND = 100, 20
"""How long the load lasts, and how many requests a collection gets in a second."""

PUBLISH_SECONDS = 1.0
"""How long a write takes to become a document. On AWS it is usually less."""

PUBLIC, SHARED, OWN = "/documents/countries/item-1", "/documents/notices/item-1", "/documents/profiles/item-1"
NOBODY = Caller("nobody", None)
FAILING = (OriginFault("*-primary", "status"), OriginFault("*-replica", "status"))


@pytest.fixture(scope="module")
def users(stack: Local) -> Sequence[Caller]:
    return edge_world.users_of(PoolForge(stack))


@pytest.fixture
def world(deployed: Deployed, users: Sequence[Caller]) -> World:
    return World(deployed, users)


def asker(path: str, users: Sequence[Caller]) -> Caller:
    """Return a caller who may read a path."""
    return NOBODY if path == PUBLIC else users[0]


# Hits


def test_99_of_100_reads_under_a_zipf_load_are_hits_and_none_of_an_owner_is(
    world: World, users: Sequence[Caller]
) -> None:
    choose = random.Random(4711)
    items = [f"item-{number}" for number in range(1, DOCUMENTS + 1)]
    weights = [1 / number for number in range(1, DOCUMENTS + 1)]
    for collection in ("countries", "notices", "profiles"):
        for item in items:
            world.publish(collection, item)
    results: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

    def read(collection: str) -> None:
        item = choose.choices(items, weights)[0]
        caller = NOBODY if collection == "countries" and choose.random() < 0.5 else choose.choice(users)
        asked = world.ask(caller, f"/documents/{collection}/{item}")
        assert asked.faults == () and asked.response.status == 200
        results[collection][asked.result] += 1

    for request in range(SECONDS * PER_SECOND):
        read("countries")
        read("notices")
        if request % 10 == 0:
            read("profiles")
        if request % PER_SECOND == 0:
            world.publish(choose.choice(("countries", "notices")), choose.choice(items))
        world.clock.sleep(1 / PER_SECOND)
    print({name: dict(counts) for name, counts in results.items()}, f"oldest answer: {world.oldest:.1f} s")
    for collection in ("countries", "notices"):
        counts = results[collection]
        assert counts["Hit"] / counts.total() >= 0.99, counts
    assert set(results["profiles"]) == {"Miss"}
    assert 30 < world.oldest <= 60, "the load replaces documents that the edge keeps"


@pytest.mark.parametrize(
    ("name", "cache_ttl", "least"),
    [("countries", 0, 45), ("countries", 90, 65), ("notices", 90, 45)],
)
def test_no_reader_sees_an_answer_older_than_the_sum_of_what_keeps_it(
    name: str, cache_ttl: int, least: float, deployed: Deployed, users: Sequence[Caller]
) -> None:
    # docs/edge.md: publish, plus edge_ttl, plus cache_ttl for public documents, which browsers keep. The sum is an
    # upper bound, because a browser subtracts the age that the edge names. `least` shows that each part counts.
    collection = Collection(name, COLLECTIONS[name].read, cache_ttl=cache_ttl, edge_ttl=60)
    world = World(deployed, users, COLLECTIONS | {name: collection})
    caller = asker(f"/documents/{name}/item-1", users)
    most = PUBLISH_SECONDS + 60 + (cache_ttl if name == "countries" else 0)
    choose = random.Random(1)
    written: list[float] = []  # when each version was written
    versions: dict[str, int] = {}  # word -> number of the version
    copy: tuple[str, float] | None = None  # what the reader's browser has, and until when it may use it
    oldest = 0.0
    for _ in range(1_200):
        if choose.random() < 0.05:
            written.append(world.clock.now())
            world.clock.sleep(PUBLISH_SECONDS)
            world.publish(name)
        versions.setdefault(world.documents[f"{collection.read}/documents/{name}/item-1"].word, len(written))
        if copy is None or world.clock.now() >= copy[1]:
            asked = world.ask(caller, f"/documents/{name}/item-1")
            assert asked.faults == ()
            copy = (json.loads(asked.response.body)["word"], world.clock.now() + _browser_seconds(asked))
        number = versions[copy[0]]
        if number < len(written):  # the version with this number is the first one that this reader doesn't have
            oldest = max(oldest, world.clock.now() - written[number])
        world.clock.sleep(choose.choice((0.2, 1, 5)))
    assert least < oldest <= most


def _browser_seconds(asked: Asked) -> float:
    """Return for how long a browser uses an answer without asking again (RFC 9111, 4.2)."""
    says = asked.response.header("cache-control") or ""
    if "no-cache" in says:
        return 0
    words = dict(word.strip().partition("=")[::2] for word in says.split(","))
    return max(0.0, float(words["max-age"]) - float(asked.response.header("age") or 0))


@pytest.mark.parametrize("path", [PUBLIC, SHARED])
def test_a_copy_lasts_for_edge_ttl_to_the_second(path: str, world: World, users: Sequence[Caller]) -> None:
    caller, collection = asker(path, users), path.split("/")[2]
    first = world.ask(caller, path)
    world.publish(collection)
    world.clock.sleep(59.5)
    late = world.ask(caller, path)
    assert (late.result, late.response.body, late.response.header("age")) == ("Hit", first.response.body, "59")
    world.clock.sleep(0.5)
    new = world.ask(caller, path)
    assert new.result == "Miss" and new.response.body != first.response.body


def test_an_expired_copy_that_is_still_current_costs_the_origin_no_body(world: World, users: Sequence[Caller]) -> None:
    for path in (PUBLIC, SHARED):
        first = world.ask(asker(path, users), path)
        world.clock.sleep(60)
        again = world.ask(asker(path, users), path)
        assert (again.result, again.response.body) == ("RefreshHit", first.response.body)
        assert world.ask(asker(path, users), path).result == "Hit", "the copy is fresh once more"


def test_the_freshness_of_sources_is_checked_each_time(world: World, users: Sequence[Caller]) -> None:
    for source, read in SOURCES.items():
        caller = NOBODY if read == "public" else users[0]
        results = [world.ask(caller, f"/documents/sources/{source}").result for _ in range(3)]
        assert results == ["Miss", "RefreshHit", "RefreshHit"]


def test_an_etag_is_weak_only_if_the_body_is_compressed(world: World) -> None:
    while len(world.documents["public/documents/countries/item-1"].body) < 1_000:
        world.publish("countries")
    plain = world.ask(NOBODY, PUBLIC)
    packed = world.ask(NOBODY, PUBLIC, headers=[("accept-encoding", "gzip")])
    strong = plain.response.header("etag")
    assert packed.response.header("content-encoding") == "gzip"
    assert packed.response.header("etag") == f"W/{strong}"
    for etag in (str(strong), f"W/{strong}"):
        for encoding in ("identity", "gzip"):
            again = world.ask(NOBODY, PUBLIC, headers=[("if-none-match", etag), ("accept-encoding", encoding)])
            assert again.response.status == 304


# Several requests at once


def at_once(world: World, path: str, callers: Sequence[Caller]) -> list[Asked]:
    """Send the same request of several callers at the same time."""
    with ThreadPoolExecutor(len(callers)) as pool:
        return list(pool.map(lambda caller: world.ask(caller, path), callers))


@pytest.mark.parametrize("path", [OWN, "/v1/items/profiles"])
def test_owners_who_ask_at_once_get_their_own(path: str, world: World, users: Sequence[Caller]) -> None:
    world.on_fetch = threading.Barrier(2, timeout=20).wait  # an origin answers only when both requests have arrived
    answers = at_once(world, path, users[:2])
    assert [(asked.response.status, asked.result, asked.faults) for asked in answers] == [(200, "Miss", ())] * 2
    assert answers[0].response.body != answers[1].response.body


def test_readers_of_a_shared_document_who_ask_at_once_cost_one_request(world: World, users: Sequence[Caller]) -> None:
    world.on_fetch = lambda: eventually(lambda: world.edge.waiting == len(users) - 1)
    answers = at_once(world, SHARED, users)
    assert sorted(asked.result for asked in answers) == ["Hit"] * (len(users) - 1) + ["Miss"]
    assert len({asked.response.body for asked in answers}) == 1
    assert world.edge.fetches == {"documents-authenticated-primary": 1}
    assert is_problem(world.ask(NOBODY, SHARED), 401)


# Errors


def is_problem(asked: Asked, status: int) -> bool:
    """Whether an answer is a problem document with this status, which nobody may keep."""
    response = asked.response
    assert response.header("content-type") == "application/problem+json"
    return bool(response.status == json.loads(response.body)["status"] == status)


@pytest.mark.parametrize("path", [PUBLIC, SHARED, OWN])
def test_a_document_is_there_at_once_after_a_404(path: str, world: World, users: Sequence[Caller]) -> None:
    caller, collection = asker(path, users), path.split("/")[2]
    world.remove(collection)
    for _ in range(2):
        assert is_problem(world.ask(caller, path), 404)
    world.publish(collection)
    assert world.ask(caller, path).response.status == 200


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("path", [PUBLIC, SHARED, OWN])
def test_a_document_is_there_at_once_after_an_error(
    path: str, status: int, world: World, users: Sequence[Caller]
) -> None:
    caller = asker(path, users)
    world.origins.faults = [dataclasses.replace(fault, status=status) for fault in FAILING]
    assert is_problem(world.ask(caller, path), status)
    world.origins.faults = ()
    assert world.ask(caller, path).response.status == 200


def test_an_error_of_the_api_is_nobody_elses(world: World, users: Sequence[Caller]) -> None:
    for status in (404, 500, 501, 502, 503, 504):
        world.api_status = status
        asked = world.ask(users[0], "/v1/items/profiles")
        assert asked.response.status == status and asked.faults == ()
        world.api_status = 200
        assert world.ask(users[1], "/v1/items/profiles").response.status == 200


@pytest.mark.parametrize("kind", ["status", "refuse", "hang", "unreachable"])
@pytest.mark.parametrize("path", [PUBLIC, SHARED, OWN])
def test_the_replica_answers_if_the_primary_region_fails(
    path: str, kind: str, world: World, users: Sequence[Caller]
) -> None:
    world.origins.faults = [OriginFault("*-primary", kind)]  # type: ignore[arg-type]
    assert world.ask(asker(path, users), path).response.status == 200


def test_in_a_total_outage_expired_copies_are_served_without_limit(world: World, users: Sequence[Caller]) -> None:
    # docs/edge.md says so beside the sum. What is never kept fails.
    kept = [PUBLIC, SHARED, "/documents/tariffs/item-1"]
    never_kept = [OWN, "/documents/languages/item-1", "/documents/sources/languages"]
    for path in kept + never_kept:
        assert world.ask(users[0], path).response.status == 200
    world.origins.faults = FAILING
    world.clock.sleep(30 * 86_400)
    for path in kept:
        assert world.ask(users[0], path).response.status == 200
    for path in never_kept:
        assert is_problem(world.ask(users[0], path), 503)
    assert is_problem(world.ask(NOBODY, SHARED), 401)
    world.origins.faults = ()
    for path in (PUBLIC, SHARED):
        world.publish(path.split("/")[2])
        asked = world.ask(asker(path, users), path)
        assert asked.faults == () and asked.result == "Miss", "the outage is over at once"


def test_every_error_is_a_problem_document_but_those_of_cloudfront_itself(
    world: World, users: Sequence[Caller]
) -> None:
    for path in (PUBLIC, SHARED, OWN):
        caller = asker(path, users)
        missing = path.replace("item-1", "missing")
        assert is_problem(world.ask(caller, missing), 404)
        world.origins.faults = FAILING
        assert is_problem(world.ask(caller, missing), 503)
        world.origins.faults = ()
    for path in (SHARED, OWN, "/documents/undeclared/x", "/documents/sources/languages"):
        assert is_problem(world.ask(NOBODY, path), 401)
    # docs/edge.md and docs/edge-standin.md name these: the function doesn't run, so the page is CloudFront's own.
    refused: dict[str, Asked] = {
        "a method": world.ask(users[0], SHARED, "DELETE"),
        "an unknown method": world.ask(users[0], SHARED, "TRACE"),
        "a long URL": world.ask(users[0], f"{SHARED}?{'x' * 8_200}"),
        "long headers": world.ask(users[0], SHARED, headers=[("x", "x" * 20_500)]),
    }
    world.origins.faults = [OriginFault("*", "refuse"), OriginFault("*", "refuse")]
    refused["no origin"] = world.ask(users[0], OWN)
    assert {name: asked.response.status for name, asked in refused.items()} == {
        "a method": 403,
        "an unknown method": 405,
        "a long URL": 414,
        "long headers": 494,
        "no origin": 502,
    }
    for asked in refused.values():
        assert asked.response.header("content-type") == "text/html" and edge_world.words_of(asked.response) == set()


# Headers


@pytest.mark.parametrize("path", [PUBLIC, SHARED, OWN])
def test_a_preflight_of_a_page_at_another_origin_needs_no_token(path: str, world: World) -> None:
    origin = "http://localhost:8080"  # cors_origins in environments/local.tfvars
    headers = [("origin", origin), ("access-control-request-method", "GET")]
    headers.append(("access-control-request-headers", "authorization,if-none-match"))
    response = world.ask(NOBODY, path, "OPTIONS", headers).response
    assert response.status == 204 and response.body == b""
    assert response.header("access-control-allow-origin") == origin
    allowed = str(response.header("access-control-allow-headers")).lower()
    assert "authorization" in allowed and "if-none-match" in allowed
    assert "GET" in str(response.header("access-control-allow-methods"))


@pytest.mark.parametrize("path", [PUBLIC, SHARED, OWN])
def test_no_header_of_the_bucket_reaches_a_viewer(path: str, world: World, users: Sequence[Caller]) -> None:
    caller = asker(path, users)
    first = world.ask(caller, path)
    etag = str(first.response.header("etag"))
    answers = [
        first,
        world.ask(caller, path, "HEAD"),
        world.ask(caller, path, headers=[("if-none-match", etag)]),
        world.ask(caller, path, headers=[("range", "bytes=0-9")]),
        world.ask(caller, path, headers=[("range", "bytes=999999-")]),
        world.ask(caller, path.replace("item-1", "missing")),
        world.ask(caller, path, "OPTIONS"),
    ]
    world.edge.clear()
    world.origins.faults = FAILING
    answers.append(world.ask(caller, path))
    assert [asked.response.status for asked in answers] == [200, 200, 304, 206, 416, 404, 204, 503]
    for asked in answers:
        names = set(asked.response.headers)
        assert not names & set(ORIGIN_HEADERS), (asked.response.status, names)
        assert not [name for name in names if name.startswith("x-amz-")]
        assert asked.response.header("x-content-type-options") == "nosniff" or asked.response.status == 204
    assert all(asked.response.header("readplane-version") for asked in answers[:4])
    private = {asked.response.header("cache-control") for asked in answers[:4]}
    assert private == ({"public, max-age=0, s-maxage=60"} if path == PUBLIC else {"private, no-cache"})
