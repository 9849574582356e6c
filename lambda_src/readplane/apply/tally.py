"""Counts changes by outcome (applied, duplicate or superseded), under the names of CloudWatch metrics."""

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
    """Return how often each outcome occurred, as a dict whose keys are the names of the CloudWatch metrics."""
    return Counter({METRIC[outcome]: count for outcome, count in outcomes.items()})


def fold_and_count(window: Window, change: Change, tally: Tally) -> Change | None:
    """Add a change to a window, which keeps only the newest change of each item. Count the change that it drops.

    If the window already holds a change of the same item, it drops the older of the two changes.

    :returns: the dropped change, which is ``change`` itself or the earlier one. ``None`` if the window held no change
        of the item.
    """
    loser = window.fold(change)
    if loser is not None:
        is_duplicate = loser.version == window.version(change.key)
        tally[METRIC["duplicate" if is_duplicate else "superseded"]] += 1
    return loser
