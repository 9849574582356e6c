"""What the commands about the private stores share: invoke `feed`, compare a store, and send keys to its queue.

Only the functions in the VPC reach a private store. So the commands invoke `feed`, or send keys to its queues.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import click
from botocore.exceptions import ClientError

from ops.cli.collection_stores import live_function
from ops.cli.invoke import LIVE, FunctionError, call
from ops.cli.target import Chosen, RegionalStack, Target
from ops.console import CommandError
from ops.jobs import refusal_of
from readplane.aws.boto import BotoClient
from readplane.stores.key_queue import MAX_CALL_MESSAGES, MAX_KEYS, SqsKeyQueue, StoreName

THROTTLE_SECONDS = 2.0
"""If Lambda throttles `feed`, wait this many seconds before the next try. The queues need `feed` too."""

MAX_THROTTLES = 60
"""The maximum number of times in a row that Lambda may throttle one invocation."""

SHOWN = 20
"""How many differences `verify` prints. --json prints all of them."""

KINDS = ("missing", "older", "newer", "extra")
"""How a store can differ from the items table. A missing item isn't in the store, and an extra one not in the table."""

NEWER = {
    "cache": "Raise cache.generation and apply.",
    "database": "Empty the tables of the collections (DELETE FROM), then run `rebuild relational`.",
}
"""What to do about entries of a store that are newer than the items table."""

EXPLAINED = {
    "cache": "no cache that `feed` writes: cache isn't set, or it is DAX",
    "database": "no relational database",
}

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Difference(NamedTuple):
    """An item that a store has in another version than the items table.

    region: the store's Region
    kind: one of KINDS
    key: the item's key in the items table
    """

    region: str
    kind: str
    key: str


class StoreQueue(NamedTuple):
    """The SQS queue with which `publish` feeds a store.

    store: the store that `feed` fills from the queue
    url: the queue's URL
    collections: the names of the collections that the store holds
    """

    store: StoreName
    url: str
    collections: tuple[str, ...]


def region_option(command: _Command) -> _Command:
    """Add the option --region to a command."""
    text = "Work in this Region only. Default: in every Region of the stack."
    return click.option("--region", metavar="REGION", help=text)(command)


def regions(chosen: Chosen, region: str | None) -> list[RegionalStack]:
    """Return the stack's resources in the Region that the command line names, or in every Region if it names none.

    :raises CommandError: if the stack isn't in this Region
    """
    stacks = chosen.target.regions()
    if region is None:
        return stacks
    if found := [stack for stack in stacks if stack.region == region]:
        return found
    raise CommandError(f"The stack isn't in {region}. It is in {', '.join(stack.region for stack in stacks)}.")


def require_store(target: Target, stack: RegionalStack, store: StoreName) -> Mapping[str, Any]:
    """Return the settings of a store as the live version of `feed` has them.

    :raises CommandError: if this Region has no such store
    """
    try:
        settings = live_function(target, stack, "feed").settings
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        settings = {}
    found: Mapping[str, Any] | None = settings.get(store)
    if not found:
        raise CommandError(f"This stack has {EXPLAINED[store]}.")
    return found


def feed(target: Target, stack: RegionalStack, event: Mapping[str, Any]) -> dict[str, Any]:
    """Invoke the live version of `feed` with a command, and return its answer.

    :raises CommandError: if `feed` refuses the command or can't reach the store; the message says which fault it met
    """
    function = f"{target.name}-feed:{LIVE}"
    for attempt in range(1, MAX_THROTTLES + 1):
        try:
            return call(target, function, dict(event), stack.region)
        except ClientError as error:
            if error.response["Error"]["Code"] != "TooManyRequestsException" or attempt == MAX_THROTTLES:
                raise CommandError(f"{function} in {stack.region} can't be invoked. {refusal_of(error)}") from error
            time.sleep(THROTTLE_SECONDS)
        except FunctionError as error:
            # These two quote nothing of an item or a store's answer (feed/errors.py). Other messages may.
            if error.kind not in ("StoreFaultError", "CommandError"):
                raise
            raise CommandError(f"`feed` in {stack.region}: {error.text}") from error
    raise AssertionError("unreachable")


def show_status(chosen: Chosen, stack: RegionalStack, store: StoreName) -> bool:
    """Print the state of a store as JSON. Return whether `feed` reaches the store.

    If `feed` itself fails in this Region, say so in the JSON, because the other Region's state counts all the more.
    """
    require_store(chosen.target, stack, store)
    try:
        status = feed(chosen.target, stack, {"command": "status"}).get(store, {})
    except CommandError as error:
        status = {"reachable": False, "fault": str(error)}
    waiting = _waiting_messages(chosen.target, stack, store_queue(chosen.target, stack, store))
    click.echo(json.dumps({"region": stack.region, **status, "waiting_messages": waiting}, indent=2))
    return bool(status.get("reachable"))


def verify(chosen: Chosen, region: str | None, store: StoreName, *, repair: bool, as_json: bool) -> bool:
    """Compare a store with the items table in each Region, and print the differences. Return whether all agree.

    :param repair: whether to send the keys that differ to the store's queue
    """
    target, agree = chosen.target, True
    for stack in regions(chosen, region):
        require_store(target, stack, store)
        counts, compared = Counter[str](), 0
        differing: list[str] = []
        for difference, total in _differences(target, stack, store):
            compared = total
            if difference is None:
                _show_count(stack, compared, "compared")
                continue
            counts[difference.kind] += 1
            differing.append(difference.key)
            if as_json:
                click.echo(json.dumps(difference._asdict()))
            elif len(differing) <= SHOWN:
                click.echo(f"{difference.kind:8} {difference.key}")
        queue = store_queue(target, stack, store)
        if not as_json:
            _summarise(stack, store, compared, counts, _waiting_messages(target, stack, queue))
        if repair and differing:
            _send_keys(stack, queue, iter(differing), len(differing), to_stderr=as_json)
        agree = agree and not differing
    return agree


def _show_count(stack: RegionalStack, count: int, done: str) -> None:
    """Show on a terminal how far a long command is. A file or a pipe gets no such lines."""
    if sys.stderr.isatty():
        click.echo(f"\r{stack.region}: {count} items {done} …\r", err=True, nl=False)


def _summarise(stack: RegionalStack, store: StoreName, compared: int, counts: Counter[str], waiting: int) -> None:
    if counts.total() > SHOWN:
        click.echo(f"… and {counts.total() - SHOWN} more; --json shows all of them.")
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]) or "no difference"
    click.echo(f"{stack.region}: {compared} items of the {store} compared: {kinds}.")
    if counts["newer"]:
        click.echo(
            "--repair doesn't mend an entry that is newer than its item: the items table was restored to an earlier "
            f"time. {NEWER[store]}"
        )
    if counts and waiting:
        click.echo(f"{waiting} messages wait in the queue of the {store}, so `feed` may be about to write these items.")


def _differences(target: Target, stack: RegionalStack, store: StoreName) -> Iterator[tuple[Difference | None, int]]:
    """Yield each difference with the number of items compared so far. Yield None and that number after each page."""
    cursor, compared = None, 0
    while True:
        page = feed(target, stack, {"command": "verify", "store": store, "cursor": cursor})
        compared += page["compared"]
        for kind in KINDS:
            for key in page[kind]:
                yield Difference(stack.region, kind, key), compared
        yield None, compared
        cursor = page["cursor"]
        if cursor is None:
            return


def _send_keys(
    stack: RegionalStack, queue: StoreQueue, keys: Iterator[str], count: int, *, to_stderr: bool = False
) -> None:
    """Send keys to a store's queue, and print how far it is.

    :param count: how many keys there are, for the progress bar
    :param to_stderr: whether to print to the standard error, because the standard output is JSON
    """
    output = sys.stderr if to_stderr else sys.stdout
    sqs = SqsKeyQueue(BotoClient("sqs", region=stack.region), queue.url, queue.store)
    sent, batch = 0, list[str]()
    with click.progressbar(length=count, label=f"Keys in {stack.region}", file=output) as progress:
        for key in keys:
            batch.append(key)
            if len(batch) == MAX_KEYS * MAX_CALL_MESSAGES:
                sqs.send(batch)
                progress.update(len(batch))
                sent, batch = sent + len(batch), []
        if batch:
            sqs.send(batch)
            progress.update(len(batch))
    text = f"{stack.region}: sent the keys of {sent + len(batch)} items to the queue. `feed` writes them now."
    click.echo(text, err=to_stderr)


def _waiting_messages(target: Target, stack: RegionalStack, queue: StoreQueue) -> int:
    """Return how many messages a store's queue has, roughly. SQS counts them a minute late."""
    return count_messages(target.client("sqs", stack.region), queue.url)


def count_messages(sqs: Any, url: str) -> int:
    """Return the number of messages in a queue, roughly. Messages that a consumer has just received count too."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(counts.get(name, 0)) for name in names)


def store_queue(target: Target, stack: RegionalStack, store: StoreName) -> StoreQueue:
    """Return a store's queue, as the live version of `publish` has it.

    :raises CommandError: if this Region has no such store
    """
    queues: Mapping[str, Mapping[str, Any]] = live_function(target, stack, "publish").settings.get("feeds") or {}
    if store not in queues:
        raise CommandError(f"This stack has {EXPLAINED[store]}.")
    return StoreQueue(store, queues[store]["queue_url"], tuple(queues[store]["collections"]))
