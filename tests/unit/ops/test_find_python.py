"""Test ops/find-python, which searches for a Python that can create virtual environments."""

import subprocess
from pathlib import Path

import pytest

from ops.console import ROOT


def find_python(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ops/find-python with a given folder as the home folder and as the first folder on PATH."""
    env = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        ["/bin/sh", ROOT / "ops/find-python", *words], env=env, capture_output=True, text=True, check=False
    )


def put_python(path: Path, output: str) -> None:
    """Write a fake Python. It prints `output` when ops/find-python asks for its version, path and venv module."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nprintf '{output}\\n'\n")
    path.chmod(0o755)


def test_without_a_python_the_error_says_how_to_get_it(tmp_path: Path) -> None:
    done = find_python(tmp_path, "3.99")
    assert done.returncode == 1
    assert "uv python install 3.99" in done.stderr


def test_a_python_without_venv_gets_the_name_of_debians_package(tmp_path: Path) -> None:
    put_python(tmp_path / "python3", "3.99 /usr/bin/python3\\nno-venv")
    done = find_python(tmp_path, "3.99")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/usr/bin/python3 is Python 3.99" in done.stderr and "apt-get install python3-venv" in done.stderr


@pytest.mark.parametrize("place", ["python3.99", ".pyenv/versions/3.99.1/bin/python"])
def test_a_complete_python_is_preferred_to_one_without_venv(place: str, tmp_path: Path) -> None:
    put_python(tmp_path / "python3", "3.99 /usr/bin/python3\\nno-venv")
    put_python(tmp_path / place, "3.99 /opt/my python/bin/python")
    done = find_python(tmp_path, "3.99")
    assert (done.returncode, done.stdout) == (0, "/opt/my python/bin/python\n"), done.stderr


def test_a_shim_that_fails_and_another_version_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "python3.99").write_text("#!/bin/sh\nexit 127\n")
    (tmp_path / "python3.99").chmod(0o755)
    put_python(tmp_path / "python3", "3.98 /usr/bin/python3")
    put_python(tmp_path / "python", "3.99 /usr/bin/python")
    assert find_python(tmp_path, "3.99").stdout == "/usr/bin/python\n"
