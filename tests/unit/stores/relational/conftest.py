"""The fixture of the tests of the relational store: both stores on a real PostgreSQL with migrated tables."""

from collections.abc import Iterator

import pytest

from ops.local.postgres import Postgres
from tests.unit.stores.relational.support import Stores


@pytest.fixture
def stores(_postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """Return the stores of `feed` and `query` for the collection `products`, whose table is empty."""
    empty_stores = Stores(_postgres, monkeypatch)
    empty_stores.empty()
    yield empty_stores
    empty_stores.close()
