"""The report of a failover drill: what the client saw, and whether that meets the drill's goals."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ops.cli.drill_client import WRITE, Sample, Write
from ops.cli.region_differences import Difference

LATE_SECONDS = 2.0
"""A read that takes longer is late. That is how long CloudFront waits for a connection to the primary Region."""

FROM_ORIGIN = ("Miss", "RefreshHit")
"""What X-Cache says of a response that an origin has just given."""

LIMITS = """
CloudFront asks the primary Region first for every request, and the replica if that fails. So the failover point is the
client's first answer from the replica, and each request begins at the primary Region again.

A primary Region that accepts connections and then stays silent (hang) holds each request for up to 30 s, because no
setting of version 5 of Terraform's provider shortens CloudFront's wait for a bucket.

Cognito's user pool is in the primary Region. If that Region fails, nobody can sign in or refresh a token. A valid token
opens documents until it expires, 30 minutes by default.
"""
EMULATED = """
The emulator copies writes to the other Region at once, so this drill can't show what the lag of the global table loses.
The test of two Regions in tests/histories measures that in a simulation with a lag of 0 to 5 s.

The emulator has no DNS, so the client itself repeats a failed write at the other Region's API. On AWS,
Route 53 leads clients there if api_failover is on, within three minutes.

There is one edge location with one cache. On AWS there are many, which clients reach by anycast, and each meets the
outage by itself.

Only the edge loses the primary Region. Its functions, its tables and the sign-in go on.
"""
ON_AWS = """
Only the edge loses the primary Region's buckets. The tables and the sign-in there go on, and so does the API until you
lead clients away from it. CloudWatch shows the lag of the global table as ReplicationLatency.

A change of the distribution takes minutes to reach every edge location, each at its own time. The drill counts the
primary Region as away only while CloudFront reports the change as deployed.
"""
"""What the report can't show, for every drill, on the emulator, and on AWS."""


class Interval(NamedTuple):
    """A time in which the primary Region was away, in seconds since the drill began. `end` is None for "until now"."""

    start: float
    end: float | None


class Plan(NamedTuple):
    """What the drill does to the primary Region, and what it promises.

    fault: the fault's name
    origins_lost: whether no document can come from the primary Region while it is away
    promised: whether clients must lose no read; else the report only counts
    """

    fault: str
    origins_lost: bool = True
    promised: bool = True


class Reads(NamedTuple):
    """What the client saw of one class of documents.

    sent, served, failed, late: numbers of reads. A late one may be served or not.
    failed_after_failover: those of the failed ones that ended after the failover point
    hits: how many came from the edge's cache
    first_good: seconds from the loss of the primary Region to the first good read; None if there was none
    p50, p99, longest: how long reads took, in seconds
    """

    sent: int
    served: int
    failed: int
    failed_after_failover: int
    late: int
    hits: int
    first_good: float | None
    p50: float
    p99: float
    longest: float


class Writes(NamedTuple):
    """What the client saw of its writes.

    accepted: how many got a 202, sooner or later
    repeated: how many the client had to send again
    refused: how many the stack refused for good, with a 4xx
    given_up: how many were neither accepted nor refused
    lost: the ids of the accepted items that a Region lacks at the end
    longest: seconds from a write's time to its 202 at the most
    """

    sent: int
    accepted: int
    repeated: int
    refused: int
    given_up: int
    lost: list[str]
    longest: float


class Goal(NamedTuple):
    """A goal of the drill, whether it is met, and the number that shows it."""

    goal: str
    met: bool
    seen: str


@dataclasses.dataclass(frozen=True)
class Report:
    """Everything that the report says. The fields are those of the JSON file."""

    stack: str
    started_at: str
    emulator: bool
    plan: Plan
    seconds: float
    away: list[Interval]
    failover: float | None
    reads: dict[str, Reads]
    writes: Writes
    different: list[Difference]
    goals: list[Goal]
    statuses: dict[str, int]

    @property
    def met(self) -> bool:
        """Whether every goal is met."""
        return all(entry.met for entry in self.goals)

    def as_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(_plain(dataclasses.asdict(self)) | {"met": self.met, "limits": self.limits()}, indent=2)

    def limits(self) -> list[str]:
        """Return what this drill can't show."""
        texts = LIMITS + (EMULATED if self.emulator else ON_AWS)
        return [" ".join(text.split()) for text in texts.strip().split("\n\n")]

    def as_text(self) -> str:
        """Return the report as text for people."""
        away = ", ".join(f"{start:.1f} s to {'the end' if end is None else f'{end:.1f} s'}" for start, end in self.away)
        point = "no read shows an answer of the replica"
        if self.failover is not None:
            point = f"{_seconds(self.failover)} after the loss"
        heads = (
            "reads",
            "sent",
            "served",
            "failed",
            "after failover",
            "late",
            "hits",
            "first good",
            "p50",
            "p99",
            "max",
        )
        rows = [heads] + [
            (kind, *(_seconds(value) if isinstance(value, float | None) else str(value) for value in entry))
            for kind, entry in self.reads.items()
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        writes = self.writes
        attempts = (
            f"{writes.sent} sent, {writes.accepted} accepted, {writes.repeated} repeated, {writes.refused} refused"
        )
        lines = [
            f"Failover drill of {self.stack}, {self.started_at}: {self.plan.fault}, {self.seconds:.0f} s",
            f"The primary Region was away: {away or 'never'}",
            f"Failover point: {point}",
            "",
            *("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows),
            "",
            f"writes: {attempts}, {writes.given_up} given up, {len(writes.lost)} lost",
            f"The slowest write was accepted after {_seconds(writes.longest)}.",
            f"{len(self.different)} items or documents differ between the Regions at the end.",
            *(f"  {entry.kind} {entry.key}: {entry.primary} / {entry.replica}" for entry in self.different[:10]),
            "",
            *(f"{'met    ' if entry.met else 'NOT MET'}  {entry.goal}: {entry.seen}" for entry in self.goals),
            "",
            "What this drill doesn't show:",
            *(f"- {text}" for text in self.limits()),
        ]
        return "\n".join(lines) + "\n"


def is_failed(sample: Sample) -> bool:
    """Return whether a read failed. The client reads only documents that both Regions have, so only 200 is good."""
    return sample.status not in (200, 304)


def failover_point(samples: Iterable[Sample], away: Sequence[Interval]) -> float | None:
    """Return when the client got the first answer that the primary Region can't have given; None without one.

    That is a good response from an origin to a request that was sent and answered while the primary Region was away.
    """
    return min(
        (
            sample.ended
            for sample in samples
            if sample.kind != WRITE and not is_failed(sample) and sample.cache in FROM_ORIGIN
            for start, end in away
            if start <= sample.sent and sample.ended <= (math.inf if end is None else end)
        ),
        default=None,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values doesn't exceed; 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def measure_reads(samples: Iterable[Sample], away: Sequence[Interval], failover: float | None) -> dict[str, Reads]:
    """Return what the client saw of each class of documents. `failover` is the failover point."""
    by_kind: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.kind != WRITE:
            by_kind.setdefault(sample.kind, []).append(sample)
    lost_at = away[0].start if away else None
    # Without a failover point, every read counts as one after it: nothing excuses a failure.
    point = failover if failover is not None else -math.inf
    result = {}
    for kind, entries in sorted(by_kind.items()):
        failed = [entry for entry in entries if is_failed(entry)]
        good = [entry.ended for entry in entries if not is_failed(entry) and entry.sent >= (lost_at or 0.0)]
        times = [entry.seconds for entry in entries]
        result[kind] = Reads(
            sent=len(entries),
            served=len(entries) - len(failed),
            failed=len(failed),
            failed_after_failover=sum(entry.ended > point for entry in failed),
            late=sum(seconds > LATE_SECONDS for seconds in times),
            hits=sum(entry.cache == "Hit" for entry in entries),
            first_good=min(good) - lost_at if good and lost_at is not None else None,
            p50=percentile(times, 0.5),
            p99=percentile(times, 0.99),
            longest=max(times),
        )
    return result


def measure_writes(writes: Sequence[Write], lost: Iterable[str]) -> Writes:
    """Return what the client saw of its writes. `lost` are the ids of accepted items that a Region lacks."""
    accepted = [write for write in writes if write.accepted_at is not None]
    refused = sum(write.refused is not None for write in writes)
    return Writes(
        sent=len(writes),
        accepted=len(accepted),
        repeated=sum(write.sent > 1 for write in writes),
        refused=refused,
        given_up=len(writes) - len(accepted) - refused,
        lost=sorted(lost),
        longest=max(((write.accepted_at or 0.0) - write.due for write in accepted), default=0.0),
    )


def judge(
    plan: Plan, failover: float | None, reads: dict[str, Reads], writes: Writes, different: Sequence[Difference]
) -> list[Goal]:
    """Return the goals of a drill, and whether they are met.

    A fault without a promise (`hang`) has no goal for reads.
    """
    goals = []
    failed = sum(entry.failed_after_failover for entry in reads.values())
    if plan.promised and plan.origins_lost:
        seen = "none did" if failover is None else f"the first {failover:.2f} s after the drill began"
        goals.append(Goal("the replica serves documents while the primary Region is away", failover is not None, seen))
        goals.append(Goal("no document read fails after the failover point", failed == 0, f"{failed} failed"))
    elif plan.promised:
        goals.append(Goal("no document read fails", failed == 0, f"{failed} failed"))
    if writes.sent:
        seen = f"{len(writes.lost)} of {writes.accepted} lost"
        goals.append(Goal("both Regions have every accepted write at the end", not writes.lost, seen))
        all_accepted = writes.accepted > 0 and writes.given_up == 0 and writes.refused == 0
        seen = f"{writes.accepted} of {writes.sent} accepted"
        goals.append(Goal("every write is accepted at last", all_accepted, seen))
    goals.append(Goal("both Regions agree at the end", not different, f"{len(different)} differ"))
    return goals


def make_report(
    stack: str,
    started_at: str,
    plan: Plan,
    samples: Sequence[Sample],
    writes: Sequence[Write],
    away: Sequence[Interval],
    *,
    lost: Iterable[str] = (),
    different: Sequence[Difference] = (),
    emulator: bool = True,
) -> Report:
    """Return the report of a drill.

    :param lost: the ids of accepted items that a Region lacks at the end
    :param different: what differs between the Regions at the end
    """
    reads_lost = list(away) if plan.origins_lost else []
    point = failover_point(samples, reads_lost)
    reads = measure_reads(samples, away, point)
    measured = measure_writes(writes, lost)
    statuses: dict[str, int] = {}
    for sample in samples:
        name = f"{sample.kind} {sample.status or 'no response'}"
        statuses[name] = statuses.get(name, 0) + 1
    return Report(
        stack=stack,
        started_at=started_at,
        emulator=emulator,
        plan=plan,
        seconds=max((sample.ended for sample in samples), default=0.0),
        away=list(away),
        failover=None if point is None else point - _start_of(reads_lost, point),
        reads=reads,
        writes=measured,
        different=list(different),
        goals=judge(plan, point, reads, measured, different),
        statuses=dict(sorted(statuses.items())),
    )


def _start_of(away: Sequence[Interval], time: float) -> float:
    """Return the start of the interval in which a time lies."""
    return max(start for start, _ in away if start <= time)


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"


def _plain(value: Any) -> Any:
    """Return a value with its NamedTuples as dicts, and its numbers with three decimals."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(entry) for name, entry in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return round(value, 3) if isinstance(value, float) else value
