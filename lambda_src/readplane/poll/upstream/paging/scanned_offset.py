"""The paging style ``offset`` with ``paging.size``: offsets count the records that the back office scanned."""

from ...continuation import Continuation
from ...errors import BackOfficeError
from .base import STATUSES_PAST_END, ReceivedPage
from .moved import PageRecords, record_fingerprint
from .page import PageNumberPaginator


class ScannedOffsetPaginator(PageNumberPaginator):
    """Requests pages by offsets that grow by the size of a full page, until pages have no records.

    Use this style for an API that cuts its list into pages before it filters them, such as ServiceNow's:
    ``GET /table/incident?sysparm_limit=100&sysparm_offset=200``. It leaves out the records that the user may not read,
    so a page may have fewer records than ``sysparm_limit``, or none, and the next offset is still larger by 100. The
    setting ``paging.size`` is the size of a full page. If ``paging.total`` finds how many records the list has, pages
    without records end the list only past that number.
    """

    default_first = 0

    @property
    def step(self) -> int:  # type: ignore[override]
        """By how much the offset of a page exceeds that of the page before."""
        return self._paging.size or 1

    def _total(self, page: ReceivedPage) -> int | None:
        return page.parsed.total

    def _check_step(self, continuation: Continuation, previous: PageRecords, records: PageRecords) -> None:
        """Check that no record lies between a short first page and the second page.

        If the back office's pages are smaller than ``paging.size``, its offsets would skip records. So the page that
        begins after the records of the first page must have no record that the first two pages lack.

        :raises BackOfficeError: if ``paging.size`` is too large.
        """
        if continuation.pages != 1 or not 0 < len(previous) < self.step:
            return
        try:
            next_records = self._read_records(self._request_at(len(previous)))
        except BackOfficeError as error:
            if error.status in STATUSES_PAST_END:
                return
            raise
        read_fingerprints = set(map(record_fingerprint, [*previous, *records]))
        if next_records and record_fingerprint(next_records[0]) not in read_fingerprints:
            raise BackOfficeError(
                "not_data",
                "its pages are smaller than paging.size, so offsets would skip records",
                advice="set paging.size to the number of records on a full page, or leave it out",
            )
