"""Tests of the records that a checkpoint remembers: which are sent again, in which order, and which are forgotten."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.remembered import MAX_ENTRIES, MAX_QUARANTINED, Remembered, RememberedRecord
from readplane.poll.sourced_version import key_hash, sourced_version

times = st.integers(0, (1 << 48) - 3)
contents = st.integers(0, (1 << 62) - 1)


def read(remembered: Remembered, ms: int, content: int) -> str | None:
    """Add a record with the key hash 1. Return the version of the change to send, or ``None`` if none must be sent."""
    entry = remembered.add_record(1, ms, content)
    return entry and entry.version


def mark_sent(remembered: Remembered, *keys: int) -> None:
    remembered.mark_sent([(key, entry) for key in keys if (entry := remembered.get_record(key))])


RECORD = RememberedRecord(200, 7, pending=True)
SENT = RECORD._replace(pending=False)


@pytest.mark.parametrize(
    ("previous", "to_send", "remembered_then"),
    [
        (None, RECORD, RECORD),
        (RememberedRecord(100, 9, 3), RECORD, RECORD),
        (RECORD._replace(counter=3), RECORD._replace(counter=3), RECORD._replace(counter=3)),
        (SENT, None, SENT),
        (SENT._replace(content=9), RECORD._replace(counter=1), RECORD._replace(counter=1)),
        (RECORD._replace(ms=300), RECORD, RECORD._replace(ms=300)),
        (SENT._replace(ms=300), None, SENT._replace(ms=300)),
    ],
    ids=[
        "nothing",
        "an earlier time",
        "pending, the same time and content",
        "sent, the same time and content",
        "the same time, other content",
        "pending, a later time",
        "sent, a later time",
    ],
)
def test_what_is_remembered_decides_what_is_sent(
    previous: RememberedRecord | None, to_send: RememberedRecord | None, remembered_then: RememberedRecord
) -> None:
    remembered = Remembered()
    if previous:
        remembered.replace_record(1, previous)
    assert remembered.add_record(1, 200, 7) == to_send
    assert remembered.get_record(1) == remembered_then


def test_a_record_is_pending_until_it_is_sent() -> None:
    remembered = Remembered()
    first = read(remembered, 100, 7)
    assert first == sourced_version(100, 0, 7) == read(remembered, 100, 7)
    assert read(Remembered(remembered.to_bytes()), 100, 7) == first
    mark_sent(remembered, 1)
    assert read(remembered, 100, 7) is None
    assert read(Remembered(remembered.to_bytes()), 100, 7) is None


def test_contents_with_the_same_time_are_counted() -> None:
    remembered = Remembered()
    versions = []
    for content in (9, 3, 9, 3):
        versions.append(read(remembered, 100, content))
        remembered = Remembered(remembered.to_bytes())
    assert versions == [sourced_version(100, counter, content) for counter, content in enumerate((9, 3, 9, 3))]


def test_a_later_time_resets_the_counter() -> None:
    remembered = Remembered()
    read(remembered, 100, 9), read(remembered, 100, 3)
    assert read(remembered, 101, 9) == sourced_version(101, 0, 9)


def test_an_earlier_time_is_sent_only_while_the_later_one_is_pending() -> None:
    remembered = Remembered()
    read(remembered, 100, 9)
    assert read(remembered, 90, 1) == sourced_version(90, 0, 1)
    mark_sent(remembered, 1)
    assert read(remembered, 90, 1) is None
    assert read(remembered, 100, 9) is None, "the later one is the one that is remembered"


def test_only_the_sent_records_are_no_longer_pending() -> None:
    remembered = Remembered()
    remembered.add_record(1, 100, 1), remembered.add_record(2, 100, 2)
    mark_sent(remembered, 1, 3)
    assert remembered.add_record(1, 100, 1) is None
    assert remembered.add_record(2, 100, 2) is not None
    assert remembered.has_pending


def test_sending_an_earlier_record_leaves_the_later_one_pending() -> None:
    remembered = Remembered()
    read(remembered, 100, 9)
    older = remembered.add_record(1, 90, 1)
    assert older
    remembered.mark_sent([(1, older)])
    assert read(remembered, 100, 9) == sourced_version(100, 0, 9)


def test_every_record_can_be_sent_again_under_the_same_version() -> None:
    remembered = Remembered()
    read(remembered, 100, 9), read(remembered, 100, 3)
    mark_sent(remembered, 1)
    remembered.add_quarantined(5, 100)
    remembered.send_all_again()
    assert read(remembered, 100, 3) == sourced_version(100, 1, 3)
    assert remembered.add_quarantined(5, 100), "the translation of a record in quarantine is tried again"


def test_old_records_are_forgotten_but_not_those_in_quarantine() -> None:
    remembered = Remembered()
    for key, ms in enumerate((99, 100, 101)):
        remembered.add_record(key, ms, 0)
    remembered.add_quarantined(9, 1)
    remembered.drop_before(100)
    assert [remembered.get_record(key) is not None for key in (0, 1, 2, 9)] == [False, True, True, True]


def test_a_record_goes_to_quarantine_once() -> None:
    remembered = Remembered()
    assert remembered.add_quarantined(1, 100)
    remembered = Remembered(remembered.to_bytes())
    assert not remembered.add_quarantined(1, 200)
    entry = remembered.get_record(1)
    assert entry and entry.ms == 200


def test_only_the_youngest_records_are_saved_and_fit_an_item() -> None:
    remembered = Remembered()
    order = list(range(3 * MAX_ENTRIES))
    random.Random(1).shuffle(order)
    for ms in order:
        remembered.add_record(key_hash(str(ms)), ms, ms)
    for number in range(2 * MAX_QUARANTINED):
        remembered.add_quarantined(key_hash(f"refused {number}"), number)
    saved = remembered.to_bytes()
    assert len(saved) <= 100_000
    again = Remembered(saved)
    assert len(again) == MAX_ENTRIES
    oldest_ms = 3 * MAX_ENTRIES - (MAX_ENTRIES - MAX_QUARANTINED)
    assert all(again.get_record(key_hash(str(ms))) for ms in order if ms >= oldest_ms)
    assert again.get_record(key_hash(f"refused {2 * MAX_QUARANTINED - 1}"))


def test_records_in_quarantine_may_take_the_room_that_others_leave() -> None:
    remembered = Remembered()
    remembered.add_record(1, 1, 1)
    for number in range(2 * MAX_ENTRIES):
        remembered.add_quarantined(key_hash(f"refused {number}"), number)
    again = Remembered(remembered.to_bytes())
    assert len(again) == MAX_ENTRIES
    assert again.get_record(1)


@given(st.lists(st.tuples(st.integers(0, (1 << 64) - 1), times, contents, st.booleans()), max_size=50))
def test_remembered_records_are_read_back_unchanged(records: list[tuple[int, int, int, bool]]) -> None:
    remembered = Remembered()
    for key, ms, content, is_sent in records:
        remembered.add_record(key, ms, content)
        if is_sent:
            mark_sent(remembered, key)
    again = Remembered(remembered.to_bytes())
    keys = [key for key, *_ in records]
    assert {key: again.get_record(key) for key in keys} == {key: remembered.get_record(key) for key in keys}
