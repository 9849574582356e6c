"""Tests of the records that a checkpoint remembers: which are sent again, and which are forgotten."""

import random

from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.remembered import MAX_ENTRIES, MAX_QUARANTINED, WITHOUT_ID_MS, Remembered, RememberedRecord
from readplane.poll.sourced_version import MAX_COUNTER, key_hash

times = st.integers(0, (1 << 48) - 3)


RECORD = RememberedRecord(200, 7)
PENDING = RECORD._replace(pending=True)


def test_a_record_is_pending_until_it_is_sent() -> None:
    remembered = Remembered()
    remembered.replace_record(1, PENDING)
    assert remembered.has_pending and Remembered(remembered.to_bytes()).has_pending
    remembered.mark_sent([(1, RECORD), (2, RECORD)])
    assert not remembered.has_pending
    assert remembered.get_record(1) == RECORD and remembered.get_record(2) is None


def test_only_the_entry_that_was_sent_is_no_longer_pending() -> None:
    remembered = Remembered()
    remembered.replace_record(1, PENDING._replace(counter=1))
    remembered.mark_sent([(1, RECORD)])
    assert remembered.get_record(1) == PENDING._replace(counter=1)
    remembered.mark_sent([(1, PENDING._replace(counter=1))])
    assert remembered.get_record(1) == PENDING._replace(counter=1), "its own change was not sent"


def test_every_record_can_be_sent_again_under_the_same_version() -> None:
    remembered = Remembered()
    remembered.replace_record(1, RECORD._replace(counter=1))
    remembered.replace_record(2, RECORD._replace(replaced=True))
    remembered.add_quarantined(5, 3, 100)
    remembered.send_all_again()
    assert remembered.get_record(1) == PENDING._replace(counter=1)
    assert len(remembered) == 1, "the other records are read again as new ones"


def test_records_in_quarantine_are_counted_until_a_pass_shows_that_they_are_gone() -> None:
    remembered = Remembered()
    for key, (id_hash, ms) in enumerate([(7, 100), (7, 200), (8, 100), (None, 100)]):
        assert remembered.add_quarantined(key, id_hash, ms)
    remembered.replace_record(9, RememberedRecord(50, 1))
    assert remembered.quarantined_by_id() == {7: [0, 1], 8: [2]}
    remembered.mark_replaced([0, 1])
    remembered.drop_quarantined(200, listed_all=False)
    assert remembered.quarantined == 3, "the pass has read record 1 again, and not another state of record 2 or 3"
    remembered.drop_quarantined(100 + WITHOUT_ID_MS + 1, listed_all=False)
    assert list(remembered.quarantined_by_id()) == [8] and remembered.quarantined == 1, "record 3 has no id"
    remembered.drop_quarantined(101, listed_all=True)
    assert remembered.quarantined == 0 and remembered.get_record(9)


def test_old_records_are_forgotten_but_not_those_in_quarantine() -> None:
    remembered = Remembered()
    for key, ms in enumerate((99, 100, 101)):
        remembered.replace_record(key, RememberedRecord(ms, 0))
    remembered.add_quarantined(9, 1, 1)
    remembered.drop_before(100)
    assert [remembered.get_record(key) is not None for key in (0, 1, 2, 9)] == [False, True, True, True]


def test_a_record_goes_to_quarantine_once() -> None:
    remembered = Remembered()
    assert remembered.add_quarantined(1, 7, 100)
    remembered = Remembered(remembered.to_bytes())
    assert not remembered.add_quarantined(1, 7, 200)
    entry = remembered.get_record(1)
    assert entry and entry.ms == 200


def test_only_the_youngest_records_are_saved_and_fit_an_item() -> None:
    remembered = Remembered()
    order = list(range(3 * MAX_ENTRIES))
    random.Random(1).shuffle(order)
    for ms in order:
        remembered.replace_record(key_hash(str(ms)), RememberedRecord(ms, ms))
    for number in range(2 * MAX_QUARANTINED):
        remembered.add_quarantined(key_hash(f"refused {number}"), 1, number)
    saved = remembered.to_bytes()
    assert len(saved) <= 100_000
    again = Remembered(saved)
    assert len(again) == MAX_ENTRIES
    oldest_ms = 3 * MAX_ENTRIES - (MAX_ENTRIES - MAX_QUARANTINED)
    assert all(again.get_record(key_hash(str(ms))) for ms in order if ms >= oldest_ms)
    assert again.get_record(key_hash(f"refused {2 * MAX_QUARANTINED - 1}"))


def test_records_in_quarantine_may_take_the_room_that_others_leave() -> None:
    remembered = Remembered()
    remembered.replace_record(1, RememberedRecord(1, 1))
    for number in range(2 * MAX_ENTRIES):
        remembered.add_quarantined(key_hash(f"refused {number}"), 1, number)
    again = Remembered(remembered.to_bytes())
    assert len(again) == MAX_ENTRIES
    assert again.get_record(1)


_ENTRIES = st.builds(
    RememberedRecord, times, st.integers(1, (1 << 62) - 1), st.integers(0, MAX_COUNTER), *[st.booleans()] * 3
)


@given(st.dictionaries(st.integers(0, (1 << 64) - 1), _ENTRIES, max_size=50))
def test_remembered_records_are_read_back_unchanged(entries: dict[int, RememberedRecord]) -> None:
    remembered = Remembered()
    for key, entry in entries.items():
        remembered.replace_record(key, entry)
    again = Remembered(remembered.to_bytes())
    assert {key: again.get_record(key) for key in entries} == entries
