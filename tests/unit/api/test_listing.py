"""Tests of the limit and the cursor of a list request."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.api.listing import encode_cursor, parse_cursor, parse_limit
from readplane.api.problem import ProblemError
from readplane.model.keys import SHARDS, ListPosition, partitions
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryItems, change


@pytest.mark.parametrize("text", ["0", "-1", "201", "1.0", "", " 1", "1e2", "٣", "9" * 5000, "abc", "%2F"])
def test_a_limit_out_of_bounds_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_limit(text)
    assert caught.value.members == {"parameter": "limit"}


def test_a_limit_is_50_unless_the_request_names_one() -> None:
    assert [parse_limit(None), parse_limit("1"), parse_limit("200")] == [50, 1, 200]


@given(st.integers(0, SHARDS - 1), st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,20}", fullmatch=True))
def test_a_parsed_cursor_is_the_position_that_was_encoded(shard: int, after: str | None) -> None:
    cursor = encode_cursor(ListPosition(shard, after))
    for query in ({"cursor": cursor}, {"next": cursor}, {"cursor": cursor, "next": cursor}):
        assert parse_cursor(query, SHARDS) == ListPosition(shard, after)


def test_a_list_starts_at_its_beginning_unless_the_request_has_a_cursor() -> None:
    assert parse_cursor({}, SHARDS) == parse_cursor({"limit": "1"}, SHARDS) == ListPosition(0, None)


def test_a_cursor_and_another_next_are_refused() -> None:
    first, second = (encode_cursor(ListPosition(shard, None)) for shard in (1, 2))
    with pytest.raises(ProblemError) as caught:
        parse_cursor({"cursor": first, "next": second}, SHARDS)
    assert caught.value.status == 400 and caught.value.members == {"parameter": "next"}


@given(st.text(max_size=40), st.sampled_from(["cursor", "next"]))
def test_any_text_is_a_cursor_or_a_400(text: str, name: str) -> None:
    try:
        position = parse_cursor({name: text}, SHARDS)
    except ProblemError as problem:
        assert problem.members == {"parameter": name}
    else:
        assert 0 <= position.shard < SHARDS


def test_a_cursor_of_another_list_is_refused() -> None:
    for cursor in (
        encode_cursor(ListPosition(SHARDS, None)),
        encode_cursor(ListPosition(-1, None)),
        encode_cursor(ListPosition(0, "../x")),
    ):
        with pytest.raises(ProblemError):
            parse_cursor({"cursor": cursor}, SHARDS)
    with pytest.raises(ProblemError):
        parse_cursor({"cursor": encode_cursor(ListPosition(1, "a"))}, len(partitions(COLLECTIONS["profiles"], ALICE)))


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(0, 90), st.booleans())),
)
def test_a_list_shows_each_item_that_exists_all_the_while_exactly_once(
    existing: set[int], limit: int, meanwhile: Iterable[tuple[int, bool]]
) -> None:
    items = MemoryItems()
    for number in existing:
        items.apply(change(f"i{number}"))
    changes = iter(meanwhile)
    touched: set[int] = set()
    listed: list[str] = []
    position: ListPosition | None = ListPosition(0, None)
    shards = partitions(COLLECTIONS["products"], None)
    tick = NOW_MS
    while position is not None:
        start = parse_cursor({"cursor": encode_cursor(position)}, SHARDS)
        page, position = items.list_items(shards, start, limit, 60)
        listed += [item.item_id for item in page]
        for number, deleted in [entry for entry in [next(changes, None)] if entry]:
            tick += 1
            items.apply(change(f"i{number}", ms=tick, data=None if deleted else '{"n":2}'))
            if deleted or number not in existing:
                touched.add(number)
    untouched = {f"i{number}" for number in existing - touched}
    assert len(listed) == len(set(listed)) and untouched <= set(listed)
