"""What every tool here shares: failures that say what to do, progress with elapsed time, child processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class CommandError(Exception):
    """Something the user can mend; the message says what and how. Shown without a traceback."""


@contextmanager
def failures() -> Iterator[None]:
    """Turn failures into a message and exit code 1, an interrupt into 130."""
    try:
        yield
    except CommandError as failure:
        print(f"\nError: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


class Progress:
    """Prints steps with the time since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, message: str) -> None:
        """Print one line with the elapsed time."""
        print(f"[{self.elapsed:5.1f} s] {message}", flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start


def run_tool(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, given: str = ""
) -> str:
    """Run a command quietly and return what it printed; its output is shown when it fails.

    :param given: what it reads on its standard input.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, env=env, cwd=cwd, input=given, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CommandError(f"{words[0]} isn't there.") from error
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        raise CommandError(f"`{' '.join(words[:4])} …` failed ({done.returncode}):\n{output[-4000:]}")
    return done.stdout
