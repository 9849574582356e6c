"""The simulated write path loses nothing, is fast if it is set for its load, and shows where it isn't."""

import pytest

from ops.cli.replay import replay
from ops.scale.capacity import WRITE_RATES
from ops.scale.pipeline import (
    BUFFERING_SECONDS,
    REPLAYS,
    Settings,
    begin_at_once,
    percentile,
    refused_share,
    run_reads,
    run_writes,
    settings_for,
)

SMALL = Settings(accepted_per_second=1_000, buffers=1, apply_concurrency=2, collections=1, table_writes=40_000)


def test_the_same_run_gives_the_same_figures() -> None:
    assert run_writes(1_000, SMALL, 120) == run_writes(1_000, SMALL, 120)


@pytest.mark.parametrize("rate", [10, 200, 1_000])
def test_every_accepted_change_is_published_except_those_on_their_way(rate: int) -> None:
    run = run_writes(rate, SMALL, 600)
    assert run.accepted == pytest.approx(600 * rate, rel=0.12)
    assert run.accepted >= run.applied >= run.published
    assert run.accepted - run.published <= rate * (BUFFERING_SECONDS + 15)
    assert run.waiting == 0


def test_firehose_refuses_what_exceeds_its_quota() -> None:
    run = run_writes(10_000, SMALL, 300)
    assert run.accepted == pytest.approx(300 * SMALL.accepted_per_second, rel=0.05)


def test_a_change_of_a_quiet_stack_waits_for_the_buffer_of_firehose() -> None:
    """On average a change waits for half of the buffering seconds, and the last one hardly at all."""
    run = run_writes(10, SMALL, 1_800)
    assert run.to_item.median is not None
    assert run.to_item.p99 is not None
    assert run.to_item.median == pytest.approx(BUFFERING_SECONDS / 2 + 2, abs=6)
    assert BUFFERING_SECONDS - 5 < run.to_item.p99 < BUFFERING_SECONDS + 5


def test_too_few_collections_let_the_changes_wait() -> None:
    good = run_writes(10_000, settings_for(10_000), 120)
    bad = run_writes(10_000, settings_for(10_000, variables=False), 120)
    assert good.waiting == 0 and bad.waiting > 0
    assert bad.applied < good.applied
    assert bad.applied == pytest.approx(8_000 * 115, rel=0.05), "one collection takes 8,000 writes a second"


def test_too_few_executions_let_the_changes_wait() -> None:
    settings = settings_for(10_000)
    run = run_writes(10_000, settings._replace(apply_concurrency=1), 120)
    assert run.waiting > 0
    changes = 4 * 1024 * 1024 / 1000  # of one object, each of which takes 0.1 s and 0.13 ms for each change
    assert run.applied == pytest.approx(116 * changes / (0.1 + changes * 0.00013), rel=0.05)


@pytest.mark.parametrize("rate", WRITE_RATES[:4])
def test_a_stack_that_is_set_for_its_load_keeps_up(rate: int) -> None:
    run = run_writes(rate, settings_for(rate), 240)
    assert run.waiting == 0
    assert run.to_document.p99 is not None
    assert run.to_document.p99 < BUFFERING_SECONDS + 10


@pytest.mark.parametrize("rate", WRITE_RATES[:4])
def test_a_replay_delays_live_changes_by_seconds(rate: int) -> None:
    """The objects of a replay that wait in the queue come before a live one: 20 of them at 0.65 s, ten at once."""
    calm = run_writes(rate, settings_for(rate), 240)
    busy = run_writes(rate, settings_for(rate), 240, REPLAYS)
    assert calm.to_item.p99 is not None and busy.to_item.p99 is not None
    assert calm.to_item.p99 < busy.to_item.p99 <= min(calm.to_item.p99 + 4, 2 * calm.to_item.p99)


def test_a_replay_that_sends_everything_at_once_delays_live_changes_for_minutes() -> None:
    """2,000 objects take ten executions more than two minutes."""
    calm = run_writes(100, settings_for(100), 480)
    busy = run_writes(100, settings_for(100), 480, replays=2_000)
    assert calm.to_item.p99 is not None and busy.to_item.p99 is not None
    assert busy.to_item.p99 > calm.to_item.p99 + 120


def test_the_replay_of_the_tables_is_the_default_of_the_command() -> None:
    (default,) = [option.default for option in replay.params if "--in-flight" in option.opts]
    assert default == REPLAYS


def test_percentiles_count_each_change() -> None:
    ages = [(3.0, 1), (1.0, 98), (2.0, 1)]
    assert [percentile(ages, share) for share in (0.5, 0.98, 0.99, 1)] == [1.0, 1.0, 2.0, 3.0]
    assert percentile([], 0.5) is None


def test_headroom_in_executions_prevents_refusals() -> None:
    assert refused_share(10_000, 1_000) > 0.02
    assert refused_share(10_000, 1_500) == 0


def test_a_load_that_begins_at_once_waits_for_lambda() -> None:
    """At 100,000 requests a second, 9,000 executions must start after the first 1,000, at 100 a second."""
    share, until = begin_at_once(100_000, 15_000)
    assert share > 0.8
    assert until == pytest.approx(90, abs=5)
    assert begin_at_once(1_000, 1_000)[0] == 0


def test_the_quota_is_never_below_the_default() -> None:
    run = run_reads(100)
    assert run.quota == 1_000
    assert run.with_quota == 0
    assert run.exact == pytest.approx(0.2146, abs=0.02), "Erlang's formula for ten executions with a load of ten"
