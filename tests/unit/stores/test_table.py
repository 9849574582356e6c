"""Tests of the helpers for stores in DynamoDB tables: the size of batches, and the backoff before a retry."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.stores import table
from readplane.stores.table import back_off_exponentially, split_into_batches


@given(st.lists(st.integers(0, 15), max_size=20), st.integers(1, 5))
def test_batches_keep_order_and_limits_except_for_a_single_large_entry(sizes: list[int], max_entries: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "MAX_BATCH_BYTES", 10)
        batches = list(split_into_batches(sizes, max_entries, lambda size: size))
    assert [size for batch in batches for size in batch] == sizes
    assert all(1 <= len(batch) <= max_entries for batch in batches)
    assert all(sum(batch) <= 10 or len(batch) == 1 for batch in batches)
    for batch, following in pairwise(batches):
        assert len(batch) == max_entries or sum(batch) + following[0] > 10, "a batch is as large as it may be"


def test_the_backoff_has_full_jitter_and_a_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    for _ in range(200):
        back_off_exponentially(0)
    assert 0 <= min(slept) < 0.01 < 0.04 < max(slept) <= 0.05
    back_off_exponentially(30)
    assert slept[-1] <= 2
