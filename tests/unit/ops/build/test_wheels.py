"""Test how the wheels of a Lambda layer are downloaded."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.build.targets import TARGETS
from ops.build.wheels import download_wheels
from ops.build.zips import REQUIREMENTS
from ops.console import ROOT


def test_two_first_builds_at_once_both_find_their_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: Sequence[object]) -> None:
        partial = Path(str(command[-1]))
        # Create the final folder too, as if another build had finished the same download a moment earlier.
        for folder in (partial, partial.with_suffix("")):
            folder.mkdir(parents=True)
            (folder / "a.whl").touch()

    monkeypatch.setattr("ops.build.wheels.run_tool", download)
    target = TARGETS["local"]
    (wheel,) = download_wheels(target, target.interpreter(), ROOT / REQUIREMENTS["layer"], tmp_path)
    assert wheel.exists() and list((tmp_path / ".wheels").iterdir()) == [wheel.parent]
