"""Find a free TCP port on this machine, or the program that listens on a port. This needs only the standard library."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from ops.console import CommandError
from ops.local.processes import PROC, command_line

LISTENING = "0A"
"""The code with which Linux marks a listening socket in /proc/net/tcp."""


def free_port() -> int:
    """Return a TCP port that no program uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def describe_port_holder(port: int) -> str | None:
    """Describe the program that listens on a port. Return None if no program does.

    If this user lacks the permission to see which program it is, return only `another program`.

    :raises CommandError: if this user lacks the permission to open the port
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return None
        except PermissionError:
            raise CommandError(f"This user may not open port {port}. Choose a port above 1023.") from None
        except OSError:
            return _holder_in_proc(port) or _holder_by_lsof(port) or "another program"


def _holder_in_proc(port: int) -> str | None:
    """Describe the process that has a port's listening socket among its open files. This works only on Linux."""
    sockets = set()
    for table in (PROC / "net/tcp", PROC / "net/tcp6"):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            columns = line.split()
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{columns[9]}]")
    for file in PROC.glob("[0-9]*/fd/*"):
        try:
            if str(file.readlink()) in sockets:
                pid = Path(file).parts[-3]
                return f"process {pid} ({command_line(int(pid))[:100]})"
        except OSError:
            continue
    return None


def _holder_by_lsof(port: int) -> str | None:
    """Describe the process that listens on a port, with the program `lsof`, which macOS has."""
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return f"process {lines[0][1:]} ({lines[1][1:]})" if len(lines) >= 2 else None
