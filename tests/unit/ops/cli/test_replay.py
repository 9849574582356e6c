"""Test the command `replay`: which objects it announces, how it goes on, and how long live changes wait meanwhile."""

import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from ops.cli.collection_stores import LiveFunction
from ops.console import ROOT
from ops.jobs import JobState
from ops.queue_room import QueueRoom
from readplane.apply.notifications import announced_objects
from readplane.apply.quarantine import Replay
from tests.unit.ops.cli.support import Run, objects


def hours_ago(hours: float) -> datetime:
    """Return a time in the past."""
    return datetime.now(UTC) - timedelta(hours=hours)


def option(hours: float) -> str:
    """Return a time in the past as the command line names it."""
    return hours_ago(hours).isoformat(timespec="seconds")


DAY = ("replay", "--from", option(24))


@pytest.fixture
def keys() -> list[str]:
    """Return the keys that `put` makes in a log: 12 objects of clients, a redriven one, and one of a back office."""
    hour = f"{hours_ago(1):year=%Y/month=%m/day=%d/hour=%H}"
    return [
        "log/redrive/2026-01-01/abc",
        *(f"log/{hour}/demo-1 é+{number:02}.gz" for number in range(12)),
        f"stream/{hour}/changes.gz",
    ]


@pytest.fixture
def replay(run: Run, keys: list[str]) -> Run:
    """Put the objects into the test stack's log. Return a function that runs a command line."""
    make: Any = boto3.client
    for key in keys:
        make("s3").put_object(Bucket="log", Key=key, Body=b"12345")
    return run


def receive(queue: str = "shop-apply") -> list[tuple[str, Replay | None]]:
    """Take all messages from a queue. Return each announced object's key, and how `apply` replays it, in order."""
    make: Any = boto3.client
    sqs, found = make("sqs"), []
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            for key, created_ms, mark in announced_objects({"body": message["Body"]}):
                assert abs(created_ms / 1000 - datetime.now(UTC).timestamp()) < 60
                found.append((key, mark))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return sorted(found, key=lambda entry: entry[0])


def test_a_dry_run_counts_the_objects_and_changes_nothing(replay: Run) -> None:
    result = replay(*DAY)
    assert result.exit_code == 0 and "Nothing was changed" in result.output, result.output
    rows = [line.split()[1:] for line in result.output.splitlines()[1:3]]
    assert rows == [["log", "13", "65"], ["stream", "1", "5"]]
    assert receive() == [] and objects("config/") == []
    plan = json.loads(replay(*DAY, "--json").output)
    assert [(part["prefix"], part["objects"], part["bytes"]) for part in plan["parts"]] == [
        ("log", 13, 65),
        ("stream", 1, 5),
    ]


def test_a_replay_announces_every_object_once_and_marks_it(replay: Run, keys: list[str]) -> None:
    result = replay(*DAY, "--yes")
    assert result.exit_code == 0 and "replay: done. objects 14, bytes 70." in result.output, result.output
    assert receive() == [(key, Replay()) for key in keys]
    (audit,) = objects("config/audit/")
    assert "-replay-" in audit


@pytest.mark.parametrize(
    ("words", "prefix", "mark"),
    [
        (("--prefix", "stream"), "stream/", Replay()),
        (("--prefix", "log"), "log/", Replay()),
        (("--lost",), "log/", Replay(is_lost=True)),
        (
            ("--collection", "products", "--collection", "orders"),
            "",
            Replay(collections=frozenset({"products", "orders"})),
        ),
    ],
)
def test_the_options_choose_objects_and_marks(
    replay: Run, keys: list[str], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], prefix: str, mark: Replay
) -> None:
    live = LiveFunction({"collections": {"products": {}, "orders": {}}}, 0, 0)
    monkeypatch.setattr("ops.cli.replay.live_function", lambda target, stack, function: live)
    assert replay(*DAY, *words, "--yes").exit_code == 0
    assert receive() == [(key, mark) for key in keys if key.startswith(prefix)]
    result = replay(*DAY, "--collection", "produkte", "--yes")
    assert result.exit_code == 1
    assert str(result.exception) == "There is no collection produkte. Declared are: orders, products."


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--from", "yesterday"), "must be a time with its zone"),
        (("--from", option(2), "--to", option(3)), "--from must be before --to"),
        (("--from", option(-1)), "in the past"),
        (("--from", option(24 * 13 + 1), "--lost"), "--lost works for the last 13 days only"),
        (("--from", option(2), "--lost", "--prefix", "stream"), "leave --prefix and --collection out"),
        (("--from", option(2), "--lost", "--collection", "products"), "leave --prefix and --collection out"),
        (("--from", option(2), "--in-flight", "0"), "--in-flight"),
        (("--from", option(2), "--prefix", "aws"), "--prefix"),
    ],
)
def test_a_wrong_command_line_is_refused(run: Run, words: tuple[str, ...], text: str) -> None:
    result = run("replay", *words, "--yes")
    assert result.exit_code == 2 and text in result.output and objects("config/") == []


def test_the_command_of_the_runbook_works_after_sqs_has_deleted_the_dead_letters(replay: Run) -> None:
    """SQS keeps a message for 14 days. The runbook leaves the times to the operator."""
    text = (ROOT / "docs/runbooks/apply-dead-letters.md").read_text()
    (command,) = re.findall(r"If the 14 days are over, .*`ops/readplane ([^`]+)`", text.replace("\n", " "))
    words = command.replace("TIME", option(24 * 15), 1).replace("TIME", option(0)).split()
    result = replay(*words)
    assert result.exit_code == 0 and "replay: done. objects " in result.output, result.output


def test_a_region_without_the_stack_is_refused(run: Run) -> None:
    result = run(*DAY, "--region", "us-east-2", "--yes")
    assert result.exit_code == 1 and "The stack isn't in us-east-2." in str(result.exception)


def test_a_replay_that_fails_between_two_batches_goes_on_after_the_last_one(
    replay: Run, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("ops.queue_room.QueueRoom.note_sent", fail)
        assert replay(*DAY, "--yes").exception
    assert [key for key, _ in receive()] == keys[:10], "the batch was sent, but not noted"
    with monkeypatch.context() as patch:
        patch.setattr("ops.jobs.Job.pace", lambda job, steps: fail() if steps < 10 else None)
        assert replay(*DAY, "--yes").exception
    assert [key for key, _ in receive()] == keys[:10]
    assert "began this replay" in replay(*DAY).output
    result = replay(*DAY, "--yes")
    assert result.exit_code == 0 and "objects 14, bytes 70" in result.output, result.output
    assert [key for key, _ in receive()] == keys[10:]


def test_a_refused_message_ends_the_replay_before_it(replay: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(sqs: Any, **parameters: Any) -> dict[str, Any]:
        return {"Failed": [{"Id": "3", "Code": "InternalError"}]}

    with monkeypatch.context() as patch:
        patch.setattr("ops.cli.target.Target.client", _with_send(send))
        result = replay(*DAY, "--yes")
    assert "SQS refused 1 of 10 messages (InternalError)" in str(result.exception)
    make: Any = boto3.client
    (key,) = objects("config/jobs/")
    state = JobState(**json.loads(make("s3").get_object(Bucket="log", Key=key)["Body"].read()))
    assert (state.position, state.outcome) == (None, "failed")


def _with_send(send: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """Return a replacement of `Target.client` whose SQS client sends batches with another function."""

    def client(target: Any, service: str, region: str | None = None) -> Any:
        make: Any = boto3.client
        found = make(service, region_name=region or target.region)
        if service == "sqs":
            found.send_message_batch = lambda **parameters: send(found, **parameters)
        return found

    return client


def test_no_more_messages_wait_than_allowed(replay: Run, keys: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing takes the messages here, so the command waits. The stand-in for the wait takes them."""
    taken: list[tuple[str, Replay | None]] = []
    now = [0.0]
    monkeypatch.setattr(QueueRoom.__init__, "__defaults__", (lambda: now[0],))

    def wait(_job: Any, seconds: float) -> None:
        now[0] += seconds
        if now[0] % 5 == 0:
            batch = receive()
            assert len(batch) <= 4
            taken.extend(batch)

    monkeypatch.setattr("ops.jobs.Job.wait", wait)
    assert replay(*DAY, "--in-flight", "4", "--yes").exit_code == 0
    assert now[0] >= 15, "14 objects are four batches"
    assert sorted(key for key, _ in taken + receive()) == keys


TICK = 0.1
OBJECT_SECONDS = 1.0
BUFFERING_SECONDS = 60.0


def live_delays(in_flight: int) -> list[float]:
    """Simulate ten minutes of an apply queue, and return the delay in seconds of each live change.

    Ten executions take up to ten messages at a time, in any order, and apply one object in a second. Two live objects
    arrive every second. SQS counts the queue's messages three seconds late. A change first waits for Firehose's buffer.

    :param in_flight: the limit of a replay of endless length; 0 for no replay
    """
    rng = random.Random(7)
    queue: list[float | None] = []  # when each live object arrived; None for an object of the replay
    busy: list[tuple[float, list[tuple[float | None, float]]]] = []
    counts, delays, now = [0] * round(3 / TICK), [], 0.0
    room = QueueRoom(lambda: counts[-round(3 / TICK)], in_flight, lambda: now)
    while now < 600:
        now += TICK
        busy = [execution for execution in busy if execution[0] > now]
        if rng.random() < 2 * TICK:
            queue.append(now)
        sent = max(0, room.free()) if in_flight else 0
        if sent:
            queue += [None] * sent
            room.note_sent(sent)
        while len(busy) < 10 and queue:
            batch = [queue.pop(rng.randrange(len(queue))) for _ in range(min(10, len(queue)))]
            done = [now + OBJECT_SECONDS * number for number in range(1, len(batch) + 1)]
            busy.append((done[-1], list(zip(batch, done, strict=True))))
            for arrived, at in busy[-1][1]:
                if arrived is not None:
                    delays.append(rng.uniform(0, BUFFERING_SECONDS) + at - arrived)
        counts.append(len(queue) + sum(at > now for _, batch in busy for _, at in batch))
    return sorted(delays)


def p99(in_flight: int) -> float:
    """Return the 99th percentile of the delay of live changes while a replay runs."""
    delays = live_delays(in_flight)
    assert len(delays) > 1000 or in_flight > 1000
    return delays[int(len(delays) * 0.99)]


def test_live_changes_wait_at_most_twice_as_long_while_a_replay_runs() -> None:
    calm = p99(0)
    assert p99(20) <= 2 * calm, "with the default of --in-flight"
    assert p99(100_000) > 2 * calm, "without a limit, the replay holds live changes up"
