"""The base of all paging styles: a position in the list, a checked page, and the methods that a style overrides."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from ...errors import BackOfficeError
from ...source.settings import Source
from ...source.translate import PageRecord, ParsedPage
from ..response import BackOfficeResponse

MAX_LINK = 8_192
"""The longest link or token, in characters. No server accepts longer URLs, and the checkpoint stores the link."""

PageRecords = list[PageRecord]


@dataclass(frozen=True)
class Continuation:
    """The position of a pass's next page, and the fingerprints that this page is checked against.

    url: the next page's URL (styles ``link`` and ``token``).
    number: the next page's number (style ``page``), or how many records have been read (style ``offset``).
    overlap: the fingerprint of the records that are read a second time, to detect a list that moves: the last record
        (style ``offset``) or all records of the previous page (style ``page``).
    body: the fingerprint of the previous page's body. The next page must have another body.
    anchor: the fingerprint of an earlier URL of this pass. If the links form a loop, one of them leads to this URL.
    steps: how many pages have been read since the anchor was set.
    limit: after how many pages the anchor is replaced by a newer URL: 1, 2, 4, 8, … (Brent's cycle detection).
    """

    url: str | None = None
    number: int = 0
    overlap: str | None = None
    body: str | None = None
    anchor: str | None = None
    steps: int = 0
    limit: int = 1

    def text(self) -> str:
        """Return the continuation as the JSON text that a checkpoint stores."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> "Continuation":
        """Parse the result of :meth:`text`, and ignore fields that another version of this code has written."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in names})


class ReceivedPage(NamedTuple):
    """A checked page, from which a paging style derives the next position.

    url: the URL that the request named.
    body: the response's body.
    records: the translated records, without those that overlap with the page before.
    next_url: the next page's URL; ``None`` if the response names none.
    """

    url: str
    body: bytes
    records: PageRecords
    next_url: str | None


class Paginator:
    """The base class of the paging styles. It reads a single page, and each style overrides what differs.

    To add a style, write a subclass in a file beside this one. Then add it to
    :data:`readplane.poll.upstream.paging.reader.PAGINATORS`, and add the style's name to
    :data:`readplane.poll.source.settings.PagingStyle` and to Terraform's validation of ``sources``.

    :param first_url: the URL of the list's first page.
    :param read_records: fetches the page at a URL and returns its records.
    """

    may_repeat_page = False
    """Whether a page may have the same body as the previous page. True if the style compares records instead."""

    def __init__(self, source: Source, first_url: str, read_records: Callable[[str], PageRecords]) -> None:
        self._source = source
        self._first_url = first_url
        self._read_records = read_records

    @property
    def follows_header(self) -> bool:
        """Whether the link to the next page is in a response's headers instead of its body."""
        return False

    def start(self) -> Continuation:
        """Return the position of the first page."""
        return Continuation()

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL of the page at a position."""
        return continuation.url or self._first_url

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:
        """Return the next page's URL, or ``None`` if the response names none or the style uses no links or tokens.

        :raises BackOfficeError: if the link or token can't be used.
        """

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that the list hasn't moved since the previous page, and return the records that are new to the pass.

        The reader calls this method only if the continuation has an ``overlap``.

        :raises ListMovedError: if the list has moved.
        """
        raise NotImplementedError

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position of the next page, or ``None`` if this page is the last."""


def check_link(link: str) -> None:
    """Check that a request can send a link or token.

    :raises BackOfficeError: if it is too long, or contains half of a surrogate pair, which is valid in JSON but not in
        UTF-8.
    """
    try:
        link.encode()
    except UnicodeEncodeError:
        encodable = False
    else:
        encodable = True
    if len(link) > MAX_LINK or not encodable:
        raise BackOfficeError("not_data", "the link or token of its next page is too long or isn't text")
