import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from readplane.model.change import MAX_DATA_BYTES, Change, PoisonError, Window, is_expired, keep_newest, parse_line
from readplane.model.timestamp import ms_of, rfc3339
from readplane.publish.decide import ToMend, decide
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryItems, change, version_at

texts = st.text(max_size=20)
numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
strings = texts.map(json.dumps) | texts.map(lambda text: json.dumps(text, ensure_ascii=False))
values = st.recursive(
    numbers | strings | st.sampled_from(["true", "false", "null"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: "[" + " , ".join(parts) + "]")
        | st.lists(st.tuples(strings, inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{name}:{value}" for name, value in pairs) + "}"
        )
    ),
    max_leaves=10,
)
objects = st.lists(st.tuples(strings, values), max_size=4).map(
    lambda pairs: "{" + ", ".join(f"{name}: {value}" for name, value in pairs) + "}"
)

histories = st.lists(
    st.builds(
        lambda item, tick, gone: change(f"i{item}", ms=NOW_MS + tick, data=None if gone else f'{{"t":{tick}}}'),
        st.integers(0, 2),
        st.integers(0, 30),
        st.booleans(),
    ),
    max_size=12,
)


def unique(history: list[Change]) -> list[Change]:
    """One change per version, as in life: the same id never stands for two contents."""
    return list({(entry.key, entry.version): entry for entry in history}.values())


@given(objects.filter(lambda text: "\n" not in text and "\r" not in text))
def test_a_line_gives_back_the_change_digit_for_digit(data: str) -> None:
    sent = change(data=data)
    line = sent.line()
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert parse_line(line, COLLECTIONS) == sent
    assert isinstance(json.loads(line)["data"], dict)


def test_a_delete_and_an_owned_change_keep_their_shape_in_the_log() -> None:
    for sent in (change(data=None), change(collection="profiles", owner=ALICE), change(data='{"a":",\\"data\\":"}')):
        assert parse_line(sent.line(), COLLECTIONS) == sent


@given(histories, st.randoms(use_true_random=False), st.data())
def test_any_order_with_any_duplicates_gives_the_same_items(history: list[Change], random, data) -> None:  # type: ignore[no-untyped-def]
    history = unique(history)
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    shuffled = history + repeats
    random.shuffle(shuffled)
    straight, mixed = MemoryItems(), MemoryItems()
    for entry in history:
        straight.apply(entry)
    # in lumps, each folded first, as objects of the write log are
    cut = data.draw(st.integers(0, len(shuffled)))
    for lump in (shuffled[:cut], shuffled[cut:]):
        winners: dict[str, Change] = {}
        for entry in lump:
            keep_newest(winners, entry)
        for entry in winners.values():
            mixed.apply(entry)
    assert straight.held == mixed.held
    assert straight.held == {
        key: max((entry for entry in history if entry.key == key), key=lambda entry: entry.version)
        for key in {entry.key for entry in history}
    }


@given(histories)
def test_an_older_change_never_wins_and_a_deleted_item_stays_deleted(history: list[Change]) -> None:
    items = MemoryItems()
    for entry in unique(history):
        before = items.get(entry.key)
        items.apply(entry)
        after = items.get(entry.key)
        assert after is not None and (before is None or after.version >= before.version)
        if before is not None and before.data is None and entry.version < before.version:
            assert after.data is None


def test_keep_newest_names_what_drops_out() -> None:
    winners: dict[str, Change] = {}
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    assert keep_newest(winners, new) is None
    assert keep_newest(winners, old) is old
    assert keep_newest(winners, new) is new
    assert winners == {new.key: new}


def test_a_window_is_full_by_items_or_by_what_its_winners_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Window, "MAX_CHANGES", 3)
    monkeypatch.setattr(Window, "MAX_SIZE", 100)
    window = Window()
    entries = [change("a", ms=NOW_MS + tick, data=json.dumps("x" * 58)) for tick in range(9)]
    assert [window.fold(entry) for entry in entries] == [None, *entries[:-1]]
    assert window.fold(entries[0]) is entries[0] and window.version(entries[0].key) == entries[-1].version
    assert not window.is_full()
    window.fold(change("b", data=json.dumps("x" * 38)))
    assert window.is_full()
    assert [entry.item_id for entry in window.take()] == ["a", "b"] and window.take() == []
    for item in "abc":
        assert not window.is_full()
        window.fold(change(item, data=None))
    assert window.is_full()


GOOD = json.loads(change().line())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json\n", "unparsable"),
        (b"\xff\xfe\n", "unparsable"),
        (b"[]\n", "unparsable"),
        (b'"text"\n', "unparsable"),
        (b"{}\n", "unparsable"),
        (change().line()[:-10], "unparsable"),
        (b"[" * 100_000, "unparsable"),
        (json.dumps(GOOD | {"change_id": "1"}).encode(), "unparsable"),
        (json.dumps(GOOD | {"change_id": "1"}, separators=(",", ":")).encode(), "unparsable"),
        (json.dumps(GOOD | {"accepted_at": None}, separators=(",", ":")).encode(), "unparsable"),
        (
            json.dumps({name: GOOD[name] for name in GOOD if name != "source"}, separators=(",", ":")).encode(),
            "unparsable",
        ),
        (json.dumps(GOOD | {"owner": 1}, separators=(",", ":")).encode(), "unparsable"),
        (json.dumps(GOOD | {"item_id": "../x"}, separators=(",", ":")).encode(), "unparsable"),
        (json.dumps(GOOD | {"op": "merge"}, separators=(",", ":")).encode(), "unparsable"),
        (json.dumps(GOOD | {"op": "delete"}, separators=(",", ":")).encode(), "unparsable"),
        (json.dumps(GOOD | {"actor": 1}, separators=(",", ":")).encode(), "unparsable"),
        (json.dumps(GOOD | {"data": [1]}, separators=(",", ":")).encode(), "unparsable"),
        (change(owner=ALICE).line(), "unparsable"),
        (change(collection="profiles").line(), "unparsable"),
        (change(collection="profiles", owner="a/b").line(), "unparsable"),
        (change(collection="nope").line(), "unknown_collection"),
        (change(data='{"a":"' + "x" * MAX_DATA_BYTES + '"}').line(), "too_large"),
        (change(data='{"a":"' + "ü" * (MAX_DATA_BYTES // 2) + '"}').line(), "too_large"),
    ],
)
def test_poison_is_told_by_its_reason(line: bytes, reason: str) -> None:
    with pytest.raises(PoisonError) as caught:
        parse_line(line, COLLECTIONS)
    assert caught.value.reason == reason
    # What can be told apart keeps its change, so that its status can show the quarantine.
    assert (caught.value.change is not None) == (reason != "unparsable")


def test_the_largest_data_are_no_poison() -> None:
    for text in ("x" * (MAX_DATA_BYTES - 8), "ü" * (MAX_DATA_BYTES // 2 - 4)):
        largest = change(data=f'{{"a":"{text}"}}')
        assert largest.data and len(largest.data.encode()) == MAX_DATA_BYTES
        assert parse_line(largest.line(), COLLECTIONS) == largest


def test_a_change_expires_at_the_horizon_and_its_tombstone_a_day_later() -> None:
    horizon = 30 * 86_400_000
    young, old = change(ms=NOW_MS - horizon), change(ms=NOW_MS - horizon - 1)
    assert not is_expired(young, NOW_MS, horizon) and is_expired(old, NOW_MS, horizon)
    assert change().expires_at(horizon) is None
    assert change(data=None).expires_at(horizon) == (NOW_MS + horizon) // 1000 + 86_400


def test_a_change_counts_its_age_from_its_acceptance_where_that_is_later() -> None:
    """A back office's record may be years old when it is first read: it must not be refused, nor its tombstone go."""
    horizon, year = 30 * 86_400_000, 365 * 86_400_000
    fresh = change(data=None, ms=NOW_MS - 9 * year, accepted_ms=NOW_MS - horizon, source="shop")
    assert not is_expired(fresh, NOW_MS, horizon) and is_expired(fresh, NOW_MS + 1, horizon)
    assert fresh.expires_at(horizon) == NOW_MS // 1000 + 86_400
    ahead = change(data=None, ms=NOW_MS, accepted_ms=NOW_MS - year)
    assert not is_expired(ahead, NOW_MS + horizon, horizon)
    assert ahead.expires_at(horizon) == (NOW_MS + horizon) // 1000 + 86_400
    for broken in ("", "yesterday", "2026-11-21", "2026-11-21T08:00:00Z", "２026-11-21T08:00:00.000Z"):
        assert is_expired(fresh._replace(accepted_at=broken), NOW_MS, horizon), "then the version alone tells"


ages = st.integers(-5 * 60_000, 20 * 365 * 86_400_000)


@given(ages, ages, ages, ages, st.integers(1, 90), ages)
def test_what_a_tombstone_beat_never_comes_back(
    put_age: int, put_accepted: int, gone_age: int, gone_accepted: int, days: int, later: int
) -> None:
    """Whenever a change that lost comes again, its tombstone is still there, or the change is expired."""
    horizon, now = days * 86_400_000, NOW_MS + later
    put = change(ms=NOW_MS - put_age, accepted_ms=NOW_MS - put_accepted, source="shop")
    gone = change(ms=NOW_MS - gone_age, tail=1, data=None, accepted_ms=NOW_MS - gone_accepted, source="shop")
    limit = now - horizon
    assert is_expired(put, now, horizon) == (max(NOW_MS - put_age, NOW_MS - put_accepted) < limit)
    if gone.version > put.version and gone.accepted_at >= put.accepted_at and not is_expired(put, now, horizon):
        expires_at = gone.expires_at(horizon)
        assert expires_at is not None and expires_at * 1000 > now
        assert decide(gone, None, now, horizon) == ToMend(gone)


def test_a_sourced_item_is_as_of_its_upstream_time() -> None:
    upstream_ms = NOW_MS - 400 * 86_400_000
    sourced = change(ms=upstream_ms, accepted_ms=NOW_MS, source="shop")
    assert json.loads(sourced.representation())["as_of"] == change(ms=upstream_ms).accepted_at
    again = change(ms=upstream_ms, accepted_ms=NOW_MS + 77, source="shop")
    assert again.representation() == sourced.representation(), "polled again, it is the same document"
    written = change(ms=NOW_MS + 3, accepted_ms=NOW_MS)
    assert json.loads(written.representation())["as_of"] == change(ms=NOW_MS).accepted_at


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))
@example(datetime(2000, 2, 29, 23, 59, 59, 999_000, UTC))
@example(datetime(2100, 3, 1, tzinfo=UTC))
def test_times_are_told_and_read_as_datetime_does(time: datetime) -> None:
    ms = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    text = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert rfc3339(ms) == text and ms_of(text) == ms


def test_the_representation_is_json_with_the_data_as_it_came() -> None:
    item = change(data='{"price": 1.10, "n": 12345678901234567890.10}')
    assert '"data":{"price": 1.10, "n": 12345678901234567890.10}}' in item.representation()
    shown = json.loads(item.representation())
    assert list(shown) == ["id", "collection", "version", "as_of", "data"]
    assert shown["version"] == version_at(NOW_MS)
