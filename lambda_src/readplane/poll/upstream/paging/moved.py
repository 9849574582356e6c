"""Detects records that move between pages, links that form a loop, and stale responses.

A back office's list may change while a pass reads the list page by page. If a record moves from an unread page to a
page that has already been read, the pass would miss the record. So every page is checked:

- Style ``offset``: each page must begin with the last record of the previous page (:func:`drop_overlap`).
- Style ``page``: each page is read a second time, after the next page, and must still have the same records
  (:func:`check_same_records`).
- Styles ``link``, ``token`` and ``page``: a page is requested once more if it repeats the previous page or links to an
  earlier URL (:func:`is_stale`).

If a page fails its check, the poll fails with an error.
"""

import hashlib

from ...errors import ListMovedError
from ...source.translate import PageRecord
from .base import Continuation, PageRecords, ReceivedPage


def is_stale(continuation: Continuation, page_url: str, body: bytes, next_url: str | None) -> bool:
    """Return whether a response repeats the previous page, or links to a URL that the pass has already requested.

    :param continuation: the position of the requested page.
    :param page_url: the URL of the requested page.
    :param body: the response's body.
    :param next_url: the next page's URL according to the response; ``None`` if the response names no next page.
    """
    return fingerprint(body) == continuation.body or (
        next_url is not None and _repeats_url(continuation, page_url, next_url)
    )


def follow(continuation: Continuation, page: ReceivedPage) -> Continuation | None:
    """Return the position of the next page for the styles ``link`` and ``token``, or ``None`` if ``page`` is the last.

    A page without records may still have a next page, because a back office may filter its records after it has split
    them into pages. But a page without records is the last page if it links to an earlier URL.
    """
    if page.next_url is None or _repeats_url(continuation, page.url, page.next_url):
        return None
    body = fingerprint(page.body)
    steps = continuation.steps + 1
    if steps < continuation.limit:
        return Continuation(
            url=page.next_url, body=body, anchor=continuation.anchor, steps=steps, limit=continuation.limit
        )
    return Continuation(url=page.next_url, body=body, anchor=fingerprint(page.url), limit=2 * continuation.limit)


def drop_overlap(records: PageRecords, overlap: str | None) -> PageRecords:
    """Return a page's records without the first record, which the previous page already had (style ``offset``).

    :param records: all records of the page.
    :param overlap: the fingerprint of the last record of the previous page.
    :raises ListMovedError: if the first record of ``records`` has another fingerprint, or if ``records`` is empty.
    """
    if not records or record_fingerprint(records[0]) != overlap:
        raise ListMovedError
    return records[1:]


def check_same_records(records: PageRecords, overlap: str | None) -> None:
    """Check that a page still has the records that it had when it was first read (style ``page``).

    It isn't enough to compare the last record of the page. Suppose that a record of page 1 is deleted, so the first
    record of page 2 moves to page 1. Then page 2 is read, without this record. Then a new record is inserted into
    page 1, and the moved record returns to page 2. Page 1 now ends with the same record as at first, although the pass
    has missed the moved record.

    :param records: the page's records, read a second time.
    :param overlap: the :func:`page_fingerprint` of the page's records when they were first read.
    :raises ListMovedError: if the page now has other records or another order.
    """
    if page_fingerprint(records) != overlap:
        raise ListMovedError


def record_fingerprint(record: PageRecord) -> str:
    """Return the fingerprint of a record's id, or of the record's whole text if the record has no valid id.

    The fingerprint ignores a record's other content, because a record whose content changes hasn't moved in the list.
    """
    return fingerprint(record.item_id or record.raw_text)


def page_fingerprint(records: PageRecords) -> str:
    """Return one fingerprint of all records of a page. It changes if the records' order changes."""
    return fingerprint(" ".join(map(record_fingerprint, records)))


def _repeats_url(continuation: Continuation, page_url: str, next_url: str) -> bool:
    """Return whether a page's link to the next page leads back to the page itself or to the anchor.

    The anchor is one earlier URL of the pass (Brent's cycle detection). A newer URL replaces the anchor after 1, 2, 4,
    8, … pages. So if the links form a loop of any length, the pass reaches the anchor again within a few rounds. The
    checkpoint needs to store only the fingerprint of the anchor.
    """
    return fingerprint(next_url) in (fingerprint(page_url), continuation.anchor)


def fingerprint(content: str | bytes) -> str:
    """Return a short hash of a text or of a response's body, as 24 hexadecimal digits."""
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=12).hexdigest()
