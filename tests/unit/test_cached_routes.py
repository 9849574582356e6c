"""Attacks on every cached route: nothing but path and declared query parameters may change what another client gets.

Terraform plans the API, and ``tests/fakes/gateway_cache.py`` caches its responses as AWS documents it.
``make test-properties`` runs 10,000 sequences of requests.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from readplane.model.collection import Collection
from tests.fakes.gateway_cache import Method
from tests.unit.cached_routes.attack import Attack, AttackError
from tests.unit.cached_routes.mutants import METHOD_MUTANTS, READ_MUTANTS
from tests.unit.cached_routes.stacks import Stack, stack_of
from tests.unit.cached_routes.world import methods
from tests.unit.stacks import CACHED_ROUTES, PlannedStacks

pytestmark = pytest.mark.slow  # because Terraform plans the stacks

FROM_S3 = "several_origins_documents_from_s3"
FROM_READ = "one_origin_documents_from_read"
MUTANT_SEQUENCES = 3_000
"""A mutant must be caught within this many sequences. Each is usually caught within 200."""


@pytest.fixture(scope="module")
def stacks(planned_stacks: PlannedStacks) -> dict[str, Stack]:
    return {name: stack_of(plan) for name, plan in planned_stacks[CACHED_ROUTES].items()}


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def attacks(stacks: dict[str, Stack], patch: pytest.MonkeyPatch) -> dict[str, Attack]:
    return {name: Attack(stack, patch) for name, stack in stacks.items()}


# Don't let Hypothesis make a failing seed smaller, because a smaller seed isn't a simpler sequence.
@settings(max_examples=5 * settings().max_examples, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.integers(0, 2**63), st.sampled_from([FROM_S3, FROM_READ]))
def test_a_cached_response_depends_on_path_and_declared_query_alone(
    attacks: dict[str, Attack], seed: int, name: str
) -> None:
    attacks[name].run(seed)


def test_the_sequences_reach_every_cached_route_and_every_kind_of_answer(
    stacks: dict[str, Stack], patch: pytest.MonkeyPatch
) -> None:
    for stack in stacks.values():
        attack = Attack(stack, patch)
        assert len(attack.cached) == 15, "four collections with three cached routes each, and three backends"
        for seed in range(300):
            attack.run(seed)
        hits = {resource for resource, hit, _ in attack.tally if hit}
        assert hits == {method.resource for method in attack.cached}
        assert {status for _, hit, status in attack.tally if hit} >= {200, 400, 404, 409, 502, 503}
        assert {status for _, hit, status in attack.tally if not hit} >= {200, 400, 401, 403, 404, 409, 415, 503}


def test_only_a_get_is_cached_and_no_key_holds_a_header(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        found = methods(stack)
        assert {method.verb for method in found if method.ttl_ms} == {"GET"}
        assert {method.resource for method in found if method.ttl_ms} == {
            method.resource for method in found if method.key_parameters
        }
        assert not [method.resource for method in found if method.inputs("header")]
        assert not [method.resource for method in found if method.ttl_ms and "profiles" in method.resource]


@pytest.mark.parametrize("mutant", READ_MUTANTS)
def test_a_mutant_of_read_is_caught(stacks: dict[str, Stack], patch: pytest.MonkeyPatch, mutant: str) -> None:
    assert_caught(Attack(stacks[FROM_S3], patch, mutate=READ_MUTANTS[mutant]))


def test_read_is_caught_if_it_treats_a_cached_route_as_an_uncached_one(stacks: dict[str, Stack]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collection, "cached", False)
        for stack in stacks.values():
            assert_caught(Attack(stack, patch))


@pytest.mark.parametrize("mutant", METHOD_MUTANTS)
def test_a_mutant_of_the_api_is_caught(stacks: dict[str, Stack], patch: pytest.MonkeyPatch, mutant: str) -> None:
    pattern, mutate = METHOD_MUTANTS[mutant]

    def mutate_all(found: list[Method]) -> list[Method]:
        changed = [
            mutate(method) if method.ttl_ms and fnmatchcase(method.resource, pattern) else method for method in found
        ]
        assert changed != found, "the mutant changes nothing"
        return changed

    assert_caught(Attack(stacks[FROM_S3], patch, mutate_methods=mutate_all))


def assert_caught(attack: Attack) -> None:
    for seed in range(MUTANT_SEQUENCES):
        try:
            attack.run(seed)
        except AttackError:
            return
    raise AssertionError(f"{MUTANT_SEQUENCES} sequences didn't catch the mutant")
