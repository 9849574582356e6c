"""The proof that all subjects do the same work: the same answers to the same events, before anything is measured."""

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.benchmarks import load
from tests.benchmarks.processes import FakeProcess, Runner
from tests.benchmarks.subjects import FLOOR, OURS, Subject

COMPARED = ("content-type", "cache-control", "etag", "location", "readplane-version")

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
    (401, load.with_claims(load.put(), client_id="another")),
    (403, load.with_claims(load.put(), cognito_groups="auditors")),
]


class Different(Exception):
    """Two subjects don't do the same work; a comparison would say nothing."""


def check_answers(runner: Runner, fake: FakeProcess, everybody: dict[str, Subject]) -> int:
    """Compare each subject's answers with ours; how many there were.

    :raises Different: for the first that differs.
    """
    number = 0
    for function, cases in (("read", READS), ("write", WRITES)):
        expected = _told(runner, fake, everybody[OURS], function, cases)
        for name, subject in everybody.items():
            if name == FLOOR:
                continue
            told = _told(runner, fake, subject, function, cases)
            for (status, event), (theirs, ours) in zip(cases, zip(told, expected, strict=True), strict=True):
                if theirs != ours or theirs["status"] != status:
                    where = f"{subject.label}, {function}, {event['path']}, expected {status}"
                    raise Different(f"{where}:\n  {theirs}\n  ours: {ours}")
                number += 1
    return number


def _told(
    runner: Runner, fake: FakeProcess, subject: Subject, function: str, cases: list[tuple[int, dict[str, Any]]]
) -> list[dict[str, Any]]:
    fake.do("reset")
    found = [_comparable(answer) for answer in runner.answers(subject, function, [event for _, event in cases])]
    told = fake.do("state")
    counts = told["counts"]
    # One call for one accepted write, none for a refused one; a read that is refused for its id isn't one either.
    operation, calls = ("PutRecord", 1) if function == "write" else ("GetItem", 4)
    if counts.get(operation) != calls or not counts.get("datagrams") or counts.get("bad datagrams"):
        raise Different(f"{subject.label}, {function}: the fake counted {counts}")
    if function == "write":
        found[0]["record"] = _without_ids(base64.b64decode(told["record"]["Record"]["Data"]).decode())
    return found


def _comparable(answer: dict[str, Any]) -> dict[str, Any]:
    headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
    headers |= {name.lower(): values[0] for name, values in (answer.get("multiValueHeaders") or {}).items()}
    status = answer["statusCode"]
    if status >= 400:  # the words of a refusal are each one's own
        told = {"status": status, "content-type": headers.get("content-type")}
        try:
            document = json.loads(answer["body"])
        except ValueError:
            return {**told, "body": answer["body"]}
        return {**told, "title": document.get("title"), "told": document.get("status")}
    kept = {name: headers[name] for name in COMPARED if name in headers}
    body = answer["body"]
    if status == 304:
        # Without a body its type says nothing; frameworks give it one.
        kept.pop("content-type", None)
    found: dict[str, Any] = {"status": status, "headers": kept, "body": body}
    if status == 202:
        change_id = json.loads(body)["change_id"]
        replace: Callable[[str], str] = lambda text: text.replace(change_id, "<change>")  # noqa: E731
        found |= {"body": replace(body), "headers": {name: replace(text) for name, text in kept.items()}}
    return found


def _without_ids(line: str) -> str:
    head, cut, data = line.partition(',"data":')
    told = json.loads(head + "}")
    return json.dumps({**told, "change_id": "", "accepted_at": ""}) + cut + data
