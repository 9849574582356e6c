"""Detects a list that moves, links that form a loop, and stale responses.

Other programs change a list while a pass reads its pages. If a record moves from an unread page to a page that has
already been read, the pass would miss it. So every page is checked:

- Two offset pages in a row overlap by one record (:func:`drop_overlap`).
- A numbered page is read a second time, after the next page (:func:`check_same_records`).
- A page is requested once more if it repeats the previous page or links to an earlier URL (:func:`is_stale`).

If a page still fails its check, an error is raised.
"""

import hashlib

from ...errors import ListMovedError
from ...source.translate import PageRecord
from .base import Continuation, PageRecords, ReceivedPage


def is_stale(continuation: Continuation, page_url: str, body: bytes, next_url: str | None) -> bool:
    """Return whether a response repeats the previous page, or links to a URL that the pass has already requested.

    :param continuation: the position at which the page was requested.
    :param page_url: the URL that the request named.
    :param next_url: the next page's URL; ``None`` if the response names none.
    """
    return _fingerprint(body) == continuation.body or (
        next_url is not None and _repeats_url(continuation, page_url, next_url)
    )


def follow(continuation: Continuation, page: ReceivedPage) -> Continuation | None:
    """Return the position of the next page, for styles that use links or tokens, or ``None`` if there is none.

    An empty page can still have a next page, because a back office may filter its records after it has split them into
    pages. But if an empty page links to an earlier URL, it is the last page.
    """
    if page.next_url is None or _repeats_url(continuation, page.url, page.next_url):
        return None
    body = _fingerprint(page.body)
    steps = continuation.steps + 1
    if steps < continuation.limit:
        return Continuation(
            url=page.next_url, body=body, anchor=continuation.anchor, steps=steps, limit=continuation.limit
        )
    return Continuation(url=page.next_url, body=body, anchor=_fingerprint(page.url), limit=2 * continuation.limit)


def drop_overlap(records: PageRecords, overlap: str | None) -> PageRecords:
    """Return an offset page's records without the first one, which the previous page already had.

    :param overlap: the fingerprint of the last record of the previous page.
    :raises ListMovedError: if the page doesn't begin with that record.
    """
    if not records or record_fingerprint(records[0]) != overlap:
        raise ListMovedError
    return records[1:]


def check_same_records(records: PageRecords, overlap: str | None) -> None:
    """Check that a page still has the records that it had when it was first read.

    Compare all records, and not only the last one. Suppose that a record of this page is deleted, then the next page is
    read, and then a new record is inserted into this page. This page ends with the same record as before, although the
    first record of the next page was never read.

    :param records: the page's records, read a second time.
    :param overlap: the page's fingerprint when it was first read.
    :raises ListMovedError: if the page has other records or another order.
    """
    if page_fingerprint(records) != overlap:
        raise ListMovedError


def body_fingerprint(body: bytes) -> str:
    """Return the fingerprint of a response's body."""
    return _fingerprint(body)


def record_fingerprint(record: PageRecord) -> str:
    """Return the fingerprint of a record's id, or of its whole text if its id can't be read.

    The rest of the content doesn't count: a record with new content in its old position hasn't moved.
    """
    return _fingerprint(record.item_id or record.raw_text)


def page_fingerprint(records: PageRecords) -> str:
    """Return one fingerprint of all records of a page, in their order."""
    return _fingerprint(" ".join(map(record_fingerprint, records)))


def _repeats_url(continuation: Continuation, page_url: str, next_url: str) -> bool:
    """Return whether a link leads to its own page or to the anchor of Brent's cycle detection.

    The anchor is one earlier URL of the pass. A newer URL replaces it after 1, 2, 4, 8, … pages. So a pass in a loop of
    any length reaches its anchor within a few rounds, and the checkpoint needs to store only one fingerprint.
    """
    return _fingerprint(next_url) in (_fingerprint(page_url), continuation.anchor)


def _fingerprint(content: str | bytes) -> str:
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12).hexdigest()
