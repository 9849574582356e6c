"""Tests of versions: the UUIDv7s that order changes."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from readplane.model.version import is_version, stamp, time_ms

clocks = st.integers(0, (1 << 48) - 10_000)
randoms = st.binary(min_size=10, max_size=10)


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


def test_a_uuid_in_any_other_form_is_no_version() -> None:
    version = stamp(1_700_000_000_000, b"0123456789")
    for text in ("", version.upper(), version.replace("-", ""), version + "\n", str(uuid.uuid4()), f"{{{version}}}"):
        assert not is_version(text), text
