"""The simulated stack: the real functions of one or two Regions, over the simulated AWS, and the people who use it.

Fakes replace only AWS, the servers of the cache and of the database, the back office, and what the constructors take:
the executor, the clock, the pause and the random bytes. All other code is the code that runs on AWS.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from readplane.api.problem import ProblemError
from readplane.api.request import Request
from readplane.apply.handler import Apply, ApplySettings, ApplyStores
from readplane.apply.notifications import SqsApplyQueue
from readplane.apply.objects import S3LogObjects
from readplane.apply.quarantine import S3LineQuarantine
from readplane.apply.tally import DynamoCountedObjects
from readplane.aws.faults import AwsError
from readplane.config import DAY_MS, ConfigObject
from readplane.feed.commands import CommandServer
from readplane.feed.fed_stores import CacheStore, DatabaseStore
from readplane.feed.handler import Feed
from readplane.feed.item_rows import ItemRows
from readplane.feed.messages import MessageFeeder
from readplane.model.change import Change, parse_line
from readplane.model.collection import Collection
from readplane.model.keys import item_key
from readplane.model.schema import SchemaValidator
from readplane.model.timestamp import rfc3339
from readplane.model.version import stamp
from readplane.publish.handler import FeedQueue, Publish, PublishSettings, SecondTable
from readplane.publish.quarantine import S3RowQuarantine
from readplane.stores.documents import S3Documents
from readplane.stores.item_cache import EntryStore
from readplane.stores.items import DynamoItems
from readplane.stores.items_bulk import BulkItems, DynamoBulkItems
from readplane.stores.key_queue import STORES, SqsKeyQueue
from readplane.stores.resp import RespError
from readplane.stores.two_tables import TwoTables
from readplane.stores.versioned_documents import S3NewerDocuments
from readplane.telemetry import Telemetry
from readplane.write.handler import Write, WriteSettings
from readplane.write.log import FirehoseWriteLog
from readplane.write.stored_versions import DynamoStoredVersions
from tests.fakes.expressions import Item
from tests.reliability.aws import (
    Buckets,
    Faults,
    FaultyClient,
    Firehose,
    Queue,
    Replica,
    Shard,
    items_record,
    join_replicas,
    table_name,
)
from tests.reliability.fault_profile import Profile, draw_profile
from tests.reliability.invariants import Invariants
from tests.reliability.machine import HORIZON_DAYS, HORIZON_MS, InlineExecutor, Machine, Region
from tests.reliability.source import THINGS, SourceWorld
from tests.reliability.stores import GuardedCache, GuardedDatabase
from tests.unit.feed.support import CACHE_SETTINGS

CLIENT_ID = "client"
PRODUCTS, PROFILES = "products", "profiles"
COLLECTIONS = {
    PRODUCTS: Collection(PRODUCTS, "public", ("editors",), cache_ttl=60),
    PROFILES: Collection(PROFILES, "owner"),
    THINGS: Collection(THINGS, "public"),
}
FED = frozenset(COLLECTIONS)
USERS = ("anna", "bert", "cleo")
API_MS, BATCH_MS, FEED_MS = 20_000, 60_000, 120_000
"""After how many milliseconds Lambda ends an invocation."""


class Recorder(Telemetry):
    """Records what the alarms and the tests need of what a function reports, and prints nothing."""

    def __init__(self, function: str, world: "World") -> None:
        super().__init__(function, "sim")
        self.metrics: Counter[str] = Counter()
        self.handled: Counter[str] = Counter()
        self.staleness: list[tuple[int, float]] = []
        """The staleness of the source, each with the time at which it was measured."""
        self._world = world

    def event(self, code: str, message: str, **fields: Any) -> None:
        """Add up the metrics of an event."""
        metrics = fields.get("metrics")
        if metrics:
            self.metrics.update(metrics)
            if "RecordsHandled" in metrics:
                self.handled[fields["key"]] += metrics["RecordsHandled"]
        seconds = fields.get("seconds")
        if seconds and "Staleness" in seconds:
            self.staleness.append((self._world.machine.now_ms, seconds["Staleness"]))

    def failure(self, code: str, message: str, error: BaseException, **fields: str) -> None:
        """Fail the history if a function has reported a fault of its own code."""
        self._world.invariants.check_failure(code, error)


class Tables(NamedTuple):
    """The items tables that a version of the functions uses, each by its generation.

    :param live: the one that is read and published.
    :param second: the one that is being built, or that was live before; ``None`` without such a table.
    :param follows: whether the second table was live before.
    """

    live: int = 1
    second: int | None = None
    follows: bool = False


class Functions(NamedTuple):
    """The functions of one Region in one version, and the stores that the tests look into."""

    apply: Apply
    publish: Publish
    write: Write
    feed: Feed
    items: DynamoItems
    entries: EntryStore


class Stack:
    """The functions of one Region, with everything that they need."""

    def __init__(self, world: "World", region: Region) -> None:
        self.region = region
        self.world = world
        machine, faults, profile = world.machine, world.faults, world.profile
        self.replicas: dict[int, Replica] = {}
        """The Region's replica of each items table, by its generation."""
        self.streams: dict[int, Shard] = {}
        """The stream of each of these replicas."""
        self.buckets = Buckets()
        self.written_ms: dict[str, int] = {}
        self.apply_queue = Queue(machine, region, faults, profile, self._apply_messages)
        buffering_ms = machine.random.choice([0, 0, 5_000, 30_000])
        self.firehose = Firehose(machine, region, buffering_ms, world.invariants.log_line, self._deliver)
        self.change_stream = Shard(machine, region, self._apply_records)
        self.executor = InlineExecutor(machine)
        self.apply_telemetry = Recorder("apply", world)
        self.telemetry = Recorder("functions", world)
        self.buckets.on_put = lambda key, more: world.invariants.check_document(self, key, more)
        self.s3 = self.client(self.buckets, "s3")
        self.cache = GuardedCache(self)
        self.database = GuardedDatabase(self)
        self.feed_queues = {
            store: Queue(machine, region, faults, profile, self._feed_messages) for store in STORES if world.has_stores
        }
        self.add_table(1)
        self._versions = {Tables(): self._make_functions(Tables())}

    @property
    def replica(self) -> Replica:
        """The replica of the items table that clients read."""
        return self.replicas[self.live_generation]

    @property
    def live_generation(self) -> int:
        """The generation of the items table that clients read."""
        return 1

    def may_publish_older(self, pk: str) -> bool:
        """Whether `publish` may write an older document over a newer one, which its next records replace."""
        return any(stream.failed_batches for stream in self.streams.values()) or any(
            pk in replica.regressed for replica in self.replicas.values()
        )

    def tables_of(self, function: str) -> Tables:
        """Return the tables of the version that the next invocation of a function runs."""
        return Tables()

    def functions_of(self, function: str) -> Functions:
        """Return the version that the next invocation of a function runs."""
        tables = self.tables_of(function)
        if tables not in self._versions:
            self._versions[tables] = self._make_functions(tables)
        return self._versions[tables]

    def add_table(self, generation: int) -> None:
        """Make the Region's replica of an items table, and its stream."""
        world = self.world
        replica = Replica(world.machine, self.region, world.faults, world.profile, table_name(generation))
        serve = partial(self._publish_records, generation)
        self.replicas[generation] = replica
        self.streams[generation] = Shard(world.machine, self.region, serve)
        replica.stream = partial(self._put_record, generation)
        replica.on_write = lambda old, new: world.invariants.check_local_write(self, old, new)

    def items_client(self, generation: int) -> FaultyClient:
        """Return a client of an items table."""
        return self.client(self.replicas[generation], table_name(generation))

    def client(self, inner: Any, label: str) -> FaultyClient:
        """Return a client of the functions of this Region."""
        return FaultyClient(inner, self.world.machine, self.world.faults, f"{self.region.name} {label}")

    def _make_functions(self, tables: Tables) -> Functions:
        """Make one version of the functions."""
        machine, clock = self.world.machine, self.region.clock
        name, client = table_name(tables.live), self.items_client(tables.live)
        apply = Apply(
            ApplySettings("sim", name, "q", "log", "quarantine/", HORIZON_DAYS, COLLECTIONS),
            ApplyStores(
                items=self._make_bulk_items(tables),
                objects=S3LogObjects(self.s3, "log"),
                quarantine=S3LineQuarantine(self.s3, "log", "quarantine/"),
                queue=SqsApplyQueue(self.client(self.apply_queue, "sqs"), "q"),
                counted=DynamoCountedObjects(client, name),
            ),
            self.apply_telemetry,
            pool=self.executor,
            clock=clock,
        )
        items = DynamoItems(client, name, horizon_ms=HORIZON_MS, telemetry=self.telemetry)
        second_name, second = None, None
        if tables.second:
            second_name = table_name(tables.second)
            second_items = DynamoItems(
                self.items_client(tables.second), second_name, horizon_ms=HORIZON_MS, telemetry=self.telemetry
            )
            second = SecondTable(second_items, S3NewerDocuments(self.s3, "d"))
        feeds = {str(store): FeedQueue(store, store, FED) for store in self.feed_queues}
        publish = Publish(
            PublishSettings(
                "sim", name, "d", "log", "quarantine/", HORIZON_DAYS, COLLECTIONS, feeds, second_name, tables.follows
            ),
            items,
            S3Documents(self.s3, "d"),
            S3RowQuarantine(self.s3, "log", "quarantine/"),
            self.telemetry,
            {
                str(store): SqsKeyQueue(self.client(queue, f"{store} queue"), store, store, machine.pause)
                for store, queue in self.feed_queues.items()
            },
            second=second,
            make_workers=lambda: self.executor,
            clock=clock,
        )
        firehose = self.client(self.firehose, "firehose")
        write = Write(
            WriteSettings("sim", frozenset([CLIENT_ID]), (), "s", name, ConfigObject("b", "k", "v", "0"), COLLECTIONS),
            dict.fromkeys(COLLECTIONS, SchemaValidator({})),
            FirehoseWriteLog(firehose, "s", machine.pause),
            DynamoStoredVersions(client, name),
            self.telemetry,
            clock,
            machine.random.randbytes,
        )
        entries = EntryStore(CACHE_SETTINGS, cast(Any, self.cache), self.telemetry, clock=clock)
        rows = ItemRows(client, name, self.telemetry, machine.pause)
        stores: Any = {
            "cache": CacheStore(entries, FED),
            "database": DatabaseStore(cast(Any, self.database), FED),
        }
        feeder = MessageFeeder(
            rows,
            stores,
            HORIZON_MS,
            self.telemetry,
            make_workers=lambda: self.executor,
            clock=clock,
            pause=machine.pause,
        )
        feed = Feed(feeder, CommandServer(rows, stores, None))
        return Functions(apply, publish, write, feed, items, entries)

    def _make_bulk_items(self, tables: Tables) -> BulkItems:
        """Return what `apply` writes: the live table, and the second one."""
        written = []
        for generation in (tables.live, tables.second) if tables.second else (tables.live,):
            bulk = DynamoBulkItems(self.items_client(generation), table_name(generation), horizon_ms=HORIZON_MS)
            bulk.pause = self.world.machine.pause
            written.append(bulk)
        return TwoTables(*written) if tables.second else written[0]

    # -- triggers ----------------------------------------------------------------------------------------------------

    def _invoke(self, name: str, timeout_ms: int, work: Callable[[Callable[[], int]], Any]) -> Any:
        return self.world.machine.invoke(self.region, name, timeout_ms, work, self.world.faults.crashes)

    def _deliver(self, key: str, content: bytes) -> None:
        """Write an object of the write log, and announce it. Firehose may write the same lines twice."""
        keys = [key]
        if self.world.faults.happens(self.world.profile.duplicates):
            keys.append(f"{key}-again")
        for name in keys:
            self.buckets.objects[name] = content
            self.written_ms[name] = self.world.machine.now_ms
            self.world.machine.note(f"{self.region.name} object {name}")
            self.announce(name)

    def announce(self, key: str, **marks: object) -> None:
        """Announce an object of the write log to `apply`."""
        record = {"eventTime": rfc3339(self.written_ms[key]), "s3": {"object": {"key": key.replace("=", "%3D")}}}
        self.apply_queue.send(json.dumps({"Records": [record], **marks}))

    def _apply_messages(self, messages: list[dict[str, Any]]) -> Sequence[str] | None:
        apply = self.functions_of("apply").apply
        return _failed(self._invoke("apply", BATCH_MS, lambda remaining_ms: apply({"Records": messages}, remaining_ms)))

    def _apply_records(self, records: list[dict[str, Any]]) -> Sequence[str] | None:
        for record in records:
            number = record.pop("number")
            record["eventID"] = f"shard:{number}"
            record["kinesis"] = {**record["kinesis"], "sequenceNumber": number}
        apply = self.functions_of("apply-stream").apply
        return _failed(
            self._invoke("apply-stream", BATCH_MS, lambda remaining_ms: apply({"Records": records}, remaining_ms))
        )

    def _put_record(self, generation: int, pk: str, old: Item | None, new: Item | None) -> None:
        self.world.invariants.check_row(self, pk, new)
        self.streams[generation].put(items_record(old, new))

    def _publish_records(self, generation: int, records: list[dict[str, Any]]) -> Sequence[str] | None:
        arn = f"arn:aws:dynamodb:eu-central-1:123456789012:table/{table_name(generation)}/stream/2026-01-01T00:00:00.0"
        for record in records:
            record["eventSourceARN"] = arn
            record["dynamodb"] = {**record["dynamodb"], "SequenceNumber": record.pop("number")}
        publish = self.functions_of("publish").publish
        return _failed(self._invoke("publish", BATCH_MS, lambda _: publish({"Records": records})))

    def _feed_messages(self, messages: list[dict[str, Any]]) -> Sequence[str] | None:
        feed = self.functions_of("feed").feed
        return _failed(self._invoke("feed", FEED_MS, lambda remaining_ms: feed({"Records": messages}, remaining_ms)))

    def read_through_cache(self, key: str) -> None:
        """Let a reader answer from the cache, or load the item and store its entry, as `read` does."""
        functions = self.functions_of("read")
        entries = functions.entries

        def work(_: Callable[[], int]) -> str:
            try:
                entry = entries.get(key)
                if entry is not None and entry.fresh_until_ms > self.region.clock():
                    return "hit"
                loaded_ms = self.region.clock()
                change = functions.items.get_item(key, consistent=True)
                entries.put_newer(entries.make_entry(key, change, loaded_ms))
            except (AwsError, RespError):
                return "fault"
            return "loaded"

        self._invoke("read", API_MS, work)


def _failed(response: Mapping[str, Any] | None) -> list[str] | None:
    """Return the ids of the entries that have to come again; ``None`` if the invocation died."""
    if response is None:
        return None
    return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


class KeyedPost(NamedTuple):
    """A POST with ``Idempotency-Key``, which its client may send again."""

    user: str
    key: str
    body: str


class Client:
    """A client of the API. It names the version of its last write, so that its writes keep their order."""

    def __init__(self, world: "World", user: str) -> None:
        self.user = user
        self.last_version: str | None = None
        self.pending: KeyedPost | None = None
        self.posted_ids: list[str] = []
        self.key_prefix = "k"
        self._world = world

    def act(self) -> None:
        """Send one request to a Region that is there."""
        world, draw = self._world, self._world.machine.random
        # A client that retries has often been led to the other Region since.
        stack = world.nearest(self.user, other=0.8 if self.pending else 0.2)
        if stack is None:
            return
        number = draw.random()
        collection = PROFILES if draw.random() < 0.25 else PRODUCTS
        item_id = draw.choice(world.item_ids if collection == PROFILES else [*world.item_ids, *self.posted_ids])
        body = json.dumps({"n": world.next_number()})
        min_version = self.last_version if draw.random() < 0.6 else None
        if number < 0.2 or self.pending:
            post = self.pending or KeyedPost(self.user, f"{self.key_prefix}{draw.randrange(3)}", body)
            outcome = self._send(stack, "POST", PRODUCTS, None, post.body, None, post.key)
            # A client may also have lost the answer to a request that `write` has accepted.
            self.pending = post if draw.random() < (0.7 if outcome is None else 0.4) else None
            if self.pending and draw.random() < 0.5:
                world.machine.after(draw.randrange(5, 500), self.act)
        elif number < 0.4:
            self._send(stack, "DELETE", collection, item_id, None, min_version, None)
        else:
            self._send(stack, "PUT", collection, item_id, body, min_version, None)

    def put(self, stack: Stack, item_id: str) -> str | None:
        """Put a product with a content that no other change has. Return what :meth:`_send` returns."""
        body = json.dumps({"n": self._world.next_number()})
        return self._send(stack, "PUT", PRODUCTS, item_id, body, None, None)

    def delete(self, stack: Stack, item_id: str) -> None:
        """Delete an item in a Region."""
        self._send(stack, "DELETE", PRODUCTS, item_id, None, None, None)

    def _send(
        self,
        stack: Stack,
        method: str,
        collection: str,
        item_id: str | None,
        body: str | None,
        min_version: str | None,
        key: str | None,
    ) -> str | None:
        """Send a request. Return ``accepted`` or ``refused``; ``None`` if the client can't know."""
        world = self._world
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        claims = {"sub": self.user, "token_use": "access", "client_id": CLIENT_ID, "cognito:groups": "editors"}
        request = Request(
            method=method,
            resource=("items", collection, "{item_id}") if item_id else ("items", collection),
            path={"item_id": item_id} if item_id else {},
            query={"min_version": min_version} if min_version else {},
            query_values={},
            headers=headers,
            claims=claims,
            request_id="r",
            encoded_body=body or "",
            body_is_base64=False,
        )

        write = stack.functions_of("write").write

        def work(_: Callable[[], int]) -> tuple[int, str]:
            try:
                response = write(request)
            except ProblemError as problem:
                return int(problem.status), str(problem.members.get("outcome", ""))
            return int(response.status), response.text

        response = world.machine.invoke(stack.region, "write", API_MS, work, world.faults.crashes)
        if response is None:
            return None
        status, text = response
        assert status in (202, 400, 422, 503), response
        if status == 400:
            # The named version is from the other Region, whose clock is far ahead.
            assert min_version and world.profile.skew_ms > 5_000, "a request is refused for no reason"
            return "refused"
        if status != 202:
            return None if text == "unknown" else "refused"
        answer = json.loads(text)
        version = answer["change_id"]
        owner = self.user if collection == PROFILES else None
        world.invariants.check_accepted(item_key(collection, answer["item_id"], owner), version, min_version)
        if key is None:
            self.last_version = version
        else:
            self.posted_ids.append(answer["item_id"])
        return "accepted"


class World:
    """One history: a stack, its users, its faults, and what must hold."""

    stack_type: type[Stack] = Stack
    invariants_type = Invariants
    source_type = SourceWorld

    def __init__(self, seed: int, profile: Profile | None = None) -> None:
        self.seed = seed
        self.profile = profile or draw_profile(random.Random(f"profile {seed}"))
        self.machine = Machine(seed)
        self.faults = Faults(self.machine, self.profile)
        self.has_stores = self.profile.has_stores
        draw = self.machine.random
        self.item_ids = [f"i{number}" for number in range(self.profile.items)]
        self.invariants = self.invariants_type(self)
        half_ms = self.profile.skew_ms // 2
        sides = [half_ms, -half_ms] if draw.random() < 0.5 else [-half_ms, half_ms]
        self.stacks = [
            self.stack_type(self, Region(self.machine, f"R{number}", sides[number], draw.randrange(0, 500)))
            for number in range(self.profile.regions)
        ]
        if len(self.stacks) == 2:
            join_replicas(*(stack.replica for stack in self.stacks))
        self.clients = [Client(self, user) for user in USERS]
        self.source = self.source_type(self) if self.profile.has_source else None
        self.is_cache_down = self.is_database_down = False
        self._numbers = 0

    def next_number(self) -> int:
        """Return a number that no other change has."""
        self._numbers += 1
        return self._numbers

    def nearest(self, user: str, other: float) -> Stack | None:
        """Return the Region that a client calls: usually its own, and the other one if that is lost.

        :param other: how probable it is that the client prefers the Region that isn't its own.
        """
        draw = self.machine.random
        own = USERS.index(user) % len(self.stacks)
        order = [own, 1 - own] if len(self.stacks) == 2 else [0]
        if draw.random() < other:
            order.reverse()
        return next((self.stacks[number] for number in order if not self.stacks[number].region.is_lost), None)

    # -- the history -------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """Play the history, and check how it ends."""
        self._play_part(self.profile.writes)
        self._settle()
        if self.profile.months:
            self._pass_a_month()
            self._play_part(self.profile.writes // 3)
            self._settle()

    def _play_part(self, writes: int) -> None:
        """Let people and faults work for a while."""
        self.machine.run_until(self._plan_part(writes))

    def _plan_part(self, writes: int) -> int:
        """Plan what people and faults do for a while. Return when it ends."""
        machine, draw = self.machine, self.machine.random
        self.faults.on = True
        time_ms = machine.now_ms
        for _ in range(writes):
            time_ms += draw.choice([5, 200, 1_000, 4_000])
            machine.at(time_ms, draw.choice(self.clients).act)
            if self.profile.poison and draw.random() < self.profile.poison:
                machine.at(time_ms + draw.randrange(1_000), self._put_poison)
            if self.has_stores:
                machine.at(time_ms + draw.randrange(1_000), self._read)
            if draw.random() < 0.1:
                machine.at(time_ms + draw.randrange(60_000), self._announce_again)
        end_ms = time_ms + 5_000
        if self.source:
            self.source.plan(machine.now_ms, end_ms)
        if self.profile.losses:
            self._plan_losses(machine.now_ms, end_ms)
        for minute_ms in range(machine.now_ms, end_ms + 600_000, 60_000):
            machine.at(minute_ms, self.invariants.check_now)
            machine.at(minute_ms + draw.randrange(60_000), self._expire_rows)
        return end_ms

    def _settle(self) -> None:
        """End all faults, let everything happen that is still to come, and check how it ends."""
        self.faults.on = False
        self.is_cache_down = self.is_database_down = False
        if self.source:
            self.source.settle()
        self.machine.settle()
        self.invariants.check_end()

    def _plan_losses(self, start_ms: int, end_ms: int) -> None:
        machine, draw = self.machine, self.machine.random

        def set_cache(down: bool) -> None:
            self.is_cache_down = down
            machine.note(f"cache down {down}")
            if down and draw.random() < 0.5:
                for stack in self.stacks:
                    stack.cache.lose_all()

        def set_database(down: bool) -> None:
            self.is_database_down = down
            machine.note(f"database down {down}")

        for set_down in (set_cache, set_database) if self.has_stores else ():
            begin_ms = draw.randrange(start_ms, end_ms)
            machine.at(begin_ms, partial(set_down, True))
            machine.at(begin_ms + draw.randrange(1_000, 120_000), partial(set_down, False))
        if len(self.stacks) == 2:
            region = draw.choice(self.stacks).region
            away_ms = draw.randrange(5_000, 300_000)

            def lose() -> None:
                region.lost_until_ms = machine.now_ms + away_ms
                machine.note(f"{region.name} is lost for {away_ms}")

            machine.at(draw.randrange(start_ms, end_ms), lose)

    def _read(self) -> None:
        stack = self.machine.random.choice(self.stacks)
        key = item_key(PRODUCTS, self.machine.random.choice(self.item_ids), None)
        if not stack.region.is_lost:
            stack.read_through_cache(key)

    def _announce_again(self) -> None:
        """Let S3 announce an object a second time."""
        stack = self.machine.random.choice(self.stacks)
        keys = [key for key, ms in stack.written_ms.items() if ms > self.machine.now_ms - DAY_MS]
        if keys and not stack.region.is_lost:
            stack.announce(self.machine.random.choice(keys))

    def _put_poison(self) -> None:
        """Put a line into the write log that can't be applied."""
        stack = self.machine.random.choice(self.stacks)
        kind = self._draw_poison()
        if kind == "garbage":
            line = f"no JSON {self.next_number()}\n".encode()
        else:
            old_ms = self.machine.now_ms - HORIZON_MS - DAY_MS if kind == "expired" else self.machine.now_ms
            collection = PRODUCTS if kind == "expired" else "gone"
            version = stamp(old_ms, self.machine.random.randbytes(10))
            item_id = f"x{self.next_number()}"
            line = Change(version, collection, item_id, "{}", "anna", "api", rfc3339(old_ms)).line()
        self.invariants.log_poison(stack, line)
        if not stack.region.is_lost:
            stack.firehose.put(line)

    def _draw_poison(self) -> str:
        """Draw why a line of the write log can't be applied."""
        return self.machine.random.choice(["garbage", "unknown", "expired"])

    def _pass_a_month(self) -> None:
        """Let a month pass, let DynamoDB delete the expired tombstones, and replay all objects of the write log."""
        machine = self.machine
        for client in self.clients:
            client.pending = None
        machine.run_until(machine.now_ms + (HORIZON_DAYS + 2) * DAY_MS)
        self.invariants.forget_expired()
        self._expire_rows()
        machine.settle()
        self._replay_all(("log/",))

    def _replay(self, prefixes: tuple[str, ...]) -> None:
        """Let an operator have all objects below some prefixes applied again."""
        for stack in self.stacks:
            for key in sorted(key for key in stack.buckets.objects if key.startswith(prefixes)):
                stack.announce(key, replay=True)

    def _replay_all(self, prefixes: tuple[str, ...]) -> None:
        """Replay all objects below some prefixes, and check that this changes nothing."""
        before = self.invariants.picture()
        self._replay(prefixes)
        self.machine.settle()
        self.invariants.check_replay(before)

    def _expire_rows(self) -> None:
        """Let DynamoDB delete the rows that have expired, each replica at another time."""
        for stack in self.stacks:
            for replica in stack.replicas.values():
                for pk, row in list(replica.items.items()):
                    if "expires_at" in row and int(row["expires_at"]["N"]) * 1000 <= self.machine.now_ms:
                        delay_ms = self.machine.random.randrange(1, 3_600_000)
                        self.machine.after(delay_ms, partial(self._expire, replica, pk), stack.region)

    def _expire(self, replica: Replica, pk: str) -> None:
        row = replica.items.get(pk)
        if row is not None and "expires_at" in row and int(row["expires_at"]["N"]) * 1000 <= self.machine.now_ms:
            replica.remove(pk)


def parse(line: bytes) -> Change:
    """Return the change in a line of the write log."""
    return parse_line(line, COLLECTIONS)
