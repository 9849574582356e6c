"""What notices that a list moved, that a walk goes in circles, or that a response is an old one.

Other programs change a list while a walk reads its pages. A record that moves from an unread page to one that the walk
has read would be skipped. So the walk never trusts a page:

- Offset pages overlap by one record (:func:`drop_overlap`).
- A numbered page is read once more after the next one (:func:`check_same_records`).
- A page is requested once more if the response repeats the last page or leads back (:func:`is_stale`).

If a page still doesn't fit, the walk ends with an error.
"""

import hashlib

from ...errors import ListMovedError
from ...source.translate import PageRecord
from .base import Continuation, PageRecords, ReceivedPage


def is_stale(continuation: Continuation, page_url: str, body: bytes, next_url: str | None) -> bool:
    """Return whether a response repeats the last page, or leads to a URL that the walk has asked for.

    :param continuation: the position at which the page was requested.
    :param page_url: the URL that the request named.
    :param next_url: the URL that the response leads to.
    """
    return _fingerprint(body) == continuation.body or (
        next_url is not None and _goes_back(continuation, page_url, next_url)
    )


def follow(continuation: Continuation, page: ReceivedPage) -> Continuation | None:
    """Return the position after a page in a walk along links, or ``None`` if the walk ends.

    An empty page may lead on, because a back office may filter its records after it has split them into pages. But an
    empty page that leads back ends the walk.
    """
    if page.next_url is None or _goes_back(continuation, page.url, page.next_url):
        return None
    body = _fingerprint(page.body)
    steps = continuation.steps + 1
    if steps < continuation.limit:
        return Continuation(
            url=page.next_url, body=body, anchor=continuation.anchor, steps=steps, limit=continuation.limit
        )
    return Continuation(url=page.next_url, body=body, anchor=_fingerprint(page.url), limit=2 * continuation.limit)


def drop_overlap(records: PageRecords, overlap: str | None) -> PageRecords:
    """Return an offset page's records without the first, which the walk has read already.

    :param overlap: the fingerprint of the last record read.
    :raises ListMovedError: if the page doesn't begin with that record.
    """
    if not records or record_fingerprint(records[0]) != overlap:
        raise ListMovedError
    return records[1:]


def check_same_records(records: PageRecords, overlap: str | None) -> None:
    """Check that a page still holds the records that it held when the walk read it.

    Compare all records and not the last one alone. If one record goes and the last one moves to the next page, a page
    can still end with the same record as before.

    :param overlap: the fingerprint that the page had.
    :raises ListMovedError: if it holds others.
    """
    if page_fingerprint(records) != overlap:
        raise ListMovedError


def body_fingerprint(body: bytes) -> str:
    """Return the fingerprint of a response's body."""
    return _fingerprint(body)


def record_fingerprint(record: PageRecord) -> str:
    """Return the fingerprint of a record's id, or of its whole text if its id can't be read.

    A record that changes its content keeps its fingerprint, because it hasn't moved.
    """
    return _fingerprint(record.item_id or record.raw_text)


def page_fingerprint(records: PageRecords) -> str:
    """Return the fingerprint of which records a page holds, in their order."""
    return _fingerprint(" ".join(map(record_fingerprint, records)))


def _goes_back(continuation: Continuation, page_url: str, next_url: str) -> bool:
    """Return whether a link leads to its own page or to the anchor of Brent's cycle detection.

    The anchor is one earlier URL of the walk. It moves on after 1, 2, 4, 8, … pages, so a walk in a circle of any
    length meets its anchor within a few rounds, and the checkpoint stores one fingerprint only.
    """
    return _fingerprint(next_url) in (_fingerprint(page_url), continuation.anchor)


def _fingerprint(content: str | bytes) -> str:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12).hexdigest()
