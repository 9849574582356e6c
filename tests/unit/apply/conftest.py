"""A fixture that sets the clock to a fixed time in the tests of `apply`."""

import pytest

from tests.unit.support import NOW_MS


@pytest.fixture(autouse=True)
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
