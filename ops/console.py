"""Code that the tools in ops/ share: to report errors, to print progress, and to run other programs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class CommandError(Exception):
    """A failure that the user can fix. The message says what failed and what to do. No traceback is printed."""


@contextmanager
def failures() -> Iterator[None]:
    """Run a `with` block. If it raises CommandError, print the error and exit with code 1.

    If the user interrupts the block with Ctrl-C, exit with code 130.
    """
    try:
        yield
    except CommandError as error:
        print(f"\nError: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


class Progress:
    """Prints messages, each with the seconds since this object was created."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, message: str) -> None:
        """Print one line: the elapsed seconds and a message."""
        print(f"[{self.elapsed:5.1f} s] {message}", flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since this object was created."""
        return time.monotonic() - self._start


def run_tool(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = ""
) -> str:
    """Run a command, wait until it ends, and return its standard output. The user doesn't see the output.

    :param stdin: the text for the command's standard input
    :raises CommandError: if the program doesn't exist or fails; the message contains the end of the program's output
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.run(words, env=env, cwd=cwd, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CommandError(f"{words[0]} doesn't exist.") from error
    if process.returncode:
        output = (process.stderr or process.stdout).strip()
        raise CommandError(f"`{' '.join(words[:4])} …` failed ({process.returncode}):\n{output[-4000:]}")
    return process.stdout
