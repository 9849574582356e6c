"""Counts the outcomes of changes, by the names of their metrics."""

from collections import Counter
from collections.abc import Mapping

from ..model.change import Change
from ..model.window import Window
from ..stores.items import ApplyOutcome

METRIC: Mapping[ApplyOutcome, str] = {
    "applied": "ChangesApplied",
    "duplicate": "ChangesDuplicate",
    "superseded": "ChangesSuperseded",
}
"""The metric that counts each outcome."""

Tally = Counter[str]
"""The counts, by metric name."""


def count_outcomes(outcomes: Mapping[ApplyOutcome, int]) -> Tally:
    """Return the counts of outcomes by metric name."""
    return Counter({METRIC[outcome]: count for outcome, count in outcomes.items()})


def fold_and_count(window: Window, change: Change, tally: Tally) -> Change | None:
    """Add a change to a window; count and return the change that loses to another change of the same item, if any."""
    loser = window.fold(change)
    if loser is not None:
        is_duplicate = loser.version == window.version(change.key)
        tally[METRIC["duplicate" if is_duplicate else "superseded"]] += 1
    return loser
