"""End the servers of a process when that process ends, however it ends.

The process writes `+<process id> <folder>` for each server that it starts, and `-<process id>` for each that has
ended. The system closes the pipe when the process ends. This program imports nothing of the project, so it starts fast.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Read standard input to its end. Then kill the servers that still run, and the processes that they started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    folders: dict[int, str] = {}
    for line in sys.stdin:
        pid, _, folder = line[1:].strip().partition(" ")
        if line.startswith("+"):
            folders[int(pid)] = folder
        elif line.startswith("-"):
            folders.pop(int(pid), None)
    processes = _processes() if folders else {}
    for pid, folder in folders.items():
        # The system may have given the id of an ended server to another program.
        if pid in processes and folder in processes[pid][1]:
            _kill(pid, {child: parent for child, (parent, _) in processes.items()})


def _kill(pid: int, parents: dict[int, int]) -> None:
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    for member in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)


def _processes() -> dict[int, tuple[int, str]]:
    """Return the parent's id and the command line of each process, by the process's id."""
    processes = {}
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-axwwo", "pid=,ppid=,command="]
        for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
            pid, parent, words = line.split(None, 2)
            processes[int(pid)] = (int(parent), words)
        return processes
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The second field of `stat` is the program's name in parentheses. It may contain spaces.
            number = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            processes[int(entry.name)] = (number, (entry / "cmdline").read_text().replace("\0", " "))
    return processes


if __name__ == "__main__":
    main()
