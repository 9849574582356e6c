"""Tests of which change `poll` sends for a record.

The docstrings in :mod:`readplane.poll.decide` hold the rules as tables. Each row of these tables has a test case.
"""

from typing import Any

import pytest

from readplane.poll.decide import (
    MAX_IN_FLIGHT_MS,
    Decision,
    correcting_version,
    decide_incremental,
    decide_listed,
    decide_undated,
    needs_item,
)
from readplane.poll.remembered import RememberedRecord
from readplane.poll.sourced_version import MAX_COUNTER, next_version, sourced_version

OLD, ITEM, NEW = (sourced_version(ms, 0, ms) for ms in (100, 200, 300))
NEW_WITH_THE_ITEMS_CONTENT = sourced_version(300, 0, 200)
OLD_WITH_THE_ITEMS_CONTENT = sourced_version(100, 0, 200)

RECORD = RememberedRecord(200, 7, pending=True)
"""What the checkpoint remembers of a record with the modification time 200 and the content hash 7."""


@pytest.mark.parametrize(
    ("remembered", "is_new", "read_until_ms", "expected"),
    [
        (RECORD, True, 200, True),
        (RECORD, True, 199, False),
        (RECORD, False, 200, False),
        (RECORD._replace(ms=300), False, 0, True),
    ],
    ids=["new, before the watermark", "new, after the watermark", "remembered", "older than remembered"],
)
def test_an_item_is_looked_up_if_it_may_have_the_records_change(
    remembered: RememberedRecord, is_new: bool, read_until_ms: int, expected: bool
) -> None:
    assert needs_item(RECORD, remembered, is_new=is_new, read_until_ms=read_until_ms) is expected


@pytest.mark.parametrize(
    ("item_version", "is_older", "sent", "counter"),
    [
        (None, False, sourced_version(200, 0, 7), 0),
        (sourced_version(100, 3, 9), False, sourced_version(200, 0, 7), 0),
        (sourced_version(200, 3, 7), False, None, 3),
        (sourced_version(200, 3, 9), False, sourced_version(200, 4, 7), 4),
        (sourced_version(200, MAX_COUNTER, 9), False, None, 0),
        (sourced_version(300, 3, 7), False, None, 0),
        (sourced_version(100, 3, 9), True, sourced_version(200, 0, 7), 0),
        (sourced_version(200, 3, 7), True, None, 0),
        (sourced_version(200, 0, 6), True, sourced_version(200, 0, 7), 0),
        (sourced_version(300, 0, 7), True, None, 0),
    ],
    ids=[
        "no item",
        "an earlier time",
        "the same time and content",
        "the same time, other content",
        "the same time, other content, no counter left",
        "a later time",
        "older than remembered: an earlier time",
        "older than remembered: a greater version of the same time",
        "older than remembered: a lower version of the same time",
        "older than remembered: a later time",
    ],
)
def test_an_incremental_record_is_sent_unless_its_item_has_it(
    item_version: str | None, is_older: bool, sent: str | None, counter: int
) -> None:
    expected = Decision(sent, RECORD._replace(counter=counter))
    assert decide_incremental(RECORD, item_version, is_older=is_older) == expected


@pytest.mark.parametrize(
    ("item_version", "is_new", "is_delete", "expected"),
    [
        (None, True, True, Decision(None, None)),
        (None, False, True, Decision(RECORD.version, RECORD)),
        (None, True, False, Decision(RECORD.version, RECORD)),
        (sourced_version(100, 0, 9), False, False, Decision(RECORD.version, RECORD)),
        (sourced_version(300, 0, 9), False, False, Decision(sourced_version(300, 1, 7), RECORD)),
        (sourced_version(200, 0, 7), False, False, Decision(None, RECORD)),
        (sourced_version(200, 0, 7), True, False, Decision(None, None)),
    ],
    ids=[
        "a new delete without an item",
        "a remembered delete without an item",
        "no item",
        "an older item",
        "a newer item with other content",
        "the item has it, remembered",
        "the item has it, new",
    ],
)
def test_a_listed_record_corrects_its_item(
    item_version: str | None, is_new: bool, is_delete: bool, expected: Decision
) -> None:
    decision = decide_listed(RECORD, item_version, is_new=is_new, is_delete=is_delete, settled_ms=900)
    assert decision == expected


READ_MS = 10 * MAX_IN_FLIGHT_MS
UNDATED = RememberedRecord(READ_MS, 7)
"""What the checkpoint remembers of a record that has no modification time, and has the content hash 7.

Instead of a modification time, the checkpoint holds the time at which the record's page was requested: ``READ_MS``.
"""
IN_FLIGHT = RememberedRecord(READ_MS - 1000, 7)
LOST = RememberedRecord(READ_MS - MAX_IN_FLIGHT_MS - 1, 7)
EARLIER_ITEM = sourced_version(READ_MS - 2000, 0, 9)


def undated(version: str) -> Decision:
    """Return the decision to send the change of the record ``UNDATED``, and to give the change this version."""
    counter = int(version[15:18], 16)
    ms = int(version[:8] + version[9:13], 16)
    return Decision(version, RememberedRecord(ms, 7, counter, pending=True))


@pytest.mark.parametrize(
    ("remembered", "item_version", "is_delete", "expected"),
    [
        (
            IN_FLIGHT._replace(pending=True),
            EARLIER_ITEM,
            False,
            Decision(IN_FLIGHT.version, IN_FLIGHT._replace(pending=True)),
        ),
        (IN_FLIGHT, EARLIER_ITEM, False, Decision(None, IN_FLIGHT)),
        (IN_FLIGHT._replace(content=9), EARLIER_ITEM, False, undated(UNDATED.version)),
        (IN_FLIGHT._replace(content=9), None, True, undated(UNDATED.version)),
        (
            RememberedRecord(READ_MS + 5, 9),
            EARLIER_ITEM,
            False,
            undated(sourced_version(READ_MS + 5, 1, 7)),
        ),
        (None, None, True, Decision(None, None)),
        (None, None, False, undated(UNDATED.version)),
        (None, sourced_version(READ_MS - 2000, 0, 7), False, Decision(None, None)),
        (None, sourced_version(READ_MS + 2000, 0, 7), False, Decision(None, None)),
        (None, EARLIER_ITEM, False, undated(UNDATED.version)),
        (None, sourced_version(READ_MS + 2000, 0, 9), False, undated(sourced_version(READ_MS + 2000, 1, 7))),
        (IN_FLIGHT, IN_FLIGHT.version, False, Decision(None, None)),
        (IN_FLIGHT, sourced_version(READ_MS, 0, 9), False, undated(sourced_version(READ_MS, 1, 7))),
        (LOST, None, False, undated(UNDATED.version)),
    ],
    ids=[
        "in flight, same content, pending",
        "in flight, same content, sent",
        "in flight, other content",
        "in flight, a delete without an item",
        "in flight with a later time, other content",
        "no item, a delete",
        "no item, data",
        "item with the same content",
        "later item with the same content",
        "item with other content",
        "later item with other content",
        "arrived",
        "arrived, and another change of the item as well",
        "lost",
    ],
)
def test_an_undated_record_is_compared_with_what_its_item_will_say(
    remembered: RememberedRecord | None, item_version: str | None, is_delete: bool, expected: Decision
) -> None:
    assert decide_undated(UNDATED, remembered, item_version, is_delete=is_delete, read_ms=READ_MS) == expected


@pytest.mark.parametrize(
    ("version", "item_version", "settled_ms", "versioned", "expected"),
    [
        (NEW, None, 0, True, NEW),
        (NEW, ITEM, 0, True, NEW),
        (OLD, ITEM, 200, True, next_version(ITEM, 100)),
        (OLD, ITEM, 199, True, None),
        (ITEM, ITEM, 900, True, None),
        (NEW_WITH_THE_ITEMS_CONTENT, ITEM, 900, True, NEW_WITH_THE_ITEMS_CONTENT),
        (NEW_WITH_THE_ITEMS_CONTENT, ITEM, 900, False, None),
        (OLD_WITH_THE_ITEMS_CONTENT, ITEM, 900, True, None),
        (OLD, ITEM, 900, False, next_version(ITEM, 100)),
    ],
)
def test_a_correcting_version_makes_an_item_say_what_the_listing_says(
    version: str, item_version: Any, settled_ms: int, versioned: bool, expected: Any
) -> None:
    assert correcting_version(version, item_version, settled_ms, versioned=versioned) == expected
