"""The base class of the paging styles ``page`` and ``offset``, which count pages or records."""

from ...continuation import Continuation
from .base import Paginator, ReceivedPage
from .ending import ListEnd, PageSigns, end_by_count


class CountingPaginator(Paginator):
    """Counts pages or records, until the signs of a page say that the list ends."""

    counts = True

    def end(self, continuation: Continuation, page: ReceivedPage) -> ListEnd | None:
        """Return how the list ends with ``page``, or ``None`` if it goes on."""
        return end_by_count(self._signs(continuation, page))

    def _signs(self, continuation: Continuation, page: ReceivedPage) -> PageSigns:
        """Return what ``page`` shows about the end of its list."""
        raise NotImplementedError

    def _number_after(self, continuation: Continuation, page: ReceivedPage) -> int:
        """Return how many page numbers, offsets or records lie before the page after ``page``."""
        raise NotImplementedError

    def _total(self, page: ReceivedPage) -> int | None:
        """Return how many of what the style counts the list has; ``None`` if the page doesn't say it."""
        return page.parsed.total

    def _reaches_total(self, continuation: Continuation, page: ReceivedPage) -> bool:
        """Return whether the pass has read as much of the list as its total says."""
        if self._ignores_total(continuation, page):
            return False
        total = self._total(page)
        return continuation.past_total or (total is not None and self._number_after(continuation, page) >= total)

    @staticmethod
    def _ignores_total(continuation: Continuation, page: ReceivedPage) -> bool:
        """Return whether the total can't be used, because the back office has returned records past it."""
        return continuation.ignores_total or (continuation.past_total and bool(page.records))
