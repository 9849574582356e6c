"""Histories of `rebuild items`: a second items table is made, switched to and left again, while everything goes on.

Terraform moves the functions of both Regions one after another, in any order, some of them with a weight first, and may
stop halfway. So old and new versions run side by side, and an invocation that has begun ends in its version. The
operator's commands die at any of their calls, and go on when they are run again.
"""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, cast
from unittest.mock import patch

from ops.cli import rebuild_items
from ops.cli.items_differences import SIDES, Side, TableComparison
from ops.cli.items_fill import Bounds, Fill, FilledItems
from ops.cli.items_poison import Poison, quarantine_keys
from ops.cli.items_rows import RowCopies
from ops.cli.target import Target
from ops.console import CommandError
from ops.jobs import Job
from ops.walk import PREFIXES
from readplane.apply.objects import S3LogObjects
from readplane.aws.client import Client
from readplane.aws.faults import AwsError, RefusedError, UnansweredError
from readplane.config import DAY_MS
from readplane.model.change import Change
from readplane.stores.rows import change_of
from tests.fakes.expressions import Item
from tests.reliability.aws import ITEM, Firehose, Shard, join_replicas, table_name
from tests.reliability.fault_profile import draw_profile
from tests.reliability.invariants import Invariants
from tests.reliability.machine import HORIZON_DAYS, HORIZON_MS, InlineExecutor, Region
from tests.reliability.source import SOURCE, SourceWorld
from tests.reliability.world import COLLECTIONS, Stack, Tables, World

FUNCTIONS = ("apply", "apply-stream", "publish", "write", "read", "feed", "poll")
"""The functions that Terraform moves, each by its own alias."""

MARKER = "quarantine/"
LOG_PREFIXES = tuple(f"{prefix}/" for prefix in PREFIXES)
"""Below these prefixes lie the objects that the fill folds."""

EXTREMES = {"feed": 0, "publish": 1}
"""The functions that often move first and last, because the stores depend most on their order."""

ATTEMPTS = 6
"""How often an operator's command tries a call."""

MAX_RUNS = 60
"""No command of a healthy history has to be run so often."""


Phase = Literal["one", "moving", "two"]
"""Whether there is one items table, or a second one that comes or goes, or two between which Terraform may switch."""


class Alias(NamedTuple):
    """Which version the invocations of a function run.

    :param tables: the tables of the version that most invocations run.
    :param other: the tables of the version that the others run; the same if there is one version.
    :param weight: the share of the others.
    """

    tables: Tables
    other: Tables
    weight: float = 0.0


class ArchivedShard(Shard):
    """A shard of the change stream, whose records Firehose archives, too."""

    def __init__(self, *words: Any, archive: Callable[[bytes], None]) -> None:
        super().__init__(*words)
        self._archive = archive

    def put(self, content: dict[str, Any]) -> None:
        """Add a record to the shard and to the archive."""
        super().put(content)
        self._archive(base64.b64decode(content["kinesis"]["data"]))


class RebuildStack(Stack):
    """The functions of one Region, which Terraform moves from table to table."""

    world: "RebuildWorld"

    def __init__(self, world: World, region: Region) -> None:
        self.aliases = dict.fromkeys(FUNCTIONS, Alias(Tables(), Tables()))
        super().__init__(world, region)
        machine = world.machine
        buffering_ms = machine.random.choice([0, 30_000, 600_000])
        archive = Firehose(machine, region, buffering_ms, lambda _: None, self._store_archive, "stream")
        self.change_stream = ArchivedShard(machine, region, self._apply_records, archive=archive.put)
        self.buckets.conflicts = lambda: world.faults.happens(world.profile.partial)

    @property
    def live_generation(self) -> int:
        """The generation of the items table that most readers read."""
        return self.aliases["read"].tables.live

    def tables_of(self, function: str) -> Tables:
        """Return the tables of the version that the next invocation of a function runs."""
        alias = self.aliases[function]
        if alias.weight and self.world.machine.random.random() < alias.weight:
            return alias.other
        return alias.tables

    def may_publish_older(self, pk: str) -> bool:
        """Whether `publish` may write an older document over a newer one, which its next records replace.

        From the switch on it may not. While the second table comes or goes, it may: a version that doesn't know the
        table writes without conditions, and another version may have followed the table's stream.
        """
        if self.world.phase == "one":
            return super().may_publish_older(pk)
        return self.world.phase == "moving"

    def add_table(self, generation: int) -> None:
        """Make the Region's replica of an items table. Its pages are small, so that commands walk through many."""
        super().add_table(generation)
        self.replicas[generation].page_size = self.world.machine.random.choice([2, 5, 1_000])

    def _store_archive(self, key: str, content: bytes) -> None:
        self.buckets.objects[key] = content
        self.written_ms[key] = self.world.machine.now_ms


class RebuildSource(SourceWorld):
    """A source that is polled now and then only, so that its staleness says nothing."""

    def check_now(self) -> None:
        """Check nothing on the way."""


class RebuildInvariants(Invariants):
    """The rules of a history with a rebuild."""

    def _rows(self, stack: Stack) -> dict[str, Change]:
        """Return the items that the rules are about. The second table remembers deletes that the first has forgotten.

        Those are older than the horizon, so the first table knows neither the items nor their tombstones.
        """
        return self.rows_of(stack, stack.live_generation)

    def rows_of(self, stack: Stack, generation: int) -> dict[str, Change]:
        """Return the items of a table that the rules are about."""
        rows = stack.replicas[generation].items.items()
        changes = {pk: change_of(row) for pk, row in rows if pk.startswith(ITEM)}
        return {pk: change for pk, change in changes.items() if change.data is not None or pk in self.newest}

    def check_local_write(self, stack: Stack, old: Item | None, new: Item) -> None:
        """Check a write. The fill may write a tombstone again, so that DynamoDB deletes it later."""
        is_again = old is not None and "version" in new and old.get("version") == new["version"] and "expires_at" in new
        if old is None or not is_again:
            super().check_local_write(stack, old, new)
        else:
            is_later = "expires_at" in old and int(old["expires_at"]["N"]) <= int(new["expires_at"]["N"])
            self.require(is_later, "a tombstone expires earlier than before")

    def check_document(self, stack: Stack, key: str, more: Mapping[str, Any]) -> None:
        """Check a document that `publish` has just written or removed.

        While there are two streams, no document replaces a newer one. But if a document has been removed, nothing
        says how new it was, and the stream that is behind may write an older one. Its next records remove it again.
        """
        if not more:
            self._documents.pop((stack.region.name, key), None)
        super().check_document(stack, key, more)

    def _is_visible(self, stack: Stack, key: str, version: str) -> bool:
        """Whether a Region has shown a change, or a newer one. It shows that an item is deleted by having no document.

        A change that was shown stays visible. What has replaced it since then has its own time to become visible.
        """
        if not super()._is_visible(stack, key, version):
            return False
        change = change_of(stack.replica.items[key])
        return self._has_shown(stack, change, version) or self._document_key(change) not in stack.buckets.objects

    def _comparable_text(self, text: str) -> str:
        """Return a document without the time at which its change was accepted.

        A POST with a key may be accepted twice, at two times. The two tables needn't hold the same one of the two.
        """
        return json.dumps(json.loads(text) | {"as_of": ""})

    def _comparable_rows(self, rows: Mapping[str, Change]) -> Mapping[str, Change]:
        """Return rows without the times at which their changes were accepted."""
        return {key: change._replace(accepted_at="") for key, change in rows.items()}

    def _counts_once(self) -> bool:
        """Whether `apply` must have counted no object twice. Each table remembers only what was counted there."""
        return False

    def check_tables(self, stack: Stack) -> None:
        """Check that each table holds the newest change of every item that the logs hold."""
        expected = {pk: (change.version, change.data) for pk, change in self.newest.items()}
        for generation in stack.replicas:
            rows = self.rows_of(stack, generation)
            versions = {pk: (change.version, change.data) for pk, change in rows.items()}
            name = table_name(generation)
            self.require(versions == expected, f"{stack.region.name} has other items in {name} than in the logs")

    def check_markers(self, stack: Stack) -> None:
        """Check that every table has the marker of each quarantined change."""
        now_s = stack.region.clock() // 1000
        first, second = (
            {pk for pk, row in replica.items.items() if pk.startswith(MARKER) and int(row["expires_at"]["N"]) > now_s}
            for replica in stack.replicas.values()
        )
        self.require(
            first == second, f"{stack.region.name} has other quarantine markers in one table than in the other"
        )


class Listing:
    """The listing of a Region's buckets, as a paginator of boto3 gives it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def get_paginator(self, operation: str) -> "Listing":
        """Return the paginator of ListObjectsV2."""
        assert operation == "list_objects_v2", operation
        return self

    def paginate(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        Delimiter: str = "",  # noqa: N803
        StartAfter: str = "",  # noqa: N803
    ) -> Iterator[dict[str, Any]]:
        """Yield one page of the objects below a prefix."""
        assert Bucket == "log", Bucket
        machine, stack = self._stack.world.machine, self._stack
        machine.begin_call("operator ListObjectsV2", 5)
        keys = sorted(key for key in stack.buckets.objects if key.startswith(Prefix) and key > StartAfter)
        if Delimiter:
            folders = {Prefix + key.removeprefix(Prefix).partition(Delimiter)[0] + Delimiter for key in keys}
            yield {"CommonPrefixes": [{"Prefix": folder} for folder in sorted(folders)]}
            return
        yield {
            "Contents": [
                {
                    "Key": key,
                    "Size": len(stack.buckets.objects[key]),
                    # S3 cuts off the fraction of the second.
                    "LastModified": datetime.fromtimestamp(stack.written_ms.get(key, machine.now_ms) // 1000, UTC),
                }
                for key in keys
            ]
        }


class OperatorClient:
    """A client of an operator's command in one Region, which repeats a call that fails."""

    def __init__(self, stack: Stack) -> None:
        self._s3 = stack.client(stack.buckets, "operator s3")
        self._tables = {table_name(number): stack.items_client(number) for number in stack.replicas}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out a call of S3, or of DynamoDB on one of the tables."""
        client = self._client_of(operation, parameters)
        for _ in range(ATTEMPTS - 1):
            with suppress(UnansweredError):
                try:
                    return client.call(operation, **parameters)
                except RefusedError as error:
                    if error.code != "ThrottlingException":
                        raise
        return client.call(operation, **parameters)

    def _client_of(self, operation: str, parameters: Mapping[str, Any]) -> Client:
        if "Bucket" in parameters:
            return self._s3
        if operation == "BatchExecuteStatement":  # '… "items-2" …'
            return self._tables[parameters["Statements"][0]["Statement"].split('"')[1]]
        return self._tables[parameters.get("TableName") or next(iter(parameters["RequestItems"]))]


class Death(NamedTuple):
    """When a command's process dies, instead of at any call.

    :param command: the command's name.
    :param call: the number of the call, counted through all runs of the command.
    """

    command: str
    call: int


class OperatorJob:
    """The job of a command: its position, which outlives the command's process."""

    def __init__(self, world: "RebuildWorld") -> None:
        self.position: Any = None
        self.counts: Counter[str] = Counter()
        self.started_ms = world.machine.now_ms
        self._world = world

    def advance(self, position: Any, **counts: int) -> None:
        """Save a position. The process may die before or after that."""
        self._world.machine.begin_call("operator saves", 20)
        self.position = position
        self.counts.update(counts)
        self._world.machine.end_call()

    def pace(self, steps: int = 1) -> None:
        """Wait before a write, in which much can happen."""
        machine = self._world.machine
        machine.begin_call("operator waits", machine.random.choice([1, 1, 500, 60_000]) * steps)
        if machine.random.random() < 0.5:
            self._world.expire_now()

    def wait(self, seconds: float) -> None:
        """Wait, in which much can happen."""
        self._world.machine.begin_call("operator waits", int(seconds * 1000) + 1)

    def renew(self) -> None:
        """Keep the job's lock."""

    def say(self, text: str) -> None:
        """Show progress."""


class RebuildWorld(World):
    """A history with a rebuild of the items table."""

    stack_type = RebuildStack
    invariants_type = RebuildInvariants
    source_type = RebuildSource
    stacks: list[RebuildStack]  # type: ignore[assignment]
    invariants: RebuildInvariants

    def __init__(self, seed: int, death: Death | None = None) -> None:
        self.phase: Phase = "one"
        self.death = death
        self.calls: Counter[str] = Counter()
        """How many calls each command of the operator has made."""
        self.deaths = 0
        """How many times a process of the operator has died."""
        profile = draw_profile(random.Random(f"profile {seed}"))
        poison = max(profile.poison, 0.2) if seed % 2 else profile.poison
        super().__init__(seed, profile._replace(writes=4 + profile.writes // 4, poison=poison, months=False))
        draw = self.machine.random
        self.is_old = draw.random() < 0.5
        self.path = draw.choice([("switch",), ("switch", "back"), ("switch", "back", "switch"), ()])
        self.span_ms = draw.choice([2_000, 10_000, 20_000])
        """How long Terraform needs to move the functions."""

    def play(self) -> None:
        """Play the history, and check how it ends."""
        draw = self.machine.random
        self._play_part(self.profile.writes)
        if self.is_old:
            for item_id in self.item_ids:
                self.clients[0].delete(self.stacks[0], item_id)
            self._settle()
            self._let_a_month_pass()
        self.faults.on = True
        self._begin()
        self._fill()
        self._verify()
        self.machine.run_until(self._plan_part(draw.randrange(5)))
        live = 1
        for _ in self.path:
            if draw.random() < 0.3:
                self._replay(LOG_PREFIXES)
            live = self._switch(3 - live)
            if draw.random() < 0.3:
                self._settle_tables()
        self._settle_tables()
        self._end(live)
        self._settle()

    # -- the steps ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Make the second table, and let `apply` and `publish` know it."""
        for stack in self.stacks:
            stack.add_table(2)
        if len(self.stacks) == 2:
            join_replicas(*(stack.replicas[2] for stack in self.stacks))
        self._plan_part(self.profile.writes)
        self.phase = "moving"
        self._move(Tables(1, 2))
        self.begun_ms = self.machine.now_ms

    def _fill(self) -> None:
        """Fill the second table, until the log of the time of `begin` is in it, too."""
        self._plan_part(self.profile.writes)
        job = OperatorJob(self)
        self._run("fill", partial(self._fold, job))
        listed = sum(key.startswith(LOG_PREFIXES) for stack in self.stacks for key in stack.buckets.objects)
        self.invariants.require(job.counts["objects"] >= listed, "the fill has left out an object")

    def _fold(self, job: OperatorJob) -> None:
        machine, primary = self.machine, self.stacks[0]
        target = cast(Target, SimpleNamespace(regions=self._regions, client=self._operator_client))
        items = FilledItems(OperatorClient(primary), table_name(2), horizon_ms=HORIZON_MS, clock=primary.region.clock)
        items.pause = machine.pause
        fill = Fill(
            {stack.region.name: S3LogObjects(OperatorClient(stack), "log") for stack in self.stacks},
            items,
            COLLECTIONS,
            Poison(lambda: quarantine_keys(target, "quarantine/")),
            readers=InlineExecutor(machine),
            writers=InlineExecutor(machine),
            monotonic=lambda: machine.now_ms / 1000,
            bounds=Bounds(changes=machine.random.choice([1, 3, 100])),
        )
        with patch.object(rebuild_items, "now_ms", primary.region.clock):
            rebuild_items.fill_table(target, cast(Job, job), fill, 0, self._seconds_left)

    def _seconds_left(self) -> float:
        return rebuild_items.LOGGED_SECONDS - (self.machine.now_ms - self.begun_ms) / 1000

    def _switch(self, live: int) -> int:
        """Make the second table the live one. Return the live table.

        If the apply stops halfway, the operator goes on or goes back. This apply is complete.
        """
        draw = self.machine.random
        self.phase = "two"
        stops = draw.random() < 0.4
        self._copy_rows(3 - live, live)
        self._plan_part(self.profile.writes)
        self._move(Tables(live, 3 - live, True), stops=stops)
        if stops:
            if draw.random() < 0.5:
                live = 3 - live
                self._copy_rows(3 - live, live)
            self._plan_part(self.profile.writes)
            self._move(Tables(live, 3 - live, True))
        self._run("confirm", partial(self._copy_from, OperatorJob(self), 3 - live, live, only_later=True))
        return live

    def _end(self, live: int) -> None:
        """Take the second table away."""
        self._plan_part(self.profile.writes)
        self.phase = "moving"
        for stack in self.stacks:
            stream = stack.streams[3 - live]
            self.machine.after(
                self.machine.random.randrange(self.span_ms), partial(setattr, stream, "is_served", False)
            )
        self._move(Tables(live))

    def _verify(self) -> None:
        """Compare the two tables in every Region."""
        for stack in self.stacks:
            for side in SIDES:
                self._run("verify", partial(self._compare, OperatorJob(self), stack, side))

    def _compare(self, job: OperatorJob, stack: RebuildStack, side: Side) -> None:
        machine = self.machine
        comparison = TableComparison(
            OperatorClient(stack),
            stack.region.name,
            (table_name(1), table_name(2)),
            workers=InlineExecutor(machine),
            horizon_ms=HORIZON_MS,
            wait=lambda seconds: machine.begin_call("operator waits", int(seconds * 1000) + 1),
            clock=stack.region.clock,
            monotonic=lambda: machine.now_ms / 1000,
        )
        comparison.pause = machine.pause
        for page in comparison.pages(side, job.position):
            self.invariants.require(not page.differences, f"verify finds differences: {page.differences}")
            if page.last is not None:
                job.advance(page.last, **page.counts)

    def _copy_rows(self, origin: int, destination: int) -> None:
        """Copy the rows that aren't items, which only the live table has."""
        job = OperatorJob(self)
        self._run("switch" if origin == 1 else "back", partial(self._copy_from, job, origin, destination))

    def _copy_from(self, job: OperatorJob, origin: int, destination: int, *, only_later: bool = False) -> None:
        primary = self.stacks[0]
        client = OperatorClient(primary)
        copies = RowCopies(client, table_name(origin), table_name(destination), primary.region.clock)
        for page in copies.pages(job.position):
            copied = sum(copies.copy(row, only_later=only_later) for row in page.rows)
            job.advance(page.last, rows=len(page.rows), copied=copied)
        job.advance(None, copied=copies.copy_sources([SOURCE], only_later=only_later))

    # -- the operator and Terraform ----------------------------------------------------------------------------------

    def _run(self, name: str, work: Callable[[], object]) -> None:
        """Run a command of the operator until it succeeds."""
        machine, region = self.machine, self.stacks[0].region

        def attempt(_: Callable[[], int]) -> str:
            invocation = machine.current
            assert invocation is not None
            death = self.death
            if death is not None:
                invocation.dies_at = death.call - self.calls[name] if death.command == name else 0
                invocation.dies_after = False
            try:
                work()
            except (CommandError, AwsError) as error:
                return f"refused: {error}"
            finally:
                self.calls[name] += invocation.calls
            return "done"

        for _ in range(MAX_RUNS):
            outcome = machine.invoke(region, name, DAY_MS, attempt, self.faults.crashes and 0.7, 60)
            machine.note(f"operator {name}: {outcome}")
            self.deaths += outcome is None
            if outcome == "done":
                return
            machine.run_until(machine.now_ms + machine.random.randrange(1_000, 120_000))
        raise AssertionError(f"{name} never succeeds: {outcome}")

    def _move(self, tables: Tables, *, stops: bool = False) -> None:
        """Let Terraform move the functions to other tables, in any order. It may stop halfway."""
        machine, draw = self.machine, self.machine.random
        moves = [(stack, name) for stack in self.stacks for name in FUNCTIONS]
        draw.shuffle(moves)
        is_late = draw.random() < 0.4
        for stack, name in moves[: draw.randrange(len(moves)) if stops else len(moves)]:
            old, ms = stack.aliases[name].tables, machine.now_ms + draw.randrange(self.span_ms)
            if is_late and name in EXTREMES:  # `feed` reads the one table while `publish` still follows the other
                ms = machine.now_ms + EXTREMES[name] * self.span_ms
            elif draw.random() < 0.3:
                machine.at(ms, partial(self._set_alias, stack, name, Alias(old, tables, 0.5)))
                ms += draw.randrange(self.span_ms)
            machine.at(ms, partial(self._set_alias, stack, name, Alias(tables, tables)))
        machine.run_until(machine.now_ms + 2 * self.span_ms)

    def _set_alias(self, stack: RebuildStack, name: str, alias: Alias) -> None:
        stack.aliases[name] = alias
        self.machine.note(f"{stack.region.name} {name} moves to {alias}")

    def _regions(self) -> list[Any]:
        return [SimpleNamespace(region=stack.region.name, log_bucket="log") for stack in self.stacks]

    def _operator_client(self, service: str, region: str) -> Any:
        assert service == "s3", service
        return next(Listing(stack) for stack in self.stacks if stack.region.name == region)

    # -- time --------------------------------------------------------------------------------------------------------

    def _settle_tables(self) -> None:
        """Let everything happen that is still to come, and check both tables, also after a replay of all objects."""
        self._settle()
        self._check_tables()
        self._replay_all(LOG_PREFIXES)
        self._check_tables()
        self.faults.on = True

    def _check_tables(self) -> None:
        for stack in self.stacks:
            self.invariants.check_tables(stack)
            if self.path:
                self.invariants.check_markers(stack)

    def _let_a_month_pass(self) -> None:
        """Let a month pass, after which DynamoDB deletes the tombstones."""
        for client in self.clients:
            client.pending = None
            # A key that was used before names an item that the second table remembers and the first one doesn't.
            client.key_prefix = "m"
        self.machine.run_until(self.machine.now_ms + (HORIZON_DAYS + 2) * DAY_MS)
        if self.machine.random.random() < 0.7:  # nobody ever writes the old items again
            self.item_ids = [f"later-{item_id}" for item_id in self.item_ids]
        self.invariants.forget_expired()
        self._expire_rows()
        self.machine.settle()

    def expire_now(self) -> None:
        """Let DynamoDB delete all rows that have expired."""
        for stack in self.stacks:
            for replica in stack.replicas.values():
                for pk in list(replica.items):
                    self._expire(replica, pk)

    def _draw_poison(self) -> str:
        """Draw why a line can't be applied. A line that is only too old is none here, because the fill applies it."""
        return self.machine.random.choice(["garbage", "unknown"])
