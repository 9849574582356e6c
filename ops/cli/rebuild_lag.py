"""Refuses the end of `rebuild items` while the functions are behind."""

from __future__ import annotations

from collections.abc import Iterator

from ops.cli.private_stores import count_messages
from ops.cli.target import RegionalStack, Target
from ops.cli.waiting_changes import has_failed_batches, seconds_behind
from ops.cli.write_log import apply_queue
from ops.console import CommandError

MAX_SECONDS = 10.0
"""How far behind its streams a function may be at the end of a rebuild."""


def refuse_late_publish(target: Target) -> None:
    """Refuse to end a rebuild while `publish` is behind in a Region.

    Without a second table, it writes documents without conditions again.

    :raises CommandError: if it is behind
    """
    _refuse([text for stack in target.regions() for text in _late_streams(target, stack, "publish")])


def refuse_late_apply(target: Target) -> None:
    """Refuse to end a rebuild while a change of the log waits for `apply` in a Region.

    The fill may have written the change to the live table, and `publish` doesn't follow the fill. Only when `apply`
    writes the change to the former table, `publish` learns of it.

    :raises CommandError: if a change waits, or is a dead letter
    """
    _refuse([text for stack in target.regions() for text in _waiting_changes(target, stack)])


def _waiting_changes(target: Target, stack: RegionalStack) -> Iterator[str]:
    sqs = target.client("sqs", stack.region)
    if count := count_messages(sqs, apply_queue(target, stack)):
        yield f"{count} messages wait for apply in {stack.region}"
    yield from _late_streams(target, stack, "apply-stream")
    if count := count_messages(sqs, apply_queue(target, stack, "-dead-letters")):
        yield f"{stack.region} has {count} dead letters of apply (`ops/readplane dead-letters redrive`)"
    if has_failed_batches(target, stack):
        yield f"{stack.region} has dead letters of streams (`ops/readplane dead-letters redrive`)"


def _late_streams(target: Target, stack: RegionalStack, function: str) -> Iterator[str]:
    """Yield how far a function was behind any of its streams, if CloudWatch says that it was too far behind."""
    behind = seconds_behind(target, stack, function)
    if behind is not None and behind > MAX_SECONDS:
        yield f"{function} in {stack.region} is {behind:.0f} s behind"


def _refuse(texts: list[str]) -> None:
    if texts:
        raise CommandError(
            f"{'; '.join(texts)}. Wait until nothing is behind (`ops/readplane status`), then try again."
        )
