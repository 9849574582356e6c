"""What CloudWatch records when the stack is calm, and what it records under the fault that each alarm is for.

A recording is made minute by minute. The values of AWS's metrics are those that AWS documents, including that AWS emits
nothing at all for many metrics while nothing happens. The values of the stack's own metrics come from runs of the
functions (:mod:`tests.unit.alarms.emitted`).
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

from tests.fakes.alarm_evaluator import Alarm, Metric, Recording
from tests.unit.alarms.emitted import RUNS, EmittedMetric, emitted, heartbeat, publish, staleness
from tests.unit.alarms.plan import NAME

Emission = Callable[[int], Sequence[float]]
"""The values of a metric in a minute; none if nobody emits it in this minute."""

_STACK = frozenset({"Stack"})

POLL_MINUTES = {"prices": 5, "stock": 60}
"""Source -> how many minutes lie between two polls. These are the schedules in tests/alarms/stack.tftest.hcl."""


def nothing(minute: int) -> Sequence[float]:
    """Emit nothing."""
    return ()


def always(*values: float) -> Emission:
    """Emit the same values every minute."""
    return lambda minute: values


def every(minutes: int, *values: float) -> Emission:
    """Emit values in one of so many minutes."""
    return lambda minute: values if minute % minutes == 0 else ()


def once(*values: float) -> Emission:
    """Emit values in the first minute of the fault."""
    return lambda minute: values if minute == FAULT else ()


@cache
def _points(run: str) -> tuple[EmittedMetric, ...]:
    return tuple(emitted(RUNS[run]))


def values_of(run: str, name: str, dimensions: frozenset[str]) -> tuple[float, ...]:
    """Return the values of a metric that a run of a function emits."""
    return tuple(point.value for point in _points(run) if (point.name, point.dimensions) == (name, dimensions))


@cache
def _staleness(seconds: float) -> float:
    (point,) = [point for point in staleness(seconds) if point.name == "Staleness"]
    return point.value


@cache
def _lag(seconds: float) -> float:
    (point,) = [point for point in emitted(lambda: publish(heartbeat(seconds))) if point.name == "ReplicationLag"]
    return point.value


# --- The calm stack

_BUSY: Mapping[str, Emission] = {
    # One request a second. One in twenty minutes fails, and one a minute waits for a cold start.
    "5XXError": lambda minute: (*([0] * 59), int(minute % 20 == 7)),
    "Latency": always(*([40] * 59), 1500),
    "CacheHitCount": always(*([1] * 50)),
    "CacheMissCount": lambda minute: (1,) * (40 if minute % 60 < 10 else 5),  # somebody flushes the cache now and then
    "Duration": always(40, 4000),
    "ClaimedAccountConcurrency": lambda minute: (950 if minute % 60 < 4 else 120,),
    "Errors": always(0),
    "Throttles": always(0),
    "IteratorAge": always(300),
    "PolledEventCount": always(0, 7),
    "ThrottledRecords": always(0),
    "DeliveryToS3.DataFreshness": always(62),
    "DeliveryToS3.Records": always(1),
    "KinesisMillisBehindLatest": always(200),
    "DataReadFromKinesisStream.Records": always(7),
    "IncomingRecords": always(7),
    "WriteProvisionedThroughputExceeded": lambda minute: (int(minute % 15 == 3),),
    "ApproximateAgeOfOldestMessage": always(2),
    "ApproximateNumberOfMessagesVisible": always(0),
    # A short throttle now and then, while DynamoDB splits a partition.
    "ReadThrottleEvents": lambda minute: (4,) if minute % 60 in (1, 2) else (),
    "WriteThrottleEvents": nothing,
    "5xxErrorRate": lambda minute: (25,) if minute % 30 == 7 else (0.1,),
    # A writer and a reader. A few executions are replaced at once, and `feed` catches up now and then.
    "DatabaseConnections": lambda minute: (5, 45 if minute % 30 == 7 else 22),
    "ACUUtilization": lambda minute: (100, 40) if minute % 30 < 10 else (20, 12),
    "AuroraReplicaLag": lambda minute: (15_000,) if minute % 60 == 9 else (20,),
    "Deadlocks": lambda minute: (0, 0.02 if minute % 20 == 5 else 0),
    "IamDbAuthConnectionFailureThrottling": always(0),
    # A cache that a deployment fills now and then, and that fails over.
    "Evictions": lambda minute: (500 if minute % 60 < 5 else 0,),
    "EvictedSize": lambda minute: (500_000,) if minute % 60 < 5 else (),
    "CurrConnections": always(300),
    "AuthenticationFailures": lambda minute: (int(minute % 30 in (4, 5)),),
    "IamAuthenticationThrottling": lambda minute: (int(minute % 30 == 4),),
    "BytesUsedForCache": always(400_000_000),
    "ElastiCacheProcessingUnits": lambda minute: (280_000 if minute % 60 < 5 else 60_000,),
    "ThrottledCmds": lambda minute: (int(minute % 30 == 6),),
    "DatabaseMemoryUsagePercentage": always(60),
    "EngineCPUUtilization": lambda minute: (95 if minute % 60 < 5 else 20,),
    "CPUUtilization": lambda minute: (95 if minute % 60 < 5 else 20,),
    "ReplicationLag": lambda minute: (15 if minute % 60 == 9 else 0.2,),
    "SystemErrors": lambda minute: (1,) if minute % 60 in (3, 4) else (),
    "FaultRequestCount": lambda minute: (3,) if minute % 30 == 6 else (),
}
_IDLE: Mapping[str, Emission] = {"PolledEventCount": always(0)}

_RUNS = {
    "ChangesUnconfirmed": "write",
    "SchemasUnusable": "write",
    "RowsSkipped": "publish",
    "RecordsHandled": "apply",
    "ChangesQuarantined": "apply",
    "ObjectsFailed": "apply",
    "KeysFailed": "feed",
    "RegressionsMended": "publish",
    "DocumentsPublished": "publish",
    "CacheFaults": "read_cached",
    "CacheMisconfigured": "read_cached",
}
"""Metric without a source -> the run of the function that emits it. On a busy stack it happens every minute."""


def calm(identity: Metric, *, busy: bool) -> Emission:
    """Return what is emitted for a metric while the stack is calm.

    :param busy: whether clients read and write and back offices change; otherwise nobody uses the stack.
    """
    if identity.namespace != "Readplane":
        return (_BUSY if busy else _IDLE).get(identity.name, nothing)
    if identity.name == "ReplicationLag":
        return lambda minute: (_lag(1 + 59 * (minute % 2)),)  # the scheduler may be up to a minute late
    if identity.name == "ProbeFailed":
        # Now and then a run fails, or EventBridge Scheduler drops one.
        failed, passed = (values_of(run, "ProbeFailed", _STACK) for run in ("probe_fails", "probe"))
        return lambda minute: failed if minute % 30 == 7 else () if minute % 45 == 9 else passed
    dimensions = dict(identity.dimensions)
    if "Source" in dimensions:
        between = POLL_MINUTES[dimensions["Source"]]
        if identity.name == "Staleness":
            return lambda minute: (_staleness(60 * (minute % between) + 30),)
        return every(between, *values_of("poll", identity.name, frozenset(dimensions)))
    return always(*values_of(_RUNS[identity.name], identity.name, frozenset(dimensions))) if busy else nothing


# --- The faults

FAULT = 300
"""The minute in which each fault begins."""


class Fault(NamedTuple):
    """A fault that an alarm is for.

    :param emissions: what is emitted from the minute :data:`FAULT` on, by the name of the metric. The other metrics of
        the alarm stay calm.
    :param minutes: within how many minutes the alarm must fire.
    :param busy: whether the stack is busy, apart from the fault.
    """

    emissions: Mapping[str, Emission]
    minutes: int
    busy: bool = True


def own(run: str, name: str, *dimensions: str, between: int = 1) -> Mapping[str, Emission]:
    """Return the emissions of a run of a function that happens again and again.

    :param between: how many minutes lie between two runs.
    """
    values = values_of(run, name, frozenset(dimensions or {"Stack"}))
    assert any(values), f"the run {run} emits no {name}"
    return {name: every(between, *values)}


def own_once(run: str, name: str, *dimensions: str) -> Mapping[str, Emission]:
    """Return the emissions of a single run of a function."""
    values = values_of(run, name, frozenset(dimensions or {"Stack"}))
    assert any(values), f"the run {run} emits no {name}"
    return {name: once(*values)}


_SOURCE = ("Stack", "Source")


def _behind(run: str, source: str) -> Mapping[str, Emission]:
    """Return the emissions of polls that all leave the other Region behind."""
    names = {point.name for point in _points(run)} & {"PollsCompleted", "SnapshotsFailed", "FreshnessFailed"}
    between = POLL_MINUTES[source]
    return {name: every(between, *values_of(run, name, frozenset(_SOURCE))) for name in names}


def _lost(minute: int) -> Sequence[float]:
    return () if minute == FAULT else (1,)


def _set_aside() -> list[Fault]:
    """Lambda stores a batch in S3, drops it, or can't store it. Each happens once."""
    names = ("OnFailureDestinationDeliveredEventCount", "DroppedEventCount", "DestinationDeliveryFailures")
    return [Fault({name: once(1)}, 61) for name in names]


def _stopped() -> list[Fault]:
    """Nothing polls a stream, on a busy stack and on an idle one."""
    return [Fault({"PolledEventCount": nothing}, 16, busy=busy) for busy in (True, False)]


FAULTS: Mapping[str, Sequence[Fault]] = {
    # One period of a quiet stack's errors isn't enough.
    "*-edge-errors": [Fault({"5xxErrorRate": always(40)}, 16)],
    "*-errors": [Fault({"Errors": always(1)}, 3)],
    "*-throttles": [Fault({"Throttles": always(5)}, 4)],
    "*-slow": [Fault({"Duration": always(40, 299_000)}, 4)],
    # Everything is refused, on a busy API and on one that gets a request every four minutes; a tenth is refused.
    "api-errors": [
        Fault({"5XXError": always(*([1] * 60))}, 4),
        Fault({"5XXError": every(4, 1)}, 15, busy=False),
        Fault({"5XXError": always(*([0] * 54 + [1] * 6))}, 4),
    ],
    "api-slow": [Fault({"Latency": always(*([40] * 50 + [15_000] * 10))}, 11)],
    # The API is down, and the probe doesn't run. Both show although nobody calls.
    "probe-failed": [
        Fault(own("probe_fails", "ProbeFailed"), 4, busy=False),
        Fault({"ProbeFailed": nothing}, 6, busy=False),
    ],
    "writes-unconfirmed": [Fault(own("write_unconfirmed", "ChangesUnconfirmed"), 4)],
    "schemas-unusable": [Fault(own_once("write_with_unusable_schema", "SchemasUnusable"), 61)],
    "rows-skipped": [Fault(own_once("publish_malformed", "RowsSkipped"), 61)],
    "daily-calls-dropped": [Fault({"InvocationDroppedCount": once(1)}, 61)],
    "items-throttled": [
        Fault({"WriteThrottleEvents": always(9)}, 6),
        Fault({"ReadThrottleEvents": always(9)}, 6),
    ],
    # Six requests a second, of which the cache serves none.
    "api-cache-misses": [Fault({"CacheHitCount": nothing, "CacheMissCount": always(*([1] * 360))}, 76)],
    "concurrency": [Fault({"ClaimedAccountConcurrency": always(900)}, 6)],
    "items-errors": [Fault({"SystemErrors": always(3)}, 6)],
    "publish-behind": [Fault({"IteratorAge": always(90_000)}, 4)],
    "publish-stopped": _stopped(),
    "publish-second-stopped": _stopped(),
    "publish-set-aside": _set_aside(),
    "replication-behind": [
        Fault({"ReplicationLag": nothing}, 11),
        Fault({"ReplicationLag": nothing}, 11, busy=False),
        Fault({"ReplicationLag": lambda minute: (_lag(60 * (minute - FAULT)),)}, 11),
    ],
    # Of thirty changes a minute, six are old versions from the other Region.
    "mends-flood": [
        Fault(
            {
                "RegressionsMended": always(*(6 * values_of("publish_mends", "RegressionsMended", _STACK))),
                "DocumentsPublished": always(*(30 * values_of("publish", "DocumentsPublished", _STACK))),
            },
            20,
        )
    ],
    "write-log-key": [
        Fault({name: always(4)}, 3) for name in ("KMSKeyAccessDenied", "KMSKeyDisabled", "KMSKeyNotFound")
    ],
    "write-log-delivery-freshness": [Fault({"DeliveryToS3.DataFreshness": always(1000)}, 2)],
    "write-log-throttled": [Fault({"ThrottledRecords": always(3)}, 4)],
    # One object is lost on a busy stack, the only object of an idle stack is lost, and `apply` handles nothing.
    "write-log-records-lost": [
        Fault({"RecordsHandled": _lost}, 75),
        Fault({"DeliveryToS3.Records": once(1)}, 75, busy=False),
        Fault({"RecordsHandled": nothing}, 75),
    ],
    "apply-behind": [Fault({"ApproximateAgeOfOldestMessage": always(1000)}, 4)],
    "apply-dead-letters": [Fault({"ApproximateNumberOfMessagesVisible": always(1)}, 2)],
    "apply-objects-failed": [Fault(own("apply_fails", "ObjectsFailed", between=14), 31)],
    "quarantine": [Fault(own_once("apply_quarantines", "ChangesQuarantined"), 6)],
    "changes-behind": [Fault({"IteratorAge": always(90_000)}, 4)],
    "changes-stopped": _stopped(),
    "changes-set-aside": _set_aside(),
    "changes-throttled": [Fault({"WriteProvisionedThroughputExceeded": always(20)}, 11)],
    "changes-archive-freshness": [Fault({"DeliveryToS3.DataFreshness": always(1000)}, 2)],
    "changes-archive-behind": [Fault({"KinesisMillisBehindLatest": always(2_000_000)}, 11)],
    # On a busy stack the last reads must first leave the window. On an idle one, a single change arrives.
    "changes-archive-stopped": [
        Fault({"DataReadFromKinesisStream.Records": nothing}, 180),
        Fault({"IncomingRecords": once(1)}, 60, busy=False),
    ],
    "cache-failing": [Fault(own("read_without_cache", "CacheFaults"), 6)],
    "cache-misconfigured": [Fault(own_once("read_refused_by_cache", "CacheMisconfigured"), 6)],
    "cache-evictions": [Fault({"Evictions": always(40)}, 13), Fault({"EvictedSize": always(4_000)}, 13)],
    "cache-connections": [Fault({"CurrConnections": always(60_000)}, 13)],
    "cache-sign-in": [Fault({"AuthenticationFailures": always(9)}, 4)],
    "cache-sign-in-throttled": [Fault({"IamAuthenticationThrottling": always(9)}, 4)],
    "cache-memory": [
        Fault({"BytesUsedForCache": always(950_000_000)}, 13),
        Fault({"DatabaseMemoryUsagePercentage": always(97)}, 13),
    ],
    "cache-ecpu": [Fault({"ElastiCacheProcessingUnits": always(290_000)}, 13)],
    "cache-throttled": [Fault({"ThrottledCmds": always(7)}, 4)],
    "cache-cpu": [Fault({"EngineCPUUtilization": always(95)}, 13), Fault({"CPUUtilization": always(95)}, 13)],
    "cache-replication-lag": [Fault({"ReplicationLag": always(30)}, 13)],
    "cache-faults": [Fault({"FaultRequestCount": always(5)}, 4)],
    "feed-*-behind": [Fault({"ApproximateAgeOfOldestMessage": always(400)}, 4)],
    "feed-*-dead-letters": [Fault({"ApproximateNumberOfMessagesVisible": always(1)}, 2)],
    # The store is down, and each failed message comes again after six minutes.
    "feed-keys-failed": [Fault(own("feed_fails", "KeysFailed", between=6), 31)],
    "database-connections": [Fault({"DatabaseConnections": always(5, 70)}, 11)],
    "database-capacity": [Fault({"ACUUtilization": always(100, 30)}, 16)],
    "database-sign-in-throttled": [Fault({"IamDbAuthConnectionFailureThrottling": always(4)}, 4)],
    "database-deadlocks": [Fault({"Deadlocks": always(0, 0.3)}, 11)],
    "database-replica-lag": [Fault({"AuroraReplicaLag": always(60_000)}, 6)],
    "schedules-dropped": [Fault({"InvocationDroppedCount": always(2)}, 4)],
    # A single event: it may be the only sweep of the day.
    "polls-dropped": [Fault({"AsyncEventsDropped": once(1)}, 6)],
    # A client that goes on for ten minutes. A single burst of requests is none of the operator's business.
    "*-firewall-rate": [Fault({"BlockedRequests": always(40)}, 16)],
    # The operator sends one value, and the switch stays as it is until the operator sends 0.
    "leave-*": [Fault({"LeaveRegion": once(1)}, 3)],
    "*notifications-failed": [Fault({"NumberOfNotificationsFailed": once(1)}, 6)],
    "stale-prices": [
        Fault({"Staleness": lambda minute: (_staleness(60 * (minute - FAULT) + 30),)}, 20),
        Fault({"Staleness": nothing}, 6),
    ],
    "stale-stock": [
        Fault({"Staleness": lambda minute: (_staleness(60 * (minute - FAULT) + 30),)}, 125),
        Fault({"Staleness": nothing}, 6),
    ],
    "quarantine-*": [Fault(own("measure_bad_record", "RecordsInQuarantine", *_SOURCE), 6)],
    "list-doubtful-*": [Fault(own_once("poll_doubtful_list", "ListDoubtful", *_SOURCE), 16)],
    "overlap-missed-*": [Fault(own("poll_in_another_zone", "OverlapMissed", *_SOURCE, between=60), 121)],
    "breaker-open-*": [Fault(own_once("poll_with_open_breaker", "BreakerOpen", *_SOURCE), 16)],
    "sweep-refused-*": [Fault(own_once("refuse_sweep", "SweepRefused", *_SOURCE), 61)],
    "region-behind-prices": [Fault(_behind("poll_without_other_region", "prices"), 121)],
    "region-behind-stock": [Fault(_behind("snapshot_without_other_region", "stock"), 121)],
}
"""Pattern of an alarm's name, without the stack's name -> the faults for each of which the alarm must fire."""


def faults_of(alarm: Alarm) -> tuple[str, Sequence[Fault]]:
    """Return the pattern that an alarm's name matches, and its faults. An exact name beats a pattern.

    Alarms of different kinds of caches have the same name and watch different metrics. Each gets its own faults.

    :raises KeyError: if the table has no fault for the alarm.
    """
    name = alarm.name.removeprefix(f"{NAME}-")
    patterns = [name, *(pattern for pattern in FAULTS if "*" in pattern and fnmatchcase(name, pattern))]
    for pattern in patterns:
        if pattern in FAULTS:
            watched = {query.metric.name for query in alarm.queries.values()}
            return pattern, [fault for fault in FAULTS[pattern] if watched >= set(fault.emissions)]
    raise KeyError(f"Add a fault for which {alarm.name} must fire.")


# --- Recordings


def record(alarm: Alarm, minutes: int, *, busy: bool, fault: Fault | None = None) -> Recording:
    """Record the metrics of an alarm.

    :param fault: the fault that begins in the minute :data:`FAULT`; ``None`` if the stack stays calm.
    """
    recording = Recording()
    identities = {query.metric for query in alarm.queries.values()}
    faulty = fault.emissions if fault else {}
    assert {identity.name for identity in identities} >= set(faulty), "the alarm doesn't watch what the fault changes"
    for identity in identities:
        calm_emission = calm(identity, busy=busy)
        for minute in range(minutes):
            is_faulty = identity.name in faulty and minute >= FAULT
            emission = faulty[identity.name] if is_faulty else calm_emission
            for value in emission(minute):
                recording.add(identity, 60 * minute + second_of(identity), value)
    return recording


ENDINGS: Mapping[str, Emission] = {
    "ApproximateNumberOfMessagesVisible": always(0),
    "LeaveRegion": always(0),
}
"""Metric -> what ends a fault that silence doesn't end.

An operator empties the queue. SQS emits the number for six more hours. An operator turns the switch back.
"""


def record_end(alarm: Alarm, recording: Recording, minutes: range, *, busy: bool) -> None:
    """Add to a recording the minutes after its last one, in which the fault is over.

    :param busy: whether clients and back offices use the stack afterwards. Otherwise most metrics are silent.
    """
    for identity in {query.metric for query in alarm.queries.values()}:
        emission = ENDINGS.get(identity.name, calm(identity, busy=busy))
        for minute in minutes:
            for value in emission(minute):
                recording.add(identity, 60 * minute + second_of(identity), value)


def second_of(identity: Metric) -> int:
    """Return the second of the minute at which a metric is emitted.

    The clocks of two services differ. So `apply` counts an object that Firehose delivers at the end of a minute three
    seconds later, in the next minute, and Firehose reads a change one second after Kinesis has got it.
    """
    seconds = {"DeliveryToS3.Records": 58, "RecordsHandled": 61, "IncomingRecords": 59}
    return seconds.get(identity.name, 60 if identity.name == "DataReadFromKinesisStream.Records" else 30)
