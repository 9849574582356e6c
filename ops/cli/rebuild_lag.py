"""Refuses a step of `rebuild items` while the functions are too far behind for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from ops.cli.private_stores import count_messages
from ops.cli.status_probes import Metric, newest_values
from ops.cli.target import RegionalStack, Target
from ops.cli.waiting_changes import has_failed_batches, queue_age
from ops.cli.write_log import apply_queue
from ops.console import CommandError

MAX_APPLY_SECONDS = 60 * 60.0
"""How far behind `apply` may be at a switch, as CloudWatch says."""

MAX_HIDDEN_SECONDS = 12 * 60 * 60.0
"""How old a message of `apply` may be that CloudWatch leaves out. `publish` follows a record of the building table only
if its change is younger than a day, and the apply of the switch takes its time."""

MAX_PUBLISH_SECONDS = 10.0
"""How far behind `publish` may be at the end. Without a second table it writes documents without conditions again."""


def refuse_late_apply(target: Target) -> None:
    """Refuse to go on while `apply` is behind in a Region.

    :raises CommandError: if a change waits for too long, or is a dead letter
    """
    _refuse([text for stack in target.regions() for text in _late_apply(target, stack)])


def refuse_late_publish(target: Target) -> None:
    """Refuse to go on while `publish` is behind in a Region.

    :raises CommandError: if it is
    """
    texts = []
    for stack in target.regions():
        age_ms = _iterator_age(target, stack, "publish")
        if age_ms > MAX_PUBLISH_SECONDS * 1000:
            texts.append(f"publish in {stack.region} is {age_ms / 1000:.0f} s behind")
    _refuse(texts)


def _late_apply(target: Target, stack: RegionalStack) -> Iterator[str]:
    sqs = target.client("sqs", stack.region)
    queue = apply_queue(target, stack)
    age = queue_age(target, stack, queue)
    seconds = max(age.reported or 0, _iterator_age(target, stack, "apply-stream") / 1000)
    waiting = count_messages(sqs, queue)
    if seconds > MAX_APPLY_SECONDS:
        yield f"apply in {stack.region} is {seconds:.0f} s behind"
    elif waiting and age.reported is None:
        yield f"{waiting} messages wait for apply in {stack.region}, and CloudWatch doesn't say since when"
    elif waiting and age.hidden > MAX_HIDDEN_SECONDS:
        yield (
            f"{waiting} messages wait for apply in {stack.region}, perhaps for {age.hidden:.0f} s, because CloudWatch "
            "leaves out those that were tried several times"
        )
    if count := count_messages(sqs, apply_queue(target, stack, "-dead-letters")):
        yield f"{stack.region} has {count} dead letters of apply (`ops/readplane dead-letters redrive`)"
    if has_failed_batches(target, stack):
        yield f"{stack.region} has dead letters of streams (`ops/readplane dead-letters redrive`)"


def _iterator_age(target: Target, stack: RegionalStack, function: str) -> float:
    """Return how far a function is behind its stream, in milliseconds; 0 if CloudWatch says nothing."""
    metric = Metric("AWS/Lambda", "IteratorAge", {"FunctionName": f"{target.name}-{function}"})
    ages = newest_values(target.client("cloudwatch", stack.region), {function: metric}, datetime.now(UTC))
    return ages[function] or 0.0


def _refuse(texts: list[str]) -> None:
    if texts:
        raise CommandError(
            f"{'; '.join(texts)}. Wait until nothing is behind (`ops/readplane status`), then try again."
        )
