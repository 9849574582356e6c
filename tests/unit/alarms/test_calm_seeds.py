"""In 200 calm worlds, each made from a seed, no alarm of the planned stack fires.

A world differs from the calm stack of :mod:`tests.unit.alarms.faults` in how much is going on and when: clients come in
bursts or not at all, minutes without data are elsewhere, and each metric begins at another minute. The same seed makes
the same world.
"""

import random
import zlib
from collections.abc import Sequence

import pytest

from tests.fakes.alarm_evaluator import Alarm, Recording, states
from tests.unit.alarms.faults import Emission, calm, faults_of, second_of
from tests.unit.alarms.plan import Plan, PlannedAlarm

pytestmark = pytest.mark.slow  # because Terraform plans the stack

SEEDS = 200
MINUTES = 50
WARM_UP = 25 * 60
"""The seconds after which an alarm for which missing data is breaching has enough data."""

DAY_MINUTES = 24 * 60
"""The minutes of the calm stack from which a world takes its own."""

COUNTED_TOGETHER = {"DeliveryToS3.Records", "RecordsHandled", "IncomingRecords", "DataReadFromKinesisStream.Records"}
"""The metrics that count the same records at two places. A world shifts both by the same time."""


def all_alarms(plans: Sequence[Plan]) -> list[PlannedAlarm]:
    return [planned for plan in plans for planned in plan.alarms]


def metrics_of(alarm: Alarm) -> frozenset[str]:
    return frozenset(query.metric.name for query in alarm.queries.values())


def world(alarm: Alarm, seed: int) -> Recording:
    """Record the metrics of an alarm in the world of a seed."""
    rng = random.Random(zlib.crc32(f"{seed} {alarm.name}".encode()))
    # A burst of clients, or none: the share of minutes in which anything happens.
    busy_share = rng.choice((0.0, 0.2, 0.7, 1.0))
    together = rng.randrange(DAY_MINUTES)
    shifts: dict[str, int] = {}  # the nodes of a cache fail over together
    recording = Recording()
    # An alarm on two metrics needs the bursts at the same time in both.
    busy_minutes = [rng.random() < busy_share for _ in range(MINUTES)]
    for identity in sorted({query.metric for query in alarm.queries.values()}):
        emissions: dict[bool, Emission] = {busy: calm(identity, busy=busy) for busy in (True, False)}
        shift = shifts.setdefault(identity.name, rng.randrange(DAY_MINUTES))
        shift = together if identity.name in COUNTED_TOGETHER else shift
        for minute in range(MINUTES):
            for value in emissions[busy_minutes[minute]](minute + shift):
                recording.add(identity, 60 * minute + second_of(identity), value)
    return recording


def distinct_alarms(plans: Sequence[Plan]) -> list[Alarm]:
    """Return one alarm of each kind: not those of every function, of every source and of the other Region."""
    kinds = {(faults_of(planned.alarm)[0], metrics_of(planned.alarm)): planned.alarm for planned in all_alarms(plans)}
    return list(kinds.values())


def test_no_alarm_fires_in_a_calm_world(plans: Sequence[Plan]) -> None:
    """Each seed is a world for every other alarm, so that the test takes seconds. Each alarm sees 100 worlds."""
    alarms = distinct_alarms(plans)
    firing = []
    for seed in range(SEEDS):
        for alarm in alarms[seed % 2 :: 2]:
            evaluations = states(alarm, world(alarm, seed), 60 * MINUTES, since=WARM_UP)
            if any(state == "ALARM" for _, state in evaluations):
                firing.append(f"seed {seed}: {alarm.name}")
    assert not firing, firing


def test_the_same_seed_makes_the_same_world(plan: Plan) -> None:
    alarm = next(planned.alarm for planned in plan.alarms if planned.alarm.name == "readplane-api-errors")
    assert world(alarm, 7).points == world(alarm, 7).points != world(alarm, 8).points
