"""Tests of the helpers for stores in DynamoDB tables: reads of many records, the size of batches, and the backoff."""

import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.aws.faults import UnansweredError
from readplane.stores.table import MAX_ATTEMPTS, back_off_exponentially, read_records, split_into_batches


class ThrottledClient:
    """A DynamoDB client whose reads return no records, except for those at the positions in ``productive``."""

    def __init__(self, *productive: int) -> None:
        self.reads = 0
        self._productive = productive

    def call(self, operation: str, /, **parameters: Any) -> Any:
        self.reads += 1
        records = [{"pk": {"S": "k"}}] if self.reads in self._productive else []
        return {"Responses": {"t": records}, "UnprocessedKeys": parameters["RequestItems"]}


def test_reads_without_records_raise_an_error_with_no_backoff_after_the_last_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for productive, reads in (((), MAX_ATTEMPTS), ((3,), MAX_ATTEMPTS + 3)):
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        client = ThrottledClient(*productive)
        with pytest.raises(UnansweredError, match="UnprocessedKeys"):
            list(read_records(client, "t", ["k"], "pk", consistent=True))
        assert client.reads == reads and len(slept) == reads - 1


@given(st.lists(st.integers(0, 15), max_size=20), st.integers(1, 5))
def test_batches_keep_order_and_limits_except_for_a_single_large_entry(sizes: list[int], max_entries: int) -> None:
    batches = list(split_into_batches(sizes, max_entries, lambda size: size, max_bytes=10))
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
