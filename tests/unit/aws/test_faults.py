"""Test of the random backoff before a retry."""

import time

import pytest

from readplane.aws.faults import back_off


def test_a_backoff_has_full_jitter_up_to_its_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    for _ in range(400):
        back_off(0.1)
    assert 0 <= min(waits) < 0.01 < 0.09 < max(waits) < 0.1
    assert len(set(waits)) > 390
