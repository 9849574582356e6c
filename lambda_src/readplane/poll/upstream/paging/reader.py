"""Reads the pages of a list one by one, in any paging style."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from ...checkpoint import ConditionalRequest
from ...continuation import Continuation
from ...errors import BackOfficeError, ListMovedError
from ...runtime import REAL, Runtime
from ...source.settings import ListRequest, Source
from ...source.translate import ParsedPage, Translator
from ..request import BackOfficeRequest
from ..response import BackOfficeResponse, Fetch, conditional_request_of, usable_condition
from .base import Paginator, ReadRecords, ReceivedPage
from .ending import ListEnd
from .link import LinkPaginator
from .moved import PageRecords
from .next_token import TokenPaginator
from .none import NonePaginator
from .offset import OffsetPaginator
from .page import PageNumberPaginator
from .scanned_offset import ScannedOffsetPaginator

_NOTHING = ParsedPage([], None)
"""The parsed page of a response without a body, whose status is 204."""


class FetchedPage(NamedTuple):
    """A page of a pass, with its translated records.

    requested_ms: the time just before the page was requested, in Unix milliseconds.
    records: the translated records; ``None`` if the back office responded 304, because nothing has changed.
    continuation: the position of the next page; ``None`` if this page is the last one.
    conditional_request: the ``ETag`` and ``Last-Modified`` that a later pass can send, to get a 304 if the list hasn't
        changed; ``None`` if neither of them is safe to send.
    end: how the pass found the end of the list; ``None`` while it goes on, and after a 304.
    delta: the link with which the next pass begins, without a secret; ``None`` if the last page names none.
    """

    requested_ms: int
    records: PageRecords | None
    continuation: Continuation | None
    conditional_request: ConditionalRequest | None
    end: ListEnd | None = None
    delta: str | None = None


class PageReader:
    """Reads the pages of one source's lists, one by one.

    :param fetch: a function that fetches a page from the back office.
    :param translator: translates the records of the lists that this reader reads.
    :param seconds_left: a function that returns how many seconds the poll has left for its requests.
    :param probe: whether the source's circuit breaker is half open. A half-open breaker allows a single request. So
        the reader's first request isn't retried if it fails.
    :param runtime: the clocks of the invocation.
    """

    def __init__(
        self,
        source: Source,
        fetch: Fetch,
        translator: Translator,
        seconds_left: Callable[[], float],
        *,
        probe: bool,
        runtime: Runtime = REAL,
    ) -> None:
        self._source = source
        self._fetch = fetch
        self._translator = translator
        self._seconds_left = seconds_left
        self._probe = probe
        self._runtime = runtime

    def read_page(
        self,
        list_request: ListRequest,
        continuation: Continuation | None,
        conditional_request: ConditionalRequest | None = None,
    ) -> FetchedPage:
        """Fetch one page, check it, and translate its records.

        :param list_request: the list to read.
        :param continuation: the ``continuation`` of the previous page; ``None`` for the first page.
        :param conditional_request: the ``ETag`` and ``Last-Modified`` of an earlier response. They are sent only if
            this page has the URL of that response.
        :raises BackOfficeError: if the request fails, or if the response contradicts itself or contains an invalid link
            or token.
        :raises PageError: if the response doesn't have the form that the source's settings describe.
        :raises ListMovedError: if records may have moved between pages since the previous page was read.
        """
        requested_ms = self._runtime.now_ms()
        paginator = paginator_of(self._source, list_request, lambda request: self._read_records(request, requested_ms))
        position = continuation or Continuation()
        request = paginator.request(position)
        try:
            page = self._receive_page(paginator, position, request, requested_ms, conditional_request)
        except BackOfficeError as error:
            if _may_move_on(position) and _may_have_moved_on(error):
                raise ListMovedError("if this repeats, use another style of paging than a scroll") from error
            end = paginator.end_by_status(position, error.status)
            if end is None:
                raise
            # The page before is read again, as it would be after an empty page.
            paginator.new_records(position, [])
            return FetchedPage(requested_ms, [], None, None, end)
        if page is None:
            return FetchedPage(requested_ms, None, None, conditional_request)
        records = paginator.new_records(position, page.records)
        if len(records) != len(page.records):
            page = replace(page, records=records)
        end = paginator.end(position, page)
        # The pass has already got the records of a page that repeats the page before.
        repeats = position.identities is not None and page.identities == position.identities
        records = [] if repeats else page.records
        if end is None:
            return FetchedPage(requested_ms, records, paginator.following(position, page), None)
        # A later pass may send a conditional request only if this page is the whole list. Otherwise, a 304 for the
        # first page would hide changes on the other pages. The request must not be conditional either if the link to
        # the next page is in a header, because an ETag covers only the body. When a full page gains a `Link: rel=next`,
        # its ETag stays the same, so a 304 would hide the new page.
        is_whole_list = continuation is None and not paginator.reads_headers
        condition = conditional_request_of(request, page.response) if is_whole_list else None
        return FetchedPage(requested_ms, records, None, condition, end, paginator.delta(page))

    def _receive_page(
        self,
        paginator: Paginator,
        position: Continuation,
        request: BackOfficeRequest,
        requested_ms: int,
        conditional_request: ConditionalRequest | None,
    ) -> ReceivedPage | None:
        """Fetch and translate a page, and ask for it once more if the first response is doubtful.

        :returns: the page; ``None`` if the back office responds 304.
        """
        # If the back office moves on with each request, a retry after a lost response would skip a page.
        once = _may_move_on(position)
        page = self._receive(paginator, request, requested_ms, conditional_request, once=once)
        if page and paginator.is_doubtful(position, page):
            again = self._receive(paginator, request, requested_ms, once=once)
            page = again and replace(again, asked_again=True, after_records=bool(page.records))
        is_later_204 = page is not None and page.response.status == 204 and position.pages > 0
        if is_later_204 and (not paginator.counts or paginator.end_by_status(position, 204)):
            raise BackOfficeError(
                "not_data",
                "it answers 204, without a body, to the request for its next page",
                advice="if the back office sends this status past the last page, add 204 to paging.end_status",
                status=204,
            )
        return page

    def _receive(
        self,
        paginator: Paginator,
        request: BackOfficeRequest,
        requested_ms: int,
        conditional_request: ConditionalRequest | None = None,
        *,
        once: bool,
    ) -> ReceivedPage | None:
        """Fetch and translate a page; return ``None`` if the back office responds 304.

        :param once: whether a failed request must not be retried.
        """
        response = self._request(request, conditional_request, once=once)
        if response.body is None:
            return None
        parsed = self._parse(response)
        records = self._translate(parsed, requested_ms)
        # A counted page may return with other view counters. A page that a link or token names doesn't return by
        # itself, so other content means another event.
        return ReceivedPage(request, response, parsed, records, not paginator.counts)

    def _read_records(self, request: BackOfficeRequest, requested_ms: int) -> PageRecords:
        return self._translate(self._parse(self._request(request)), requested_ms)

    def _parse(self, response: BackOfficeResponse) -> ParsedPage:
        if response.status == 204:
            return _NOTHING
        return self._translator.parse_page(response.body or b"", response.headers.get("Content-Type"))

    def _translate(self, page: ParsedPage, requested_ms: int) -> PageRecords:
        return [self._translator.translate_record(record, requested_ms) for record in page.records]

    def _request(
        self, request: BackOfficeRequest, conditional_request: ConditionalRequest | None = None, *, once: bool = False
    ) -> BackOfficeResponse:
        """Send ``request``. It is conditional only if ``conditional_request`` was made for the same URL.

        :param once: whether the request must not be retried if it fails, as a probe isn't either.
        """
        probe, self._probe = self._probe, False
        condition = usable_condition(request, conditional_request)
        return self._fetch(
            request,
            etag=condition.etag if condition else None,
            last_modified=condition.last_modified if condition else None,
            probe=probe or once,
            deadline=self._runtime.monotonic() + self._seconds_left(),
        )


def paginator_of(source: Source, list_request: ListRequest, read_records: ReadRecords) -> Paginator:
    """Return the paginator of a list's paging style.

    :param read_records: a function that reads a page a second time.
    """
    match list_request.paging.style:
        case "none":
            return NonePaginator(list_request, read_records)
        case "link":
            secret = source.secret
            return LinkPaginator(list_request, read_records, secret.query if secret else None)
        case "token":
            return TokenPaginator(list_request, read_records)
        case "page":
            return PageNumberPaginator(list_request, read_records)
        case "offset":
            is_scanned = list_request.paging.size is not None
            return (ScannedOffsetPaginator if is_scanned else OffsetPaginator)(list_request, read_records)


def _may_move_on(position: Continuation) -> bool:
    """Return whether the back office may move on with the request for this page, so that it must be sent only once.

    Whether it does so is unknown until the first token has been sent.
    """
    return position.moves_on or (position.token is not None and position.pages == 1)


def _may_have_moved_on(error: BackOfficeError) -> bool:
    """Return whether the back office may have handled the request that failed, so that its response is lost."""
    if error.status is not None:
        return error.status >= 500 and error.status != 503
    return error.kind in ("timeout", "deadline", "broken", "not_data", "too_large")
