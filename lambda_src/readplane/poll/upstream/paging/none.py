"""The paging style ``none``: one response holds the whole list."""

from ...continuation import Continuation
from ..request import BackOfficeRequest
from .base import Paginator, ReceivedPage
from .ending import ListEnd
from .moved import PageRecords


class NonePaginator(Paginator):
    """Reads a single page, which is the whole list.

    Use this style for an API that returns all records in one response, as the European Central Bank's exchange rates:
    ``GET /rates`` -> ``{"rows": […]}``.
    """

    def request(self, continuation: Continuation) -> BackOfficeRequest:  # noqa: ARG002 (an override)
        """Return the only request of the list."""
        return BackOfficeRequest.of_page(self._list, None)

    def is_doubtful(self, continuation: Continuation, page: ReceivedPage) -> bool:  # noqa: ARG002 (an override)
        """Return false, because there is no page before that the response could repeat."""
        return False

    def new_records(self, continuation: Continuation, records: PageRecords) -> PageRecords:  # noqa: ARG002
        """Return all records."""
        return records

    def end(self, continuation: Continuation, page: ReceivedPage) -> ListEnd:  # noqa: ARG002 (an override)
        """Return that the list ends with its only page."""
        return ListEnd("one_page")
