"""The paging style ``token``: each response holds a token for the next page."""

from ...source.translate import ParsedPage
from ..response import BackOfficeResponse
from .base import Continuation, Paginator, ReceivedPage, check_link
from .moved import follow


class TokenPaginator(Paginator):
    """Sends the token of each response in the next request, until a response has none.

    Fits an API with cursors, such as Stripe's or Slack's: ``{"rows": […], "next_cursor": "dXNlcj"}``, then
    ``GET /rows?cursor=dXNlcj``. The setting ``paging.next`` finds the token, and ``paging.parameter`` names the query
    parameter that carries it.
    """

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:  # noqa: ARG002 (an override)
        """Return the first page's URL with the response's token, or ``None`` on the last page.

        :raises BackOfficeError: if the token is too long or isn't text.
        """
        if page.next is None:
            return None
        check_link(page.next)
        return self._source.page_url(self._first_url, page.next)

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position at the token's URL, or ``None`` if there is no token or it repeats an earlier one."""
        return follow(continuation, page)
