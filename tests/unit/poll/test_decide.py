"""Tests of what `poll` does with a record.

The docstrings in :mod:`readplane.poll.decide` hold the rules as tables. Each row of these tables has a test case.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.decide import (
    MAX_IN_FLIGHT_MS,
    NEEDS_EVERY_ITEM,
    Decision,
    PassView,
    ReadItem,
    ReadRecord,
    Rule,
    Send,
    Skip,
    StoredVersion,
    decide,
)
from readplane.poll.remembered import RememberedRecord
from readplane.poll.sourced_version import MAX_COUNTER, next_version, sourced_version

NO_ITEM = StoredVersion(None)
READ_MS = 10 * MAX_IN_FLIGHT_MS
MS = READ_MS - 1000
"""The modification time of the record that is read in each case. The hash of its content is 7."""
DATA, DELETE = ReadRecord(MS, 7), ReadRecord(MS, 7, is_delete=True)
ENTRY = RememberedRecord(MS, 7)
VERSION = sourced_version(MS, 0, 7)
EARLIER, LATER = RememberedRecord(MS - 9, 9, 3), RememberedRecord(MS + 9, 9, 3)


def item(ms: int, content: int, counter: int = 0) -> StoredVersion:
    return StoredVersion(sourced_version(ms, counter, content))


def pending(entry: RememberedRecord) -> RememberedRecord:
    return entry._replace(pending=True)


def corrected(ms: int, content: int, counter: int = 0) -> str:
    """Return the version just above the item's, with the record's content."""
    return next_version(sourced_version(ms, counter, content), 7)


def view(rule: Rule, *, settled_ms: int = READ_MS, read_until_ms: int = 0) -> PassView:
    return PassView(rule, READ_MS, settled_ms, read_until_ms)


Case = tuple[RememberedRecord | None, StoredVersion | None, Decision]

INCREMENTAL: dict[str, Case] = {
    "new, but perhaps read before": (None, None, ReadItem()),
    "new, no item": (None, NO_ITEM, Send(VERSION, ENTRY)),
    "new, an item with an earlier time": (None, item(MS - 9, 9, 3), Send(VERSION, ENTRY)),
    "new, an item with the same time and content": (None, item(MS, 7, 3), Skip(ENTRY._replace(counter=3))),
    "new, an item with the same time and other content": (
        None,
        item(MS, 9, 3),
        Send(sourced_version(MS, 4, 7), ENTRY._replace(counter=4)),
    ),
    "new, the item's counter is at the maximum": (None, item(MS, 9, MAX_COUNTER), Skip(ENTRY)),
    "new, an item with a later time": (None, item(MS + 9, 7, 3), Skip(ENTRY)),
    "an earlier time": (EARLIER, None, Send(VERSION, ENTRY)),
    "pending": (
        pending(ENTRY._replace(counter=3)),
        None,
        Send(sourced_version(MS, 3, 7), ENTRY._replace(counter=3)),
    ),
    "sent": (ENTRY._replace(counter=3), None, Skip(ENTRY._replace(counter=3))),
    "other content with the same time": (
        ENTRY._replace(content=9, counter=3),
        None,
        Send(sourced_version(MS, 4, 7), ENTRY._replace(counter=4)),
    ),
    "other content, the counter is at the maximum": (
        ENTRY._replace(content=9, counter=MAX_COUNTER),
        None,
        Send(sourced_version(MS, MAX_COUNTER, 7), ENTRY._replace(counter=MAX_COUNTER)),
    ),
    "a later state, sent": (LATER, None, Skip(LATER)),
    "a later state, pending": (pending(LATER), None, ReadItem()),
    "a later state, pending, no item": (pending(LATER), NO_ITEM, Send(VERSION, pending(LATER))),
    "a later state, pending, a lower item": (pending(LATER), item(MS, 6), Send(VERSION, pending(LATER))),
    "a later state, pending, the item has the record": (pending(LATER), item(MS, 7), Skip(pending(LATER))),
    "a later state, pending, a higher item": (pending(LATER), item(MS, 7, 3), Skip(pending(LATER))),
}


@pytest.mark.parametrize("case", INCREMENTAL)
def test_an_incremental_record(case: str) -> None:
    remembered, stored, expected = INCREMENTAL[case]
    assert decide(DATA, remembered, stored, view("incremental", read_until_ms=MS)) == expected


def test_a_record_that_no_earlier_pass_read_is_sent_at_once() -> None:
    assert decide(DATA, None, None, view("incremental", read_until_ms=MS - 1)) == Send(VERSION, ENTRY)


LISTED: dict[str, tuple[ReadRecord, RememberedRecord | None, StoredVersion | None, int, Decision]] = {
    "not read": (DATA, ENTRY, None, READ_MS, ReadItem()),
    "a new delete without an item": (DELETE, None, NO_ITEM, READ_MS, Skip(None)),
    "a remembered delete without an item": (DELETE, ENTRY, NO_ITEM, READ_MS, Send(VERSION, ENTRY)),
    "a later state is remembered, no item": (DATA, LATER, NO_ITEM, READ_MS, Send(VERSION, LATER)),
    "a later state is remembered, the item has it": (
        DATA,
        pending(LATER),
        item(MS + 9, 9, 3),
        READ_MS,
        Send(corrected(MS + 9, 9, 3), pending(LATER)),
    ),
    "a later state is remembered, the item has the record": (DATA, LATER, item(MS, 7), READ_MS, Skip(LATER)),
    "new, no item": (DATA, None, NO_ITEM, READ_MS, Send(VERSION, ENTRY)),
    "new, a lower item": (DATA, None, item(MS - 9, 9), READ_MS, Send(VERSION, ENTRY)),
    "new, a lower item with the same content": (DATA, None, item(MS - 9, 7), READ_MS, Send(VERSION, ENTRY)),
    "remembered, a higher item with other content": (
        DATA,
        ENTRY,
        item(MS + 9, 9),
        READ_MS,
        Send(corrected(MS + 9, 9), ENTRY),
    ),
    "remembered with an earlier time, a lower item": (DATA, EARLIER, item(MS - 9, 9), READ_MS, Send(VERSION, ENTRY)),
    "remembered with other content, the item has it": (
        DATA,
        ENTRY._replace(content=9),
        item(MS, 9),
        READ_MS,
        Send(sourced_version(MS, 1, 7), ENTRY._replace(counter=1)),
    ),
    "remembered, the item has the record": (DATA, pending(ENTRY), item(MS, 7), READ_MS, Skip(ENTRY)),
    "new, the item has the record": (DATA, None, item(MS, 7), READ_MS, Skip(None)),
    "new, a higher item with the same content": (DATA, None, item(MS + 9, 7), READ_MS, Skip(None)),
    "new, a higher item that isn't too recent": (
        DATA,
        None,
        item(MS + 9, 9),
        MS + 9,
        Send(corrected(MS + 9, 9), ENTRY),
    ),
    "new, a higher item that is too recent": (DATA, None, item(MS + 9, 9), MS + 8, Skip(None)),
}


@pytest.mark.parametrize("case", LISTED)
def test_a_listed_record(case: str) -> None:
    record, remembered, stored, settled_ms, expected = LISTED[case]
    assert decide(record, remembered, stored, view("listed", settled_ms=settled_ms)) == expected


IN_FLIGHT = RememberedRecord(READ_MS - 2000, 7)
LOST = RememberedRecord(READ_MS - MAX_IN_FLIGHT_MS - 1, 7)


def undated(ms: int, counter: int = 0) -> Send:
    """Return the decision to send a record without a modification time with a version of this time and counter."""
    return Send(sourced_version(ms, counter, 7), RememberedRecord(ms, 7, counter))


UNDATED: dict[str, tuple[bool, RememberedRecord | None, StoredVersion | None, Decision]] = {
    "not read": (False, None, None, ReadItem()),
    "in flight, same content, pending": (
        False,
        pending(IN_FLIGHT),
        item(READ_MS - 3000, 9),
        Send(IN_FLIGHT.version, IN_FLIGHT),
    ),
    "in flight, same content, sent": (False, IN_FLIGHT, item(READ_MS - 3000, 9), Skip(IN_FLIGHT)),
    "in flight, other content": (False, IN_FLIGHT._replace(content=9), item(READ_MS - 3000, 9), undated(READ_MS)),
    "in flight, a delete without an item": (True, IN_FLIGHT._replace(content=9), NO_ITEM, undated(READ_MS)),
    "in flight with a later time, other content": (
        False,
        RememberedRecord(READ_MS + 5, 9),
        item(READ_MS - 3000, 9),
        undated(READ_MS + 5, 1),
    ),
    "no item, a delete": (True, None, NO_ITEM, Skip(None)),
    "no item, data": (False, None, NO_ITEM, undated(READ_MS)),
    "item with the same content": (False, None, item(READ_MS - 3000, 7), Skip(None)),
    "later item with the same content": (False, None, item(READ_MS + 3000, 7), Skip(None)),
    "item with other content": (False, None, item(READ_MS - 3000, 9), undated(READ_MS)),
    "later item with other content": (False, None, item(READ_MS + 3000, 9), undated(READ_MS + 3000, 1)),
    "arrived": (False, IN_FLIGHT, StoredVersion(IN_FLIGHT.version), Skip(None)),
    "arrived, and another change of the item as well": (False, IN_FLIGHT, item(READ_MS, 9), undated(READ_MS, 1)),
    "lost": (False, LOST, NO_ITEM, undated(READ_MS)),
}


@pytest.mark.parametrize("case", UNDATED)
def test_a_record_without_a_time(case: str) -> None:
    is_delete, remembered, stored, expected = UNDATED[case]
    record = ReadRecord(READ_MS, 7, is_delete)
    assert decide(record, remembered, stored, view("undated", settled_ms=0)) == expected


OLD = ReadRecord(READ_MS - MAX_IN_FLIGHT_MS - 1, 7, is_delete=True)

DELETED: dict[str, tuple[ReadRecord, RememberedRecord | None, StoredVersion | None, Decision]] = {
    "an earlier time": (DELETE, EARLIER, None, Send(VERSION, ENTRY)),
    "pending": (DELETE, pending(ENTRY), None, Send(VERSION, ENTRY)),
    "sent": (DELETE, ENTRY, None, Skip(ENTRY)),
    "the record was changed at the same time": (
        DELETE,
        pending(ENTRY._replace(content=9)),
        None,
        Skip(pending(ENTRY._replace(content=9)), is_tied=True),
    ),
    "a later time": (DELETE, pending(LATER), None, Skip(pending(LATER))),
    "not remembered": (DELETE, None, None, ReadItem()),
    "no item, recent": (DELETE, None, NO_ITEM, Send(VERSION, ENTRY)),
    "no item, not recent": (OLD, None, NO_ITEM, Skip(None)),
    "an item with an earlier time": (DELETE, None, item(MS - 9, 9, 3), Send(VERSION, ENTRY)),
    "the item has the delete": (DELETE, None, item(MS, 7, 3), Skip(None)),
    "an item with the same time": (DELETE, None, item(MS, 9, 3), Skip(None, is_tied=True)),
    "an item with a later time": (DELETE, None, item(MS + 9, 9), Skip(None)),
}


@pytest.mark.parametrize("case", DELETED)
def test_a_deleted_record(case: str) -> None:
    record, remembered, stored, expected = DELETED[case]
    assert decide(record, remembered, stored, view("deleted")) == expected


_TIMES = st.integers(MS - 2, MS + 2)
_ENTRIES: st.SearchStrategy[Any] = st.none() | st.builds(
    RememberedRecord, _TIMES, st.sampled_from([7, 9]), st.integers(0, 2), st.booleans()
)
_ITEMS: st.SearchStrategy[Any] = st.builds(item, _TIMES, st.sampled_from([7, 9]), st.integers(0, 2)) | st.just(NO_ITEM)


@given(
    st.sampled_from(["incremental", "listed", "undated", "deleted"]),
    st.booleans(),
    _ENTRIES,
    _ITEMS,
    st.integers(0, MS),
)
def test_a_decision_reads_the_item_once_and_what_it_sends_is_never_sent_again(
    rule: Rule, is_delete: bool, remembered: RememberedRecord | None, stored: StoredVersion, read_until_ms: int
) -> None:
    record = ReadRecord(MS, 7, is_delete)
    facts = view(rule, read_until_ms=read_until_ms)
    decision = decide(record, remembered, None, facts)
    assert isinstance(decision, ReadItem) or rule not in NEEDS_EVERY_ITEM
    if isinstance(decision, ReadItem):
        decision = decide(record, remembered, stored, facts)
    assert not isinstance(decision, ReadItem)
    if isinstance(decision, Send):
        version = max(decision.version, stored.version or "")
        again = decide(record, decision.remember, StoredVersion(version), facts)
        assert not isinstance(again, Send)
