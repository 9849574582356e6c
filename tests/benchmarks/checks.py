"""The check before all measurements: every implementation must give the same responses as Readplane."""

import base64
import json
from typing import Any

from tests.benchmarks import load
from tests.benchmarks.processes import FakeProcess, Runner
from tests.benchmarks.subjects import FLOOR, OURS, Subject

COMPARED_HEADERS = ("content-type", "cache-control", "etag", "location", "readplane-version")

READS: list[tuple[int, dict[str, Any]]] = [
    (200, load.get()),
    (304, load.request("GET", If_None_Match=f'"{load.VERSION}"')),
    (200, load.request("GET", If_None_Match='"another"')),
    (404, load.request("GET", "p-2")),
    (400, load.request("GET", "-p")),
]
WRITES: list[tuple[int, dict[str, Any]]] = [
    (202, load.put()),
    (400, load.request("PUT", body='{"name":"Kettle"}')),
    (400, load.request("PUT", body='{"name":"Kettle","price":1,"colour":"red"}')),
    (400, load.request("PUT", body="{")),
    (400, load.request("PUT", "-p", body=load.put()["body"])),
    (403, load.with_claims(load.put(), client_id="another")),
    (403, load.with_claims(load.put(), cognito_groups="auditors")),
]


class DifferenceError(Exception):
    """An implementation doesn't do the same work as Readplane, so a comparison of their costs would be meaningless."""


def check_responses(runner: Runner, fake: FakeProcess, subjects: dict[str, Subject]) -> int:
    """Compare the responses of each implementation with Readplane's; return the number of compared responses.

    :param subjects: the implementations by name, Readplane among them.
    :raises DifferenceError: if a response differs from Readplane's, or if an implementation makes a wrong number of AWS
        calls, sends no X-Ray trace datagram or sends a malformed one.
    """
    number = 0
    for function, cases in (("read", READS), ("write", WRITES)):
        expected = _responses(runner, fake, subjects[OURS], function, cases)
        for name, subject in subjects.items():
            if name == FLOOR:
                continue
            responses = _responses(runner, fake, subject, function, cases)
            for (status, event), (theirs, ours) in zip(cases, zip(responses, expected, strict=True), strict=True):
                if theirs != ours or theirs["status"] != status:
                    case = f"{subject.label}, {function}, {event['path']}, expected {status}"
                    raise DifferenceError(f"{case}:\n  {theirs}\n  ours: {ours}")
                number += 1
    return number


def _responses(
    runner: Runner, fake: FakeProcess, subject: Subject, function: str, cases: list[tuple[int, dict[str, Any]]]
) -> list[dict[str, Any]]:
    fake.do("reset")
    events = [event for _, event in cases]
    responses = [_comparable(response) for response in runner.responses(subject, function, events)]
    state = fake.do("state")
    counts = state["counts"]
    # Expect one AWS call for each request that passes validation. Only one of the test
    # writes passes. Four of the five test reads pass, because the fifth has a malformed id.
    operation, calls = ("PutRecord", 1) if function == "write" else ("GetItem", 4)
    if counts.get(operation) != calls or not counts.get("datagrams") or counts.get("bad datagrams"):
        raise DifferenceError(f"{subject.label}, {function}: the fake counted {counts}")
    if function == "write":
        responses[0]["record"] = _without_ids(base64.b64decode(state["record"]["Record"]["Data"]).decode())
    return responses


def _comparable(response: dict[str, Any]) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
    headers |= {name.lower(): values[0] for name, values in (response.get("multiValueHeaders") or {}).items()}
    status = response["statusCode"]
    if status >= 400:
        # Don't compare the error texts, because the implementations word them differently.
        error = {"status": status, "content-type": headers.get("content-type")}
        try:
            document = json.loads(response["body"])
        except ValueError:
            return {**error, "body": response["body"]}
        return {**error, "title": document.get("title"), "member_status": document.get("status")}
    compared = {name: headers[name] for name in COMPARED_HEADERS if name in headers}
    body = response["body"]
    if status == 304:
        # Some frameworks send a content type with a 304. Ignore it, because a 304 has no body.
        compared.pop("content-type", None)
    if status == 202:
        change_id = json.loads(body)["change_id"]
        body = body.replace(change_id, "<change>")
        compared = {name: text.replace(change_id, "<change>") for name, text in compared.items()}
    return {"status": status, "headers": compared, "body": body}


def _without_ids(line: str) -> str:
    head, separator, data = line.partition(',"data":')
    members = json.loads(head + "}")
    return json.dumps({**members, "change_id": "", "accepted_at": ""}) + separator + data
