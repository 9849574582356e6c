"""What every tool here shares: failures that say what to do, progress with elapsed time, child processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class Failure(Exception):
    """Something the user can mend; the message says what and how. Shown without a traceback."""


class Progress:
    """Prints steps with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, message: str) -> None:
        """Print one line with the elapsed time."""
        print(f"[{time.monotonic() - self._start:5.1f} s] {message}", flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @staticmethod
    @contextmanager
    def failures() -> Iterator[None]:
        """Turn failures into a message and exit code 1, an interrupt into 130."""
        try:
            yield
        except Failure as failure:
            print(f"\nError: {failure}", file=sys.stderr)
            sys.exit(1)
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            sys.exit(130)


def run_tool(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command quietly and return what it printed; its output is shown when it fails."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=dict(env) if env is not None else None,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise Failure(f"{command[0]} isn't there.") from error
    if done.returncode:
        shown = " ".join(str(word) for word in command[:4])
        raise Failure(f"`{shown} …` failed ({done.returncode}):\n{(done.stderr or done.stdout).strip()[-4000:]}")
    return done.stdout
