"""AWS as the simulation has it: a client with faults, a global table, Firehose, buckets, queues and stream shards.

Where AWS documents no order, no time or no number of deliveries, the simulation draws one.
"""

import base64
import io
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from readplane.aws.client import Client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.timestamp import rfc3339
from tests.fakes.dynamodb import MemoryDynamo
from tests.fakes.expressions import Item
from tests.reliability.fault_profile import Profile
from tests.reliability.machine import Machine, Region

ITEM = "item/"
STALE_MS = 3_000
"""For how long an eventually consistent read may return the row before its last write."""


class Faults:
    """Draws the faults of calls. ``on`` is false at the end of a history, when everything must come right."""

    def __init__(self, machine: Machine, profile: Profile) -> None:
        self.on = True
        self._random = machine.random
        self._profile = profile
        self._any = profile.throttled + profile.unsent + profile.lost

    def draw(self) -> str:
        """Return the fault of a call; an empty text for none."""
        if not self.on or not self._any:
            return ""
        number = self._random.random()
        for name, rate in (
            ("throttled", self._profile.throttled),
            ("unsent", self._profile.unsent),
            ("lost", self._profile.lost),
        ):
            if number < rate:
                return name
            number -= rate
        return ""

    def happens(self, rate: float) -> bool:
        """Return whether something happens that is this probable."""
        return self.on and rate > 0 and self._random.random() < rate

    def latency_ms(self) -> int:
        """Return how long a call takes."""
        if self.happens(self._profile.slow):
            return self._random.randrange(200, 4_000)
        return self._random.randrange(1, 9)

    @property
    def crashes(self) -> float:
        """How probable it is that an invocation's sandbox dies."""
        return self._profile.crashes if self.on else 0.0


class FaultyClient:
    """An AWS client of the functions of a Region. Its calls take time, and fail as the profile says."""

    def __init__(self, inner: Client, machine: Machine, faults: Faults, label: str) -> None:
        self._inner = inner
        self._machine = machine
        self._faults = faults
        self._label = label

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out a call, or let it fail before or after AWS has carried it out."""
        self._machine.begin_call(f"{self._label}.{operation}", self._faults.latency_ms())
        fault = self._faults.draw()
        if fault == "throttled":
            raise RefusedError("ThrottlingException", 400)
        if fault == "unsent":
            raise UnansweredError("ConnectTimeoutError", sent=False)
        response = self._inner.call(operation, **parameters)
        self._machine.end_call()
        if fault == "lost":
            raise UnansweredError("ReadTimeoutError", sent=True)
        return response


class Replica(MemoryDynamo):
    """One Region's replica of the global table. The write with the latest time of DynamoDB's own clocks wins.

    Whenever a row changes, the Region's stream gets one record, and the other replica gets the write after a lag.
    """

    def __init__(self, machine: Machine, region: Region, faults: Faults, profile: Profile, table: str) -> None:
        super().__init__(table)
        self.region = region
        self.peer: Replica | None = None
        self.stream: Callable[[str, Item | None, Item | None], None] = lambda *_: None
        self.regressed: set[str] = set()
        """The keys of the items whose version a write of the other Region has made go down in this replica."""
        self._machine = machine
        self._faults = faults
        self._profile = profile
        self._times: dict[str, tuple[int, str]] = {}
        self.on_write: Callable[[Item | None, Item], None] = lambda *_: None
        self._changed_ms: dict[str, int] = {}
        self.stale = lambda pk: (
            machine.now_ms < self._changed_ms.get(pk, 0) + STALE_MS and faults.happens(profile.stale)
        )
        self.leave = lambda _: faults.happens(profile.partial)
        self.fail_statement = lambda _: "ThrottlingError" if faults.happens(profile.partial) else None

    def remove(self, pk: str) -> None:
        """Delete a row, as DynamoDB does with an expired tombstone."""
        if pk in self.items:
            self._replace(pk, None)

    def _write(self, pk: str, item: Item) -> None:
        self.on_write(self.items.get(pk), item)
        self._replace(pk, item)

    def _replace(self, pk: str, item: Item | None) -> None:
        now_ms = self._machine.now_ms + self.region.table_skew_ms
        time = max(now_ms, self._times.get(pk, (0, ""))[0] + 1), self.region.name
        self._set(pk, item, time)
        peer = self.peer
        if peer is not None:
            lag_ms = self._machine.random.randint(0, self._profile.lag_ms) if self._faults.on else 1
            self._machine.after(lag_ms, lambda: peer.receive(pk, item, time), self.region)

    def receive(self, pk: str, item: Item | None, time: tuple[int, str]) -> None:
        """Take a write of the other Region, unless this replica has a later one."""
        if self.region.is_lost:
            self._machine.after(1_000, lambda: self.receive(pk, item, time), self.region)
        elif time > self._times.get(pk, (0, "")):
            self._set(pk, item, time)

    def _set(self, pk: str, item: Item | None, time: tuple[int, str]) -> None:
        old = self.items.get(pk)
        # No stale read returns a row that DynamoDB has deleted as expired. `apply` would then treat its change as if it
        # had come before the row expired. This is right, but no rule here could tell it from a lost change.
        self._previous[pk] = old if item is not None else None
        self._changed_ms[pk] = self._machine.now_ms
        self._times[pk] = time
        if item is None:
            self.items.pop(pk, None)
        else:
            self.items[pk] = item
        if pk.startswith(ITEM):
            if old is not None and (item is None or old["version"]["S"] > item["version"]["S"]):
                self.regressed.add(pk)
            version = item["version"]["S"] if item else "gone"
            self._machine.note(f"{self.region.name} row {pk} {version}")
            self.stream(pk, old, item)


def table_name(generation: int) -> str:
    """Return the name of an items table."""
    return f"items-{generation}"


def join_replicas(first: Replica, second: Replica) -> None:
    """Make a global table of two replicas."""
    first.peer, second.peer = second, first


class Buckets:
    """The S3 buckets of one Region, as a client. ``objects`` holds the objects by key.

    :ivar conflicts: returns whether S3 refuses a conditional write because of another write at the same moment.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.on_put: Callable[[str, Mapping[str, Any]], None] = lambda *_: None
        self.conflicts: Callable[[], bool] = bool
        self._metadata: dict[str, Mapping[str, str]] = {}

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out a call of S3."""
        key = parameters["Key"]
        if operation == "PutObject":
            self._check_conditions(key, parameters.get("IfMatch"), parameters.get("IfNoneMatch"))
            self.on_put(key, parameters)
            self.objects[key] = bytes(parameters["Body"])
            self._metadata[key] = parameters.get("Metadata", {})
            return {"ETag": self._etag(key)}
        if operation == "DeleteObject":
            self._check_conditions(key, parameters.get("IfMatch"), None)
            self.on_put(key, {})
            self.objects.pop(key, None)
            return {}
        if key not in self.objects:
            raise RefusedError("NoSuchKey" if operation == "GetObject" else "404", 404)
        found = {"ETag": self._etag(key), "Metadata": dict(self._metadata.get(key, {}))}
        if operation == "HeadObject":
            return found
        assert operation == "GetObject", operation
        return found | {"Body": io.BytesIO(self.objects[key])}

    def _etag(self, key: str) -> str:
        return f'"{blake2b(self.objects[key], digest_size=16).hexdigest()}"'

    def _check_conditions(self, key: str, if_match: str | None, if_none_match: str | None) -> None:
        """Refuse a conditional write as S3 does."""
        if if_match is None and if_none_match is None:
            return
        if self.conflicts():
            raise RefusedError("ConditionalRequestConflict", 409)
        stored = self._etag(key) if key in self.objects else None
        if if_match is not None and stored is None:
            raise RefusedError("NoSuchKey", 404)
        if if_match not in (None, stored) or (if_none_match == "*" and stored is not None):
            raise RefusedError("PreconditionFailed", 412)


class Message:
    """A message of a queue. All deliveries of a message have the same ``number``."""

    __slots__ = ("body", "number", "receives", "sent_ms", "visible_ms")

    def __init__(self, body: str, number: str, sent_ms: int) -> None:
        self.body = body
        self.number = number
        self.sent_ms = sent_ms
        self.visible_ms = sent_ms
        self.receives = 0


MAX_RECEIVES = 500
"""No message of a healthy history comes so often."""

CONCURRENCY = 2
"""How many invocations a queue has at the same time, at most."""

VISIBILITY_MS = 60_000
"""How long a delivered message stays invisible if nobody changes that."""


class Queue:
    """A standard SQS queue and its event source mapping: at least once, in any order.

    :param serve: invokes the function with messages. It returns the ids of the failed messages; ``None`` if it died.
    """

    def __init__(
        self,
        machine: Machine,
        region: Region,
        faults: Faults,
        profile: Profile,
        serve: Callable[[list[dict[str, Any]]], Sequence[str] | None],
        most: int = 10,
    ) -> None:
        self.messages: list[Message] = []
        self.in_flight: dict[str, Message] = {}
        self._machine = machine
        self._region = region
        self._faults = faults
        self._profile = profile
        self._serve = serve
        self._most = most
        self._number = 0
        self._deliveries = 0
        self._running = 0

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest message was sent; ``None`` without one."""
        waiting = [message.sent_ms for message in (*self.messages, *self.in_flight.values())]
        return min(waiting, default=None)

    def send(self, body: str) -> None:
        """Put a message into the queue."""
        self._number += 1
        name, draw = f"m{self._number}", self._machine.random
        self.messages.append(Message(body, name, self._machine.now_ms))
        delay_ms = draw.randrange(10, 1_500)
        self._wake(delay_ms)
        if self._faults.happens(self._profile.duplicates):
            copy = Message(body, name, self._machine.now_ms)
            # Two invocations may get the two copies at once.
            copy.visible_ms += delay_ms + draw.randrange(1, draw.choice([50, 20_000]))
            self.messages.append(copy)
            self._wake(copy.visible_ms - self._machine.now_ms)

    def _wake(self, delay_ms: int) -> None:
        self._machine.after(delay_ms, self._poll, self._region)

    def _poll(self) -> None:
        """Deliver some of the visible messages."""
        now_ms, draw = self._machine.now_ms, self._machine.random
        visible = [message for message in self.messages if message.visible_ms <= now_ms]
        if not visible or self._running == CONCURRENCY:
            return
        draw.shuffle(visible)
        batch = visible[: draw.randrange(1, self._most + 1)]
        for message in batch:
            message.visible_ms = now_ms + VISIBILITY_MS
            message.receives += 1
            assert message.receives < MAX_RECEIVES, "a message never succeeds"
        handles = {f"{message.number}/{self._deliveries + place}": message for place, message in enumerate(batch)}
        self._deliveries += len(batch)
        self.messages = [message for message in self.messages if message not in batch]
        self.in_flight |= handles
        self._running += 1
        failed = self._serve([self._record(handle, message) for handle, message in handles.items()])
        self._running -= 1
        again = {message.number for message in batch} if failed is None else set(failed)
        for handle, message in handles.items():
            del self.in_flight[handle]
            if message.number in again:
                self.messages.append(message)
                self._wake(max(0, message.visible_ms - self._machine.now_ms) + 1)
        if any(message.visible_ms <= self._machine.now_ms for message in self.messages):
            self._wake(draw.randrange(1, 500))

    def _record(self, handle: str, message: Message) -> dict[str, Any]:
        return {
            "messageId": message.number,
            "receiptHandle": handle,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(message.sent_ms),
            },
        }

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        """Carry out a call of SQS on this queue."""
        if operation == "ChangeMessageVisibility":
            message = self.in_flight[parameters["ReceiptHandle"]]
            message.visible_ms = self._machine.now_ms + parameters["VisibilityTimeout"] * 1000
            return {}
        assert operation == "SendMessageBatch", operation
        failed = []
        for entry in parameters["Entries"]:
            if self._faults.happens(self._profile.partial):
                failed.append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError"})
            else:
                self.send(entry["MessageBody"])
        return {"Failed": failed} if failed else {}


class ShardRecord(NamedTuple):
    """A record of a shard, and when it got there."""

    number: int
    content: dict[str, Any]
    written_ms: int


class Shard:
    """A shard of a stream and its event source mapping: in order, and one batch at a time.

    A batch that fails comes again from its first failed record on. If the invocation dies, Lambda halves the batch.

    :param serve: invokes the function with records. It returns the sequence numbers of failed records; ``None`` if it
        died.
    """

    def __init__(
        self,
        machine: Machine,
        region: Region,
        serve: Callable[[list[dict[str, Any]]], Sequence[str] | None],
    ) -> None:
        self.failed_batches = 0
        self.is_served = True
        """Whether there is an event source mapping."""
        self._machine = machine
        self._region = region
        self._serve = serve
        self._waiting: list[ShardRecord] = []
        self._batches: deque[list[ShardRecord]] = deque()
        self._is_awake = False
        self._number = 0

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record was written that isn't done; ``None`` without one, or without a mapping."""
        if not self.is_served:
            return None
        first_records = [*(batch[0] for batch in self._batches), *self._waiting[:1]]
        return min((record.written_ms for record in first_records), default=None)

    def put(self, content: dict[str, Any]) -> None:
        """Add a record to the shard."""
        self._number += 1
        self._waiting.append(ShardRecord(self._number, content, self._machine.now_ms))
        self._wake(self._machine.random.randrange(20, 500))

    def _wake(self, delay_ms: int) -> None:
        if not self._is_awake:
            self._is_awake = True
            self._machine.after(delay_ms, self._poll, self._region)

    def _poll(self) -> None:
        draw = self._machine.random
        if not self.is_served:
            return
        if not self._batches:
            number = draw.choice([1, 3, 100])
            self._batches.append(self._waiting[:number])
            self._waiting = self._waiting[number:]
        batch = self._batches[0]
        failed = self._serve([{**record.content, "number": str(record.number)} for record in batch])
        self._batches.popleft()
        retry_ms = draw.randrange(20, 300)
        if failed is None:
            self.failed_batches += 1
            half = len(batch) // 2
            self._batches.extendleft(part for part in (batch[half:], batch[:half]) if part)
            retry_ms = draw.randrange(500, 5_000)
        elif failed:
            self.failed_batches += 1
            first = min(map(int, failed))
            self._batches.appendleft([record for record in batch if record.number >= first])
            retry_ms = draw.randrange(200, 3_000)
        self._is_awake = False
        if self._batches or self._waiting:
            self._wake(retry_ms)


def items_record(old: Item | None, new: Item | None) -> dict[str, Any]:
    """Return a record of the items stream, as Lambda passes it on."""
    images = {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    return {"dynamodb": images}


def kinesis_record(data: bytes) -> dict[str, Any]:
    """Return a record of the change stream, as Lambda passes it on."""
    return {"eventSource": "aws:kinesis", "kinesis": {"data": base64.b64encode(data).decode()}}


class ChangeStream:
    """The change stream, as a client of Kinesis."""

    def __init__(self, shard: Shard, faults: Faults, profile: Profile, on_line: Callable[[bytes], None]) -> None:
        self._shard = shard
        self._faults = faults
        self._profile = profile
        self._on_line = on_line

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert operation == "PutRecords", operation
        outcomes: list[dict[str, Any]] = []
        for entry in parameters["Records"]:
            if self._faults.happens(self._profile.partial):
                outcomes.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self._on_line(bytes(entry["Data"]))
                self._shard.put(kinesis_record(bytes(entry["Data"])))
                outcomes.append({"SequenceNumber": "1", "ShardId": "shardId-0"})
        return {"Records": outcomes, "FailedRecordCount": sum("ErrorCode" in outcome for outcome in outcomes)}


class Firehose:
    """A Firehose stream, as a client. It buffers lines, and writes them as one object of the write log.

    :param deliver: gets the key and the content of each object.
    :param prefix: the prefix of these keys.
    """

    def __init__(
        self,
        machine: Machine,
        region: Region,
        buffering_ms: int,
        on_line: Callable[[bytes], None],
        deliver: Callable[[str, bytes], None],
        prefix: str = "log",
    ) -> None:
        self.buffer: list[bytes] = []
        self.oldest_ms: int | None = None
        self._machine = machine
        self._region = region
        self._buffering_ms = buffering_ms
        self._on_line = on_line
        self._deliver = deliver
        self._prefix = prefix
        self._number = 0

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert operation == "PutRecord", operation
        self.put(bytes(parameters["Record"]["Data"]))
        return {"RecordId": "r"}

    def put(self, line: bytes) -> None:
        """Take a line."""
        self._on_line(line)
        if not self.buffer:
            self.oldest_ms = self._machine.now_ms
            delay_ms = self._machine.random.randint(200, 1_000 + self._buffering_ms)
            self._machine.after(delay_ms, self._flush, self._region)
        self.buffer.append(line)

    def _flush(self) -> None:
        lines, self.buffer, self.oldest_ms = self.buffer, [], None
        self._number += 1
        time = rfc3339(self._machine.now_ms)
        folder = f"{self._prefix}/year={time[:4]}/month={time[5:7]}/day={time[8:10]}/hour={time[11:13]}"
        self._deliver(f"{folder}/{self._region.name}-{self._number}", b"".join(lines))
