"""The paging style ``offset``: each request names the position in the list at which the requested page begins."""

from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .moved import drop_overlap, record_fingerprint


class OffsetPaginator(Paginator):
    """Requests pages by the position of their first record in the list, until a page has no new records.

    Use this style for an API with SQL-like offsets: ``GET /rows?offset=200``. The setting ``paging.parameter`` names
    the query parameter.

    Each request except the first has an offset that is smaller by one than the number of records read so far. So the
    page should begin with the last record of the previous page. If it begins with another record, records have moved.
    """

    may_repeat_page = True

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL of the page that begins with the last record read. The first page has the offset 0."""
        return self._source.page_url(self._first_url, max(0, continuation.number - 1))

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that the page begins with the last record of the previous page, and return the page's other records.

        :raises ListMovedError: if the page begins with another record, or is empty.
        """
        return drop_overlap(records, continuation.overlap)

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position after the records of ``page``, or ``None`` if ``page`` has no new records."""
        if not page.records:
            return None
        return Continuation(
            number=continuation.number + len(page.records), overlap=record_fingerprint(page.records[-1])
        )
