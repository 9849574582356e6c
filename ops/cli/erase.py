"""The commands `erase`: remove a user and everything that the user owns from the whole stack.

`begin` shuts the user out and deletes the items. When the user's tokens have expired and the last writes are applied,
`finish` removes every trace from the documents, the write log, the quarantine, the items table and the stores.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from botocore.exceptions import ClientError

from ops.cli.erase_items import count_rows, delete_items, erase_rows
from ops.cli.erase_log import LOG_PREFIXES, SCRATCH, UserInLog, clear_scratch, document_versions, owner_sources
from ops.cli.items_generations import refuse_second_table
from ops.cli.object_versions import delete_versions
from ops.cli.private_stores import count_messages, feed
from ops.cli.target import Chosen, RegionalStack, Target, table
from ops.cli.users import Pool
from ops.cli.waiting_changes import age_limit, has_failed_batches, oldest_message, unpublished
from ops.cli.write_log import apply_queue
from ops.console import CommandError
from ops.jobs import (
    LEASE_SECONDS,
    Job,
    JobOptions,
    job_options,
    job_states,
    open_job,
    print_plan,
    state_key,
    unfinished_job,
)
from readplane.model.collection import is_owner
from readplane.model.timestamp import rfc3339

STEPS = ("items", "log", "table", "stores", "documents", "user", "search")
"""The steps of `erase finish`, in their order. The tombstones go after the log, which could bring their items back. The
documents go after the tombstones, because `publish` deletes a tombstone's document once more, and leaves a marker.

At their ends, `items` and `table` wait until `publish` and `feed` have handled what was written to the items table."""

PENDING_SECONDS = 15 * 60
"""How long a change may be on its way after Firehose has delivered it."""

DOCUMENT_TRIES = 30
DOCUMENT_SECONDS = 10.0
"""How often the documents' versions are deleted until no new marker comes, and the pause between."""

FORGET_TRIES = 5
FORGET_SECONDS = 5.0
"""How often `feed` is asked to remove tombstones, and the pause between. A late message may bring one back."""

HANDLED_TRIES = 360
HANDLED_SECONDS = 5.0
"""How often the command looks whether `publish` and `feed` have handled the last writes, and the pause between."""

TOKEN_SECONDS = 86_400.0
"""How long an access token of Cognito lives at most."""

END_SECONDS = 60
"""How long writing the end of `erase begin` may take, and the operator's clock may be behind that of S3."""

DAY = timedelta(days=1)

owner_option = click.option("--owner", metavar="SUB", required=True, help="The user's `sub`, a UUID of Cognito.")


@click.group()
def erase() -> None:
    """Remove a user and everything that the user owns from the whole stack, in two steps."""


@erase.command()
@owner_option
@job_options(paced=False, restartable=False)
@click.pass_obj
def begin(chosen: Chosen, owner: str, options: JobOptions) -> None:
    """Shut a user out, and delete the user's items.

    Without --yes, only count them. With --yes, disable the user in the user pool, revoke the user's refresh tokens, and
    send a delete for each item of the user through the write log. An access token stays valid until it expires, so the
    command says when `erase finish` may run (`finish_after` in the JSON). Run it again at any time: it disables the
    user again, and deletes what is there.
    """
    target = chosen.target
    arguments = _arguments(owner)
    refuse_second_table(target, "erase")
    users = _users(target, owner)
    wait_seconds = _wait_seconds(target)
    if not options.yes:
        counts = count_rows(target, target.regional(replica=False), owner, _no_tick)
        _print_counts(options, "erase begin", {"users": len(users), **counts})
        return
    with open_job(target, "erase begin", arguments, options) as job:
        pool = Pool(target)
        for name in users:
            pool.shut_out(name)
        if job.position is None:  # a run that goes on has counted them
            job.advance("users", users_disabled=len(users))
        delete_items(target, owner, job.wait, lambda count: job.advance("items", items_deleted=count), job.renew)
        # The waiting time begins when S3 has written the job's end, which is right after this.
        ready = int(time.time() + wait_seconds) + END_SECONDS
        job.add_to_result(finish_after=rfc3339(ready * 1000))
    if not options.as_json:
        click.echo(f"Then run this, not before {_time(ready)}: readplane erase finish --owner SUB --yes")


@erase.command()
@owner_option
@click.option("--keep-user", is_flag=True, help="Leave the user in the user pool, disabled. Other stacks may use it.")
@job_options(unit="object versions")
@click.pass_obj
def finish(chosen: Chosen, owner: str, keep_user: bool, options: JobOptions) -> None:
    """Remove a user from the documents, the write log, the quarantine, the items table and the stores.

    Without --yes, only count where the user is named. With --yes, remove in every Region: all versions of the
    documents of the user's items; the user's lines in every object of the write log and of the change archive, with
    the objects' old versions; the user's quarantined changes; the tombstones of the user's items, also in the
    database; and the user in the user pool. Where the user has written items of others, `erased` replaces the actor.
    In the end, search everything again.

    The command reads the whole write log twice. It goes on where it was interrupted. A replay or rebuild afterwards
    brings nothing back, but a table that is restored from an older backup does: run both commands again then. What
    another item's data says about the user stays, and is counted as `named`. The command says which backups and logs
    age out by themselves, and when.
    """
    target = chosen.target
    arguments = _arguments(owner)
    refuse_second_table(target, "erase")
    ready = _check_ready(target, arguments)
    _check_imports(target)
    _check_notifications(target)
    sources = owner_sources(target)
    if options.yes:
        _check_queues(target, ready)
    if not options.yes:
        _print_counts(options, "erase finish", _search(target, owner, None, sources, keep_user=keep_user))
        return
    with open_job(target, "erase finish", arguments, options) as job:
        _check_alone(target, job)
        _finish(chosen, owner, job, sources, keep_user=keep_user)
        ages_out = _ages_out(target)  # now, because backups hold what the table had until this run
        job.add_to_result(ages_out=[{"where": where, "until": until} for where, until in ages_out])
    if not options.as_json:
        click.echo("Nothing can be removed from these, and they age out by themselves:")
        table(ages_out, "WHERE", "UNTIL")


def _no_tick() -> None:
    """Keep no lock, because a command without --yes has no job."""


def _arguments(owner: str) -> dict[str, Any]:
    """Return the arguments of the jobs, which name the user only by a hash.

    :raises CommandError: if the owner isn't a `sub`
    """
    if not is_owner(owner):
        raise CommandError("--owner must be the user's `sub`: letters, digits and hyphens, such as a UUID.")
    return {"owner_sha256": hashlib.sha256(owner.encode()).hexdigest()}


def _users(target: Target, owner: str) -> list[str]:
    """Return the names of the users in the user pool with this `sub`: one, or none if it has been deleted."""
    pool = target.output("user_pool_id", "an older version of Readplane created the stack. Apply terraform/.")
    users = target.client("cognito-idp", target.region).list_users(UserPoolId=pool, Filter=f'sub = "{owner}"')["Users"]
    return [user["Username"] for user in users]


def _wait_seconds(target: Target) -> float:
    """Return how long after `begin` the last change of the user may arrive: token, then Firehose, then the way.

    :raises CommandError: if the stack's outputs don't say whose tokens it accepts
    """
    clients = target.output("client_ids", "an older version of Readplane created the stack. Apply terraform/.")
    tokens = [_token_seconds(target, client) for client in clients]
    stream = target.output("delivery_stream", "an older version of Readplane created the stack. Apply terraform/.")
    firehose = target.client("firehose", target.region)
    description = firehose.describe_delivery_stream(DeliveryStreamName=stream)["DeliveryStreamDescription"]
    hints = description["Destinations"][0]["ExtendedS3DestinationDescription"]["BufferingHints"]
    return max(3600.0, *tokens) + float(hints["IntervalInSeconds"]) + PENDING_SECONDS


def _token_seconds(target: Target, client: str) -> float:
    """Return how long the access tokens of a client of the user pool live, in seconds."""
    cognito = target.client("cognito-idp", target.region)
    try:
        answer = cognito.describe_user_pool_client(UserPoolId=target.outputs["user_pool_id"], ClientId=client)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return TOKEN_SECONDS  # the client is deleted, and nobody knows how long its last tokens live
    settings = answer["UserPoolClient"]
    units = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0}
    unit = settings.get("TokenValidityUnits", {}).get("AccessToken", "hours")
    seconds: float = settings.get("AccessTokenValidity", 1) * units[unit]
    return seconds


def _check_ready(target: Target, arguments: Mapping[str, Any]) -> float:
    """Check that `erase begin` is done for this user, and long enough ago. Return since when, in Unix seconds.

    :raises CommandError: if it isn't
    """
    if unfinished_job(target, "erase begin", arguments):
        raise CommandError("`erase begin` isn't done for this user. Run it again.")
    try:
        state = target.client("s3").head_object(
            Bucket=target.regional(replica=False).log_bucket, Key=state_key("erase begin", arguments)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchKey", "NotFound"):
            raise
        raise CommandError("`erase begin` hasn't run for this user. Run it first.") from error
    ready: float = state["LastModified"].timestamp() + _wait_seconds(target)
    if time.time() < ready:
        raise CommandError(
            f"`erase finish` may run from {_time(ready)} on. Until then, a token of the user may still be valid, or a "
            "last change may be on its way."
        )
    return ready


def _check_imports(target: Target) -> None:
    """Check that no import is unfinished, because it may still send items of the user.

    :raises CommandError: if one is
    """
    for key, state in job_states(target, "import"):
        if state["outcome"] != "done":
            raise CommandError(
                f"An import into {state['arguments'].get('collection')} isn't done ({state['operator']}, begun "
                f"{state['started_at']}). It may send items of the user again. Finish it, or delete its state if "
                f"nobody shall go on with it: s3://{target.regional(False).log_bucket}/{key}"
            )


def _check_alone(target: Target, job: Job) -> None:
    """Check that no other user is being erased. Two commands that rewrite the same objects would undo each other.

    :raises CommandError: if another `erase finish` runs
    """
    for key, state in job_states(target, "erase finish"):
        if key != job.key and state["outcome"] == "running" and state["age"] < LEASE_SECONDS:
            raise CommandError(
                f"{state['operator']} erases another user since {state['run_at']}. Wait until that has ended. If that "
                f"process is dead, its lock lapses {LEASE_SECONDS:.0f} s after its last step."
            )


def _check_notifications(target: Target) -> None:
    """Check that S3 doesn't notify `apply` of copies, by which `finish` rewrites the objects of the write log.

    :raises CommandError: if it does, because Terraform hasn't been applied since an older release
    """
    for stack in target.regions():
        answer = target.client("s3", stack.region).get_bucket_notification_configuration(Bucket=stack.log_bucket)
        events = {event for queue in answer.get("QueueConfigurations", []) for event in queue["Events"]}
        if events & {"s3:ObjectCreated:*", "s3:ObjectCreated:Copy"}:
            raise CommandError(
                f"{stack.log_bucket} notifies `apply` of copies. Run `terraform apply` with this release first."
            )


def _check_queues(target: Target, since: float) -> None:
    """Check that nothing waits that may name the user.

    :param since: the Unix time since which no change of the user comes; younger messages may wait
    :raises CommandError: if something older waits, or a dead-letter queue isn't empty
    """
    for stack in target.regions():
        apply = {f"apply{suffix}": apply_queue(target, stack, suffix) for suffix in ("", "-dead-letters")}
        for text in _old_messages(target, stack, apply | _feed_queues(target, stack), since, age_limit):
            raise CommandError(text)
        if has_failed_batches(target, stack):
            raise CommandError(f"There are dead letters of streams in {stack.region}: readplane dead-letters redrive")


def _feed_queues(target: Target, stack: RegionalStack) -> dict[str, str]:
    """Return the URLs of the queues of `feed` in one Region, and of their dead-letter queues, by their names."""
    role = "primary" if stack.region == target.region else "replica"
    feeds: Mapping[str, Mapping[str, str]] = (target.outputs.get("feed_queues") or {}).get(role) or {}
    urls = {f"feed-{store}": entry["url"] for store, entry in feeds.items()}
    return urls | {f"feed-{store}-dead-letters": entry["dead_letter_url"] for store, entry in feeds.items()}


def _old_messages(
    target: Target,
    stack: RegionalStack,
    urls: Mapping[str, str],
    since: float,
    age_of: Callable[[Target, RegionalStack, str], float | None],
) -> Iterator[str]:
    """Yield a sentence for each queue that holds a message from before a Unix time, or any dead letter.

    :param age_of: returns how old the messages of a queue are at most, in seconds; None if CloudWatch says nothing
    """
    for name, url in urls.items():
        waiting = count_messages(target.client("sqs", stack.region), url)
        if not waiting:
            continue
        age = None if name.endswith("-dead-letters") else age_of(target, stack, url)
        if age is None or since >= time.time() - age:
            yield (
                f"{waiting} messages are in the queue {target.name}-{name} of {stack.region}. Wait until those "
                "that may name the user are handled, or redrive dead letters (`readplane dead-letters redrive`)."
            )


def _finish(chosen: Chosen, owner: str, job: Job, sources: frozenset[str], *, keep_user: bool) -> None:
    """Carry out the steps from the job's position on."""
    target = chosen.target
    position = job.position or {"step": STEPS[0]}
    for number, step in enumerate(STEPS, 1):
        if number < STEPS.index(position["step"]) + 1 or (step == "user" and keep_user):
            continue
        refuse_second_table(chosen.find_again(), "erase")  # an apply may have made one since the last step
        position = position if position["step"] == step else {"step": step}
        job.say(f"step {number} of {len(STEPS)}: {step}")
        job.advance(position)
        if step == "log":
            _erase_log(target, owner, job, position, sources)
        elif step == "search":
            _check_nothing_left(target, owner, job, position, sources, keep_user=keep_user)
        else:
            _WORK[step](target, owner, job, position)


def _check_nothing_left(
    target: Target, owner: str, job: Job, position: Any, sources: frozenset[str], *, keep_user: bool
) -> None:
    """Search everything again.

    :raises CommandError: if something still names the user
    """
    found = _search(target, owner, job, sources, keep_user=keep_user)
    job.advance(position, named=found.pop("named", 0))
    if found:
        job.advance({"step": STEPS[0]})
        what = ", ".join(f"{name} {count}" for name, count in found.items())
        raise CommandError(f"Something names the user again ({what}). Run the command again.")


def _delete_user(target: Target, owner: str, job: Job, position: Any) -> None:
    """Delete the user in the user pool."""
    for name in _users(target, owner):
        target.client("cognito-idp", target.region).admin_delete_user(
            UserPoolId=target.outputs["user_pool_id"], Username=name
        )
        job.advance(position, users_deleted=1)


def _delete_items_again(target: Target, owner: str, job: Job, position: Any) -> None:
    """Delete what the user has written with a last token, in the items table and in what follows it."""
    unfinished = {"step": position["step"]}

    def note(count: int) -> None:
        job.advance(unfinished, items_deleted=count)

    _forget_last_write(job, position)
    deleted = delete_items(target, owner, job.wait, note, job.renew)
    _wait_until_handled(target, owner, job, position, wrote=deleted > 0)


def _forget_last_write(job: Job, position: Any) -> None:
    """Save a position without the time of the last write, because this run may end between a write and its note."""
    job.advance({"step": position["step"]})
    job.confirm()


def _wait_until_handled(target: Target, owner: str, job: Job, position: Any, *, wrote: bool) -> None:
    """Wait until `publish` and `feed` have handled what a step has written to the items table.

    Otherwise `publish` would leave markers with the user's name after the step `documents`. And `feed` must learn of a
    delete as long as the table has the tombstone. Afterwards `feed` takes a row of the database that is younger than
    the horizon for newer than the table, and leaves it.

    The job's position holds the time of the last write, so a run that goes on waits too. If the position has no time,
    an earlier run may have ended right after a write.

    :param wrote: whether this run has written something
    :raises CommandError: if it takes too long
    """
    since = position.get("since")
    if wrote or since is None:
        since = time.time()
    position = {"step": position["step"], "since": since}
    job.advance(position)
    job.say("waits until `publish` and `feed` have handled the last writes, which takes five minutes at least")
    for _ in range(HANDLED_TRIES):
        problem = next(_unhandled(target, since), None) or _living_rows(target, owner, job, position)
        if problem is None:
            return
        job.wait(HANDLED_SECONDS)
    raise CommandError(f"{problem} Then run this command again: it goes on.")


def _unhandled(target: Target, since: float) -> Iterator[str]:
    """Yield what `publish` and `feed` may not have handled yet of what was written before a Unix time.

    `apply` needn't be asked, because the deletes are in the items table of every Region.
    """
    yield from unpublished(target, since)
    for stack in target.regions():
        # This age leaves out a message that `feed` has failed to handle several times. Such a message holds only a key,
        # and the database shows whether `feed` has handled that key.
        yield from _old_messages(target, stack, _feed_queues(target, stack), since, oldest_message)


def _living_rows(target: Target, owner: str, job: Job, position: Any) -> str | None:
    """Return a sentence if the database of a Region still has an item of the user that isn't deleted."""
    for stack in target.regions():
        removed, left = _forget(target, stack, owner)
        job.advance(position, rows_removed=removed)
        if left:
            return (
                f"The database in {stack.region} still has {left} items of this user. Run `readplane relational verify "
                "--repair`, and wait until its queue is empty."
            )
    return None


def _erase_documents(target: Target, owner: str, job: Job, position: Any) -> None:
    """Delete all versions and markers of the user's documents, until there is no new one."""
    for attempt in range(DOCUMENT_TRIES):
        count = 0
        for stack in target.regions():
            for page in document_versions(target, stack, owner):
                job.pace(len(page.versions))
                deleted = delete_versions(target.client("s3", stack.region), stack.documents_bucket, page.versions)
                job.advance(position, document_versions=deleted)
                count += deleted
        if attempt and not count:
            return
        job.wait(DOCUMENT_SECONDS)


def _erase_log(target: Target, owner: str, job: Job, position: Any, sources: frozenset[str]) -> None:
    """Remove the user from every object of the write log's buckets, and what interrupted commands have left there."""
    for stack in target.regions():
        clear_scratch(target, stack)
    _walk_log(target, owner, job, position, sources, erase_them=True)
    for stack in target.regions():
        clear_scratch(target, stack)


def _walk_log(
    target: Target, owner: str, job: Job | None, position: Any, sources: frozenset[str], *, erase_them: bool
) -> Counter[str]:
    """Read every object of the write log's buckets. Return where the user is named, or what was removed.

    :param position: the job's position: the Region, prefix and key after which to go on
    :param sources: the sources that feed owner collections
    """
    total: Counter[str] = Counter()
    begin_at = position.get("region"), position.get("prefix"), position.get("key")
    for stack in target.regions():
        for prefix in LOG_PREFIXES if erase_them else (*LOG_PREFIXES, SCRATCH):
            if begin_at[0] is not None and (stack.region, prefix) != begin_at[:2]:
                continue
            after, begin_at = begin_at[2], (None, None, None)
            log = UserInLog(target, stack, owner, sources)
            for page in log.pages(prefix, after):
                if job:
                    job.pace(len(page.versions))
                counts = log.erase(page) if erase_them else log.search(page)
                total += counts
                after = page.after or after
                if job:
                    place = {"step": position["step"], "region": stack.region, "prefix": prefix, "key": after}
                    job.advance(place, **(counts if erase_them else {}), versions_read=len(page.versions))
    return total


def _erase_table(target: Target, owner: str, job: Job, position: Any) -> None:
    """Remove the user from the items table of every Region, and let `publish` and `feed` follow."""
    _forget_last_write(job, position)
    counts = erase_rows(target, owner, job.wait, job.renew)
    job.advance({"step": position["step"]}, **counts)
    _wait_until_handled(target, owner, job, position, wrote=counts.total() > 0)


def _forget_in_stores(target: Target, owner: str, job: Job, position: Any) -> None:
    """Remove the tombstones of the user's items from the database of each Region."""
    for stack in target.regions():
        for attempt in range(FORGET_TRIES):
            if attempt:
                job.wait(FORGET_SECONDS)
            removed, left = _forget(target, stack, owner)
            job.advance(position, rows_removed=removed)
            if not removed and not left:
                break
        else:
            raise CommandError(
                f"The database in {stack.region} still has rows of this user. Run `readplane relational verify "
                "--repair`, wait until its queue is empty, then run this command again."
            )


_WORK: Mapping[str, Callable[[Target, str, Job, Any], None]] = {
    "items": _delete_items_again,
    "documents": _erase_documents,
    "table": _erase_table,
    "stores": _forget_in_stores,
    "user": _delete_user,
}


def _search(target: Target, owner: str, job: Job | None, sources: frozenset[str], *, keep_user: bool) -> Counter[str]:
    """Count where the user is named, in every Region. `named` counts the data of other items."""
    found: Counter[str] = Counter()
    for stack in target.regions():
        found += count_rows(target, stack, owner, job.renew if job else _no_tick)
        documents = sum(len(page.versions) for page in document_versions(target, stack, owner))
        found["document_versions"] += documents
        if job:  # a search alone changes nothing
            found["database_rows"] += sum(_forget(target, stack, owner))
    found["users"] += 0 if keep_user else len(_users(target, owner))
    counts = _walk_log(target, owner, job, {"step": "search"}, sources, erase_them=False)
    found["log_object_versions"] += counts["found"]
    found["named"] += counts["named"]
    return +found


def _forget(target: Target, stack: RegionalStack, owner: str) -> tuple[int, int]:
    """Have `feed` remove the tombstones of the user's items. Return how many it removed, and the user's other rows."""
    feeds: Mapping[str, Any] = target.outputs.get("feed_queues") or {}
    if not feeds.get("primary" if stack.region == target.region else "replica"):
        return 0, 0
    answer = feed(target, stack, {"command": "forget", "owner": owner})
    return sum(store["removed"] for store in answer.values()), sum(store["left"] for store in answer.values())


def _print_counts(options: JobOptions, command: str, counts: Mapping[str, int]) -> None:
    """Print what a command would change."""
    if options.as_json:
        print_plan(command, counts=dict(counts))
        return
    rows: list[tuple[str, ...]] = [(name.replace("_", " "), str(count)) for name, count in counts.items()]
    if rows:
        table(rows, "WHERE", "NUMBER")
    click.echo("Nothing was changed. Run the command again with --yes.")


def _ages_out(target: Target) -> list[tuple[str, ...]]:
    """Return where the user is still named, and until when at most."""
    now = datetime.now(UTC)
    rows: list[tuple[str, ...]] = [
        ("point-in-time backups of the items table", f"{now + 35 * DAY:%Y-%m-%d}"),
        ("records of the change stream, if a source feeds an owner collection", "its retention, a day by default"),
        ("entries of the item cache", "cache.fresh_seconds + cache.stale_seconds"),
        ("backups of the database", "their retention (relational.aurora)"),
        ("log groups, such as the API's access log (field `caller`)", "log_retention_days"),
        ("CloudTrail, access logs of buckets, and backups of your own", "as you have set them"),
    ]
    if any(_feed_queues(target, stack) for stack in target.regions()):
        rows.insert(3, ("keys in messages that `feed` fails to handle", "`feed` handles them, or you redrive them"))
    return rows


def _time(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
