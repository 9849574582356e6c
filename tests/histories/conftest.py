"""Fixtures for the histories."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.histories.back_office_case import Case


@pytest.fixture
def case() -> Iterator[Case]:
    """Return a history with its own back office."""
    with closing(Case()) as history:
        yield history
