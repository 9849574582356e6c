"""The limit of a pass through the list of deleted records.

A back office may name living records by mistake, for example if ``deletes.url`` doesn't ask for deleted records only,
and if each record's time is that of the request. Without a limit, such a list would empty the collection.
"""

from dataclasses import replace
from itertools import islice

from ..model.keys import partitions
from .errors import PageError
from .lease import Lease
from .sweep import max_deletes_percent

ALWAYS_ALLOWED = 1_000
"""How many living items a pass may delete in any case, because a small back office may delete most of its records."""

_COUNT_STEP = 1_000
"""After how many counted items the remaining time is checked."""


class DeletesLimit:
    """Counts the living items that a pass deletes, and refuses too many.

    The count is in the checkpoint, and a complete pass resets it. If a failed pass reset it, a list that names all
    living records would delete :data:`ALWAYS_ALLOWED` of them at every poll.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._allowed = ALWAYS_ALLOWED

    def add(self, deletes: int) -> None:
        """Count living items that the next page deletes.

        :raises PageError: if they are too many for one pass. The page's deletes must not be sent.
        """
        lease = self._lease
        total = lease.checkpoint.living_deletes + deletes
        percent = max_deletes_percent(lease)
        if total > self._allowed and 0 < percent < 100:
            # A pass with many pages would count the items for each page. So count twice as many as this page needs.
            living = lease.checkpoint.living_deletes + self._count_living(int(2 * total * 100 / percent) + 1)
            self._allowed = max(ALWAYS_ALLOWED, int(living * percent / 100))
        if total > self._allowed and percent < 100:
            raise PageError(
                f"the list of deleted records names more than {percent:g} % of the collection's items; check that "
                "deletes.url asks for deleted records only; if the deletes are right, raise sweep.max_deletes_percent"
            )
        lease.checkpoint = replace(lease.checkpoint, living_deletes=total)

    def _count_living(self, enough: int) -> int:
        """Return how many items the collection has, or a smaller number: ``enough``, or what the time allows."""
        lease = self._lease
        living = lease.stores.items.list_living(partitions(lease.collection, None))
        count = 0
        while count < enough and lease.seconds_left() > 0:
            step = sum(1 for _ in islice(living, min(_COUNT_STEP, enough - count)))
            if not step:
                break
            count += step
        return count
