"""The probe requests its paths as a client does, and says how many of them failed."""

import contextlib
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest

from readplane.aws.faults import UnansweredError
from readplane.probe.handler import SECONDS, Probe, ProbeRequest, ProbeSettings
from readplane.telemetry import Telemetry

URL = "https://api.example.com/v1"
REQUESTS = {
    "health": ProbeRequest("health", f"{URL}/health"),
    "document": ProbeRequest("document", f"{URL}/documents/products/1"),
}


def run(
    outcomes: Mapping[str, int | str], requests: Mapping[str, ProbeRequest] = REQUESTS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the probe. Return its response and its log line.

    :param outcomes: URL -> a status code, or the code of a network fault.
    """

    def get(url: str, seconds: float) -> int:
        assert seconds == SECONDS
        outcome = outcomes[url]
        if isinstance(outcome, str):
            raise UnansweredError(outcome, sent=True)
        return outcome

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        response = Probe(ProbeSettings("shop", requests), Telemetry("probe", "shop"), get)()
    (line,) = map(json.loads, output.getvalue().splitlines())
    return response, line


def test_a_probe_that_passes_emits_zero() -> None:
    """Without the value, nobody would know whether the probe runs."""
    response, line = run({f"{URL}/health": 200, f"{URL}/documents/products/1": 200})
    assert (line["event"], line["level"], line["ProbeFailed"]) == ("probe_passed", "INFO", 0)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack"]]
    assert response == {"outcomes": dict.fromkeys(REQUESTS, "200")}


@pytest.mark.parametrize("outcome", [404, 301, 401, 503, "ReadTimeoutError", "SSLError", "EndpointConnectionError"])
def test_every_outcome_but_200_is_a_failure(outcome: int | str) -> None:
    _, line = run({f"{URL}/health": 200, f"{URL}/documents/products/1": outcome})
    assert (line["event"], line["level"], line["ProbeFailed"]) == ("probe_failed", "ERROR", 1)
    assert line["outcomes"] == {"health": "200", "document": str(outcome)}


def test_a_failure_does_not_keep_the_probe_from_its_other_requests() -> None:
    _, line = run({f"{URL}/health": "ConnectTimeoutError", f"{URL}/documents/products/1": 500})
    assert line["ProbeFailed"] == 2
    assert URL not in json.dumps(line), "a log line holds no URL"


@pytest.mark.parametrize(("outcome", "failed"), [(200, 0), (404, 0), (403, 1), (503, 1), ("ReadTimeoutError", 1)])
def test_a_document_that_may_be_missing_passes_with_404(outcome: int | str, failed: int) -> None:
    """A new source has no freshness until its first poll, and its alarm must not page before."""
    requests = REQUESTS | {"document": ProbeRequest("document", f"{URL}/documents/sources/new", may_be_missing=True)}
    _, line = run({f"{URL}/health": 200, f"{URL}/documents/sources/new": outcome}, requests)
    assert line["ProbeFailed"] == failed


def test_health_may_not_be_missing() -> None:
    requests = REQUESTS | {"document": ProbeRequest("document", f"{URL}/documents/sources/new", may_be_missing=True)}
    _, line = run({f"{URL}/health": 404, f"{URL}/documents/sources/new": 404}, requests)
    assert line["ProbeFailed"] == 1
