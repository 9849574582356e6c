"""The fixture of the tests of `query` that need a real database."""

from collections.abc import Iterator

import pytest

from ops.local.postgres import Postgres
from tests.unit.query.database import Database


@pytest.fixture(scope="module")
def database(_postgres: Postgres) -> Iterator[Database]:
    """Return a database with the tables of `query`, which all tests of a module share."""
    with pytest.MonkeyPatch.context() as patch:
        yield Database(_postgres, patch)
