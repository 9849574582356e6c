"""Tells clients whether the source that feeds a collection exceeds its staleness budget."""

from collections.abc import Mapping

from ..aws.faults import AwsError
from ..clock import now_ms
from ..model.collection import Collection
from ..model.freshness import NEVER_POLLED, DeclaredSource, Freshness, is_stale
from ..stores.items import Items
from ..telemetry import Telemetry

FRESHNESS_REUSE_MS = 5_000
"""How long a Lambda sandbox reuses a source's freshness before it reads the freshness from DynamoDB again, in
milliseconds. Freshness that is a few seconds old is good enough, because staleness budgets are minutes."""


class Staleness:
    """Judges the staleness of collections by the freshness of the sources that feed them."""

    def __init__(self, items: Items, sources: Mapping[str, DeclaredSource], telemetry: Telemetry) -> None:
        """Set the store of the freshness.

        :param sources: the declared sources, by name.
        """
        self._items = items
        self._telemetry = telemetry
        self.source_of = {source.collection: source for source in sources.values()}
        """The source of each collection that a source feeds, by the collection's name."""
        self._freshness_by_source: dict[str, tuple[int, Freshness]] = {}

    def header(self, collection: Collection) -> dict[str, str]:
        """Return the header ``Readplane-Stale`` if the collection's source exceeds its staleness budget.

        Return no header otherwise, or if no source feeds the collection.
        """
        source = self.source_of.get(collection.name)
        if source is None:
            return {}
        now = now_ms()
        stale = is_stale(self._freshness(source.name, now), source.staleness_budget_ms, now)
        return {"Readplane-Stale": "true"} if stale else {}

    def _freshness(self, source: str, now: int) -> Freshness:
        """Return a source's freshness. Read it again if the last read is at least :data:`FRESHNESS_REUSE_MS` ago."""
        read_ms, freshness = self._freshness_by_source.get(source, (0, NEVER_POLLED))
        if 0 <= now - read_ms < FRESHNESS_REUSE_MS:
            return freshness
        try:
            freshness = self._items.get_freshness(source) or NEVER_POLLED
        except AwsError as error:
            # Don't fail the request, because its items have been read. Judge staleness by the last known freshness. Use
            # that freshness for another five seconds (FRESHNESS_REUSE_MS). Otherwise, every request during an outage of
            # DynamoDB would wait for DynamoDB.
            self._telemetry.failure(
                "freshness_not_read",
                "The source's freshness was not read; the last known one counts.",
                error,
                source=source,
            )
        self._freshness_by_source[source] = now, freshness
        return freshness
