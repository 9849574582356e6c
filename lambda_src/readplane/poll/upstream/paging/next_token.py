"""The paging style ``token``: each response holds a token for the next page."""

from ...source.translate import ParsedPage
from ..response import BackOfficeResponse
from .base import Continuation, Paginator, ReceivedPage, check_link
from .moved import follow


class TokenPaginator(Paginator):
    """Sends the token of each response in the next request, until a response has no token.

    Use this style for an API with cursors, such as Stripe's or Slack's. After the response
    ``{"rows": […], "next_cursor": "dXNlcj"}``, the next request is ``GET /rows?cursor=dXNlcj``. The setting
    ``paging.next`` finds the token in a response, and ``paging.parameter`` names the query parameter that carries the
    token.
    """

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:  # noqa: ARG002 (an override)
        """Return the next page's URL, or ``None`` on the last page.

        The next page's URL is the first page's URL with the response's token as a query parameter.

        :raises BackOfficeError: if the token is too long or isn't valid text.
        """
        if page.next is None:
            return None
        check_link(page.next)
        return self._source.page_url(self._first_url, page.next)

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position of the page that the token of ``page`` names.

        :returns: the position; ``None`` if ``page`` has no token, or if the token repeats an earlier one of the pass.
        """
        return follow(continuation, page)
