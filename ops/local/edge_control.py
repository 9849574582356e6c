"""Control the stand-in for CloudFront in a running emulator: the distribution of its port, faults, clock and cache.

This needs only the standard library.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from ops.console import CommandError

CONTROL = "/_readplane/edge"
"""The path on the emulator's first port."""


class EdgeControl:
    """Controls the stand-in in one emulator."""

    def __init__(self, endpoint: str) -> None:
        """Call nothing yet.

        :param endpoint: the emulator's URL
        """
        self._url = endpoint + CONTROL

    def state(self) -> dict[str, Any]:
        """Return the state: `url`, `distribution`, `faults`, `clock_offset`, and counts as `results` and `fetches`.

        `url` is the address at which the chosen distribution answers. `results` and `fetches` are counts by the
        distribution's id.
        """
        return self._call("GET", b"")

    def choose(self, distribution: str) -> None:
        """Serve the distribution with this id at the emulator's second port."""
        self._put(distribution=distribution)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Replace all faults of origins. Each has the fields of `OriginFault`. Without an argument, end all faults."""
        self._put(faults=list(faults))

    def shift_clock(self, seconds: float) -> None:
        """Set how many seconds the stand-in's clock is ahead of the real time. Functions still see the real time."""
        self._put(clock_offset=seconds)

    def clear(self) -> None:
        """Remove all objects from the cache."""
        self._put(clear=True)

    def restart_functions(self) -> None:
        """Let the next event of each edge function meet a cold start."""
        self._put(restart_functions=True)

    def _put(self, **changes: Any) -> None:
        self._call("PUT", json.dumps(changes).encode())

    def _call(self, method: str, body: bytes) -> dict[str, Any]:
        request = urllib.request.Request(self._url, data=body or None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                state: dict[str, Any] = json.loads(response.read())
        except urllib.error.HTTPError as error:
            raise CommandError(f"The emulator refuses {body.decode()}: {error.read().decode()}") from error
        except OSError as error:
            raise CommandError(f"{self._url} doesn't respond: {error}") from error
        return state
