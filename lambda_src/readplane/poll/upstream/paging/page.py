"""The paging style ``page``: each request names the number of the requested page."""

from dataclasses import replace

from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .moved import check_same_records, fingerprint, page_fingerprint


class PageNumberPaginator(Paginator):
    """Requests one page number after another, until a page has no records.

    Use this style for an API with numbered pages: ``GET /rows?page=3``. The setting ``paging.parameter`` names the
    query parameter, and ``paging.first`` is the number of the first page. A page with fewer records than others
    isn't necessarily the last one.
    """

    def start(self) -> Continuation:
        """Return the position of the first page, which has the number ``paging.first``."""
        return Continuation(number=self._source.paging.first)

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL of the page at ``continuation``, with the page number in the query."""
        return self._source.page_url(self._first_url, continuation.number)

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Read the previous page a second time, and check that it still has the same records.

        :returns: all of ``records``, because two numbered pages have no record in common.
        :raises ListMovedError: if the previous page has other records than before. Then a record may have moved to the
            previous page, and the pass would miss it.
        """
        previous_url = self.page_url(replace(continuation, number=continuation.number - 1))
        check_same_records(self._read_records(previous_url), continuation.overlap)
        return records

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position of the page with the next number, or ``None`` if ``page`` has no records."""
        if not page.records:
            return None
        return Continuation(
            number=continuation.number + 1, overlap=page_fingerprint(page.records), body=fingerprint(page.body)
        )
