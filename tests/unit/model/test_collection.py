"""Tests of the rules for item ids and owners, and of the headers that say how long caches may keep a document."""

import pytest

from readplane.model.collection import Collection, Visibility, is_item_id, is_owner
from tests.unit.support import ALICE

HOSTILE_NAMES = ["", ".", "..", "../x", "a/b", "a%2Fb", "a\\b", "a\0", "%00", "a b", "é", "-a", "~a", "x" * 257, "a\n"]


def test_a_name_that_could_point_outside_its_prefix_is_no_item_id() -> None:
    assert all(map(is_item_id, ["a", "A.b_c~d-e", "0", "x" * 256, "a..b"]))
    assert not any(map(is_item_id, HOSTILE_NAMES))
    assert is_owner(ALICE) and not any(map(is_owner, [*HOSTILE_NAMES, "a.b", "x" * 129]))


@pytest.mark.parametrize(
    ("read", "cache_ttl", "edge_ttl", "header"),
    [
        ("public", 60, None, "public, max-age=60"),
        ("public", 60, 60, "public, max-age=60"),
        ("public", 0, None, "public, max-age=0"),
        ("public", 0, 300, "public, max-age=0, s-maxage=300"),
        ("public", 60, 0, "public, max-age=60, s-maxage=0"),
        ("authenticated", 30, None, "max-age=30"),
        ("authenticated", 30, 300, "max-age=300"),
        ("authenticated", 30, 0, "private, no-cache"),
        ("authenticated", 0, None, "private, no-cache"),
        ("owner", 0, None, "private, no-cache"),
        ("owner", 60, 60, "private, no-cache"),
    ],
)
def test_a_document_says_how_long_the_edge_may_keep_it(
    read: Visibility, cache_ttl: int, edge_ttl: int | None, header: str
) -> None:
    assert Collection("c", read, cache_ttl=cache_ttl, edge_ttl=edge_ttl).document_cache_control == header


def test_the_api_lets_no_shared_cache_keep_what_only_signed_in_users_may_read() -> None:
    assert Collection("c", "authenticated", cache_ttl=30, edge_ttl=300).cache_control == "private, max-age=30"
