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
"""The value of each CloudWatch metric, by the metric's name. The value is a number of changes or of records."""


def count_outcomes(outcomes: Mapping[ApplyOutcome, int]) -> Tally:
    """Return how often each outcome occurred, by the name of the outcome's CloudWatch metric."""
    return Counter({METRIC[outcome]: count for outcome, count in outcomes.items()})


def fold_and_count(window: Window, change: Change, tally: Tally) -> Change | None:
    """Add a change to a window. If the window already holds a change of the same item, count the one that it drops.

    The window keeps the newer of the two changes.

    :returns: the dropped change, which is ``change`` itself or the earlier one. ``None`` if the window held no change
        of the item.
    """
    loser = window.fold(change)
    if loser is not None:
        is_duplicate = loser.version == window.version(change.key)
        tally[METRIC["duplicate" if is_duplicate else "superseded"]] += 1
    return loser
