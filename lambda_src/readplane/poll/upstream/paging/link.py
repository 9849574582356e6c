"""The paging style ``link``: each response holds the URL of the next page."""

from ...errors import BackOfficeError
from ...source.translate import ParsedPage
from ...source.urls import next_url
from ..response import BackOfficeResponse
from .base import Continuation, Paginator, ReceivedPage, check_link
from .moved import follow


class LinkPaginator(Paginator):
    """Follows the link in each response, until a response has none.

    Fits an API whose responses name the next page in the body, as OData and HAL do
    (``{"value": […], "@odata.nextLink": "https://…"}``), or in the ``Link`` header of RFC 8288, as GitHub's API does
    (``Link: </rows?page=2>; rel="next"``). The setting ``paging.next`` finds the link in the body. Without the setting,
    the link is taken from the header. A link may be relative, and must stay on the source's origin.
    """

    @property
    def follows_header(self) -> bool:
        """Whether the link to the next page is taken from the ``Link`` header."""
        return not self._source.paging.next and not self._source.function

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:
        """Return the URL of the response's link, or ``None`` on the last page.

        :raises BackOfficeError: if the link is too long, isn't text, or leaves the source's origin.
        """
        link = response.next_link if self.follows_header else page.next
        if link is None:
            return None
        check_link(link)
        url = next_url(response.url, link)
        if url is None:
            raise BackOfficeError("origin", "its next link leaves the source's scheme, host and port")
        return url

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position at the link's URL, or ``None`` if there is no link or it repeats an earlier URL."""
        return follow(continuation, page)
