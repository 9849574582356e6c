"""The benchmark of `edge_auth`: the CPU time of a decision, its cold start and its zip, beside PyJWT + cryptography."""

import json
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.arithmetic import Goal, interleaved, spread
from tests.benchmarks.checks import DifferenceError
from tests.benchmarks.load import CLIENT_ID, KEY_SET_FILE, KEY_SET_PATH, PARAMETER_FILE
from tests.benchmarks.markdown import table
from tests.benchmarks.measure import COLD, Extent, progress
from tests.benchmarks.processes import FakeProcess, Runner
from tests.benchmarks.subjects import EDGE, EDGE_PYJWT, EDGE_PYJWT_BOTO3, LABELS, ROOT, Subject, edge_subjects
from tests.fakes.token_attacks import Forge

FUNCTION = "edge_auth"
DECISION_MS, COLD_MS, ZIP_KB = 0.5, 80, 1_000
"""The goals: CPU time of a decision, CPU time of a cold start, and the zip. Lambda@Edge allows a zip of 1 MB."""

MAX_COLD_RATIO = 0.5
"""The goal for the CPU time of a cold start beside that of PyJWT + cryptography with its settings in the code."""

MIB, KB = 1024 * 1024, 1000

Result = dict[str, Any]


def measure(fake: FakeProcess, runner: Runner, folder: Path, extent: Extent) -> Result:
    """Measure cold starts and decisions of each implementation of `edge_auth`.

    A cold start reads the settings and the key set over TLS, and decides on one request. A decision is the mean over a
    block of requests with a valid token to a running process.

    :raises DifferenceError: if an implementation decides otherwise than Readplane.
    """
    forge = Forge(int(time.time()), client_id=CLIENT_ID)
    pool = {"issuer": forge.issuer, "jwks_uri": f"https://127.0.0.1:{fake.ready['port']}{KEY_SET_PATH}"}
    settings = {
        "v": 1,
        "pools": [pool | {"client_ids": [CLIENT_ID]}],
        "scopes": [forge.scope],
        "owner": ["profiles"],
        "shared": ["orders"],
        "sources": [],
        "origins": [],
    }
    (folder / PARAMETER_FILE).write_text(json.dumps(settings))
    (folder / KEY_SET_FILE).write_bytes(forge.key_set())
    # Tokens must stay valid for the whole run.
    later = forge.now + 7_200
    good = forge.token(exp=later)
    cases = [
        ("/documents/profiles/p-1", good),
        ("/documents/orders/o-1", good),
        ("/documents/others/o-1", good),
        ("/documents/orders/o-1", forge.token(exp=later, scope="x")),
        ("/documents/orders/o-1", forge.token(exp=forge.now - 60)),
        ("/documents/orders/o-1", f"{good[:-4]}AAAA"),
        ("/documents/orders/o-1", None),
    ]
    events = [_event(path, token) for path, token in cases]
    subjects = edge_subjects(folder)
    _check(runner, subjects, events)
    cold = _cold(runner, subjects, events[0], extent)
    warm = _warm(runner, subjects, events[0], extent)
    return {"zip_bytes": edge_zip().stat().st_size, "cold": cold, "warm": warm}


def edge_zip() -> Path:
    """Return the path of the zip of `edge_auth`: the zip for AWS if it exists, else the local one."""
    paths = (ROOT / "dist" / "edge_auth-x86_64.zip", ROOT / "dist" / "local" / "edge_auth.zip")
    return next(path for path in paths if path.exists())


def goals(result: Result) -> list[Goal]:
    """Return the goals of this part.

    :param result: the results of the part.
    """
    cold = {name: row["cpu"]["median"] for name, row in result["cold"].items()}
    return [
        Goal("edge_auth, CPU of a decision in ms", result["warm"][EDGE]["cpu"]["median"] * 1e3, DECISION_MS),
        Goal("edge_auth, CPU of a cold start in ms", cold[EDGE] * 1e3, COLD_MS),
        Goal("edge_auth, CPU of a cold start compared with PyJWT", cold[EDGE] / cold[EDGE_PYJWT], MAX_COLD_RATIO),
        Goal("edge_auth, zip in KB", result["zip_bytes"] / KB, ZIP_KB),
    ]


def tables(result: Result) -> str:
    """Return the Markdown table of this part.

    :param result: the results of the part.
    """
    head = ["`edge_auth`", "decision, CPU µs", "quartiles", "cold start, CPU ms", "quartiles", "peak MB", "modules"]
    body = []
    for name, cold in result["cold"].items():
        cpu, warm = cold["cpu"], result["warm"][name]["cpu"]
        body.append(
            [
                LABELS[name],
                f"{warm['median'] * 1e6:.0f}",
                f"{warm['low'] * 1e6:.0f}-{warm['high'] * 1e6:.0f}",
                f"{cpu['median'] * 1e3:.1f}",
                f"{cpu['low'] * 1e3:.1f}-{cpu['high'] * 1e3:.1f}",
                f"{cold['memory']['median'] / MIB:.1f}",
                f"{cold['modules']['median']:.0f}",
            ]
        )
    return f"{table(head, body)}\n\nThe zip of `edge_auth` has {result['zip_bytes'] / KB:.0f} KB."


def _event(path: str, token: str | None) -> dict[str, Any]:
    headers = {"host": [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}]}
    if token:
        headers["authorization"] = [{"key": "Authorization", "value": f"Bearer {token}"}]
    request = {"clientIp": "203.0.113.178", "headers": headers, "method": "GET", "querystring": "", "uri": path}
    config = {"distributionId": "EDFDVBD6EXAMPLE", "eventType": "viewer-request", "requestId": "4TyzHTaYWb1GX1qT"}
    return {"Records": [{"cf": {"config": config, "request": request}}]}


def _check(runner: Runner, subjects: dict[str, Subject], events: list[dict[str, Any]]) -> None:
    expected = ["/documents/profiles/3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11/p-1", "/documents/orders/o-1"]
    expected += ["404", "403", "401", "401", "401"]
    for name in (EDGE, EDGE_PYJWT, EDGE_PYJWT_BOTO3):
        responses = runner.responses(subjects[name], FUNCTION, events)
        decisions = [response.get("uri") or response["status"] for response in responses]
        if decisions != expected:
            raise DifferenceError(f"{subjects[name].label}, {FUNCTION}: {decisions}, expected {expected}")


def _cold(runner: Runner, subjects: dict[str, Subject], event: dict[str, Any], extent: Extent) -> Result:
    progress(f"cold {FUNCTION}: {extent.cold_rounds} rounds of {len(subjects)} fresh processes")
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in subjects}

    def sample(name: str) -> float:
        samples[name].append(runner.sample(subjects[name], FUNCTION, event))
        return float(samples[name][-1]["cpu"])

    for subject in subjects.values():  # one run that isn't measured, because it fills the disk cache
        runner.sample(subject, FUNCTION, event)
    interleaved(list(subjects), extent.cold_rounds, sample)
    return {
        name: {kind: spread(entry[kind] for entry in own)._asdict() for kind in COLD} for name, own in samples.items()
    }


def _warm(runner: Runner, subjects: dict[str, Subject], event: dict[str, Any], extent: Extent) -> Result:
    progress(f"warm {FUNCTION}: {extent.warm_rounds} rounds of {extent.warm_requests} requests")
    servers = {name: runner.server(subject, FUNCTION, event) for name, subject in subjects.items()}
    try:
        for server in servers.values():
            server.serve(extent.warm_requests)
        samples = interleaved(list(servers), extent.warm_rounds, lambda name: servers[name].serve(extent.warm_requests))
    finally:
        for server in servers.values():
            server.close()
    return {name: {"cpu": spread(own)._asdict()} for name, own in samples.items()}
