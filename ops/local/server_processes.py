"""Start the servers of a local run or a test, stop, kill or freeze them, and leave none behind.

A server belongs either to a local run, which `make down` ends, or to the process that started it, such as pytest. A
small watcher process ends the second kind when that process ends, however it ends. This needs only the standard library
and works on Linux and macOS.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops.console import CommandError
from ops.local.processes import PROC, command_line

USER = "nobody"
"""The user that runs a server which refuses to run as root."""

WATCHER = Path(__file__).with_name("server_watcher.py")
"""The program that ends the servers of a process that has ended."""

_CAPABILITIES = 1 << 1 | 1 << 8
"""The Linux capabilities to reach files whatever their mode is (CAP_DAC_OVERRIDE), and to set security bits
(CAP_SETPCAP)."""


class _Watcher:
    """The watcher of this process. It starts with this process's first server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the watcher, unless it runs. A forked process needs a watcher of its own."""
        with self._lock:
            if self._process is None or self._owner != os.getpid():
                command = [sys.executable, "-I", "-S", str(WATCHER)]
                self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
                self._owner = os.getpid()

    def add(self, pid: int, folder: Path) -> None:
        """Tell the watcher of a new server."""
        self._write(f"+{pid} {folder}\n")

    def remove(self, pid: int) -> None:
        """Tell the watcher that a server has ended, if there is a watcher."""
        self._write(f"-{pid}\n")

    def _write(self, line: str) -> None:
        with self._lock:
            if self._process is not None and self._process.stdin is not None and self._owner == os.getpid():
                self._process.stdin.write(line.encode())
                self._process.stdin.flush()


_WATCHER = _Watcher()


def spawn(
    command: Sequence[str | Path],
    folder: Path,
    log: Path,
    *,
    detached: bool,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start a server and return its process id.

    :param folder: the server's folder, which must be a word of its command line, so that nobody ends another program
    :param log: the file that gets the server's output
    :param detached: whether the server outlives this process; otherwise, the watcher ends it
    """
    if not detached:
        _WATCHER.start()  # before the server, so that the server is hardly ever without a watcher
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C in a terminal doesn't reach the server
        )
    if not detached:
        _WATCHER.add(process.pid, folder)
    return process.pid


def unprivileged(command: Sequence[str | Path]) -> list[str]:
    """Return a command that runs a program without root's rights. Return the command itself if this user isn't root.

    The program keeps the right to reach files whatever their mode is, because this project may lie in a folder that
    only root can open.

    :raises CommandError: if this user is root and the program `setpriv` is missing
    """
    words = [str(word) for word in command]
    if os.geteuid() != 0:
        return words
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise CommandError(
            f"{Path(words[0]).name} refuses to run as root. Install `setpriv` (package util-linux), or be another user."
        )
    options = [f"--reuid={USER}", f"--regid={pwd.getpwnam(USER).pw_gid}", "--clear-groups"]
    if _may_reach_all_files():
        options += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
        # The system call access() ignores a capability of another user than root, unless this bit is set. PostgreSQL
        # asks it whether its programs are there.
        options += ["--securebits=+no_setuid_fixup"]
    return [setpriv, *options, *words]


def _may_reach_all_files() -> bool:
    status = PROC / "self/status"
    lines = status.read_text().splitlines() if status.exists() else []
    bits = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return bits & _CAPABILITIES == _CAPABILITIES


def give_away(folder: Path) -> None:
    """Make a new folder the property of the user that `unprivileged` runs servers as."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(USER)
        os.chown(folder, entry.pw_uid, entry.pw_gid)


def is_server(pid: int, folder: Path) -> bool:
    """Whether a process is still the server of a folder. The system may have given its id to another program.

    A process that is just replacing its program has no command line for a moment, so an empty one is read again.
    """
    words = command_line(pid)
    if not words and _exists(pid):
        time.sleep(0.02)
        words = command_line(pid)
    return str(folder) in words


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def wait_until(ready: Callable[[], bool], pid: int, folder: Path, log: Path, seconds: float = 30) -> None:
    """Wait until a new server is ready.

    :raises CommandError: if the server ends or isn't ready in time; the message has the end of its log
    """
    deadline = time.monotonic() + seconds
    while not ready():
        if _ended(pid, folder) or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise CommandError(f"{folder.name} didn't start. The end of {log}:\n{tail}")
        time.sleep(0.005)


def end(pid: int, folder: Path, *, signals: Sequence[int], seconds: float = 10) -> None:
    """End a server with the first signal that works. Wait for its end up to `seconds` after each signal.

    A frozen server is thawed first, because it would handle no signal but SIGKILL.
    """
    if is_server(pid, folder):
        signal_all(pid, folder, signal.SIGCONT)
        for number in signals:
            children = family(pid)[1:]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if number == signal.SIGKILL:
                for child in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(child, number)
            deadline = time.monotonic() + seconds
            while not (over := _ended(pid, folder)) and time.monotonic() < deadline:
                time.sleep(0.005)
            if over:
                break
    _WATCHER.remove(pid)


def signal_all(pid: int, folder: Path, number: int) -> None:
    """Send a signal to a server and to the processes that it started."""
    if is_server(pid, folder):
        for process in family(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def family(pid: int) -> list[int]:
    """Return a process id and the ids of the processes that this process started, directly or indirectly."""
    parents = _parents()
    members = [pid]
    for member in members:
        members += [child for child, parent in parents.items() if parent == member]
    return members


def _parents() -> dict[int, int]:
    """Return the id of the parent process of each process."""
    if not PROC.exists():
        lines = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        return {int(line.split()[0]): int(line.split()[1]) for line in lines.splitlines()}
    parents = {}
    for stat in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The second field is the program's name in parentheses. It may contain spaces.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    return parents


def _ended(pid: int, folder: Path) -> bool:
    # If this process started the server, collect the ended server. Otherwise it would remain as a zombie.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not is_server(pid, folder)
