"""Tests of versions: the UUIDv7s that order changes."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from readplane.model.version import is_minimal, is_version, minimal_version, stamp, time_ms

clocks = st.integers(0, (1 << 48) - 10_000)
randoms = st.binary(min_size=10, max_size=10)
texts = st.text("ab1:\n{}é", max_size=4)


@given(clocks, randoms)
def test_a_stamp_is_a_canonical_uuidv7_of_the_clocks_time(now: int, random: bytes) -> None:
    version = stamp(now, random)
    parsed = uuid.UUID(version)
    assert str(parsed) == version and parsed.version == 7 and parsed.variant == uuid.RFC_4122
    assert is_version(version) and time_ms(version) == now


@given(clocks, randoms, clocks, randoms)
def test_versions_sort_as_text_by_their_time(
    first: int, first_random: bytes, second: int, second_random: bytes
) -> None:
    if first < second:
        assert stamp(first, first_random) < stamp(second, second_random)


@given(clocks, randoms, st.lists(st.tuples(clocks, randoms), min_size=1, max_size=5))
def test_a_stamp_exceeds_every_named_version_whatever_the_clock(
    now: int, random: bytes, named: list[tuple[int, bytes]]
) -> None:
    versions = [stamp(ms, bits) for ms, bits in named]
    assert stamp(now, random, above=versions) > max(versions)


@given(st.lists(clocks, min_size=2, max_size=20), randoms)
def test_a_chain_of_writes_stamped_by_any_clocks_keeps_its_order(clocks_of_sandboxes: list[int], random: bytes) -> None:
    chain: list[str] = []
    for now in clocks_of_sandboxes:
        chain.append(stamp(now, random, above=chain[-1:]))
    assert chain == sorted(set(chain))


def test_a_version_holds_74_random_bits() -> None:
    low, high = stamp(1, bytes(10)), stamp(1, b"\xff" * 10)
    difference = int(low.replace("-", ""), 16) ^ int(high.replace("-", ""), 16)
    assert difference.bit_count() == 74


@given(texts, texts, texts, texts)
def test_a_minimal_version_is_a_canonical_uuidv7_with_time_0(sub: str, collection: str, key: str, data: str) -> None:
    version = minimal_version(sub, collection, key, data)
    parsed = uuid.UUID(version)
    assert str(parsed) == version and parsed.version == 7 and parsed.variant == uuid.RFC_4122
    assert is_version(version) and is_minimal(version) and time_ms(version) == 0
    assert version == minimal_version(sub, collection, key, data)


@given(texts, clocks.filter(bool), randoms)
def test_every_stamp_is_greater_than_a_minimal_version(data: str, now: int, random: bytes) -> None:
    minimal = minimal_version("sub", "products", "key", data)
    stamped = stamp(now, random)
    assert stamped > minimal and not is_minimal(stamped)
    assert stamp(0, random, above=[minimal]) > minimal


@given(st.tuples(texts, texts, texts, texts), st.tuples(texts, texts, texts, texts))
def test_different_posts_have_different_minimal_versions(
    first: tuple[str, str, str, str], second: tuple[str, str, str, str]
) -> None:
    """A byte that moves from one part to the next makes another version, too."""
    assert (minimal_version(*first) == minimal_version(*second)) == (first == second)


def test_no_part_of_a_post_can_stand_for_two_others() -> None:
    parts = [
        ("a", "b", "c", "d"),
        ("ab", "", "c", "d"),
        ("a", "b1:c", "", "d"),
        ("a", "b", "c\nd", ""),
        ("", "a", "b", "cd"),
    ]
    assert len({minimal_version(*post) for post in parts}) == len(parts)


def test_a_minimal_version_never_changes_between_releases() -> None:
    """A retry may reach a Region that runs another release, and must be the same change there."""
    version = minimal_version("3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11", "products", "order 4711", '{"name":"é"}')
    assert version == "00000000-0000-797d-9f5c-f40c2e4073f6"


def test_a_minimal_version_holds_74_bits_of_the_hash() -> None:
    versions = [int(minimal_version("s", "c", "k", str(number)).replace("-", ""), 16) for number in range(200)]
    changing = 0
    for version in versions:
        changing |= version ^ versions[0]
    assert changing.bit_count() == 74


def test_a_uuid_in_any_other_form_is_no_version() -> None:
    version = stamp(1_700_000_000_000, b"0123456789")
    for text in ("", version.upper(), version.replace("-", ""), version + "\n", str(uuid.uuid4()), f"{{{version}}}"):
        assert not is_version(text), text
