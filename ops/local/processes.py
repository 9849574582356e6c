"""Recognise and end processes that a local run started. Standard library only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PROC = Path("/proc")
"""Linux's process table. macOS has none, so `ps` is used there. A minimal Linux has no `ps`."""


def command_line(pid: int) -> str:
    """Return the command line of a process, empty if the process has ended.

    Callers check it, because the system may give the id of an ended process to another program.
    """
    if PROC.exists():
        try:
            return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    # -ww prints the whole line. Without a terminal, ps may cut it after 80 characters.
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def end_process_group(group: int) -> None:
    """End a process group that a local run started. Send SIGTERM, then SIGKILL if it still runs after 10 seconds."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        if _ended_within(group, seconds):
            return


def _ended_within(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):  # our own child stays as a zombie until its parent waits for it
            os.waitpid(group, os.WNOHANG)
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
