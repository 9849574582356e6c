"""Tests of the entries of the item cache."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.model.cache_entry import NO_VERSION, CacheEntry, parse_entry
from readplane.model.version import minimal_version
from tests.unit.support import ALICE, NOW_MS, change, version_at

KEY = "item/products/p-1"
LONGEST_KEY = f"item/{'c' * 40}/{'o' * 128}/{'i' * 256}"
TEXTS = st.one_of(st.just(""), st.text(st.characters(codec="utf-8"), max_size=50).map(lambda text: "{" + text))


def fields(entry: CacheEntry) -> tuple[str, int, str, str]:
    return entry.version, entry.fresh_until_ms, entry.key, entry.text


@given(TEXTS, st.integers(0, 9_999_999_999_999), st.sampled_from([KEY, "item/c/x", LONGEST_KEY]))
def test_an_entry_survives_its_way_through_the_cache(text: str, fresh_until_ms: int, key: str) -> None:
    entry = CacheEntry(version_at(NOW_MS), fresh_until_ms, key, text)
    assert fields(parse_entry(entry.encode(1000), key)) == fields(entry)


def test_an_entry_starts_with_its_version_so_that_a_script_can_compare_it() -> None:
    item = change()
    encoded = CacheEntry(item.version, NOW_MS, KEY, item.representation()).encode(1000)
    assert encoded == f"{item.version}{NOW_MS}017{KEY}{item.representation()}".encode()


@pytest.mark.parametrize(
    "other",
    ["item/products/p-2", "item/products/p-11", "item/products/p-", "item/product/p-1", "item/products/P-1", ""],
)
def test_an_entry_of_another_item_is_refused(other: str) -> None:
    encoded = CacheEntry(version_at(NOW_MS), NOW_MS, other, '{"n":1}').encode(1000)
    with pytest.raises(ValueError, match="another item"):
        parse_entry(encoded, KEY)


@given(st.binary(max_size=120))
def test_no_other_bytes_are_an_entry(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"another item|codec can't decode|invalid literal"):
        parse_entry(value, KEY)


@pytest.mark.parametrize("cut", range(1, 69))
def test_the_beginning_of_an_entry_is_refused_if_it_ends_before_the_text(cut: int) -> None:
    encoded = CacheEntry(version_at(NOW_MS), NOW_MS, KEY, '{"n":1}').encode(1000)
    assert len(encoded) == 69 + 7
    with pytest.raises(ValueError, match="another item"):
        parse_entry(encoded[:cut], KEY)


@pytest.mark.parametrize(("broken", "place"), [(b"x", 40), (b"\xff", 3), (b"\xff", 70)])
def test_an_entry_with_a_broken_byte_is_refused(broken: bytes, place: int) -> None:
    encoded = CacheEntry(version_at(NOW_MS), NOW_MS, KEY, '{"n":1}').encode(1000)
    with pytest.raises(ValueError, match=r"invalid|decode"):
        parse_entry(encoded[:place] + broken + encoded[place + 1 :], KEY)


def test_an_item_that_is_too_large_leaves_its_version_in_its_entry() -> None:
    text = '{"ä":1}'  # 7 characters, 8 bytes
    entry = CacheEntry(version_at(NOW_MS), NOW_MS, KEY, text)
    assert parse_entry(entry.encode(8), KEY).text == text
    large = parse_entry(entry.encode(7), KEY)
    assert (large.version, large.is_too_large, large.text == text) == (entry.version, True, False)
    assert not entry.is_too_large and not CacheEntry(NO_VERSION, NOW_MS, KEY, "").is_too_large


def test_every_version_of_a_change_is_greater_than_that_of_an_item_that_does_not_exist() -> None:
    versions = [minimal_version(ALICE, "products", str(number), "{}") for number in range(1000)]
    assert min(versions) > NO_VERSION
    assert version_at(0) > NO_VERSION and len(NO_VERSION) == len(version_at(0))
