"""The paging style ``page``: each request names a page number."""

from dataclasses import replace

from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .moved import body_fingerprint, check_same_records, page_fingerprint


class PageNumberPaginator(Paginator):
    """Requests one page number after the other, until a page is empty.

    Fits an API with numbered pages: ``GET /rows?page=3``. The setting ``paging.parameter`` names the query parameter,
    and ``paging.first`` is the first page's number. A page may be shorter than others without being the last.
    """

    def start(self) -> Continuation:
        """Return the position of the first page, which has the number ``paging.first``."""
        return Continuation(number=self._source.paging.first)

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL with the page's number."""
        return self._source.page_url(self._first_url, continuation.number)

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Read the previous page a second time, and check that it still has the same records.

        :returns: ``records``, because numbered pages don't overlap.
        :raises ListMovedError: if the previous page has other records, because one may have moved between the pages.
        """
        previous_url = self.page_url(replace(continuation, number=continuation.number - 1))
        check_same_records(self._read_records(previous_url), continuation.overlap)
        return records

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position of the next page number, or ``None`` if the page is empty."""
        if not page.records:
            return None
        return Continuation(
            number=continuation.number + 1, overlap=page_fingerprint(page.records), body=body_fingerprint(page.body)
        )
