"""Two items tables that are kept in step while an operator rebuilds the items: the live one and the second one.

Clients see the live table only. The second table is either being made, or it is the former live table, so that there is
a way back. Each change must get into both, so an error of either table is an error of the whole call, and the caller
applies the changes again. This is harmless, because applying a change twice is.
"""

from collections import Counter
from collections.abc import Sequence

from ..model.change import Change
from .items import ApplyOutcome
from .items_bulk import BulkItems


class TwoTables:
    """:class:`BulkItems` that writes to two tables and reads the live one. Every outcome is that of the live table."""

    def __init__(self, live: BulkItems, second: BulkItems) -> None:
        self._live = live
        self._second = second
        self.get_item = live.get_item
        self.get_change_status = live.get_change_status
        self.list_items = live.list_items
        self.get_freshness = live.get_freshness

    def apply(self, change: Change) -> ApplyOutcome:
        """Apply a change to both tables, the live one first, so that clients don't wait for the second one."""
        outcome = self._live.apply(change)
        self._second.apply(change)
        return outcome

    def apply_all(self, changes: Sequence[Change]) -> Counter[ApplyOutcome]:
        """Apply up to :data:`MAX_CHANGES` changes of different items to both tables, the live one first."""
        outcomes = self._live.apply_all(changes)
        self._second.apply_all(changes)
        return outcomes

    def mark_quarantined(self, change: Change, reason: str, now_ms: int) -> None:
        """Write a quarantine marker to both tables, to the live one last.

        A replay that finds the marker in the live table does nothing more about the change. So that marker must not be
        there before the other one.
        """
        self._second.mark_quarantined(change, reason, now_ms)
        self._live.mark_quarantined(change, reason, now_ms)
