"""Detects records that move between pages.

A back office's list may change while a pass reads the list page by page. If a record moves from an unread page to a
page that has already been read, the pass would miss the record. So the styles that count check every page:

- Style ``offset``: each page must begin with the last record of the previous page (:func:`drop_overlap`).
- Style ``page``, and style ``offset`` with ``paging.size``: each page is read a second time, after the next page, and
  must still have the same records (:func:`check_same_records`).

If a page fails its check, the pass starts again.
"""

from collections.abc import Sequence

from ...errors import ListMovedError
from ...source.translate import PageRecord, TranslatedRecord
from ..fingerprint import fingerprint

PageRecords = list[PageRecord]


def drop_overlap(records: PageRecords, overlap: str | None) -> PageRecords:
    """Return a page's records without the first record, which the previous page already had (style ``offset``).

    :param records: all records of the page.
    :param overlap: the fingerprint of the last record of the previous page.
    :raises ListMovedError: if the first record of ``records`` has another fingerprint, or if ``records`` is empty.
    """
    if not records or record_fingerprint(records[0]) != overlap:
        raise ListMovedError(
            "if this repeats, sort the list by a field that never changes, such as the id, or set paging.size, if the "
            "back office filters rows after it has cut the pages"
        )
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


def page_fingerprint(records: Sequence[PageRecord]) -> str:
    """Return one fingerprint of all records of a page. It changes if the records' order changes."""
    return fingerprint(" ".join(record.item_id or fingerprint(record.raw_text) for record in records))


def identities_fingerprint(records: Sequence[PageRecord], *, with_content: bool) -> str:
    """Return one fingerprint of what the records of a page are.

    Two pages of an event log may hold two versions of one record. Only pages with the same versions repeat each other.

    :param with_content: whether the translated data counts even if the records have versions. Two events of one record
        may have the same time.
    """
    return fingerprint("\n".join(_identity(record, with_content) for record in records))


def _identity(record: PageRecord, with_content: bool) -> str:
    if not isinstance(record, TranslatedRecord):
        return record.raw_text
    content = record.data_text if with_content or record.version_ms is None else ""
    return f"{record.item_id} {record.version_ms} {content}"
