"""The paging style ``link``: each response holds the URL of the next page."""

from ...continuation import Continuation
from ...errors import BackOfficeError
from ...source.settings import ListRequest
from ...source.urls import clean_url, next_url
from ..link_header import parse_link_header
from ..request import BackOfficeRequest
from ..response import BackOfficeResponse
from .base import ReadRecords, ReceivedPage, check_link
from .follow import FollowingPaginator


class LinkPaginator(FollowingPaginator):
    """Follows the link to the next page in each response, until a response has no link.

    Use this style if the link is in the body, as with OData and HAL
    (``{"value": […], "@odata.nextLink": "https://…"}``), or in the ``Link`` header of RFC 8288, as with GitHub's API
    (``Link: </rows?page=2>; rel="next"``). The setting ``paging.next`` finds the link in the body. Without this
    setting, the link is taken from the header ``paging.header``, or from the ``Link`` header, in which ``paging.rel``
    names the relation. A link may be relative. It must have the source's scheme, host and port. It is followed with a
    GET without a body.

    :param secret_parameter: the name of the query parameter that carries the source's secret; ``None`` without one.
    """

    def __init__(self, list_request: ListRequest, read_records: ReadRecords, secret_parameter: str | None) -> None:
        super().__init__(list_request, read_records)
        self._secret_parameter = secret_parameter

    @property
    def reads_headers(self) -> bool:  # type: ignore[override]
        """Whether the link is in a response header."""
        return self._paging.next is None and not self._list.by_function

    def request(self, continuation: Continuation) -> BackOfficeRequest:
        """Return the request for the page of a link. The first page has no link."""
        if continuation.url is not None:
            return BackOfficeRequest(continuation.url)
        return BackOfficeRequest.of_page(self._list, None)

    def next_position(self, page: ReceivedPage) -> Continuation | None:
        """Return a continuation with the link of ``page``, or ``None`` if ``page`` has no link.

        :raises BackOfficeError: if the link can't be followed.
        """
        link = self._header_link(page.response) if self.reads_headers else page.parsed.next
        return None if link is None else Continuation(url=self._resolved(link, page.response))

    def delta(self, page: ReceivedPage) -> str | None:
        """Return the delta link of ``page``, with which the next pass begins; ``None`` if ``page`` has none.

        :raises BackOfficeError: if the link can't be followed.
        """
        link = page.parsed.delta
        return None if link is None else self._resolved(link, page.response)

    def _header_link(self, response: BackOfficeResponse) -> str | None:
        name = self._paging.header
        if name and name.lower() != "link":
            return response.headers.get(name, "").strip() or None
        text, relation = response.headers.get("Link", ""), (self._paging.rel or "next").lower()
        header = parse_link_header(text)
        target = header.find_target(relation)
        # A part that can't be read may be the link to the next page, unless it names only other relations.
        may_be_hidden = relation in text.lower() or not (header.links or "rel" in text.lower())
        if target is None and not header.is_whole and may_be_hidden:
            raise BackOfficeError(
                "not_data",
                "its Link header can't be read",
                advice="set paging.next if the body holds the link, or use another style of paging",
            )
        return target

    def _resolved(self, link: str, response: BackOfficeResponse) -> str:
        """Return the absolute URL of a link without a secret, because the URL becomes part of the checkpoint."""
        check_link(link)
        url = next_url(response.url, link)
        if url is None:
            raise BackOfficeError("origin", "its next link leaves the source's scheme, host and port")
        parameters = (self._secret_parameter,) if self._secret_parameter else ()
        cleaned_url = clean_url(url, parameters, response.secret_values)
        if cleaned_url is None:
            raise BackOfficeError(
                "not_data",
                "its next link holds the secret",
                advice="send the secret in a header, or use another style of paging; poll doesn't store a secret",
            )
        return cleaned_url
