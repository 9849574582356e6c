"""The paging style ``page``: each request names the number of the requested page."""

from ...continuation import Continuation
from ..request import BackOfficeRequest
from .base import STATUSES_PAST_END, ReceivedPage
from .counting import CountingPaginator
from .ending import MAX_EMPTY_PAGES_BY_NEXT, ListEnd, PageSigns, is_doubtful_by_count
from .loops import is_in_cycle, is_stuck, with_anchor
from .moved import PageRecords, check_same_records, page_fingerprint


class PageNumberPaginator(CountingPaginator):
    """Requests one page number after another, until pages have no records.

    Use this style for an API with numbered pages, such as WordPress's: ``GET /posts?page=3``. The setting
    ``paging.parameter`` names the query parameter, and ``paging.first`` is the number of the first page. A page with
    fewer records than others isn't necessarily the last one, because a back office may filter the records after it has
    cut the pages.
    """

    step = 1
    """By how much the number of a page exceeds that of the page before."""

    default_first = 1
    """The number of the first page, if the operator sets none."""

    def request(self, continuation: Continuation) -> BackOfficeRequest:
        """Return the request for the page at ``continuation``, with the page number."""
        return self._request_at(continuation.number)

    def is_doubtful(self, continuation: Continuation, page: ReceivedPage) -> bool:
        """Return whether the page repeats the page before, so that it may be stale."""
        return is_doubtful_by_count(self._signs(continuation, page))

    def new_records(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Read the previous page a second time, and check that it still has the same records.

        :returns: all of ``records``, because two numbered pages have no record in common.
        :raises ListMovedError: if the previous page has other records than before. Then a record may have moved to the
            previous page, and the pass would miss it.
        :raises BackOfficeError: if the previous page shows that the settings don't fit.
        """
        # Between two pages without records, no record can have moved.
        if continuation.overlap is not None and (records or not continuation.empty_pages):
            previous = self._read_records(self._request_at(continuation.number - self.step))
            check_same_records(previous, continuation.overlap)
            self._check_step(continuation, previous, records)
        return records

    def end_by_status(self, continuation: Continuation, status: int | None) -> ListEnd | None:
        """Return how the list ends before a page whose request the back office answers with a status.

        After an empty page, any status of :data:`STATUSES_PAST_END` is the end. After a short page, the end is
        doubtful, because a back office that filters its pages has short pages everywhere.
        """
        end = super().end_by_status(continuation, status)
        if end or not continuation.pages or status not in STATUSES_PAST_END:
            return end
        if continuation.empty_pages or continuation.past_total:
            return ListEnd("end_status")
        is_short = continuation.count < max(continuation.largest, self._paging.size or 0)
        return ListEnd("end_status", certain=False) if is_short else None

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation:
        """Return the position of the page with the next number."""
        signs = self._signs(continuation, page)
        following = Continuation(
            number=self._number_after(continuation, page),
            pages=continuation.pages + 1,
            empty_pages=signs.empty_pages,
            count=len(page.records),
            largest=max(continuation.largest, len(page.records)),
            overlap=page.ids or page_fingerprint([]),
            identities=page.identities if page.records else None,
            past_total=self._reaches_total(continuation, page),
            ignores_total=self._ignores_total(continuation, page),
        )
        return with_anchor(following, continuation, page)

    def _request_at(self, number: int) -> BackOfficeRequest:
        first = self._paging.first
        return BackOfficeRequest.of_page(self._list, (self.default_first if first is None else first) + number)

    def _signs(self, continuation: Continuation, page: ReceivedPage) -> PageSigns:
        size, count = self._paging.size, len(page.records)
        reaches_total = self._reaches_total(continuation, page)
        total = None if self._ignores_total(continuation, page) else self._total(page)
        return PageSigns(
            records=count,
            page_number=continuation.pages,
            more=page.parsed.more,
            total_reached=reaches_total and not count,
            below_total=total is not None and not reaches_total,
            same_ids=bool(page.records) and page.identities == continuation.identities,
            in_cycle=is_in_cycle(continuation, page),
            is_stuck=is_stuck(continuation, page),
            asked_again=page.asked_again,
            after_doubt=page.after_records,
            has_ids=any(record.item_id for record in page.records),
            before_is_short=size is not None and continuation.count < size,
            empty_pages=0 if page.records else continuation.empty_pages + 1,
            max_empty_pages=self._max_empty_pages,
        )

    @property
    def _max_empty_pages(self) -> int | None:
        # If the back office says by a status where the list ends, a few pages without records aren't its end.
        default = MAX_EMPTY_PAGES_BY_NEXT if self._paging.end_status else None
        return self._paging.max_empty_pages or default

    def _number_after(self, continuation: Continuation, page: ReceivedPage) -> int:  # noqa: ARG002 (an override)
        return continuation.number + self.step

    def _total(self, page: ReceivedPage) -> int | None:  # noqa: ARG002 (an override)
        # `paging.total` counts records, and this style counts pages.
        return None

    def _check_step(self, continuation: Continuation, previous: PageRecords, records: PageRecords) -> None:
        """Do nothing, because no record can lie between two page numbers.

        An override checks that no record lies between the previous page and this one.

        :param previous: the records of the previous page.
        :param records: the records of the page at ``continuation``.
        """
