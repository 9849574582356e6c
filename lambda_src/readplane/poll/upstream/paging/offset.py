"""The paging style ``offset``: a page begins at a record's position in the list."""

from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .moved import drop_overlap, record_fingerprint


class OffsetPaginator(Paginator):
    """Asks for the records from a position on, until a page brings none.

    Fits an API with SQL-like offsets: ``GET /rows?offset=200``. The setting ``paging.parameter`` names the query
    parameter. Each page but the first begins one record earlier than it must, so it repeats the last record read. If
    that record isn't the page's first, the list has moved.
    """

    may_repeat_page = True

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL with the position of the last record read, or with 0 for the first page."""
        return self._source.page_url(self._first_url, max(0, continuation.number - 1))

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that the page begins with the last record read, and return the records after it.

        :raises ListMovedError: if the page begins with another record, or is empty.
        """
        return drop_overlap(records, continuation.overlap)

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Go on behind the page's records, unless the page brought none."""
        if not page.records:
            return None
        return Continuation(
            number=continuation.number + len(page.records), overlap=record_fingerprint(page.records[-1])
        )
