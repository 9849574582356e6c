"""Tests of writing ids that an item id can't hold as item ids."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from readplane.model.collection import is_item_id
from readplane.poll.source.item_ids import encode_item_id

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.text("a0~F2-", min_size=1)


@pytest.mark.parametrize(
    ("text", "item_id"),
    [
        ("a-1._", "a-1._"),
        ("a/b c", "a~2Fb~20c"),
        ("100~", "100~7E"),
        ("ä", "0~~~C3~A4"),
        ("-7", "0~~-7"),
        ("..", "0~~.."),
        ("0~~", "0~7E~7E"),
        ("gid://shopify/Product/1", "gid~3A~2F~2Fshopify~2FProduct~2F1"),
    ],
)
def test_an_id_is_written_with_tildes(text: str, item_id: str) -> None:
    assert encode_item_id(text) == item_id and is_item_id(item_id)


@settings(deadline=None)
@given(IDS, IDS)
@example("", "0~~")
def test_every_id_has_an_item_id_of_its_own(first: str, second: str) -> None:
    item_ids = [encode_item_id(text) for text in (first, second)]
    assert (item_ids[0] == item_ids[1]) is (first == second)
    assert all(item_id and (is_item_id(item_id) or len(item_id) > 256) for item_id in item_ids)


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    assert encode_item_id("a\ud800") is None
