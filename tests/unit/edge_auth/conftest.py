"""Fixtures for tests of `edge_auth`. The keys are made once, because making an RSA key takes a tenth of a second."""

import pytest

from tests.fakes.token_attacks import Forge
from tests.unit.edge_auth.support import NOW, Sandbox
from tests.unit.edge_auth.support import sandbox as make_sandbox


@pytest.fixture(scope="session")
def forge() -> Forge:
    """Return the maker of tokens of the test's user pool."""
    return Forge(NOW)


@pytest.fixture
def sandbox(forge: Forge) -> Sandbox:
    """Return a sandbox with good settings and a good key set."""
    return make_sandbox(forge)
