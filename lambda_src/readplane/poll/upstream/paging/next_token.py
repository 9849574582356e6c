"""The paging style ``token``: each response holds a token for the next page."""

from ...continuation import Continuation
from ...errors import BackOfficeError
from ...source.urls import holds_secret
from ..request import BackOfficeRequest
from .base import ReceivedPage, check_link
from .follow import FollowingPaginator


class TokenPaginator(FollowingPaginator):
    """Sends the token of each response in the next request, until a response has no token.

    Use this style for an API with cursors, such as Stripe's, Slack's or Notion's. After the response
    ``{"rows": […], "next_cursor": "dXNlcj"}``, the next request is ``GET /rows?cursor=dXNlcj``. The setting
    ``paging.next`` finds the token in a response, or ``paging.header`` names the header that holds it, as GitLab's
    ``X-Next-Page``. ``paging.parameter`` names the query parameter that carries the token. Without it, the token
    replaces the placeholder ``{page}`` in the URL or in the body, as in the ``after`` of a GraphQL query.

    Elasticsearch's scroll API returns the same token on every page, and moves on with every request. So a page with the
    token that was just sent is a new page, and it is never requested twice.
    """

    @property
    def reads_headers(self) -> bool:  # type: ignore[override]
        """Whether the token is in a response header."""
        return self._paging.header is not None

    def request(self, continuation: Continuation) -> BackOfficeRequest:
        """Return the request for the page of a token. The first page has no token."""
        return BackOfficeRequest.of_page(self._list, continuation.token)

    def next_position(self, page: ReceivedPage) -> Continuation | None:
        """Return a continuation with the token of ``page``, or ``None`` if ``page`` has no token.

        :raises BackOfficeError: if the token is too long, isn't valid text, or holds the secret.
        """
        header = self._paging.header
        token = page.response.headers.get(header, "").strip() if header else page.parsed.next
        if not token:
            return None
        check_link(token)
        if holds_secret(token, page.response.secret_values):
            raise BackOfficeError(
                "not_data",
                "the token of its next page holds the secret",
                advice="check paging.next; poll doesn't store a secret",
            )
        return Continuation(token=token)
