"""Test the demo of polling: it polls until the source has caught up, and counts stale reads."""

import pytest

from ops.console import CommandError
from ops.local import poll_demo
from tests.unit.ops.local.support import APPLIED


def test_a_catch_up_is_polled_to_its_end_and_counted_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = [
        {"outcome": "running"},  # another poll, which the schedule started, still runs
        {"outcome": "unfinished", "records": 3, "changes": 2},
        {"outcome": "completed", "records": 4, "changes": 4},
    ]
    monkeypatch.setattr(poll_demo, "poll", lambda outputs, event: responses.pop(0))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert poll_demo._poll(APPLIED, "s") == {"outcome": "completed", "records": 7, "changes": 6}


def test_a_source_that_is_never_through_ends_the_demo_with_its_last_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_demo, "poll", lambda outputs, event: {"outcome": "open"})
    monkeypatch.setattr(poll_demo, "TIMEOUT", 0.0)
    with pytest.raises(CommandError, match="'outcome': 'open'"):
        poll_demo._poll(APPLIED, "s")


def test_the_summary_of_reads_counts_the_stale_ones() -> None:
    seconds = [0.01] * 98 + [0.2] * 2
    assert str(poll_demo.Reads(seconds, 0)) == "100 reads, all 200, median 10 ms, p99 200 ms"
    assert str(poll_demo.Reads(seconds, 7)).endswith(", 7 of them with Readplane-Stale")
