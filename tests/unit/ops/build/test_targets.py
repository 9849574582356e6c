"""Test the two targets that the zips are built for: Lambda on AWS, and the local emulator."""

from pathlib import Path

import pytest

from ops.build.targets import TARGETS
from ops.build.zips import build
from ops.console import CommandError


def test_without_a_python_of_the_runtimes_version_the_build_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ops.tools.AWS_PYTHON", "3.99")
    with pytest.raises(CommandError, match=r"Python 3\.99[\s\S]*uv python install 3\.99"):
        build(TARGETS["arm64"], tmp_path)
