"""The paging style ``page``: pages have numbers."""

from dataclasses import replace

from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .moved import body_fingerprint, check_same_records, page_fingerprint


class PageNumberPaginator(Paginator):
    """Asks for page after page, until a page is empty.

    Fits an API with numbered pages: ``GET /rows?page=3``. The setting ``paging.parameter`` names the query parameter,
    and ``paging.first`` is the first page's number. A page may be shorter than others without being the last.
    """

    def start(self) -> Continuation:
        """Begin at the first page's number."""
        return Continuation(number=self._source.paging.first)

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL with the page's number."""
        return self._source.page_url(self._first_url, continuation.number)

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Read the page before once more, and check that it still holds the same records.

        :raises ListMovedError: if it doesn't, because records have then moved from one page to the other.
        """
        previous_url = self.page_url(replace(continuation, number=continuation.number - 1))
        check_same_records(self._read_records(previous_url), continuation.overlap)
        return records

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Go on at the next number, unless the page is empty."""
        if not page.records:
            return None
        return Continuation(
            number=continuation.number + 1, overlap=page_fingerprint(page.records), body=body_fingerprint(page.body)
        )
