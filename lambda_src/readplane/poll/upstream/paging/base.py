"""The base class of all paging styles, and the class of a page that was read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ...continuation import Continuation
from ...errors import BackOfficeError
from ...source.settings import ListRequest
from ...source.translate import ParsedPage
from ...source.urls import is_encodable
from ..fingerprint import fingerprint
from ..request import BackOfficeRequest
from ..response import BackOfficeResponse
from .ending import ListEnd
from .moved import PageRecords, identities_fingerprint, page_fingerprint

MAX_LINK = 8_192
"""The longest link or token that is accepted, in characters.

Links and tokens need a limit, because the checkpoint stores them. The limit is high enough, because no server accepts
longer URLs.
"""

STATUSES_PAST_END = frozenset({400, 404, 410, 416, 422})
"""The HTTP statuses with which back offices refuse a request for a page past the last one."""

ReadRecords = Callable[[BackOfficeRequest], PageRecords]
"""A function that reads a page a second time, and returns the page's records."""


@dataclass(frozen=True)
class ReceivedPage:
    """A page of a list, as a paging style judges it.

    request: the request whose response the page is.
    response: the response.
    parsed: the parsed response.
    records: the translated records. :meth:`Paginator.new_records` may leave out the first one.
    compares_content: whether pages with other data of the same records are different pages.
    asked_again: whether this is the second answer, because the first one was doubtful.
    after_records: whether the first answer had records.
    """

    request: BackOfficeRequest
    response: BackOfficeResponse
    parsed: ParsedPage
    records: PageRecords
    compares_content: bool
    asked_again: bool = False
    after_records: bool = False

    @cached_property
    def body_fingerprint(self) -> str:
        """The fingerprint of the response's body."""
        return fingerprint(self.response.body or b"")

    @cached_property
    def ids(self) -> str | None:
        """The fingerprint of the ids of the page's records, in their order; ``None`` without records."""
        return page_fingerprint(self.records) if self.records else None

    @cached_property
    def identities(self) -> str:
        """The fingerprint of what the page's records are, in their order."""
        return identities_fingerprint(self.records, with_content=self.compares_content)


class Paginator:
    """The base class of the paging styles.

    To add a style, write a subclass in a file beside this one. Then add it to
    :func:`readplane.poll.upstream.paging.reader.paginator_of`, and add the style's name to
    :data:`readplane.poll.source.settings.PagingStyle` and to Terraform's validation of ``sources``.

    :param list_request: the list to read.
    :param read_records: a function that reads a page a second time.
    """

    counts = False
    """Whether the style counts pages or records, instead of following what a page names as the next page."""

    reads_headers = False
    """Whether the next page is named in the response's headers instead of the response's body."""

    def __init__(self, list_request: ListRequest, read_records: ReadRecords) -> None:
        self._list = list_request
        self._paging = list_request.paging
        self._read_records = read_records

    def request(self, continuation: Continuation) -> BackOfficeRequest:
        """Return the request for the page at the position ``continuation``."""
        raise NotImplementedError

    def is_doubtful(self, continuation: Continuation, page: ReceivedPage) -> bool:
        """Return whether to ask for a page once more, because the response may be that to an earlier request."""
        raise NotImplementedError

    def new_records(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that no record has moved between pages since the previous page was read, and return the new records.

        :param records: all records of the page at the position ``continuation``; none if the back office says by an end
            status that there is no such page.
        :returns: the records that the previous page didn't have.
        :raises ListMovedError: if a record may have moved between pages.
        """
        raise NotImplementedError

    def end(self, continuation: Continuation, page: ReceivedPage) -> ListEnd | None:
        """Return how the list ends with ``page``, or ``None`` if it goes on.

        :raises BackOfficeError: if ``page`` can be neither the end nor followed by another page.
        """
        raise NotImplementedError

    def end_by_status(self, continuation: Continuation, status: int | None) -> ListEnd | None:
        """Return how the list ends before a page whose request the back office answers with a status.

        :param continuation: the position of the page.
        :param status: the HTTP status; ``None`` if there was no response.
        :returns: the end; ``None`` if the status isn't the end of the list.
        """
        is_end = continuation.pages > 0 and status in (self._paging.end_status or ())
        return ListEnd("end_status", certain=not continuation.doubtful) if is_end else None

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation:
        """Return the position of the page after ``page``, which isn't the end of the list."""
        raise NotImplementedError

    def delta(self, page: ReceivedPage) -> str | None:  # noqa: ARG002 (an override uses it)
        """Return the link with which the next pass begins; ``None`` if the page names none.

        :raises BackOfficeError: if the link is invalid.
        """
        return None


def check_link(link: str) -> None:
    """Check that the next request can contain a response's link or token.

    :raises BackOfficeError: if the link or token is longer than :data:`MAX_LINK`, or contains half of a surrogate pair.
    """
    if len(link) > MAX_LINK or not is_encodable(link):
        raise BackOfficeError(
            "not_data",
            "the link or token of its next page is too long or isn't text",
            advice=f"check paging.next; poll follows links and tokens of at most {MAX_LINK} characters",
        )
