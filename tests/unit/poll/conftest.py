"""Fixtures of the tests of a poll."""

import pytest

from tests.unit.poll.support import World


@pytest.fixture
def world() -> World:
    """`poll` above stores in memory, and an empty back office."""
    return World()
