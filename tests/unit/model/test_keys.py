"""Tests of the keys of items and documents, and of the index partitions that a list request reads."""

from hypothesis import given
from hypothesis import strategies as st

from readplane.model.collection import Visibility
from readplane.model.keys import SHARDS, document_key, item_key, list_key, partitions
from tests.unit.support import ALICE, BOB, COLLECTIONS


@given(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["p", "p-1"]), st.sampled_from([None, ALICE, BOB])))
def test_every_item_has_a_key_of_its_own(names: tuple[str, str, str | None]) -> None:
    collection, item_id, owner = names
    assert item_key(collection, item_id, owner).split("/") == [
        part for part in ("item", collection, owner, item_id) if part
    ]
    visibility: Visibility = "owner" if owner else "public"
    assert document_key(visibility, collection, item_id, owner).split("/") == [
        part for part in (visibility, "documents", collection, owner, item_id) if part
    ]


def test_a_collection_has_several_partitions_and_an_owner_has_one() -> None:
    used = {list_key("products", f"p-{number}", None) for number in range(500)}
    assert used == set(partitions(COLLECTIONS["products"], None)) and len(used) == SHARDS
    assert {list_key("profiles", f"p-{number}", ALICE) for number in range(50)} == {f"profiles/{ALICE}"}
