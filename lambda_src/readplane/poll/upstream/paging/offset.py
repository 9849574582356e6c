"""The paging style ``offset``: a request names the position in the list at which its page begins."""

from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .moved import drop_overlap, record_fingerprint


class OffsetPaginator(Paginator):
    """Requests the records from a position on, until a page has no new records.

    Fits an API with SQL-like offsets: ``GET /rows?offset=200``. The setting ``paging.parameter`` names the query
    parameter. Each page except the first is requested one record earlier than necessary, so it should begin with the
    last record of the page before. If it begins with another record, the list has moved.
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
        """Return the position after the page's records, or ``None`` if the page has no new records."""
        if not page.records:
            return None
        return Continuation(
            number=continuation.number + len(page.records), overlap=record_fingerprint(page.records[-1])
        )
