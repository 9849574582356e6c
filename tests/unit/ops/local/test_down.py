"""Test how a local run is removed."""

from pathlib import Path

import pytest

from ops.local import down

pytestmark = pytest.mark.usefixtures("runs_in_tmp_path")


def test_a_dry_run_says_what_would_be_removed_and_the_next_run_removes_it(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert down.down("x", dry_run=True) == [f"removed {tmp_path / 'x'}"]
    assert (tmp_path / "x").exists()
    assert down.down("x") == [f"removed {tmp_path / 'x'}"]
    assert not (tmp_path / "x").exists()
    assert down.down("x") == []
