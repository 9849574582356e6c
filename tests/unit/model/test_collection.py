"""Tests of the rules for item ids and owners."""

from readplane.model.collection import is_item_id, is_owner
from tests.unit.support import ALICE

HOSTILE_NAMES = ["", ".", "..", "../x", "a/b", "a%2Fb", "a\\b", "a\0", "%00", "a b", "é", "-a", "~a", "x" * 257, "a\n"]


def test_a_name_that_could_point_outside_its_prefix_is_no_item_id() -> None:
    assert all(map(is_item_id, ["a", "A.b_c~d-e", "0", "x" * 256, "a..b"]))
    assert not any(map(is_item_id, HOSTILE_NAMES))
    assert is_owner(ALICE) and not any(map(is_owner, [*HOSTILE_NAMES, "a.b", "x" * 129]))
