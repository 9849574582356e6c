"""Probes: small questions about a stack, asked all at once, each with a time limit of its own.

The commands `status` and `doctor` ask them. A Region that doesn't answer must not delay what the other Region says, so
each probe has a thread of its own, and nobody waits longer for it than its time limit.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.target import table
from ops.console import CommandError
from readplane.aws.faults import AwsError, RefusedError

State = Literal["ok", "wrong", "unknown"]

ACCESS_DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403")
"""The codes with which AWS services say that the caller has no permission."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Finding(NamedTuple):
    """What a probe found out.

    place: a Region, or `edge`
    subject: what the finding is about, such as `queues`
    state: `ok`, `wrong`, or `unknown` if the probe couldn't find out
    text: the finding as a short text for people, which says what to do if something is wrong
    values: numbers and names for machines
    answered: whether the place answered at all
    """

    place: str
    subject: str
    state: State
    text: str
    values: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    answered: bool = True

    def line(self) -> dict[str, Any]:
        """Return the finding as a JSON object for --json."""
        return {"place": self.place, "subject": self.subject, "state": self.state, "text": self.text, **self.values}


Result = tuple[State, str] | tuple[State, str, dict[str, Any]]
"""A finding of a probe, without its place and subject."""


class Probe(NamedTuple):
    """A question about one subject in one place.

    place: a Region, or `edge`
    subject: what it asks about
    ask: finds out, and returns the state, the text and the values of a finding
    """

    place: str
    subject: str
    ask: Callable[[], Result]


class Clients:
    """Makes boto3 clients that give up soon.

    Make the clients before the probes run: boto3 can't make clients in several threads at once.
    """

    def __init__(self, seconds: float) -> None:
        # A fault that AWS answers at once, such as a throttle, gets a second try within the time limit of a probe.
        self._config = Config(
            connect_timeout=seconds, read_timeout=seconds, retries={"mode": "standard", "total_max_attempts": 2}
        )
        self._clients: dict[tuple[str, str], Any] = {}

    def __call__(self, service: str, region: str) -> Any:
        """Return a client for an AWS service in a Region."""
        if (service, region) not in self._clients:
            make: Any = boto3.client
            self._clients[service, region] = make(service, region_name=region, config=self._config)
        return self._clients[service, region]


def timeout_option(default: float) -> Callable[[_Command], _Command]:
    """Return the option with the time limit of each probe, which a command gets as the argument `seconds`.

    :param default: the time limit in seconds if the command line has none
    """
    return click.option(
        "--timeout",
        "seconds",
        type=click.FloatRange(0.5, 60),
        default=default,
        show_default=True,
        help="Wait for each answer for this many seconds at most.",
    )


def require_credentials() -> None:
    """Refuse to go on if this machine has no AWS credentials, because each probe would say the same.

    :raises CommandError: if boto3 finds none
    """
    if boto3.session.Session().get_credentials() is None:
        raise CommandError("There are no AWS credentials. Set AWS_PROFILE or sign in, then repeat the command.")


def run_probes(probes: Sequence[Probe], seconds: float) -> list[Finding]:
    """Run all probes at once, and return a finding for each, in their order.

    A probe that takes longer than its time limit counts as unanswered. Its thread is left behind: it is a daemon, so it
    doesn't keep the process from ending.

    :param seconds: the time limit of each probe
    """
    runs = [_Run(probe) for probe in probes]
    for run in runs:
        run.start()
    return [run.finding(seconds) for run in runs]


class _Run(threading.Thread):
    """The run of a probe in a thread of its own."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(daemon=True)
        self._probe = probe
        self._found: Finding | None = None
        self._began = time.monotonic()

    def run(self) -> None:
        self._began = time.monotonic()
        self._found = ask_probe(self._probe)

    def finding(self, seconds: float) -> Finding:
        """Wait until the time limit at most, and return the finding."""
        self.join(max(0.0, self._began + seconds - time.monotonic()))
        if self._found is not None:
            return self._found
        text = f"no answer within {seconds:g} s"
        return Finding(self._probe.place, self._probe.subject, "unknown", text, answered=False)


def ask_probe(probe: Probe) -> Finding:
    """Ask one probe. Return `unknown` if it fails, and say why without quoting an answer or an address."""
    try:
        return Finding(probe.place, probe.subject, *probe.ask())
    except Exception as error:  # noqa: BLE001 - one probe with a bug must not hide what the others found
        text, answered = _reason(error)
    return Finding(probe.place, probe.subject, "unknown", text, answered=answered)


def _reason(error: Exception) -> tuple[str, bool]:
    """Return why a probe failed, and whether its place answered at all."""
    match error:
        case ClientError():
            return _refusal(error.response.get("Error", {}).get("Code", ""), error.operation_name), True
        case RefusedError():
            return _refusal(error.code, "a call"), True
        case AwsError():
            return f"no answer ({error.code})", False
        case BotoCoreError() | OSError():
            return f"no answer ({type(error).__name__})", False
        case CommandError():
            return str(error), True
        case _:
            return f"the check itself failed ({type(error).__name__}); report it as a bug", True


def _refusal(code: str, operation: str) -> str:
    return f"no permission: {operation}" if code in ACCESS_DENIED else f"AWS refuses {operation} ({code})"


def collapse(findings: Sequence[Finding]) -> list[Finding]:
    """Replace the findings of a place by one, if the place gave no answer to any AWS call.

    The findings about `api` stand for the API and not for AWS's own services, so an answer of the API stays.
    """
    collapsed: list[Finding] = []
    for place in dict.fromkeys(finding.place for finding in findings):
        here = [finding for finding in findings if finding.place == place]
        silent = [finding for finding in here if not finding.answered]
        if len(silent) > 1 and all(finding.subject == "api" for finding in here if finding.answered):
            reason = Counter(finding.text for finding in silent).most_common(1)[0][0]
            text = f"the Region doesn't answer ({reason}, {len(silent)} checks)"
            here = [finding for finding in here if finding.answered]
            here.append(Finding(place, "everything", "unknown", text, answered=False))
        collapsed += here
    return collapsed


def show(findings: Iterable[Finding], *, as_json: bool, wrong: str) -> bool:
    """Print the findings as a table, or one JSON object a line. Return whether all are `ok`.

    :param wrong: the sentence after the table if something is wrong or unknown
    """
    findings = list(findings)
    counts = Counter(finding.state for finding in findings)
    fine = counts["ok"] == len(findings)
    if as_json:
        for finding in findings:
            click.echo(json.dumps(finding.line(), ensure_ascii=False))
        return fine
    rows: list[tuple[str, ...]] = [
        (entry.place, entry.subject, "WRONG" if entry.state == "wrong" else entry.state, entry.text)
        for entry in findings
    ]
    table(rows, "PLACE", "WHAT", "STATE", "FOUND")
    summary = f"{counts['wrong']} wrong, {counts['unknown']} unknown, {counts['ok']} ok."
    click.echo("Everything is ok." if fine else f"{summary} {wrong}")
    return fine
