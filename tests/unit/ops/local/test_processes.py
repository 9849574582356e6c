"""Test how the processes of a local run are recognised and ended. On Linux, this must work without `ps`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops.local import processes


def sleeper() -> subprocess.Popen[bytes]:
    """Start a process that sleeps for a minute, in a process group of its own."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    time.sleep(0.1)
    return process


@pytest.mark.parametrize("system", ["linux", "macos"])
def test_a_process_is_recognised_by_its_command_line(
    system: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if system == "linux":
        monkeypatch.setenv("PATH", str(tmp_path))  # hide `ps`, because a minimal Linux has none
    else:
        monkeypatch.setattr(processes, "PROC", tmp_path / "proc")
        ps = tmp_path / "ps"
        ps.write_text(f'#!/bin/sh\n[ "$5" = {os.getpid()} ] && echo python -m pytest\n')
        ps.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert "pytest" in processes.command_line(os.getpid())
    assert processes.command_line(2**22 + 1) == "", "no process has this id"


def test_a_process_group_is_ended() -> None:
    process = sleeper()
    assert "sleep" in processes.command_line(process.pid)
    processes.end_process_group(process.pid)
    assert processes.command_line(process.pid) == ""
    processes.end_process_group(process.pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_zombie_has_no_command_line() -> None:
    process = sleeper()
    process.kill()
    time.sleep(0.2)
    assert processes.command_line(process.pid) == ""
    process.wait()
