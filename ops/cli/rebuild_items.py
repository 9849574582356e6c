"""The commands `rebuild items`: make the items table again from the log, beside the live one, and switch to it.

Each command finds out what state the rebuild is in, does its step or says what has to be done before, and says what
comes next. Every step may be repeated.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import click

from ops.cli import items_differences, items_fill
from ops.cli.checkpoint import parse_ms
from ops.cli.collection_stores import declared_collections, live_function
from ops.cli.items_differences import SIDES, Findings, Side, TableComparison
from ops.cli.items_fill import Fill, FilledItems, ListedObject, Restored, listed_objects
from ops.cli.items_generations import Generations, generations, items_setting, table_name
from ops.cli.items_poison import Poison, PoisonHandler, QuarantiningPoison, quarantine_keys
from ops.cli.items_rows import RowCopies
from ops.cli.rebuild_lag import refuse_late_apply, refuse_late_publish
from ops.cli.rebuild_state import (
    SecondTable,
    describe_table,
    erased_users,
    read_record,
    read_verified,
    refuse_unfinished_erase,
    remove_record,
    remove_records,
    remove_verified,
    require_begun,
    require_functions,
    require_second,
    store_verified,
    verified_generation,
    write_record,
)
from ops.cli.target import Chosen, Target, table
from ops.console import CommandError
from ops.jobs import Job, JobOptions, JobState, job_options, open_job, print_plan, unfinished_job
from ops.walk import PAGE, PREFIXES, TimeRange
from readplane.apply.handler import ApplySettings
from readplane.apply.objects import S3LogObjects
from readplane.apply.quarantine import S3LineQuarantine
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.config import DAY_MS, read_settings
from readplane.model.keys import ITEM_PREFIX
from readplane.model.timestamp import ms_of, rfc3339
from readplane.stores.items import DynamoItems

LOGGED_SECONDS = 20 * 60.0
"""How long after `begin` everything is in the log that the functions took before they knew the building table. Firehose
buffers for up to 15 minutes."""

EARLIER_MS = 60 * 60 * 1000
"""The second walk begins this long before the first one, because the operator's clock may be wrong."""

PROGRESS_SECONDS = 30.0
"""How often the fill says how far it is, or how long it still waits."""

MAX_DIFFERENCES = 1000
"""After so many differences `verify` stops. The table isn't complete then."""

MAX_VERIFIED_SECONDS = 24 * 60 * 60.0
"""How old the result of `verify` may be at a switch. Since then, somebody may have applied another variable file for a
while, so that the building table has missed changes."""

RATE = 1500
"""The write units a second that the fill takes. A new table starts at 4,000, and `apply` needs some of them for the
changes of clients: if the second table throttles it, the live table waits, too."""

Direction = Literal["switch", "back"]


@click.group()
def items() -> None:
    """Make the items table again from the log, beside the live one, and switch to it (docs/rebuild.md).

    The steps are begin, fill, verify, switch and end. Between them you set `items` in the variable file and run
    terraform apply. Until `end` there is a way back.
    """


_yes = click.option("--yes", is_flag=True, help="Do it. Without this, only say what would be done.")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


@items.command()
@click.option("--restored", is_flag=True, help="The table exists: it was restored from a backup.")
@_yes
@_json
@click.pass_obj
def begin(chosen: Chosen, *, restored: bool, yes: bool, as_json: bool) -> None:
    """Check whether a rebuild can begin. After the apply, record that the functions write to the building table.

    Run it twice: first without a building table, to learn what to set, and with --yes after the apply. The second run
    checks the live functions of every Region. With --restored, it lists the users whose items the backup may still
    hold, although they were erased.
    """
    target = chosen.target
    state = generations(target)
    if state.former is not None:
        raise CommandError(
            f"The last rebuild isn't ended, because {table_name(target, state.former)} still stays in step. "
            "`ops/readplane rebuild items end` says how."
        )
    refuse_unfinished_erase(target)
    if state.building is None:
        text = _prepare(target, state.live, restored=restored, yes=yes)
        _report_begin(target, False, text, as_json, restored=restored)
        return
    state, second = require_second(target)
    if state.building is not None and state.building < state.live:
        # The steps `switch` and `back` tell the tables apart by their numbers.
        raise CommandError(f"Set items.building to a greater number than {state.live}, such as {state.live + 1}.")
    require_functions(target, state)
    described = describe_table(target, target.regional(False), second.name) or {}
    restored = restored or "RestoreSummary" in described
    begun = read_record(target, "begun", second)
    is_done = begun is not None and (begun.restored or not restored)
    if not is_done and yes:
        if verified_generation(target) == state.building:
            remove_verified(target)
        write_record(target, "begun", second, restored=restored)
    if not is_done and not yes:
        again = "--restored --yes" if restored else "--yes"
        text = f"The functions write to {second.name}. Record it: {again}."
    else:
        since = f"{begun.age:.0f} s ago" if begun is not None and is_done else "now"
        restored = restored or (begun is not None and begun.restored)
        options = " --from TIME" if restored else ""
        text = f"The functions write to {second.name} (recorded {since}). Next: rebuild items fill{options} --yes."
    _report_begin(target, is_done or yes, text, as_json, restored=restored)


def _report_begin(target: Target, done: bool, text: str, as_json: bool, *, restored: bool) -> None:
    """Print what `begin` found. For a restored table, name the users whose items the backup may still hold."""
    if not restored:
        _report(target, "begin", done, text, as_json)
        return
    erased = list(erased_users(target))
    if erased and not as_json:
        table(list(erased), "SHA-256 OF THE USER'S SUB", "ERASED AT")
        click.echo(
            "A backup that is older than such a time brings the user's items back. After the rebuild, run erase begin "
            "and erase finish for these users again."
        )
    _report(target, "begin", done, text, as_json, erased=[user._asdict() for user in erased])


def _prepare(target: Target, live: int, *, restored: bool, yes: bool) -> str:
    """Check whether there can be a building table. Return what the operator does next.

    :param live: the generation of the live table
    :raises CommandError: if there can't be one
    """
    building = live + 1
    _check_logs(target)
    _check_building(target, building, restored=restored)
    again = "--restored --yes" if restored else "--yes"
    if verified_generation(target) == building:
        if not yes:
            return f"The result of an earlier rebuild is left. {again} deletes it."
        remove_verified(target)
    imports = ", import the table (docs/rebuild.md)," if restored else ""
    setting = items_setting(live, building=building)
    return f"Set {setting}{imports} and run terraform apply. Then run this with {again}."


def _check_logs(target: Target) -> None:
    """Read one key of the log of each Region, to learn whether the operator may."""
    for stack in target.regions():
        for prefix in PREFIXES:
            target.client("s3", stack.region).list_objects_v2(Bucket=stack.log_bucket, Prefix=f"{prefix}/", MaxKeys=1)


def _check_building(target: Target, number: int, *, restored: bool) -> None:
    name = table_name(target, number)
    # Terraform imports the restored table in the primary Region, and adds the replica.
    stacks = [target.regional(False)] if restored else target.regions()
    exists = any(describe_table(target, stack, name) is not None for stack in stacks)
    if exists and not restored:
        raise CommandError(
            f"The table {name} exists. If you have restored it from a point in time, say --restored. Otherwise delete "
            "it."
        )
    if restored and not exists:
        raise CommandError(f"There is no table {name} in {target.region}. Restore the backup there under this name.")


@items.command()
@click.option(
    "--without-collection",
    "left_out",
    metavar="NAME",
    multiple=True,
    help="Leave out the lines of this collection, which isn't declared any more; you can repeat it.",
)
@click.option("--from", "start", metavar="TIME", help="Only what arrived from this time on: for a restored table.")
@click.option("--whole", is_flag=True, help="The whole log, although the table was restored.")
@click.option("--quarantine", is_flag=True, help="Put lines that can't be applied into quarantine, and go on.")
@job_options(rate=RATE, unit="write units")
@click.pass_obj
def fill(
    chosen: Chosen, *, left_out: tuple[str, ...], start: str | None, whole: bool, quarantine: bool, options: JobOptions
) -> None:
    """Fold the whole log of every Region into the building table. TIME is like 2026-01-31T12:00:00Z.

    Without --yes, only count the objects. A line that is in quarantine is left out. Any other line that can't be
    applied stops the fill, unless you say --quarantine. With --from, a change from before TIME that is older than the
    horizon is left out too, because it might bring a deleted item back.

    Clients may read and write meanwhile. The newest change of an item wins, so an interrupted fill goes on, and a
    second fill is harmless. The fill doesn't end within 20 minutes of `begin`, because Firehose may still write objects
    that the functions have taken before they knew the building table.
    """
    target = chosen.target
    state, second = require_second(target)
    if state.building is None:
        raise CommandError(f"{second.name} was live and stays in step, so there is nothing to fill.")
    begun = require_begun(target, second)
    refuse_unfinished_erase(target)
    require_functions(target, state)
    declared_collections(target)  # refuses if the functions don't know the same collections
    settings = _apply_settings(target)
    if declared := sorted(set(left_out) & settings.collections.keys()):
        raise CommandError(f"{declared[0]} is declared, so its items can't be left out.")
    start_ms = _start_ms(start, second, restored=begun.restored, whole=whole)
    arguments = {"table": second.name, "table_id": second.id, "from": start and rfc3339(start_ms)}
    unfinished = unfinished_job(target, "rebuild items fill", arguments)
    if unfinished and not options.restart:
        _refuse_old_tombstones(ms_of(unfinished.started_at) or 0, settings.horizon_ms)
    if not options.yes:
        _count_objects(target, unfinished, start_ms, options)
        return
    with open_job(target, "rebuild items fill", arguments, options) as job:
        # The functions must not move while a fill writes, because `publish` doesn't follow its rows.
        remove_record(target, "filled", second)
        remove_verified(target)
        with ThreadPoolExecutor(items_fill.WORKERS) as readers, ThreadPoolExecutor(items_fill.WORKERS) as writers:
            folds = Fill(
                {
                    stack.region: S3LogObjects(
                        BotoClient("s3", region=stack.region, attempts=5, read_timeout=20), stack.log_bucket
                    )
                    for stack in target.regions()
                },
                _filled_items(target, second, settings),
                settings.collections,
                _poison(target, second, settings, quarantine=quarantine),
                readers=readers,
                writers=writers,
                left_out=left_out,
                restored=None if start is None else Restored(start_ms, settings.horizon_ms),
            )
            fill_table(target, job, folds, start_ms, lambda: _seconds_left(target, second))
        require_functions(target, state)
        _refuse_old_tombstones(job.started_ms, settings.horizon_ms)
        write_record(target, "filled", second)
    if not options.as_json:
        since = "" if start is None else f" since {rfc3339(start_ms)}"
        click.echo(
            f"{second.name} holds the whole log{since}. It was begun {begun.age:.0f} s before this run. "
            "Next: rebuild items verify --yes."
        )


def _start_ms(start: str | None, second: SecondTable, *, restored: bool, whole: bool) -> int:
    """Return the time from which the log is folded, in Unix milliseconds; 0 for the whole log.

    :raises CommandError: if the options don't fit the table
    """
    if start is None:
        if restored and not whole:
            raise CommandError(
                f"{second.name} was restored from a backup. Name a time an hour before that of the backup (--from "
                "TIME), or say --whole to fold the whole log."
            )
        return 0
    start_ms = parse_ms(start, "--from")
    if whole:
        raise click.UsageError("--from and --whole exclude each other.")
    if start_ms > now_ms():
        raise CommandError("--from must be in the past.")
    if not restored:
        raise CommandError(
            f"{second.name} needs the whole log, so leave --from out. If you have restored it from a backup, say so "
            "first: `ops/readplane rebuild items begin --restored --yes`."
        )
    return start_ms


def _refuse_old_tombstones(started_ms: int, horizon_ms: int) -> None:
    """Refuse to go on with a fill whose first tombstones may be gone: the older changes that follow would win.

    :param started_ms: when the fill began, in Unix milliseconds
    :raises CommandError: if it began earlier than a horizon ago
    """
    if now_ms() - started_ms > horizon_ms:
        raise CommandError(
            f"This fill began {rfc3339(started_ms)}, which is longer ago than the horizon ({horizon_ms // DAY_MS} "
            "days). Tombstones that it wrote may be gone, so it might bring deleted items back. Begin anew: --restart."
        )


def fill_table(target: Target, job: Job, folds: Fill, start_ms: int, seconds_left: Callable[[], float]) -> None:
    """Fold the log in two walks.

    The first walk reads everything. The second one reads what was written since the first one began, because Firehose
    may write an object into a folder that the first walk has left behind.

    :param start_ms: fold only objects that may hold changes from this time on, in Unix milliseconds
    :param seconds_left: returns for how many seconds the second walk must not begin yet
    """
    if job.position is None or job.position["pass"] == 1:
        _fold(target, job, folds, TimeRange(start_ms, _end_ms()), 1)
    while (left := seconds_left()) > 0:
        job.say(f"waits {left:.0f} s, until everything from before `begin` is in the log …")
        job.wait(min(left, PROGRESS_SECONDS))
    _fold(target, job, folds, TimeRange(max(start_ms, job.started_ms - EARLIER_MS), _end_ms()), 2)


def _fold(target: Target, job: Job, folds: Fill, span: TimeRange, number: int) -> None:
    """Fold the objects of a time range from the job's position on."""
    is_resumed = job.position is not None and job.position["pass"] == number
    position = job.position if is_resumed else None
    count = size = 0
    for found in listed_objects(target, span, position):
        count, size = count + 1, size + found.entry.bytes
        if count % PAGE == 0:
            job.renew()
    job.say(f"walk {number} of 2: {count} objects, {size} bytes")
    earlier = job.counts.copy()

    def show() -> None:
        done = {name: job.counts[name] - earlier[name] for name in ("objects", "bytes")}
        job.say(f"walk {number} of 2: {done['objects']} of {count} objects, {done['bytes']} of {size} bytes are done …")

    folds.fold(_every(PROGRESS_SECONDS, show, listed_objects(target, span, position)), job, number)


def _every(seconds: float, show: Callable[[], None], objects: Iterator[ListedObject]) -> Iterator[ListedObject]:
    """Yield objects, and call a function every so many seconds meanwhile."""
    shown_at = time.monotonic()
    for found in objects:
        yield found
        if time.monotonic() - shown_at >= seconds:
            shown_at = time.monotonic()
            show()


def _end_ms() -> int:
    """Return a time after every object of the log. This machine's clock may be behind that of S3."""
    return now_ms() + DAY_MS


def _seconds_left(target: Target, second: SecondTable) -> float:
    return LOGGED_SECONDS - require_begun(target, second).age


def _apply_settings(target: Target) -> ApplySettings:
    """Return the settings of `apply` in the primary Region."""
    settings, problems = read_settings(ApplySettings, live_function(target, target.regional(False), "apply").settings)
    if problems:
        raise CommandError(f"This command line doesn't understand the settings of `apply`: {'; '.join(problems)}.")
    return settings


def _filled_items(target: Target, second: SecondTable, settings: ApplySettings) -> FilledItems:
    client = BotoClient("dynamodb", region=target.region, attempts=8, connections=items_fill.WORKERS)
    return FilledItems(client, second.name, horizon_ms=settings.horizon_ms)


def _poison(target: Target, second: SecondTable, settings: ApplySettings, *, quarantine: bool) -> PoisonHandler:
    poison = Poison(lambda: quarantine_keys(target, settings.quarantine_prefix))
    if not quarantine:
        return poison
    quarantines = {
        stack.region: S3LineQuarantine(
            BotoClient("s3", region=stack.region), stack.log_bucket, settings.quarantine_prefix
        )
        for stack in target.regions()
    }
    live = DynamoItems(
        BotoClient("dynamodb", region=target.region),
        target.outputs["items_table"],
        horizon_ms=settings.horizon_ms,
    )
    return QuarantiningPoison(poison, quarantines, [live, _filled_items(target, second, settings)])


def _count_objects(target: Target, unfinished: JobState | None, start_ms: int, options: JobOptions) -> None:
    """Print how many objects the log of each Region has.

    :param unfinished: the fill that --yes would go on with
    """
    parts: dict[tuple[str, str], tuple[int, int]] = {
        (stack.region, prefix): (0, 0) for stack in target.regions() for prefix in PREFIXES
    }
    for found in listed_objects(target, TimeRange(start_ms, _end_ms()), None):
        count, size = parts[found.region, found.prefix]
        parts[found.region, found.prefix] = count + 1, size + found.entry.bytes
    if options.as_json:
        planned = [
            {"region": region, "prefix": prefix, "objects": count, "bytes": size}
            for (region, prefix), (count, size) in parts.items()
        ]
        print_plan("rebuild items fill", parts=planned)
        return
    table(
        [(*part, str(count), str(size)) for part, (count, size) in parts.items()], "REGION", "LOG", "OBJECTS", "BYTES"
    )
    if unfinished:
        click.echo(f"{unfinished.operator} began this fill at {unfinished.started_at}. --yes goes on with it.")
    click.echo("Nothing was changed. Run the command again with --yes.")


@items.command()
@click.option(
    "--accept",
    metavar="KEY",
    multiple=True,
    help="Don't count the difference of this item, such as item/products/p-1; you can repeat it.",
)
@job_options(unit="items")
@click.pass_context
def verify(context: click.Context, *, accept: tuple[str, ...], options: JobOptions) -> None:
    """Compare the live items table with the second one in every Region.

    Without --yes, only say how much would be read. An item that the second table lacks, or has in an older version, is
    a difference if the second table still lacks that version ten seconds later. After 1,000 differences the command
    stops.

    Newer and extra items are no differences, because the live table may have lost them. Clients get them at the switch.
    If the second table has a newer delete of an item, the item is counted as deleted. Clients lose it at the switch.
    All of them are named, so that you can look at them. Rows of collections that aren't declared are counted as
    undeclared, and not compared.

    A verify of a building table first takes back the result of an earlier one. If there is no difference, it stores
    the result, so that Terraform lets the table go live. Otherwise the exit code is 1. Run `rebuild items fill --yes`
    again then. What isn't in the log, the fill can't bring back: put or delete the item through the API, or accept
    that the second table lacks it (--accept).

    An interrupted verify goes on, unless it was begun more than a day ago, or a fill has ended since.
    """
    chosen: Chosen = context.obj
    target = chosen.target
    state, second = require_second(target)
    require_functions(target, state)
    filled = read_record(target, "filled", second)
    if state.building is not None and filled is None:
        raise CommandError(f"{second.name} isn't filled. Run `ops/readplane rebuild items fill --yes` first.")
    for key in accept:
        if not key.startswith(ITEM_PREFIX):
            raise CommandError(f"{key} isn't the key of an item, such as {ITEM_PREFIX}products/p-1.")
    live = target.outputs["items_table"]
    if not options.yes:
        described = describe_table(target, target.regional(False), live) or {}
        regions = ", ".join(stack.region for stack in target.regions())
        text = (
            f"Would read {live} and {second.name} twice in {regions}: about {described.get('ItemCount', 0)} rows each. "
            "Run it with --yes."
        )
        _report(target, "verify", False, text, options.as_json)
        return
    arguments = {"live": live, "table": second.name, "table_id": second.id, "accept": sorted(set(accept))}
    fill_time = filled.written_at if filled else ""
    unfinished = unfinished_job(target, "rebuild items verify", arguments)
    if unfinished and _is_outdated(target, unfinished, fill_time):
        options = options._replace(restart=True)
    with open_job(target, "rebuild items verify", arguments, options) as job:
        if state.building is not None:
            remove_verified(target)
        findings = _compare(target, job, (live, second.name), frozenset(accept), fill_time)
        is_complete = not job.counts["differences"]
        if is_complete and state.building is not None:
            store_verified(target, state.building)
        job.add_to_result(complete=is_complete, **findings.result())
    if not options.as_json:
        _show_findings(job, findings, second, state)
    context.exit(0 if is_complete else 1)


def _is_outdated(target: Target, unfinished: JobState, fill_time: str) -> bool:
    """Return whether an interrupted verify can't go on, because what it has compared no longer counts.

    :param fill_time: when the last fill has ended, as its record says
    """
    if unfinished.position is None:
        return True
    region = unfinished.position["at"][0]
    age_ms = now_ms() - (ms_of(unfinished.started_at) or 0)
    return (
        unfinished.position["filled"] != fill_time
        or age_ms > MAX_VERIFIED_SECONDS * 1000
        or region not in [stack.region for stack in target.regions()]
    )


def _compare(target: Target, job: Job, tables: tuple[str, str], accept: Collection[str], fill_time: str) -> Findings:
    """Compare the tables in every Region, from the job's position on.

    The member `at` of a position is the Region, the table whose keys the walk pages through, and the last key that is
    done; null if that was the table's last page.

    :param accept: the keys of items whose differences don't count
    :param fill_time: when the last fill has ended, as its record says
    """
    settings = _apply_settings(target)
    parts: list[tuple[str, Side]] = [(stack.region, side) for stack in target.regions() for side in SIDES]
    after, findings = None, Findings()
    if job.position is not None:
        region, side, after = job.position["at"]
        parts = parts[parts.index((region, side)) + (after is None) :]
        findings = Findings(job.position["found"])
    with ThreadPoolExecutor(items_differences.WORKERS) as workers:
        for region, side in parts:
            comparison = TableComparison(
                BotoClient("dynamodb", region=region, attempts=8, connections=items_differences.WORKERS),
                region,
                tables,
                horizon_ms=settings.horizon_ms,
                collections=settings.collections,
                workers=workers,
                wait=job.wait,
                pace=job.pace,
            )
            for page in comparison.pages(side, after):
                differences = [entry for entry in page.differences if entry.key not in accept]
                accepted = len(page.differences) - len(differences)
                findings.add(differences, page.surplus)
                job.advance(
                    {"filled": fill_time, "at": [region, side, page.last], "found": findings.save()},
                    **(page.counts - Counter(differences=accepted) + Counter(accepted=accepted)),
                )
                if job.counts["differences"] >= MAX_DIFFERENCES:
                    job.say(f"stops after {job.counts['differences']} differences.")
                    return findings
            after = None
    return findings


def _show_findings(job: Job, findings: Findings, second: SecondTable, state: Generations) -> None:
    """Print the first items of each kind, and what comes next."""
    shown = findings.save()
    rows: list[tuple[str, ...]] = [
        (entry.region, entry.kind, entry.key, entry.live or "-", entry.second or "-")
        for entries in shown.values()
        for entry in entries
    ]
    if rows:
        table(rows, "REGION", "DIFFERENCE", "KEY", "LIVE", "SECOND")
    for name, entries in shown.items():
        if (more := job.counts[name] - len(entries)) > 0:
            click.echo(f"{name}: … and {more} more; --json names more of them.")
    if job.counts["newer"] or job.counts["extra"]:
        click.echo(f"Clients get the newer and extra items if {second.name} goes live. Check some of them first.")
    if job.counts["deleted"]:
        click.echo(
            f"Clients lose the deleted items if {second.name} goes live. Put an item through the API again to keep it."
        )
    if job.counts["accepted"]:
        click.echo(f"{job.counts['accepted']} differences are accepted: {second.name} lacks these versions.")
    if job.counts["differences"] and state.building is not None:
        click.echo(
            f"{second.name} isn't complete. Next: rebuild items fill --yes, then verify again. If the log doesn't hold "
            "an item, put or delete it through the API, or accept that it is lost: verify --accept KEY."
        )
    elif job.counts["differences"]:
        click.echo(
            f"{second.name} lacks items: going back loses them. Items that the fill brought back are expected here."
        )
    else:
        which = "every other item" if job.counts["accepted"] or job.counts["deleted"] else "every item"
        next_step = (
            ". Next: rebuild items switch --yes." if state.building is not None else ", so the way back is safe."
        )
        click.echo(f"{second.name} holds {which} of the live table{next_step}")


@items.command()
@job_options(paced=False)
@click.pass_obj
def switch(chosen: Chosen, *, options: JobOptions) -> None:
    """Prepare the switch to the building table. After the apply, confirm it.

    Run it with --yes before the apply: it copies the rows that aren't items, such as the freshness of sources, and says
    what to set. Run it with --yes again after the apply: it checks the functions of every Region.
    """
    _move(chosen.target, "switch", options)


@items.command()
@job_options(paced=False)
@click.pass_obj
def back(chosen: Chosen, *, options: JobOptions) -> None:
    """Prepare the way back to the former table. After the apply, confirm it.

    The former table stays in step after a switch, so nothing that clients have written since is lost. Run it with --yes
    before and after the apply, like `switch`. It needs only the primary Region, and says if the other one doesn't
    respond.
    """
    _move(chosen.target, "back", options)


def _move(target: Target, direction: Direction, options: JobOptions) -> None:
    """Copy the rows that aren't items to the second table; if the move is done already, confirm it."""
    command = f"rebuild items {direction}"
    needs_all = direction == "switch"
    state, second = require_second(target, needs_all=needs_all)
    assert state.second is not None
    if direction == "back" and state.building is not None:
        raise CommandError(
            f"{second.name} has never been live, so there is no way to go back. If the apply of the switch has "
            f"stopped halfway, set {items_setting(state.live, former=state.building)} and run terraform apply. To "
            "give the rebuild up: `ops/readplane rebuild items end`."
        )
    # A building table is always the newer one. So after a switch the live table is the newer one.
    is_moved = state.former is not None and (state.live > state.former) == (direction == "switch")
    if is_moved:
        regions = require_functions(target, state, needs_all=needs_all)
        _confirm_move(target, command, second, regions, options)
        return
    if direction == "switch":
        require_functions(target, state)
    if state.building is not None:
        _require_verified(target, state.building, second)
    setting = items_setting(state.second, former=state.live)
    next_step = f"Set {setting} and run terraform apply soon. Then: {command} --yes."
    live = target.outputs["items_table"]
    if not options.yes:
        text = f"Would copy the rows that aren't items from {live} to {second.name}. Run it with --yes."
        _report(target, direction, False, text, options.as_json)
        return
    arguments = {"from": live, "to": second.name, "table_id": second.id}
    with open_job(target, command, arguments, options) as job:
        _copy_rows(target, job, live, second.name)
        job.add_to_result(next=next_step)
    if not options.as_json:
        click.echo(next_step)


def _require_verified(target: Target, building: int, second: SecondTable) -> None:
    """Check that `verify` has found the building table complete, and not long ago.

    :raises CommandError: if it hasn't
    """
    verified = read_verified(target)
    is_filled = read_record(target, "filled", second) is not None
    if verified is None or verified.generation != building or not is_filled:
        raise CommandError(f"{second.name} isn't verified. Run `ops/readplane rebuild items verify --yes` first.")
    if verified.age > MAX_VERIFIED_SECONDS:
        raise CommandError(
            f"{second.name} was verified {verified.age / 3600:.0f} hours ago. It may have missed changes since. Run "
            "`ops/readplane rebuild items verify --yes` again."
        )


def _copy_rows(target: Target, job: Job, origin: str, destination: str, *, only_later: bool = False) -> None:
    """Copy the rows that aren't items, from the job's position on.

    :param only_later: whether to leave out a freshness that is as old as that of the destination
    """
    copies = RowCopies(BotoClient("dynamodb", region=target.region, attempts=8), origin, destination)
    for page in copies.pages(job.position):
        copied = sum(copies.copy(row, only_later=only_later) for row in page.rows)
        job.advance(page.last, rows=len(page.rows), copied=copied)
    # The walk may have taken long, so copy last what changes most often.
    sources = sorted(target.outputs.get("sources") or {})
    job.advance(None, copied=copies.copy_sources(sources, only_later=only_later))


def _confirm_move(target: Target, command: str, second: SecondTable, regions: list[str], options: JobOptions) -> None:
    """Say that the live table has moved. Copy the rows that were written to the former table meanwhile.

    :param regions: the Regions whose functions use the live table
    """
    live = target.outputs["items_table"]
    where = "every Region" if len(regions) == len(target.regions()) else ", ".join(regions)
    text = (
        f"{live} is live in {where}, and {second.name} stays in step. If verify has named newer, deleted or extra "
        "items, run `ops/readplane verify --scan`, because documents and private stores don't follow these. Next: "
        "watch the alarms for a day or more, then rebuild items end."
    )
    step = command.rpartition(" ")[2]
    if not options.yes:
        _report(target, step, True, text, options.as_json)
        return
    arguments = {"live": live, "former": second.name, "table_id": second.id}
    with open_job(target, command, arguments, options) as job:
        _copy_rows(target, job, second.name, live, only_later=True)
        job.add_to_result(next=text)
    if not options.as_json:
        click.echo(text)


@items.command()
@_yes
@_json
@click.pass_obj
def end(chosen: Chosen, *, yes: bool, as_json: bool) -> None:
    """Say how to end the rebuild. After the apply, remove its records.

    The apply deletes the second table: the former one after a switch, or the building one if you give the rebuild up.
    After it, this command checks in every Region that the functions use one table, and that the other one is gone.
    """
    target = chosen.target
    state = generations(target)
    if state.second is not None:
        _say_end(target, state, as_json)
        return
    require_functions(target, state)
    _refuse_other_tables(target, state.live)
    if yes:
        remove_records(target)
        remove_verified(target)
    done = "Done" if yes else "There is no second table. --yes removes what the rebuild has recorded, if there was one"
    _report(target, "end", yes, f"{done}. {target.outputs['items_table']} is the only items table.", as_json)


def _refuse_other_tables(target: Target, live: int) -> None:
    """Refuse to end while an items table is there that Terraform's outputs no longer name.

    :param live: the generation of the live table
    :raises CommandError: if there is one
    """
    others = [table_name(target, number) for number in range(1, live + 2) if number != live]
    left = [
        f"{name} is still there in {stack.region}"
        for stack in target.regions()
        for name in others
        if describe_table(target, stack, name) is not None
    ]
    if left:
        raise CommandError(
            f"{'; '.join(left)}. Run terraform apply until it is complete, or delete the table yourself."
        )


def _say_end(target: Target, state: Generations, as_json: bool) -> None:
    assert state.second is not None
    if state.former is not None:
        require_functions(target, state)
        refuse_late_apply(target)
    refuse_late_publish(target)
    name = table_name(target, state.second)
    effect = "there is no way back" if state.former is not None else "the rebuild is given up"
    canary = " Set deploy.canary = null for that apply." if target.outputs.get("deployments") else ""
    text = (
        f"Set {items_setting(state.live)} and run terraform apply. It deletes {name}, and {effect}. DynamoDB keeps a "
        f"backup of the table for 35 days.{canary} Then: rebuild items end --yes."
    )
    _report(target, "end", False, text, as_json)


def _report(target: Target, step: str, done: bool, text: str, as_json: bool, **more: Any) -> None:
    """Print what a step found.

    :param done: whether the step is done
    :param more: what else the JSON holds
    """
    if as_json:
        state = generations(target)
        click.echo(json.dumps({"step": step, "done": done, "items": state._asdict(), "next": text, **more}))
    else:
        click.echo(text)
