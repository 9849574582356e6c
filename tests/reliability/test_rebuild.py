"""Tests that a rebuild of the items table loses nothing, whatever fails and in whichever order the functions move."""

from collections import Counter
from collections.abc import Iterable

import pytest

from tests.reliability.rebuild_mutants import REBUILD_MUTANTS
from tests.reliability.rebuild_world import Death, RebuildWorld
from tests.reliability.run import Outcome, describe, first_broken, play, play_all, play_world

QUICK, LONG = range(20), range(20, 1_000)
MUTANT_SEEDS = range(200)

RARE = (
    "the_building_stream_is_not_followed",
    "the_building_stream_leaves_out_new_items",
    "the_building_stream_leaves_out_late_changes",
    "unknown_streams_are_published",
    "fill_advances_before_it_writes",
)
"""The mutants that most seeds don't notice."""

RULES = {
    "documents_are_written_without_conditions": "a document goes back to an older version",
    "the_former_stream_is_not_followed": "",
    "the_building_stream_is_not_followed": "",
    "the_building_stream_leaves_out_new_items": "",
    "the_building_stream_leaves_out_late_changes": "",
    "unknown_streams_are_published": "",
    "apply_writes_only_the_live_table_after_a_switch": "",
    "apply_hands_on_changes_without_effect": "",
    "fill_lets_tombstones_expire": "has other items",
    "fill_leaves_a_region_out": "",
    "fill_leaves_the_archive_out": "",
    "fill_waits_for_nothing": "",
    "fill_advances_before_it_writes": "",
    "switch_copies_nothing": "quarantine markers",
}
"""A part of the rule that each mutant breaks; empty if it depends on the seed which rule it breaks first."""

POINTS = 10
"""At how many points of each step its process dies."""

KILLED_SEED = 24
"""A seed whose path goes to the second table and back."""

STEPS = ("fill", "verify", "switch", "back", "confirm")


def check(outcomes: Iterable[Outcome]) -> None:
    """Fail with the command of each seed that breaks a rule."""
    broken = [describe(outcome, rebuild=True) for outcome in outcomes if outcome.broken]
    assert not broken, f"{len(broken)} seeds break a rule:\n" + "\n".join(broken[:10])


def test_no_rule_breaks_in_a_rebuild_whatever_fails() -> None:
    check(play_all(QUICK, rebuild=True))


@pytest.mark.long
def test_no_rule_breaks_in_a_thousand_rebuilds() -> None:
    check(play_all(LONG, rebuild=True))


def test_the_seeds_take_every_path() -> None:
    paths = Counter(RebuildWorld(seed).path for seed in QUICK)
    assert {len(path) for path in paths} == {0, 1, 2, 3}


def test_a_seed_of_a_rebuild_is_one_history() -> None:
    first, again = play(3, rebuild=True), play(3, rebuild=True)
    assert first.trace_hash == again.trace_hash and first.steps == again.steps > 1_000


@pytest.fixture(scope="module")
def calls() -> Counter[str]:
    """Return how many calls each command makes if nothing fails."""
    world = RebuildWorld(KILLED_SEED, Death("", 0))
    assert play_world(world).broken == ""
    return world.calls


@pytest.mark.parametrize("step", STEPS)
def test_a_command_that_is_killed_goes_on_when_it_is_run_again(step: str, calls: Counter[str]) -> None:
    """Its process dies at one of ten calls, spread over the whole step."""
    for number in range(POINTS):
        call = 1 + number * (calls[step] - 1) // (POINTS - 1)
        world = RebuildWorld(KILLED_SEED, Death(step, call))
        outcome = play_world(world)
        assert not outcome.broken, f"{step} dies at call {call}: {outcome.broken}"
        assert world.deaths == 1, f"{step} doesn't die at call {call}"


def test_each_mutant_of_a_rebuild_has_a_rule() -> None:
    assert RULES.keys() == REBUILD_MUTANTS.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in RARE else []) for name in REBUILD_MUTANTS]
)
def test_a_mutant_of_a_rebuild_breaks_its_rule_within_200_seeds(name: str) -> None:
    outcome = first_broken(MUTANT_SEEDS, REBUILD_MUTANTS[name], rebuild=True)
    assert outcome is not None, "no seed notices the mutant"
    assert RULES[name] in outcome.broken and "Traceback" not in outcome.broken, outcome.broken
