"""Fixtures for the tests of `poll`."""

import pytest

from tests.unit.poll.support import World


@pytest.fixture
def world() -> World:
    """`poll` with in-memory stores and an empty back office."""
    return World()
