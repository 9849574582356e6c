"""The base class of the paging styles ``link`` and ``token``, which follow what each page names as the next page."""

from ...continuation import Continuation
from ..request import BackOfficeRequest
from .base import Paginator, ReceivedPage
from .ending import ListEnd, NextPage, PageSigns, end_by_next, is_doubtful_by_next
from .loops import is_in_cycle, is_stuck, with_anchor
from .moved import PageRecords


class FollowingPaginator(Paginator):
    """Follows the next page that each page names, until a page names none."""

    def next_position(self, page: ReceivedPage) -> Continuation | None:
        """Return a continuation with the link or token of the page after ``page``; ``None`` if ``page`` names none.

        :raises BackOfficeError: if the link or token is invalid.
        """
        raise NotImplementedError

    def is_doubtful(self, continuation: Continuation, page: ReceivedPage) -> bool:
        """Return whether the page repeats the page before or links to an earlier page, so that it may be stale."""
        return is_doubtful_by_next(self._signs(continuation, page))

    def new_records(self, continuation: Continuation, records: PageRecords) -> PageRecords:  # noqa: ARG002
        """Return all records, because the back office itself says where the next page begins."""
        return records

    def end(self, continuation: Continuation, page: ReceivedPage) -> ListEnd | None:
        """Return how the list ends with ``page``, or ``None`` if it goes on."""
        end = end_by_next(self._signs(continuation, page))
        return end._replace(certain=False) if end and continuation.doubtful else end

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation:
        """Return the position of the page that ``page`` names, with the anchor for the detection of loops."""
        position = self.next_position(page)
        assert position
        signs = self._signs(continuation, page)
        same_token = signs.next_page == "same_token"
        following = Continuation(
            url=position.url,
            token=position.token,
            pages=continuation.pages + 1,
            empty_pages=signs.empty_pages,
            body=page.body_fingerprint,
            identities=page.identities if page.records else None,
            repeats=continuation.repeats + 1 if signs.same_ids else 0,
            links_to_itself=signs.next_page == "self",
            # A page that links to itself and has other records at the second answer moves on with each request, too.
            moves_on=same_token or (signs.next_page == "self" and continuation.links_to_itself),
            # A new token shows that the token names the page, so the repeated page was only a stale answer.
            doubtful=same_token and (continuation.doubtful or signs.same_ids),
            first=continuation.first or page.request.fingerprint,
        )
        return with_anchor(following, continuation, page)

    def _signs(self, continuation: Continuation, page: ReceivedPage) -> PageSigns:
        has_records = bool(page.records)
        same_body = page.body_fingerprint == continuation.body
        return PageSigns(
            records=len(page.records),
            page_number=continuation.pages,
            next_page=self._next_page(continuation, page),
            self_before=continuation.links_to_itself,
            more=page.parsed.more,
            same_body=same_body,
            same_ids=has_records and (same_body or page.identities == continuation.identities),
            same_ids_before=continuation.repeats > 0,
            in_cycle=is_in_cycle(continuation, page) or is_stuck(continuation, page),
            asked_again=page.asked_again,
            after_doubt=page.after_records or (continuation.doubtful and continuation.repeats > 0),
            empty_pages=0 if has_records else continuation.empty_pages + 1,
            max_empty_pages=self._paging.max_empty_pages,
        )

    def _next_page(self, continuation: Continuation, page: ReceivedPage) -> NextPage:
        position = self.next_position(page)
        if position is None:
            return "none"
        if position.token is not None and position.token == continuation.token:
            return "same_token"
        request = self.request(position)
        # After a redirect, the page may link to itself by the address to which it was redirected.
        if request == page.request or request == BackOfficeRequest(page.response.url):
            return "self"
        earlier = (continuation.first, continuation.anchor)
        return "earlier" if request.fingerprint in earlier else "new"
