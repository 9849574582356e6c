"""The paging style ``link``: each response holds the URL of the next page."""

from ...errors import BackOfficeError
from ...source.translate import ParsedPage
from ...source.urls import next_url
from ..response import BackOfficeResponse
from .base import Continuation, Paginator, ReceivedPage, check_link
from .moved import follow


class LinkPaginator(Paginator):
    """Follows the link to the next page in each response, until a response has no link.

    Use this style if the link is in the body, as with OData and HAL
    (``{"value": […], "@odata.nextLink": "https://…"}``), or in the ``Link`` header of RFC 8288, as with GitHub's API
    (``Link: </rows?page=2>; rel="next"``). The setting ``paging.next`` finds the link in the body. Without this
    setting, the link is taken from the header. A link may be relative. It must have the source's scheme, host and port.
    """

    @property
    def follows_header(self) -> bool:
        """Whether the link to the next page is taken from the response's ``Link`` header instead of its body."""
        return not self._source.paging.next and not self._source.function

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:
        """Return the absolute URL of the response's link to the next page, or ``None`` on the last page.

        The URL has no secret, even if the link has one, because it becomes part of the checkpoint.

        :raises BackOfficeError: if the link is too long, isn't valid text, or has another scheme, host or port than the
            source's URL.
        """
        link = response.next_link if self.follows_header else page.next
        if link is None:
            return None
        check_link(link)
        url = next_url(response.url, link)
        if url is None:
            raise BackOfficeError("origin", "its next link leaves the source's scheme, host and port")
        return self._source.without_secret(url)

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position of the page that ``page`` links to.

        :returns: the position; ``None`` if ``page`` has no link, or if the link repeats an earlier URL of the pass.
        """
        return follow(continuation, page)
