"""The paging style ``offset``: each request names the position in the list at which the requested page begins."""

from dataclasses import replace

from ...continuation import Continuation
from ...errors import BackOfficeError
from ..request import BackOfficeRequest
from .base import STATUSES_PAST_END, ReceivedPage
from .counting import CountingPaginator
from .ending import MAX_EMPTY_PAGES_BY_COUNT, ListEnd, PageSigns
from .loops import is_in_cycle, is_stuck, with_anchor
from .moved import PageRecords, drop_overlap, record_fingerprint


class OffsetPaginator(CountingPaginator):
    """Requests pages by the position of their first record in the list, until a page has no new records.

    Use this style for an API with SQL-like offsets, such as Socrata's: ``GET /rows?$offset=200``. The setting
    ``paging.parameter`` names the query parameter. ``paging.first`` is the offset of the first record: 1 for SCIM's
    ``startIndex``.

    Each request except the first has an offset that is smaller by one than the number of records read so far. So the
    page should begin with the last record of the previous page. If it begins with another record, records have moved.
    If the page has no other record, the next request has the offset after that record, because the back office may
    return one record per page.
    """

    def request(self, continuation: Continuation) -> BackOfficeRequest:
        """Return the request for the page at the last record that was read; after an empty page, at the next record."""
        number = continuation.number
        return self._request_at(number - 1 if self._overlaps(continuation) else number)

    def is_doubtful(self, continuation: Continuation, page: ReceivedPage) -> bool:  # noqa: ARG002 (an override)
        """Return false, because :meth:`new_records` notices a page that repeats another one."""
        return False

    def new_records(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that the page begins with the last record of the previous page, and return the page's other records.

        :raises ListMovedError: if the page begins with another record, or is empty.
        :raises BackOfficeError: if the page begins with the same record at another offset.
        """
        if not continuation.number:
            return records
        if self._overlaps(continuation):
            return drop_overlap(records, continuation.overlap)
        if records:
            # If a record was inserted since, the last record read is now at this offset, and no longer at its own.
            drop_overlap(self._read_records(self._request_at(continuation.number - 1)), continuation.overlap)
            if record_fingerprint(records[0]) == continuation.overlap:
                raise BackOfficeError(
                    "not_data",
                    "it returns the same record at two offsets, so it may ignore the offset",
                    advice="check paging.parameter, or set paging.size, paging.more or paging.end_status",
                )
        return records

    def end_by_status(self, continuation: Continuation, status: int | None) -> ListEnd | None:
        """Return how the list ends before a page whose request the back office answers with a status.

        After an empty page, any status of :data:`STATUSES_PAST_END` is the end.
        """
        is_end = continuation.empty_pages > 0 and status in STATUSES_PAST_END
        return ListEnd("end_status") if is_end else super().end_by_status(continuation, status)

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation:
        """Return the position after the records of ``page``."""
        past_total = self._reaches_total(continuation, page)
        if not page.records:
            pages, empty_pages = continuation.pages + 1, continuation.empty_pages + 1
            return replace(continuation, pages=pages, empty_pages=empty_pages, past_total=past_total)
        following = Continuation(
            number=self._number_after(continuation, page),
            pages=continuation.pages + 1,
            overlap=record_fingerprint(page.records[-1]),
            past_total=past_total,
            ignores_total=self._ignores_total(continuation, page),
        )
        return with_anchor(following, continuation, page)

    def _request_at(self, number: int) -> BackOfficeRequest:
        return BackOfficeRequest.of_page(self._list, (self._paging.first or 0) + number)

    @staticmethod
    def _overlaps(continuation: Continuation) -> bool:
        return continuation.number > 0 and not continuation.empty_pages

    def _signs(self, continuation: Continuation, page: ReceivedPage) -> PageSigns:
        reaches_total = self._reaches_total(continuation, page)
        more = page.parsed.more
        if more is None and page.parsed.total is not None and not reaches_total:
            # Fewer records than the total mean that the back office filters its pages, so offsets must count otherwise.
            more = None if self._ignores_total(continuation, page) else True
        return PageSigns(
            records=len(page.records),
            page_number=continuation.pages,
            more=more,
            total_reached=reaches_total and not page.records,
            in_cycle=is_in_cycle(continuation, page),
            is_stuck=is_stuck(continuation, page),
            empty_pages=0 if page.records else continuation.empty_pages + 1,
            max_empty_pages=self._max_empty_pages(continuation, page),
            has_fixed_limit=True,
        )

    def _max_empty_pages(self, continuation: Continuation, page: ReceivedPage) -> int:
        # In an empty list, the offset after the last record is that of the first one. So a second request would be the
        # same as the first. In any other list, a third request past the last record would be the same as the second.
        if not self._number_after(continuation, page):
            return 1
        return min(self._paging.max_empty_pages or MAX_EMPTY_PAGES_BY_COUNT, MAX_EMPTY_PAGES_BY_COUNT)

    def _number_after(self, continuation: Continuation, page: ReceivedPage) -> int:
        return continuation.number + len(page.records)
