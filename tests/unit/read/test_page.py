"""Callers, lists, statuses and keys."""

from collections.abc import Iterable
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.api.caller import caller_from_claims, check_may_write, groups_from_claim
from readplane.api.problem import ProblemError
from readplane.model.collection import Visibility, document_key, is_item_id, is_owner, item_key
from readplane.model.version import MAX_AHEAD_MS
from readplane.read.page import SHARDS, ListPosition, encode_cursor, list_key, parse_cursor, parse_limit, partitions
from readplane.read.status import Status, status_of
from tests.unit.support import ALICE, BOB, CLIENT_ID, COLLECTIONS, NOW_MS, MemoryItems, change, version_at

CLAIMS: dict[str, object] = {"sub": ALICE, "client_id": CLIENT_ID, "token_use": "access", "cognito:groups": "editors"}
HOSTILE = ["", ".", "..", "../x", "a/b", "a%2Fb", "a\\b", "a\0", "%00", "a b", "é", "-a", "~a", "x" * 257, "a\n"]


@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), max_size=5))
def test_groups_are_read_in_every_form_they_arrive_in(groups: list[str]) -> None:
    for claim in (",".join(groups), f"[{' '.join(groups)}]", groups, f"[{', '.join(groups)}]"):
        assert groups_from_claim(claim) == frozenset(groups)


def test_no_groups() -> None:
    assert groups_from_claim(None) == groups_from_claim("") == groups_from_claim("[]") == groups_from_claim(7) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_use": "id"},
        {"token_use": None},
        {"client_id": "somebody-else"},
        {"client_id": None},
        {"sub": None},
        {"sub": "../other"},
        {"sub": "a/b"},
        {"sub": ""},
    ],
)
def test_only_access_tokens_of_our_clients_name_a_caller(wrong: dict[str, object]) -> None:
    with pytest.raises(ProblemError) as caught:
        caller_from_claims(CLAIMS | wrong, {CLIENT_ID})
    assert caught.value.status == HTTPStatus.UNAUTHORIZED
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


def test_who_may_write() -> None:
    editor = caller_from_claims(CLAIMS, {CLIENT_ID})
    nobody = caller_from_claims(CLAIMS | {"cognito:groups": "auditors"}, {CLIENT_ID})
    check_may_write(editor, COLLECTIONS["products"])
    check_may_write(nobody, COLLECTIONS["profiles"])
    with pytest.raises(ProblemError) as caught:
        check_may_write(nobody, COLLECTIONS["products"])
    assert caught.value.status == HTTPStatus.FORBIDDEN


def test_names_that_could_leave_their_prefix_are_no_item_ids() -> None:
    assert all(map(is_item_id, ["a", "A.b_c~d-e", "0", "x" * 256, "a..b"]))
    assert not any(map(is_item_id, HOSTILE))
    assert is_owner(ALICE) and not any(map(is_owner, [*HOSTILE, "a.b", "x" * 129]))


@given(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["p", "p-1"]), st.sampled_from([None, ALICE, BOB])))
def test_keys_tell_items_apart(which: tuple[str, str, str | None]) -> None:
    collection, item_id, owner = which
    assert item_key(collection, item_id, owner).split("/") == [
        part for part in ("item", collection, owner, item_id) if part
    ]
    visibility: Visibility = "owner" if owner else "public"
    assert document_key(visibility, collection, item_id, owner).startswith(f"{visibility}/{collection}/")


@pytest.mark.parametrize("text", ["0", "-1", "201", "1.0", "", " 1", "1e2", "٣", "9" * 5000, "abc", "%2F"])
def test_limits_out_of_bounds_are_refused_by_name(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse_limit(text)
    assert caught.value.members == {"parameter": "limit"}


def test_limits() -> None:
    assert [parse_limit(None), parse_limit("1"), parse_limit("200")] == [50, 1, 200]


@given(st.integers(0, SHARDS - 1), st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,20}", fullmatch=True))
def test_a_cursor_comes_back_as_the_place_it_names(shard: int, after: str | None) -> None:
    assert parse_cursor(encode_cursor(ListPosition(shard, after)), SHARDS) == ListPosition(shard, after)


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_a_400(text: str) -> None:
    try:
        place = parse_cursor(text, SHARDS)
    except ProblemError as problem:
        assert problem.members == {"parameter": "cursor"}
    else:
        assert 0 <= place.shard < SHARDS


def test_a_cursor_of_another_list_is_refused() -> None:
    for cursor in (
        encode_cursor(ListPosition(SHARDS, None)),
        encode_cursor(ListPosition(-1, None)),
        encode_cursor(ListPosition(0, "../x")),
    ):
        with pytest.raises(ProblemError):
            parse_cursor(cursor, SHARDS)
    with pytest.raises(ProblemError):
        parse_cursor(encode_cursor(ListPosition(1, "a")), len(partitions(COLLECTIONS["profiles"], ALICE)))


def test_a_collection_is_spread_and_an_owner_is_not() -> None:
    used = {list_key("products", f"p-{number}", None) for number in range(500)}
    assert used == set(partitions(COLLECTIONS["products"], None)) and len(used) == SHARDS
    assert {list_key("profiles", f"p-{number}", ALICE) for number in range(50)} == {f"profiles/{ALICE}"}


@given(
    st.sets(st.integers(0, 60), min_size=1),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(0, 90), st.booleans())),
)
def test_a_walk_sees_what_exists_throughout_exactly_once(
    existing: set[int], limit: int, meanwhile: Iterable[tuple[int, bool]]
) -> None:
    items = MemoryItems()
    for number in existing:
        items.apply(change(f"i{number}"))
    changes = iter(meanwhile)
    touched: set[int] = set()
    seen: list[str] = []
    place: ListPosition | None = ListPosition(0, None)
    spread = partitions(COLLECTIONS["products"], None)
    tick = NOW_MS
    while place is not None:
        page, place = items.page(spread, parse_cursor(encode_cursor(place), SHARDS), limit, 60)
        seen += [item.item_id for item in page]
        for number, gone in [entry for entry in [next(changes, None)] if entry]:
            tick += 1
            items.apply(change(f"i{number}", ms=tick, data=None if gone else '{"n":2}'))
            if gone or number not in existing:
                touched.add(number)
    throughout = {f"i{number}" for number in existing - touched}
    assert len(seen) == len(set(seen)) and throughout <= set(seen)


OLD, NEW = version_at(NOW_MS - 5_000), version_at(NOW_MS - 1_000)


@pytest.mark.parametrize(
    ("change_id", "version", "marker", "expected"),
    [
        (NEW, NEW, None, Status("applied")),
        (NEW, NEW, "expired", Status("applied")),
        (OLD, NEW, None, Status("superseded")),
        (OLD, NEW, "too_large", Status("quarantined", "too_large")),
        (NEW, None, "too_large", Status("quarantined", "too_large")),
        (NEW, OLD, None, Status("pending")),
        (NEW, None, None, Status("pending")),
        (version_at(NOW_MS - 900_001), None, None, None),
        (version_at(NOW_MS - 900_000), None, None, Status("pending")),
        (version_at(NOW_MS + MAX_AHEAD_MS), None, None, Status("pending")),
        (version_at(NOW_MS + MAX_AHEAD_MS + 1), None, None, None),
    ],
)
def test_status(change_id: str, version: str | None, marker: str | None, expected: Status | None) -> None:
    assert status_of(change_id, version, marker, NOW_MS, 900_000) == expected
