"""A client of the API that calls it every minute, so that an alarm fires although no other client calls.

The probe requests a few URLs under the names that clients use. It emits how many of them failed, and 0 if none did. So
a value says that the API works, and without a value the alarm fires too.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..aws.faults import UnansweredError
from ..aws.get_url import get_url
from ..config import load_settings
from ..entrypoint import Entrypoint, Function
from ..telemetry import Telemetry

SECONDS = 5.0
"""The longest time that a response may take. An API that is slower is of no use to most clients."""


class ProbeRequest(NamedTuple):
    """A request that must get a response of 200.

    :param name: what the log calls the request.
    :param may_be_missing: whether 404 passes too. The freshness of a source is missing until the first poll of the
        source, but the 404 then shows that the API and S3 respond.
    """

    name: str
    url: str
    may_be_missing: bool = False


class ProbeSettings(NamedTuple):
    """The settings of `probe`.

    :param name: the stack's name.
    """

    name: str
    requests: Mapping[str, ProbeRequest]


class Probe:
    """The function `probe`.

    :param get: sends a GET to a URL and returns the status code. It takes the URL and the longest time in seconds.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        telemetry: Telemetry,
        get: Callable[[str, float], int] = get_url,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._get = get
        self._clock = clock

    def __call__(self) -> dict[str, Any]:
        """Send each request, and return what it came to by its name: a status code, or the code of a network fault."""
        started = self._clock()
        requests = self._settings.requests.values()
        outcomes = {request.name: self._outcome(request.url) for request in requests}
        failed = sum(not _passes(request, outcomes[request.name]) for request in requests)
        self._telemetry.event(
            "probe_failed" if failed else "probe_passed",
            "Requests to the API failed, so clients may fail too." if failed else "The API responds to requests.",
            level="ERROR" if failed else "INFO",
            metrics={"ProbeFailed": failed},
            outcomes=outcomes,
            took_ms=round(1000 * (self._clock() - started)),
        )
        return {"outcomes": outcomes}

    def _outcome(self, url: str) -> str:
        try:
            return str(self._get(url, SECONDS))
        except UnansweredError as error:
            return error.code


def _passes(request: ProbeRequest, outcome: str) -> bool:
    """Return whether a request's outcome shows that clients can call the API."""
    return outcome == "200" or (request.may_be_missing and outcome == "404")


def make_probe() -> Function:
    """Make `probe` from the settings in its environment.

    :raises SettingsError: if a setting is missing or wrong.
    """
    settings = load_settings(ProbeSettings)
    probe = Probe(settings, Telemetry("probe", settings.name))
    return lambda _event, _context: probe()


handler = Entrypoint(make_probe)
