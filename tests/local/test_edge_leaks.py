"""Tests that the applied edge gives nobody the data of somebody else, whatever it keeps and whoever asks first.

edge_world.py has the world, in which the deployed distribution and the uploaded ``edge_auth`` serve requests. A sweep
asks for every path, by every method, in every state of the cache. Then histories mix requests, writes, pauses and
faults. Mutants of the deployed configuration show that both would find a leak.

``make test-leaks`` tries 20 times as many histories.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.local import edge_world
from tests.local.edge_audit import audit
from tests.local.edge_world import (
    COLLECTIONS,
    STATES,
    Asked,
    Deployed,
    History,
    PoolForge,
    World,
    documents_policy,
    events_of,
    is_private,
    variants,
    with_cache_policy,
    without_function,
)
from tests.local.support import Local

STEPS = 60
OWNER_SAYS = COLLECTIONS["profiles"].document_cache_control
MUTANT_HISTORIES = 200
"""A mutant must be caught by the sweep or within this many histories."""

NOT_PRIVATE = "max-age=60"
"""A ``Cache-Control`` with which the edge would keep an owner's document."""


METHODS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("GET", ()),
    ("HEAD", ()),
    ("OPTIONS", ()),
    ("GET", (("range", "bytes=0-99"),)),
)
"""The methods of a sweep. The last one asks for a part of the document."""


class Attack:
    """Everything that the tests of leaks need, made once.

    :ivar sent: how many requests the last run has sent.
    """

    def __init__(self, stack: Local, deployed: Deployed) -> None:
        forge = PoolForge(stack)
        self.deployed = deployed
        self.users = edge_world.users_of(forge)
        self.strangers = edge_world.strangers_of(forge, self.users)
        self.paths = edge_world.routes(stack)
        self.sent = 0

    def world(self, deployed: Deployed | None = None, owner_says: str | None = None) -> World:
        """Return a world with an empty cache."""
        return World(deployed or self.deployed, self.users, owner_says=owner_says)

    def sweep(self, world: World, collection: str = "") -> Iterator[Asked]:
        """Ask for other ways to write each path of a document, then for every path in every state of the cache.

        :param collection: ask only for the documents of this collection.
        """
        documents = [path for path in self.paths if path.startswith(f"/documents/{collection}")]
        subs = [str(user.sub) for user in self.users[:3]]
        for path in documents:
            for target in variants(path, subs):
                for caller in (self.users[0], self.users[1], self.strangers[0]):
                    yield world.ask(caller, target)
        callers = [*self.users[:3], *self.strangers]
        for prepare in [] if collection else STATES.values():
            prepare(world)
            for path in self.paths:
                for method, headers in METHODS[:2] if path not in documents else []:
                    for caller in callers[:6]:
                        yield world.ask(caller, path, method, headers)
        world.origins.faults = ()
        for order in (callers, callers[::-1]):
            for prepare in STATES.values():
                prepare(world)
                for path in documents:
                    for method, headers in METHODS:
                        for caller in order if is_private(path) else order[::5]:
                            yield world.ask(caller, path, method, headers)
            world.origins.faults = ()

    def history(self, world: World, seed: int) -> Asked | None:
        """Run one history, and return its first wrong answer."""
        return History(world, seed, self.paths, self.strangers).run(STEPS)

    def first_fault(self, deployed: Deployed, owner_says: str | None = None) -> Asked | None:
        """Run the sweep and then histories, until an answer is wrong."""
        worlds = [self.world(deployed, owner_says)]
        try:
            for asked in self.sweep(worlds[0]):
                if asked.faults:
                    return asked
            for seed in range(MUTANT_HISTORIES):
                worlds.append(self.world(deployed, owner_says))
                if found := self.history(worlds[-1], seed):
                    return found
            return None
        finally:
            self.sent = sum(world.asked.total() for world in worlds)


@pytest.fixture(scope="module")
def attack(stack: Local, deployed: Deployed) -> Attack:
    return Attack(stack, deployed)


def test_the_judge_knows_every_collection_and_source(stack: Local) -> None:
    documents = {route.split("/")[2] for route in stack.outputs.routes if route.startswith("GET /documents/")}
    assert documents - {"sources"} == set(COLLECTIONS)
    assert set(stack.outputs.sources or {}) == set(edge_world.SOURCES)


def test_no_answer_of_the_sweep_is_wrong(attack: Attack) -> None:
    world = attack.world()
    assert [asked for asked in attack.sweep(world) if asked.faults] == []
    # The sweep has met what it is about.
    assert {"Hit", "Miss", "RefreshHit", "Error", "LambdaGeneratedResponse"} <= set(world.asked)
    assert world.asked.total() > 6_000 and world.asked["Hit"] > 200
    assert {"documents-public-replica", "documents-authenticated-replica", "api"} <= set(world.edge.fetches)


# Don't let Hypothesis make a failing seed smaller, because a smaller seed isn't a simpler history.
@settings(phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 2**63))
def test_no_answer_of_a_history_is_wrong(attack: Attack, seed: int) -> None:
    assert attack.history(attack.world(), seed) is None


def test_each_defence_of_owners_suffices_alone(attack: Attack) -> None:
    # A behaviour that keeps nothing, and documents that say `private`. Each test takes one of the two away.
    policy = documents_policy(attack.deployed)
    without_one = with_cache_policy(attack.deployed, "/documents/profiles/*", policy)
    for deployed, owner_says in ((attack.deployed, NOT_PRIVATE), (without_one, None)):
        world = attack.world(deployed, owner_says)
        assert [asked for asked in attack.sweep(world, "profiles") if asked.faults] == []


def test_nothing_is_in_an_answer_that_is_not_in_its_key(deployed: Deployed) -> None:
    assert audit(deployed, OWNER_SAYS) == {}


# Mutants


def _rewriting(deployed: Deployed) -> Deployed:
    """Let the function add the visibility to the path, and let the default behaviour read the same bucket."""
    mutant = deployed.copied()
    config = mutant.distribution["DistributionConfig"]
    for origin in config["Origins"]["Items"]:
        if origin["Id"].startswith("documents-authenticated"):
            origin["OriginPath"] = ""
    config["DefaultCacheBehavior"]["TargetOriginId"] = mutant.behaviour("/documents/*")["TargetOriginId"]

    def invoke(arn: str, event: dict[str, object]) -> object:
        result = deployed.invoke(arn, event)
        if isinstance(result, dict) and str(result.get("uri", "")).startswith("/documents/"):
            result["uri"] = "/authenticated" + result["uri"]
        return result

    return mutant._replace(invoke=invoke)


def _min_ttl(deployed: Deployed) -> Deployed:
    mutant = deployed.copied()
    mutant.policies.cache[documents_policy(deployed)]["MinTTL"] = 1  # type: ignore[index]
    return mutant


def _authorization_with_a_ttl(deployed: Deployed) -> Deployed:
    """Let the API's behaviour keep answers for 60 s. It forwards Authorization, which isn't in the key."""
    mutant = deployed.copied()
    policy = dict(mutant.policies.cache[documents_policy(deployed)]) | {"MinTTL": 60, "DefaultTTL": 60, "MaxTTL": 60}
    mutant.policies.cache["for-60-s"] = policy  # type: ignore[index]
    return with_cache_policy(mutant, "/v1/*", "for-60-s")


def _error_caching(deployed: Deployed) -> Deployed:
    mutant = deployed.copied()
    mutant.distribution["DistributionConfig"]["CustomErrorResponses"] = {"Quantity": 0, "Items": []}
    return mutant


def _without_headers_policy(deployed: Deployed) -> Deployed:
    mutant = deployed.copied()
    mutant.behaviour("/documents/*")["ResponseHeadersPolicyId"] = ""
    return mutant


def _owner_with_the_documents_policy(deployed: Deployed) -> Deployed:
    return with_cache_policy(deployed, "/documents/profiles/*", documents_policy(deployed))


class Mutant(NamedTuple):
    """A change that must be caught.

    :param change: changes the deployed configuration.
    :param owner_says: the ``Cache-Control`` of owners' documents, if the mutant changes it.
    :param shown: whether an answer shows the mutant. Each of the two defences of owners is enough alone, so no answer
        shows that one of them is gone.
    :param audited: whether the audit finds it. It knows nothing of headers.
    """

    change: Callable[[Deployed], Deployed]
    owner_says: str | None = None
    shown: bool = True
    audited: bool = True


MUTANTS = {
    "edge_auth off /documents/*": Mutant(lambda deployed: without_function(deployed, "/documents/*")),
    "edge_auth off /documents/profiles/*": Mutant(lambda deployed: without_function(deployed, "/documents/profiles/*")),
    "owners with the cache policy of documents": Mutant(_owner_with_the_documents_policy, shown=False),
    "owners' documents without private": Mutant(Deployed.copied, NOT_PRIVATE, shown=False),
    "owners with neither defence": Mutant(_owner_with_the_documents_policy, NOT_PRIVATE),
    "rewriting in the viewer request": Mutant(_rewriting),
    "a minimum TTL of 1": Mutant(_min_ttl),
    "Authorization forwarded with a TTL of 60": Mutant(_authorization_with_a_ttl),
    "errors kept": Mutant(_error_caching),
    "no response headers policy": Mutant(_without_headers_policy, audited=False),
}


def test_there_is_a_mutant_for_each_behaviour_with_sign_in(deployed: Deployed) -> None:
    checked = [it["PathPattern"] for it in deployed.behaviours if "viewer-request" in events_of(it)]
    assert checked == ["/documents/profiles/*", "/documents/*"]
    assert {f"edge_auth off {pattern}" for pattern in checked} <= set(MUTANTS)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str, attack: Attack, record_property: Callable[[str, object], None]) -> None:
    mutant = MUTANTS[name]
    deployed = mutant.change(attack.deployed)
    assert (audit(deployed, mutant.owner_says or OWNER_SAYS) != {}) == mutant.audited
    if mutant.shown:
        found = attack.first_fault(deployed, mutant.owner_says)
        assert found is not None, "no answer shows the mutant"
        record_property("requests", attack.sent)
        print(f"{name}: caught after {attack.sent} requests: {found.faults[0]}")
