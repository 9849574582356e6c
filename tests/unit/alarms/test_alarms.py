"""Each alarm of the planned stack fires for its faults, and none fires while the stack is calm.

The alarms are those that Terraform plans. ``tests/fakes/alarm_evaluator.py`` evaluates them as AWS documents it.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import pytest

from tests.fakes.alarm_evaluator import Alarm, Recording, states
from tests.unit.alarms.emitted import apply, emitted
from tests.unit.alarms.faults import (
    FAULT,
    FAULTS,
    Emission,
    Fault,
    always,
    faults_of,
    nothing,
    once,
    record,
    record_end,
)
from tests.unit.alarms.plan import NAME, Plan, PlannedAlarm
from tests.unit.alarms.test_calm_seeds import distinct_alarms
from tests.unit.apply.support import MemoryCountedObjects

pytestmark = pytest.mark.slow  # because Terraform plans the stack

OPEN_QUESTIONS = ((0, True), (2, True), (2, False), (20, False))
"""How many more periods CloudWatch fetches, and whether FILL fills a metric without data. AWS documents neither."""

CALM_MINUTES = 13 * 60


def alarm_named(plan: Plan, name: str, region: str = "primary") -> Alarm:
    (alarm,) = [
        planned.alarm for planned in plan.alarms if (planned.region, planned.alarm.name) == (region, f"{NAME}-{name}")
    ]
    return alarm


def minutes_in_alarm(alarm: Alarm, recording: Recording, minutes: int, extra: int, fills: bool) -> list[int]:
    """Return the minutes at whose end the alarm is on, after the first hour.

    In the first hour of a stack, alarms for which missing data is breaching are on until enough data is there.
    """
    evaluations = states(alarm, recording, 60 * minutes, extra=extra, fills_empty=fills)
    return [seconds // 60 for seconds, state in evaluations if state == "ALARM" and seconds > 3600]


def all_alarms(plans: Sequence[Plan]) -> list[PlannedAlarm]:
    return [planned for plan in plans for planned in plan.alarms]


def test_every_alarm_has_a_fault_and_every_fault_has_an_alarm(plans: Sequence[Plan]) -> None:
    found = [faults_of(planned.alarm) for planned in all_alarms(plans)]
    assert all(faults for _, faults in found)
    assert {pattern for pattern, _ in found} == set(FAULTS)
    used = {id(fault) for _, faults in found for fault in faults}
    assert used == {id(fault) for faults in FAULTS.values() for fault in faults}


def test_each_alarm_fires_for_its_faults(plans: Sequence[Plan]) -> None:
    silent = []
    for region, alarm, *_ in all_alarms(plans):
        for number, fault in enumerate(faults_of(alarm)[1]):
            for extra, fills in OPEN_QUESTIONS:
                minutes = FAULT + fault.minutes + extra * alarm.period // 60 + alarm.period // 60
                recording = record(alarm, minutes, busy=fault.busy, fault=fault)
                firing = minutes_in_alarm(alarm, recording, minutes, extra, fills)
                if not firing or firing[0] <= FAULT:
                    silent.append(f"{region} {alarm.name}: fault {number}, {extra} more periods: {firing[:1]}")
    assert not silent, silent


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_no_alarm_fires_while_the_stack_is_calm(plans: Sequence[Plan], busy: bool) -> None:
    firing = []
    for region, alarm, *_ in all_alarms(plans):
        recording = record(alarm, CALM_MINUTES, busy=busy)
        for extra, fills in OPEN_QUESTIONS[1:]:
            minutes = minutes_in_alarm(alarm, recording, CALM_MINUTES, extra, fills)
            if minutes:
                firing.append(f"{region} {alarm.name} in minute {minutes[0]}")
    assert not firing, firing


def last_minute_in_alarm(alarm: Alarm, fault: Fault, over: int, extra: int, fills: bool, busy: bool) -> int:
    """Return when an alarm is on for the last time, in minutes after the end of a fault that has fired it."""
    minutes = over + (alarm.evaluated + extra + 2) * alarm.period // 60
    recording = record(alarm, over, busy=fault.busy, fault=fault)
    record_end(alarm, recording, range(over, minutes), busy=busy)
    evaluations = states(alarm, recording, 60 * minutes, extra=extra, fills_empty=fills, since=60 * FAULT)
    return max(seconds // 60 for seconds, state in evaluations if state == "ALARM") - over


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_each_alarm_stops_when_its_fault_is_over(plans: Sequence[Plan], busy: bool) -> None:
    """It stops when CloudWatch no longer looks back to the fault. Then the next fault notifies again."""
    lasting = []
    for alarm in distinct_alarms(plans):
        for number, fault in enumerate(faults_of(alarm)[1]):
            for extra, fills in OPEN_QUESTIONS:
                over = FAULT + fault.minutes + (extra + 1) * alarm.period // 60
                minutes = last_minute_in_alarm(alarm, fault, over, extra, fills, busy)
                if minutes > (alarm.evaluated + extra + 1) * alarm.period // 60:
                    lasting.append(f"{alarm.name}: fault {number}, {extra} more periods, {fills}: {minutes} minutes")
    assert not lasting, lasting


def test_a_rate_rule_that_only_counts_opens_a_ticket_that_says_so(counting_firewall: Plan) -> None:
    (planned,) = counting_firewall.alarms
    assert "\nClients: none. The rules only count.\n" in planned.description
    fault = Fault({"CountedRequests": always(40)}, 16)
    minutes = FAULT + fault.minutes
    assert minutes_in_alarm(planned.alarm, record(planned.alarm, minutes, busy=True, fault=fault), minutes, 2, True)


def series_of(values: Mapping[str, Emission], alarm: Alarm, minutes: int) -> Recording:
    """Record given values of an alarm's metrics, by the name of the metric."""
    return record(alarm, FAULT + minutes, busy=False, fault=Fault(values, minutes))


def test_a_few_errors_of_the_api_page_nobody(plan: Plan) -> None:
    """Four of sixty requests a minute fail: fewer than five, and more than 5 %."""
    alarm = alarm_named(plan, "api-errors")
    recording = series_of({"5XXError": always(*([0] * 56 + [1] * 4))}, alarm, 60)
    assert minutes_in_alarm(alarm, recording, FAULT + 60, 2, True) == []


def test_a_repeated_object_does_not_hide_a_lost_one(plan: Plan) -> None:
    """Firehose delivers two objects. S3 loses the notification of one, and SQS delivers that of the other twice."""
    counted = MemoryCountedObjects()
    handled = [
        point.value
        for _ in range(2)
        for point in emitted(lambda: apply(counted=counted))
        if point.name == "RecordsHandled"
    ]
    alarm = alarm_named(plan, "write-log-records-lost")
    recording = series_of({"DeliveryToS3.Records": once(1, 1), "RecordsHandled": once(*handled)}, alarm, 90)
    assert minutes_in_alarm(alarm, recording, FAULT + 90, 2, True)


def test_the_lost_record_stays_lost_for_hours(plan: Plan) -> None:
    """A repeat of the notification of an object must not end the alarm, and neither must a quiet hour."""
    alarm = alarm_named(plan, "write-log-records-lost")
    recording = series_of({"DeliveryToS3.Records": once(1), "RecordsHandled": nothing}, alarm, 300)
    firing = minutes_in_alarm(alarm, recording, FAULT + 300, 2, True)
    assert firing == list(range(firing[0], FAULT + 301, 15))


def test_a_dead_letter_keeps_its_alarm_on_when_sqs_emits_nothing_any_more(plan: Plan) -> None:
    """SQS stops to emit metrics of a queue that nobody has used for six hours."""
    alarm = alarm_named(plan, "apply-dead-letters")
    six_hours = FAULT + 360
    visible: Emission = lambda minute: (1,) if minute < six_hours else ()  # noqa: E731
    recording = series_of({"ApproximateNumberOfMessagesVisible": visible}, alarm, 900)
    assert minutes_in_alarm(alarm, recording, FAULT + 900, 2, True)[-1] == FAULT + 900
    redriven: Emission = lambda minute: (1,) if minute < six_hours else (0,) if minute > FAULT + 600 else ()  # noqa: E731
    recording = series_of({"ApproximateNumberOfMessagesVisible": redriven}, alarm, 900)
    assert minutes_in_alarm(alarm, recording, FAULT + 900, 2, True)[-1] < FAULT + 610


@pytest.mark.parametrize("name", ["publish-set-aside", "changes-set-aside"])
def test_a_batch_that_is_set_aside_keeps_its_alarm_on_for_days(plan: Plan, name: str) -> None:
    """The batch waits for an operator, who may be away over a weekend."""
    alarm = alarm_named(plan, name)
    days = 4 * 24 * 60
    recording = series_of({"OnFailureDestinationDeliveredEventCount": once(3)}, alarm, days)
    assert minutes_in_alarm(alarm, recording, FAULT + days, 2, True)[-1] >= FAULT + days - 60


def test_a_new_second_table_opens_no_ticket(two_tables: Plan) -> None:
    """Terraform makes the alarm before the mapping of the new table emits anything."""
    alarm = alarm_named(two_tables, "publish-second-stopped")
    recording = record(alarm, 2 * FAULT, busy=True)
    for points in recording.points.values():
        points[:] = [point for point in points if point[0] >= 60 * FAULT]
    for extra, fills in OPEN_QUESTIONS:
        assert minutes_in_alarm(alarm, recording, 2 * FAULT, extra, fills) == []


def test_the_ticket_stays_open_while_nothing_reads_the_stream_of_the_second_table(two_tables: Plan) -> None:
    alarm = alarm_named(two_tables, "publish-second-stopped")
    minutes = 26 * 60
    recording = series_of({"PolledEventCount": nothing}, alarm, minutes)
    for extra, fills in OPEN_QUESTIONS:
        firing = minutes_in_alarm(alarm, recording, FAULT + minutes, extra, fills)
        assert firing == list(range(FAULT + 15, FAULT + minutes + 1, 5))


@pytest.mark.parametrize(("name", "metrics"), [("publish-set-aside", 5), ("items-throttled", 8)])
def test_each_metric_of_each_table_alone_fires_the_alarm(two_tables: Plan, name: str, metrics: int) -> None:
    alarm = alarm_named(two_tables, name)
    assert len(set(alarm.queries.values())) == metrics
    for query in alarm.queries.values():
        recording = record(alarm, FAULT + 120, busy=False)
        for minute in range(FAULT, FAULT + 6):
            recording.add(query.metric, 60 * minute, 1)
        assert minutes_in_alarm(alarm, recording, FAULT + 120, 2, True), query


def test_a_refused_record_keeps_the_alarm_of_an_hourly_source_on(plan: Plan) -> None:
    """The source is polled once an hour. The record is refused at the first poll of the fault, and then for a day."""
    alarm = alarm_named(plan, "quarantine-stock")
    (fault,) = faults_of(alarm)[1]
    minutes = FAULT + 24 * 60
    firing = minutes_in_alarm(alarm, record(alarm, minutes, busy=False, fault=fault), minutes, 2, True)
    assert firing == list(range(firing[0], minutes + 1, 5)) and firing[0] <= FAULT + 6


def test_a_deleted_record_is_no_missed_overlap(plan: Plan) -> None:
    """The newest record is deleted between two polls, so the second one misses it once."""
    alarm = alarm_named(plan, "overlap-missed-prices")
    minutes = FAULT + 24 * 60
    recording = series_of({"OverlapMissed": once(1)}, alarm, minutes)
    assert minutes_in_alarm(alarm, recording, minutes, 2, True) == []


PARTNERS: Mapping[str, Sequence[str]] = {
    # API Gateway emits nothing without requests, and so do the functions behind it, DynamoDB and the stores.
    "api-*": ["probe-failed"],
    "writes-unconfirmed": ["probe-failed"],
    "schemas-unusable": ["probe-failed"],
    "items-*": ["probe-failed"],
    "cache-*": ["probe-failed"],
    "database-*": ["probe-failed"],
    "concurrency": ["probe-failed"],
    "*-edge-errors": ["probe-failed"],
    "*-firewall-rate": ["probe-failed"],
    "*-errors": ["probe-failed", "publish-stopped", "stale-prices"],
    "*-slow": ["probe-failed", "publish-stopped", "stale-prices"],
    "*-throttles": ["probe-failed", "publish-stopped", "stale-prices"],
    "daily-calls-dropped": ["probe-failed"],
    # The readers of the streams.
    "publish-*": ["publish-stopped"],
    "rows-skipped": ["publish-stopped"],
    "mends-flood": ["publish-stopped"],
    "changes-archive-freshness": ["changes-archive-stopped", "changes-archive-behind"],
    "changes-archive-behind": ["changes-archive-stopped"],
    "changes-*": ["changes-stopped"],
    # The sources.
    "breaker-open-*": ["stale-prices"],
    "sweep-refused-*": ["stale-prices", "polls-dropped", "schedules-dropped"],
    "region-behind-*": ["stale-prices"],
    "quarantine-*": ["stale-prices"],
    "list-doubtful-*": ["stale-prices"],
    "overlap-missed-*": ["stale-prices"],
    "schedules-dropped": ["stale-prices"],
    "polls-dropped": ["stale-prices"],
}
"""Alarm that goes silent with the thing it watches -> the alarms that then speak, as its comment in Terraform says."""

WITNESSES: Mapping[str, str] = {
    "write-log-delivery-freshness": "Firehose emits it as long as it holds a record",
    "write-log-throttled": "Firehose emits it with each throttled record",
    "write-log-key": "Firehose emits it with each refused use of the key",
    "write-log-records-lost": "Firehose emits the records that it delivers, whether or not apply handles them",
    "apply-behind": "SQS emits the age as long as the queue holds a message, whether or not apply receives it",
    "apply-dead-letters": "SQS counts the messages, whether or not anybody receives them",
    "apply-objects-failed": "a message that apply never sees shows in apply-behind and write-log-records-lost",
    "quarantine": "a change that apply never sees shows in apply-behind and write-log-records-lost",
    "feed-*-behind": "SQS emits the age as long as the queue holds a message, whether or not feed receives it",
    "feed-*-dead-letters": "SQS counts the messages, whether or not anybody receives them",
    "feed-keys-failed": "a message that feed never sees shows in feed-*-behind",
    "*notifications-failed": "SNS emits it with each failed delivery",
    "leave-*": "the operator's switch stays as it is",
    "publish-second-stopped": "its metric ends with what it watches, and it fires for that and stays on",
    "changes-archive-stopped": "Kinesis emits what arrives, whether or not Firehose reads it",
}
"""Alarm that needs no partner -> who emits its metric while the thing that it watches stands still."""


def _matching(name: str, patterns: Iterable[str]) -> list[str]:
    exact = [pattern for pattern in patterns if pattern == name]
    return exact or [pattern for pattern in patterns if fnmatchcase(name, pattern)]


def test_an_alarm_that_goes_silent_has_a_partner(plans: Sequence[Plan]) -> None:
    missing_data = {
        planned.alarm.name.removeprefix(f"{NAME}-"): planned.alarm.missing_data for planned in all_alarms(plans)
    }
    used = set()
    for name, treatment in missing_data.items():
        if treatment == "breaching":
            continue
        pattern = (_matching(name, WITNESSES) or _matching(name, PARTNERS))[0]
        used.add(pattern)
        if pattern in PARTNERS:
            partners = set(PARTNERS[pattern])
            assert partners <= set(missing_data), name
            speaks = {partner for partner in partners if missing_data[partner] == "breaching" or partner in WITNESSES}
            assert speaks, f"{name}: no partner fires without data"
    assert used == PARTNERS.keys() | WITNESSES.keys(), "a pattern matches no alarm"
