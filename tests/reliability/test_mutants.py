"""Tests that the simulation notices each mutant, a product with one wrong rule, within 200 seeds."""

from unittest.mock import patch

import pytest

from tests.reliability.invariants import Invariants
from tests.reliability.mutants import MUTANTS
from tests.reliability.run import first_broken

SEEDS = range(200)

RULES = {
    "publish_mends_nothing": "",
    "apply_overwrites": "replaces a newer version",
    "window_keeps_the_last": "",
    "write_takes_a_lost_answer_for_success": "isn't in the write log",
    "write_ignores_named_versions": "isn't newer than the version that it names",
    "write_stamps_keyed_posts": "a retry is another change",
    "apply_reports_no_failed_message": "",
    "apply_reports_the_last_failed_record": "",
    "apply_drops_poison": "lacks a line that can't be applied",
    "replay_quarantines": "a replay changes the quarantined lines",
    "replay_counts": "a replay changes the counted records",
    "duplicates_count": "are counted",
    "deliveries_at_once_count": "are counted",
    "tombstones_expire_early": "",
    "publish_reports_no_failed_record": "",
    "publish_skips_equal_versions": "has other documents than items",
    "publish_tells_nothing_of_forgotten_items": "rows in the database",
    "feed_reads_cheaply": "",
    "feed_reports_no_failed_message": "",
    "feed_removes_cache_entries": "an entry of the cache goes back",
    "feed_keeps_the_greatest_version_ever": "rows in the database",
    "feed_writes_what_comes": "a row of the database goes back",
    "poll_takes_refused_changes_for_sent": "",
    "poll_saves_the_checkpoint_first": "",
    "poll_is_fresh_as_of_the_end": "a source counts as fresh",
    "poll_measures_no_staleness": "its alarm doesn't fire",
}
"""A part of the rule that each mutant breaks; empty if it depends on the seed which rule it breaks first."""


def test_each_mutant_has_a_rule() -> None:
    assert RULES.keys() == MUTANTS.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_breaks_its_rule_within_200_seeds(name: str) -> None:
    outcome = first_broken(SEEDS, MUTANTS[name])
    assert outcome is not None, "no seed notices the mutant"
    assert RULES[name] in outcome.broken and "Traceback" not in outcome.broken, outcome.broken


def test_a_lost_change_is_noticed_while_the_history_goes_on() -> None:
    """The rule about the end of a history would notice it too, but nobody would be called until then."""
    with patch.object(Invariants, "check_end", lambda _: None):
        outcome = first_broken(SEEDS, MUTANTS["apply_reports_no_failed_message"])
    assert outcome is not None and outcome.broken == "a change is missing, and no alarm fires"
