"""Reads the pages of a source one by one, in any paging style."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ....clock import now_ms
from ...checkpoint import ConditionalRequest
from ...errors import BackOfficeError
from ...source.settings import PagingStyle, Source
from ...source.translate import ParsedPage, Translator
from ..response import BackOfficeResponse, Fetch, conditional_request_of
from .base import Continuation, PageRecords, Paginator, ReceivedPage
from .link import LinkPaginator
from .moved import is_stale
from .next_token import TokenPaginator
from .none import NonePaginator
from .offset import OffsetPaginator
from .page import PageNumberPaginator

PAGINATORS: Mapping[PagingStyle, type[Paginator]] = {
    "none": NonePaginator,
    "link": LinkPaginator,
    "token": TokenPaginator,
    "page": PageNumberPaginator,
    "offset": OffsetPaginator,
}


class FetchedPage(NamedTuple):
    """A page of a pass, with its translated records.

    requested_ms: the time just before the page was requested, in Unix milliseconds.
    records: the translated records; ``None`` if the back office responded 304, because nothing has changed.
    continuation: the position of the next page, as text; ``None`` if this page is the last one.
    conditional_request: the ``ETag`` and ``Last-Modified`` that a later pass can send, to get a 304 if the list hasn't
        changed; ``None`` if neither of them is safe to send.
    """

    requested_ms: int
    records: PageRecords | None
    continuation: str | None
    conditional_request: ConditionalRequest | None


class PageReader:
    """Reads the pages of one source, one by one.

    :param fetch: a function that fetches a page from the back office.
    :param seconds_left: a function that returns how many seconds the poll has left for its requests.
    :param probe: whether the source's circuit breaker is half open. A half-open breaker allows a single request. So
        the reader's first request isn't retried if it fails.
    """

    def __init__(
        self, source: Source, fetch: Fetch, translator: Translator, seconds_left: Callable[[], float], *, probe: bool
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._translator = translator
        self._seconds_left = seconds_left
        self._probe = probe

    def read_page(
        self, first_url: str, continuation_text: str | None, conditional_request: ConditionalRequest | None = None
    ) -> FetchedPage:
        """Fetch one page, check it, and translate its records.

        :param first_url: the URL of the first page of the back office's list.
        :param continuation_text: the ``continuation`` of the previous page; ``None`` for the first page.
        :param conditional_request: the ``ETag`` and ``Last-Modified`` of an earlier response. They are sent only if
            this page has the URL of that response.
        :raises BackOfficeError: if the request fails, or if the response repeats a page or contains an invalid link or
            token.
        :raises PageError: if the response doesn't have the form that the source's settings describe.
        :raises ListMovedError: if records may have moved between pages since the previous page was read.
        """
        requested_ms = now_ms()
        paginator = PAGINATORS[self._source.paging.style](
            self._source, first_url, lambda url: self._read_records(url, requested_ms)
        )
        continuation = Continuation.from_text(continuation_text) if continuation_text else paginator.start()
        page_url = paginator.page_url(continuation)
        response, page, next_url = self._fetch_page(paginator, continuation, conditional_request)
        if page is None or response.body is None:
            return FetchedPage(requested_ms, None, None, conditional_request)
        records = self._translate(page, requested_ms)
        if continuation.overlap is not None:
            records = paginator.check_overlap(continuation, records)
        following = paginator.following(continuation, ReceivedPage(page_url, response.body, records, next_url))
        # A later pass may send a conditional request only if this page is the whole list. Otherwise, a 304 for the
        # first page would hide changes on the other pages. The request must not be conditional either if the link to
        # the next page is in a header, because an ETag covers only the body. When a full page gains a `Link: rel=next`,
        # its ETag stays the same, so a 304 would hide the new page.
        is_whole_list = continuation_text is None and following is None and not paginator.follows_header
        return FetchedPage(
            requested_ms,
            records,
            following.text() if following else None,
            conditional_request_of(page_url, response) if is_whole_list else None,
        )

    def _fetch_page(
        self, paginator: Paginator, continuation: Continuation, conditional_request: ConditionalRequest | None
    ) -> tuple[BackOfficeResponse, ParsedPage | None, str | None]:
        """Fetch a page, and fetch it a second time if the first response is stale.

        :returns: the response, the parsed page, and the next page's URL. For a 304, the last two are ``None``.
        :raises BackOfficeError: if the second response is stale as well.
        """
        page_url = paginator.page_url(continuation)
        for _ in range(2):
            response = self._request(page_url, conditional_request)
            if response.body is None:
                return response, None, None
            page = self._translator.parse_page(response.body)
            next_url = paginator.next_url(response, page)
            # Don't treat a page without records as stale. It may be the last page, and some back offices link from the
            # last page to an earlier URL. In that case, `following` ends the pass.
            may_repeat = paginator.may_repeat_page or not page.records
            if may_repeat or not is_stale(continuation, page_url, response.body, next_url):
                return response, page, next_url
            conditional_request = None
        raise BackOfficeError("not_data", "it repeats a page that it sent before")

    def _read_records(self, url: str, requested_ms: int) -> PageRecords:
        page = self._translator.parse_page(self._request(url).body or b"")
        return self._translate(page, requested_ms)

    def _translate(self, page: ParsedPage, requested_ms: int) -> PageRecords:
        return [self._translator.translate_record(record, requested_ms) for record in page.records]

    def _request(self, url: str, conditional_request: ConditionalRequest | None = None) -> BackOfficeResponse:
        """Fetch ``url``. The request is conditional only if ``conditional_request`` was made for the same URL."""
        probe, self._probe = self._probe, False
        condition = conditional_request if conditional_request and conditional_request.url == url else None
        return self._fetch(
            url,
            etag=condition.etag if condition else None,
            last_modified=condition.last_modified if condition else None,
            probe=probe,
            deadline=time.monotonic() + self._seconds_left(),
        )
