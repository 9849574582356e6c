"""The write path and the executions of a function, as queues.

The simulation knows these stages: the buffers of Firehose, the apply queue with the executions of `apply`, the write
units of the items table and its index, and the lanes of `publish`. The constants below are assumptions, because nobody
has measured them on AWS. The tables of docs/scale.md say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .capacity import (
    CHANGE_BYTES,
    CHANGE_SECONDS,
    PARTITION_WRITES,
    PUBLISH_LANES,
    REQUESTS_OF_EXECUTION,
    WRITE_PATH,
    limits,
    value_at,
    with_headroom,
)
from .queues import Action, Executions, Meter, Simulation, Starts, Station

SEED = 15

BUFFERING_SECONDS = 60
BUFFERING_BYTES = 4 * 1024 * 1024
"""The defaults of `write_log.buffering_seconds` and `write_log.buffering_megabytes`."""

DELIVERY_SECONDS = 2.0
"""From a full buffer of Firehose until `apply` begins with the object: delivery, S3's notification and the queue."""

OBJECT_SECONDS = 0.1
"""What `apply` takes for an object besides its changes."""

STREAM_SECONDS = 0.5
"""From a write to the items table until Lambda gives it to `publish`."""

PUT_SECONDS = 0.03
PUT_THREADS = 16
"""What a PUT of a document takes, and how many run at once in an execution of `publish`."""

REPLAYS = 20
"""The default of the option `--in-flight` of `ops/readplane replay`."""

GROUP = 100
"""Changes that `apply` writes, and that `publish` gets, together."""


class Settings(NamedTuple):
    """What is set in a stack, or allowed by a quota.

    :param accepted_per_second: the writes a second that Firehose accepts.
    :param buffers: how many buffers Firehose fills at once. AWS documents none of it. We assume one for each MiB/s of
        the quota.
    :param table_writes: write units a second of the table and its index together.
    """

    accepted_per_second: float
    buffers: int
    apply_concurrency: int
    collections: int
    table_writes: float


class Delays(NamedTuple):
    """The seconds after which the given share of the changes was there; ``None`` if no change was."""

    median: float | None
    p99: float | None


class WriteRun(NamedTuple):
    """What a run of the write path shows.

    :param accepted: changes that Firehose accepted; `applied` of them reached the table, and `published` the documents.
    :param waiting: objects in the apply queue at the end.
    :param to_item: from a write until the item has it; `to_document`: until its document has it.
    """

    accepted: int
    applied: int
    published: int
    waiting: int
    to_item: Delays
    to_document: Delays


def settings_for(rate: float, *, variables: bool = True) -> Settings:
    """Return the settings of a stack that is set for a rate of writes.

    :param variables: whether the stack's variables and collections are set for the rate, too. Otherwise only the
        quotas of AWS are.
    """
    by_name = limits().by_name
    requests = value_at(WRITE_PATH, rate, "log_requests")
    size = max(value_at(WRITE_PATH, rate, "log_bytes"), requests * by_name["log_bytes"].value / 1000)
    collections = math.ceil(value_at(WRITE_PATH, rate, "collection_writes") / by_name["collection_writes"].value)
    concurrency = value_at(WRITE_PATH, rate, "apply_executions")
    return Settings(
        accepted_per_second=min(requests, size / CHANGE_BYTES),
        buffers=math.ceil(size / by_name["log_bytes"].value),
        apply_concurrency=int(concurrency if variables else by_name["apply_executions"].value),
        collections=collections if variables else 1,
        table_writes=value_at(WRITE_PATH, rate, "table_writes"),
    )


class WritePath:
    """The stages of the write path in a simulation.

    Writes go forward in groups, because a group of :data:`GROUP` changes has the same times as its members.
    """

    def __init__(self, simulation: Simulation, rate: float, settings: Settings) -> None:
        self._simulation = simulation
        self._rate = min(rate, settings.accepted_per_second) / settings.buffers
        partitions = math.ceil(2 * rate / PARTITION_WRITES)  # DynamoDB splits a partition that is too busy
        self.apply = Station(settings.apply_concurrency)
        self._lanes = [Station(1) for _ in range(partitions * PUBLISH_LANES)]
        of_collections = settings.collections * limits().by_name["collection_writes"].value
        self._table = Meter(simulation, min(of_collections, settings.table_writes / 2))
        self.accepted = 0
        self.applied: list[tuple[float, int]] = []
        self.published: list[tuple[float, int]] = []
        for number in range(settings.buffers):
            self._fill(self._filling_seconds() * (number + 1) / settings.buffers)

    def replay(self, in_queue: int) -> None:
        """Replay full objects for ever, and let at most so many objects wait in the apply queue.

        The items have these changes already, so `apply` reads them and writes nothing.
        """
        seconds = OBJECT_SECONDS + BUFFERING_BYTES / CHANGE_BYTES * CHANGE_SECONDS
        while self.apply.waiting < in_queue:
            self.apply.add(lambda done: self._simulation.after(seconds, done))
        self._simulation.after(1, lambda: self.replay(in_queue))

    def _filling_seconds(self) -> float:
        return min(BUFFERING_SECONDS, BUFFERING_BYTES / (self._rate * CHANGE_BYTES))

    def _fill(self, seconds: float) -> None:
        """Let a buffer fill for so many seconds, then deliver it and begin the next one."""
        begin = self._simulation.now

        def deliver() -> None:
            changes = self._simulation.arrivals(self._rate, seconds)
            self.accepted += changes
            if changes:
                job = Object(self, begin, seconds, changes)
                self._simulation.after(DELIVERY_SECONDS, lambda: self.apply.add(job.apply))
            self._fill(self._filling_seconds())

        self._simulation.after(seconds, deliver)

    def finish(self, done: Action) -> None:
        """Let the execution of `apply` end its work on an object."""
        self._simulation.after(OBJECT_SECONDS, done)

    def write(self, accepted_at: float, changes: int, then: Action) -> None:
        """Let `apply` write a group of changes to the table, then go on."""
        seconds = max(changes * CHANGE_SECONDS, self._table.use(changes))

        def written() -> None:
            self.applied.append((self._simulation.now - accepted_at, changes))
            lane = self._simulation.random.choice(self._lanes)
            self._simulation.after(STREAM_SECONDS, lambda: lane.add(publish))
            then()

        def publish(done: Action) -> None:
            def put() -> None:
                self.published.append((self._simulation.now - accepted_at, changes))
                done()

            self._simulation.after(math.ceil(changes / PUT_THREADS) * PUT_SECONDS, put)

        self._simulation.after(seconds, written)


class Object:
    """An object of the write log, whose changes arrived evenly while its buffer filled."""

    def __init__(self, path: WritePath, begin: float, seconds: float, changes: int) -> None:
        self._path = path
        self._begin = begin
        self._seconds = seconds
        self._changes = changes
        self._written = 0

    def apply(self, done: Action) -> None:
        """Apply the changes, group after group."""
        if self._written == self._changes:
            self._path.finish(done)
            return
        group = min(GROUP, self._changes - self._written)
        accepted_at = self._begin + self._seconds * (self._written + group / 2) / self._changes
        self._written += group
        self._path.write(accepted_at, group, lambda: self.apply(done))


def run_writes(rate: float, settings: Settings, seconds: float, replays: int = 0) -> WriteRun:
    """Let clients write for so many seconds.

    :param replays: how many objects may wait in the apply queue while a replay runs; 0: no replay runs.
    """
    simulation = Simulation(SEED)
    path = WritePath(simulation, rate, settings)
    if replays:
        path.replay(replays)
    simulation.run(seconds)
    return WriteRun(
        accepted=path.accepted,
        applied=sum(changes for _, changes in path.applied),
        published=sum(changes for _, changes in path.published),
        waiting=path.apply.waiting,
        to_item=delays(path.applied),
        to_document=delays(path.published),
    )


def delays(ages: Sequence[tuple[float, int]]) -> Delays:
    """Return the percentiles of ages, each with the number of changes that have it."""
    return Delays(percentile(ages, 0.5), percentile(ages, 0.99))


def percentile(ages: Sequence[tuple[float, int]], share: float) -> float | None:
    """Return the age that so large a share of the changes doesn't exceed."""
    wanted = share * sum(number for _, number in ages)
    passed = 0
    for age, number in sorted(ages):
        passed += number
        if passed >= wanted:
            return age
    return None


class ReadRun(NamedTuple):
    """What a run of requests to a function shows. Each share is that of the requests which Lambda refuses.

    :param needed: the executions that the requests need on average.
    :param exact: the share with a quota of just these executions.
    :param quota: the quota with headroom, or the default if that is more.
    :param with_quota: the share with that quota.
    :param at_once: the share in the first ten seconds, if the requests begin all at once and no execution runs.
    :param until: the seconds after which Lambda refuses none of these.
    """

    needed: int
    exact: float
    quota: int
    with_quota: float
    at_once: float
    until: float


def run_reads(rate: float) -> ReadRun:
    """Let requests to a function arrive at a rate."""
    needed = math.ceil(rate / REQUESTS_OF_EXECUTION)
    quota = max(with_headroom(needed), int(limits().by_name["executions"].value))
    at_once, until = begin_at_once(rate, quota)
    return ReadRun(needed, refused_share(rate, needed), quota, refused_share(rate, quota), at_once, until)


def refused_share(rate: float, executions: int, requests: int = 40_000) -> float:
    """Return the share of requests that find no execution, while all executions run."""
    simulation = Simulation(SEED)
    running = Executions(simulation, executions, 1 / REQUESTS_OF_EXECUTION)
    step = max(1 / rate, 0.001)  # at high rates, the arrivals of a millisecond come together

    def arrive() -> None:
        if step > 0.001:
            running.call(1)
            simulation.after(simulation.random.expovariate(rate), arrive)
        else:
            running.call(simulation.arrivals(rate, step))
            simulation.after(step, arrive)

    simulation.after(0, arrive)
    simulation.run(max(2.0, min(requests / rate, 100.0)))
    return running.refused / (running.accepted + running.refused)


def begin_at_once(rate: float, most: int) -> tuple[float, float]:
    """Return the share of requests that Lambda refuses in the first ten seconds, and when it refuses the last one."""
    simulation = Simulation(SEED)
    running = Executions(simulation, most, 1 / REQUESTS_OF_EXECUTION, Starts(simulation))
    last_refused = 0.0
    step = 0.01

    def arrive() -> None:
        nonlocal last_refused
        if running.call(simulation.arrivals(rate, step)):
            last_refused = simulation.now
        simulation.after(step, arrive)

    simulation.after(0, arrive)
    simulation.run(10)
    share = running.refused / (running.accepted + running.refused)
    simulation.run(rate / REQUESTS_OF_EXECUTION / Starts.PER_SECOND + 10)
    return share, last_refused
