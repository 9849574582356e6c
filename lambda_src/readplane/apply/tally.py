"""Counts how many changes were applied, duplicate or superseded, by the names of the CloudWatch metrics."""

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
"""The name of the CloudWatch metric that counts each outcome of a change."""

Tally = Counter[str]
"""A number of changes or records for each CloudWatch metric, by the metric's name."""


def count_outcomes(outcomes: Mapping[ApplyOutcome, int]) -> Tally:
    """Return how often each outcome occurred, by the name of the outcome's CloudWatch metric."""
    return Counter({METRIC[outcome]: count for outcome, count in outcomes.items()})


def fold_and_count(window: Window, change: Change, tally: Tally) -> Change | None:
    """Add a change to a window, and count the change that the window doesn't keep.

    :returns: the change of the same item that the window doesn't keep, because the other change is newer or equal.
        ``None`` if ``change`` is the item's first change in the window.
    """
    loser = window.fold(change)
    if loser is not None:
        is_duplicate = loser.version == window.version(change.key)
        tally[METRIC["duplicate" if is_duplicate else "superseded"]] += 1
    return loser
