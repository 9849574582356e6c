"""The base class of all paging styles, the class of a position in a list, and the class of a page that was read."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

from ...errors import BackOfficeError
from ...source.settings import Source
from ...source.translate import PageRecord, ParsedPage
from ..response import BackOfficeResponse

MAX_LINK = 8_192
"""The longest link or token that is accepted, in characters.

Links and tokens need a limit, because the checkpoint stores them. The limit is high enough, because no server accepts
longer URLs.
"""

PageRecords = list[PageRecord]


@dataclass(frozen=True)
class Continuation:
    """The position of a pass's next page, and fingerprints for checking that page.

    url: the next page's URL (styles ``link`` and ``token``).
    number: the next page's number (style ``page``), or how many records have been read (style ``offset``).
    overlap: the fingerprint of the previous page's last record (style ``offset``) or of all its records (style
        ``page``). These records are read again. If their fingerprint has changed, records have moved between pages.
    body: the fingerprint of the previous page's body. The next page must have a different body.
    anchor: the fingerprint of an earlier URL of this pass. If the links form a loop, a later link has this URL again.
    steps: how many pages have been read since the anchor was set.
    limit: after how many pages a newer URL replaces the anchor: 1, 2, 4, 8, … (Brent's cycle detection).
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
        """Return the continuation from ``text``, the JSON text that :meth:`text` returned.

        Unknown fields are ignored, because another version of this code may have written them.
        """
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in json.loads(text).items() if name in names})


class ReceivedPage(NamedTuple):
    """A page that has passed all checks. A paging style computes the position of the next page from it.

    url: the URL that was requested, before any redirect.
    body: the response's body.
    records: the translated records, without those that the previous page already had.
    next_url: the next page's URL; ``None`` if the response names none.
    """

    url: str
    body: bytes
    records: PageRecords
    next_url: str | None


class Paginator:
    """The base class of the paging styles. By itself, it reads a list that has a single page.

    Each style overrides the methods in which it differs.

    To add a style, write a subclass in a file beside this one. Then add it to
    :data:`readplane.poll.upstream.paging.reader.PAGINATORS`, and add the style's name to
    :data:`readplane.poll.source.settings.PagingStyle` and to Terraform's validation of ``sources``.

    :param first_url: the URL of the first page of the back office's list.
    :param read_records: a function that fetches the page at a URL and returns the page's records.
    """

    may_repeat_page = False
    """Whether a page may have the same body as the previous page.

    Usually a repeated body means that the response is stale. But some styles compare the records of the two pages
    instead of their bodies, and set this to true.
    """

    def __init__(self, source: Source, first_url: str, read_records: Callable[[str], PageRecords]) -> None:
        self._source = source
        self._first_url = first_url
        self._read_records = read_records

    @property
    def follows_header(self) -> bool:
        """Whether the link to the next page is in the response's headers instead of the response's body."""
        return False

    def start(self) -> Continuation:
        """Return the position of the first page."""
        return Continuation()

    def page_url(self, continuation: Continuation) -> str:
        """Return the URL of the page at the position ``continuation``."""
        return continuation.url or self._first_url

    def next_url(self, response: BackOfficeResponse, page: ParsedPage) -> str | None:
        """Return the next page's URL according to the response's link or token.

        :returns: the URL; ``None`` if the response contains no link or token, or if the paging style uses neither.
        :raises BackOfficeError: if the link or token is invalid.
        """

    def check_overlap(self, continuation: Continuation, records: PageRecords) -> PageRecords:
        """Check that no record has moved between pages since the previous page was read, and return the new records.

        ``PageReader`` calls this method only if ``continuation`` has an ``overlap``.

        :param records: all records of the page at the position ``continuation``.
        :returns: the records that the previous page didn't have.
        :raises ListMovedError: if a record may have moved between pages.
        """
        raise NotImplementedError

    def following(self, continuation: Continuation, page: ReceivedPage) -> Continuation | None:
        """Return the position of the page after ``page``, or ``None`` if ``page`` is the last one."""


def check_link(link: str) -> None:
    """Check that the next request can contain a response's link or token.

    :raises BackOfficeError: if the link or token is longer than :data:`MAX_LINK`, or contains half of a surrogate pair.
        Half of a surrogate pair is valid in JSON but not in UTF-8.
    """
    try:
        link.encode()
    except UnicodeEncodeError:
        encodable = False
    else:
        encodable = True
    if len(link) > MAX_LINK or not encodable:
        raise BackOfficeError("not_data", "the link or token of its next page is too long or isn't text")
