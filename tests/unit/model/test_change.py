"""Tests of changes: their lines in the write log, their order and their age."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.model.change import MAX_DATA_BYTES, Change, PoisonError, is_expired, is_json_object, parse_line
from readplane.model.window import keep_newest
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
        lambda item, tick, deleted: change(f"i{item}", ms=NOW_MS + tick, data=None if deleted else f'{{"t":{tick}}}'),
        st.integers(0, 2),
        st.integers(0, 30),
        st.booleans(),
    ),
    max_size=12,
)


def unique(history: list[Change]) -> list[Change]:
    """Keep only one of an item's changes with the same ``change_id``, because real changes never share an id."""
    return list({(entry.key, entry.version): entry for entry in history}.values())


@given(objects.filter(lambda text: "\n" not in text and "\r" not in text))
def test_a_parsed_line_equals_the_change_digit_for_digit(data: str) -> None:
    sent = change(data=data)
    line = sent.line()
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert parse_line(line, COLLECTIONS) == sent
    assert isinstance(json.loads(line)["data"], dict)


def test_the_line_of_a_delete_and_of_an_owned_change_is_parsed_as_it_was() -> None:
    for sent in (change(data=None), change(collection="profiles", owner=ALICE), change(data='{"a":",\\"data\\":"}')):
        assert parse_line(sent.line(), COLLECTIONS) == sent


@given(histories, st.randoms(use_true_random=False), st.data())
def test_any_order_with_any_duplicates_gives_the_same_items(history: list[Change], random, data) -> None:  # type: ignore[no-untyped-def]
    history = unique(history)
    repeats = data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    shuffled = history + repeats
    random.shuffle(shuffled)
    in_order, mixed = MemoryItems(), MemoryItems()
    for entry in history:
        in_order.apply(entry)
    # Apply the changes in two parts. Reduce each part to the newest change of each item, as `apply` does with a batch.
    cut = data.draw(st.integers(0, len(shuffled)))
    for part in (shuffled[:cut], shuffled[cut:]):
        newest: dict[str, Change] = {}
        for entry in part:
            keep_newest(newest, entry)
        for entry in newest.values():
            mixed.apply(entry)
    assert in_order.by_key == mixed.by_key
    assert in_order.by_key == {
        key: max((entry for entry in history if entry.key == key), key=lambda entry: entry.version)
        for key in {entry.key for entry in history}
    }


@given(histories)
def test_an_older_change_never_wins_and_a_deleted_item_stays_deleted(history: list[Change]) -> None:
    items = MemoryItems()
    for entry in unique(history):
        before = items.get_item(entry.key)
        items.apply(entry)
        after = items.get_item(entry.key)
        assert after is not None and (before is None or after.version >= before.version)
        if before is not None and before.data is None and entry.version < before.version:
            assert after.data is None


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
def test_a_line_that_cannot_be_applied_raises_the_reason(line: bytes, reason: str) -> None:
    with pytest.raises(PoisonError) as caught:
        parse_line(line, COLLECTIONS)
    assert caught.value.reason == reason
    # Unless the line is unparsable, the error must hold the line's change, because `apply` marks this change as
    # quarantined.
    assert (caught.value.change is not None) == (reason != "unparsable")


def test_data_of_the_largest_size_can_be_applied() -> None:
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


def test_a_changes_age_counts_from_its_acceptance_if_that_is_later() -> None:
    """A back office may have modified a record years before the first poll sends the record's change.

    Neither this change nor the tombstone that a delete leaves in the table may expire at once.
    """
    horizon, year = 30 * 86_400_000, 365 * 86_400_000
    fresh = change(data=None, ms=NOW_MS - 9 * year, accepted_ms=NOW_MS - horizon, source="shop")
    assert not is_expired(fresh, NOW_MS, horizon) and is_expired(fresh, NOW_MS + 1, horizon)
    assert fresh.expires_at(horizon) == NOW_MS // 1000 + 86_400
    ahead = change(data=None, ms=NOW_MS, accepted_ms=NOW_MS - year)
    assert not is_expired(ahead, NOW_MS + horizon, horizon)
    assert ahead.expires_at(horizon) == (NOW_MS + horizon) // 1000 + 86_400
    for broken in ("", "yesterday", "2026-11-21", "2026-11-21T08:00:00Z", "２026-11-21T08:00:00.000Z"):
        assert is_expired(fresh._replace(accepted_at=broken), NOW_MS, horizon), (
            "without a valid acceptance, the version alone counts"
        )


ages = st.integers(-5 * 60_000, 20 * 365 * 86_400_000)


@given(ages, ages, ages, ages, st.integers(1, 90), ages)
def test_a_change_that_lost_to_a_tombstone_never_comes_back(
    put_age: int, put_accepted: int, delete_age: int, delete_accepted: int, days: int, later: int
) -> None:
    """A put that is older than a delete can be delivered again after the delete.

    Then either the delete's tombstone must still exist, or the put must have expired. Otherwise the put would bring the
    deleted item back.
    """
    horizon, now = days * 86_400_000, NOW_MS + later
    put = change(ms=NOW_MS - put_age, accepted_ms=NOW_MS - put_accepted, source="shop")
    delete = change(ms=NOW_MS - delete_age, tail=1, data=None, accepted_ms=NOW_MS - delete_accepted, source="shop")
    limit = now - horizon
    assert is_expired(put, now, horizon) == (max(NOW_MS - put_age, NOW_MS - put_accepted) < limit)
    if delete.version > put.version and delete.accepted_at >= put.accepted_at and not is_expired(put, now, horizon):
        expires_at = delete.expires_at(horizon)
        assert expires_at is not None and expires_at * 1000 > now
        assert decide(delete, None, now, horizon) == ToMend(delete)


def test_a_sourced_item_is_as_of_its_back_offices_modification_time() -> None:
    modified_ms = NOW_MS - 400 * 86_400_000
    sourced = change(ms=modified_ms, accepted_ms=NOW_MS, source="shop")
    assert json.loads(sourced.representation())["as_of"] == change(ms=modified_ms).accepted_at
    repeated = change(ms=modified_ms, accepted_ms=NOW_MS + 77, source="shop")
    assert repeated.representation() == sourced.representation(), "a second poll yields the same document"
    written = change(ms=NOW_MS + 3, accepted_ms=NOW_MS)
    assert json.loads(written.representation())["as_of"] == change(ms=NOW_MS).accepted_at


def test_the_representation_is_json_with_the_data_digit_for_digit() -> None:
    item = change(data='{"price": 1.10, "n": 12345678901234567890.10}')
    assert '"data":{"price": 1.10, "n": 12345678901234567890.10}}' in item.representation()
    shown = json.loads(item.representation())
    assert list(shown) == ["id", "collection", "version", "as_of", "data"]
    assert shown["version"] == version_at(NOW_MS)


@pytest.mark.parametrize("text", ["{}", ' {"a": [1, {"b": null}]}\r\n\t', '{"n":1e400}', '{"a":"\\u00e9"}'])
def test_an_items_data_is_one_json_object(text: str) -> None:
    assert is_json_object(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        '"x"',
        "1",
        "null",
        "{",
        "{}x",
        "{} {}",
        "\u00a0{}",
        '{"n":NaN}',
        '{"n":-Infinity}',
        '{"a":1,}',
        "[" * 99_999,
    ],
)
def test_any_other_text_is_not_an_items_data(text: str) -> None:
    assert not is_json_object(text)


@pytest.mark.parametrize("accepted_at", ["", "yesterday", "2026-01-02T03:04:05Z", '2026-01-02T03:04:05.678Z"'])
def test_a_line_with_a_malformed_time_of_acceptance_is_unparsable(accepted_at: str) -> None:
    line = json.dumps(json.loads(change(data=None).line()) | {"accepted_at": accepted_at}).encode()
    with pytest.raises(PoisonError) as caught:
        parse_line(line, COLLECTIONS)
    assert caught.value.reason == "unparsable" and "accepted_at" in caught.value.detail


def test_a_line_whose_data_is_not_json_but_python_would_read_is_unparsable() -> None:
    with pytest.raises(PoisonError) as caught:
        parse_line(change(data='{"n":NaN}').line(), COLLECTIONS)
    assert caught.value.reason == "unparsable"
