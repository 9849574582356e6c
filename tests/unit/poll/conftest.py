"""Fixtures for the tests of `poll`."""

import pytest

from tests.unit.poll.support import World


@pytest.fixture
def world() -> World:
    """Return the function `poll` with stores in memory and a fake back office that has no rows."""
    return World()
