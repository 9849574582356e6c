"""Test how the wheels of a Lambda layer are downloaded."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.build.targets import TARGETS
from ops.build.wheels import download_wheels
from ops.build.zips import REQUIREMENTS
from ops.console import ROOT, CommandError


@pytest.fixture
def python_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take any program for a Python of the version that the build needs."""
    monkeypatch.setattr("ops.build.wheels.python_version", lambda _: "3.13.0")


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


@pytest.mark.usefixtures("python_version")
def test_a_wheel_that_pip_compiled_for_this_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_wheel(command: Sequence[object]) -> None:
        folder = Path(str(command[-1]))
        folder.mkdir(parents=True)
        (folder / "pure-1.0-py3-none-any.whl").touch()
        (folder / "fast-1.0-cp313-cp313-linux_x86_64.whl").touch()

    monkeypatch.setattr("ops.build.wheels.run_tool", make_wheel)
    target = TARGETS["arm64"]
    with pytest.raises(CommandError, match=r"^fast-1\.0\S* has compiled code"):
        download_wheels(target, Path("python"), ROOT / REQUIREMENTS["dax_layer"], tmp_path, from_sources=True)
    assert not list((tmp_path / ".wheels").iterdir()), "the next build doesn't take it for finished"
