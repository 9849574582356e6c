"""Test the faults of origins, and how long they let a viewer wait behind the stand-in for CloudFront."""

from typing import Any

import pytest

from ops.local.edge import Edge
from ops.local.edge_clock import ShiftedClock, VirtualClock
from ops.local.edge_faults import FaultyOrigins, OriginFault
from ops.local.edge_messages import Request
from tests.unit.ops.local.edge_support import DISTRIBUTION, POLICIES, Origins, answer


def read(path: str, *faults: OriginFault) -> tuple[int, bytes, float]:
    """Return the status, the body and the duration of a request while origins have faults."""
    clock = VirtualClock()
    origins = FaultyOrigins(Origins(docs=answer("first"), docs2=answer("second"), api=answer("api")), clock)
    origins.faults = faults
    edge = Edge(DISTRIBUTION, POLICIES, origins, lambda arn, event: None, clock)
    start = clock.now()
    response = edge.handle(Request("GET", path))
    return response.status, response.body, clock.now() - start


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (OriginFault("docs", "refuse"), 0),
        (OriginFault("docs", "status", status=503), 0),
        (OriginFault("docs", "unreachable"), 2),
        (OriginFault("docs", "hang"), 30),
        (OriginFault("docs", "slow", seconds=31), 30),
    ],
)
def test_the_second_origin_answers_after_the_time_that_the_fault_takes(fault: OriginFault, seconds: float) -> None:
    """An origin that accepts and hangs isn't bounded by the connection time-out: the viewer waits for 30 seconds."""
    assert read("/pair/x", fault) == (200, b"second", seconds)


def test_a_slow_origin_still_answers() -> None:
    assert read("/pair/x", OriginFault("docs", "slow", seconds=1.5)) == (200, b"first", 1.5)


def test_a_custom_origin_has_its_own_time_out() -> None:
    assert read("/v1/x", OriginFault("api", "hang"))[::2] == (504, 20)


def test_faults_name_origins_by_a_pattern() -> None:
    assert read("/pair/x", OriginFault("docs*", "refuse"))[0] == 502
    assert read("/v1/x", OriginFault("docs*", "refuse"))[0] == 200


@pytest.mark.parametrize(
    "wrong", [{"kind": "explode"}, {"kind": "slow", "seconds": -1}, {"kind": "status", "status": 200}]
)
def test_a_wrong_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="the kind is one of refuse, unreachable"):
        OriginFault("docs", **wrong)


def test_the_shifted_clock_is_ahead_by_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ShiftedClock()
    monkeypatch.setattr("time.time", lambda: 100.0)
    clock.offset = 60
    assert clock.now() == 160
