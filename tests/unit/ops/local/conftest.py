"""A fixture that keeps the files of local runs out of the project's folder."""

from pathlib import Path

import pytest

from ops.local import emulator


@pytest.fixture
def runs_in_tmp_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put the folder of every local run into the test's temporary folder."""
    monkeypatch.setattr(emulator, "folder", lambda name: tmp_path / name)
