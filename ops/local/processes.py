"""Recognise and end processes that a local run started. This needs only the standard library."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PROC = Path("/proc")
"""The folder in which Linux shows its processes.

On Linux, this program reads the folder, because a minimal Linux has no `ps`. On macOS, which has no such folder, this
program calls `ps`.
"""


def command_line(pid: int) -> str:
    """Return the command line of a process. It is empty if the process has ended.

    Callers check whether it is the command line of the program that they started, because the system may give the id of
    an ended process to another program.
    """
    if PROC.exists():
        try:
            return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    # -ww prints the whole command line. Without -ww, `ps` may cut it after 80 characters if there is no terminal.
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def end_process_group(group: int) -> None:
    """End a process group that a local run started. Send SIGTERM. If it still runs after 10 seconds, send SIGKILL."""
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
        # If this program started the process, call waitpid. Otherwise the ended process would remain as a zombie and
        # look as if it were still running. If another program started the process, waitpid raises ChildProcessError.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(group, os.WNOHANG)
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
