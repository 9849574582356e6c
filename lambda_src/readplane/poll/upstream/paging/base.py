"""What the paging styles share: a position in the list, a page that has been checked, and the methods of a style."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from ...errors import BackOfficeError
from ...source.settings import Source
from ...source.translate import PageRecord, ParsedPage
from ..response import BackOfficeResponse

MAX_LINK = 8_192
"""Longest link or token to a next page, in characters. No server takes longer URLs, and the checkpoint stores it."""

PageRecords = list[PageRecord]


@dataclass(frozen=True)
class Continuation:
    """A position in a walk through the pages, and what the next page is checked against.

    url: the next page's URL (styles ``link`` and ``token``).
    number: the next page's number (style ``page``), or how many records have been read (style ``offset``).
    overlap: the fingerprint of what the walk reads twice: the last record (``offset``) or all records of the last page
        (``page``).
    body: the fingerprint of the last page's body, which a next page must not repeat.
    anchor: the fingerprint of the URL that the walk asked for ``steps`` pages ago. A walk in circles meets it again.
    steps: how many pages have been read since the anchor was set.
    limit: after how many pages the anchor moves on: 1, 2, 4, 8, … (Brent's cycle detection).
    """

    url: str | None = None
    number: int = 0
    overlap: str | None = None
    body: str | None = None
    anchor: str | None = None
    steps: int = 0
    limit: int = 1

    def text(self) -> str:
        """Return the text that a checkpoint stores."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Continuation":
        """Read what :meth:`text` wrote, and ignore fields that another version of this code wrote."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in names})


class ReceivedPage(NamedTuple):
    """A checked page, from which a paging style derives the next position.

    url: the URL that the request named.
    body: the response's body.
    records: the translated records, without those that overlap with the page before.
    next_url: the next page's URL, if the response leads to one.
    """

    url: str
    body: bytes
    records: PageRecords
    next_url: str | None


class Paginator:
    """One paging style. This class reads one page and ends; each style overrides what differs.

    To add a style, write a subclass in a file beside this one. Then add it to
    :data:`readplane.poll.upstream.paging.reader.PAGINATORS`, and add the style's name to
    :data:`readplane.poll.source.settings.PagingStyle` and to Terraform's validation of ``sources``.

    :param first_url: the URL of the list's first page.
    :param read_records: reads the records of any page, by its URL.
    """

    may_repeat_page = False
    """Whether a response may equal the last page's. It may if the style compares records instead."""

    def __init__(self, source: Source, first_url: str, read_records: Callable[[str], PageRecords]) -> None:
        self._source = source
        self._first_url = first_url
        self._read_records = read_records

    @property
    def follows_header(self) -> bool:
        """Whether a response's headers, and not its body, lead to the next page."""
        return False

    def start(self) -> Continuation:
        """Return the position of the first page."""
        return Continuation()

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL of the page at a position."""
        return continuation.url or self._first_url

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:
        """Return the URL that a response leads to, or ``None`` if it leads nowhere or the style doesn't use links.

        :raises BackOfficeError: if the link or token can't be used.
        """

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that a page fits the one before it, and return the records that the walk hasn't read yet.

        The reader calls this method only if the continuation has an ``overlap``.

        :raises ListMovedError: if the list has moved between the two pages.
        """
        raise NotImplementedError

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position after a page, or ``None`` if the walk ends."""


def check_link(link: str) -> None:
    """Check that a request can send a link or token.

    :raises BackOfficeError: if it is too long, or holds half of a surrogate pair, which JSON can write and UTF-8 can't.
    """
    try:
        link.encode()
    except UnicodeEncodeError:
        encodable = False
    else:
        encodable = True
    if len(link) > MAX_LINK or not encodable:
        raise BackOfficeError("not_data", "the link or token of its next page is too long or isn't text")
