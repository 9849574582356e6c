"""Tests of the table of checkpoints on moto's DynamoDB: leases, saved checkpoints, and the actions of operators."""

import uuid
from dataclasses import replace
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError
from readplane.poll.checkpoint import (
    MAX_TIME_MS,
    Checkpoint,
    ConditionalRequest,
    FailureState,
    MissedItems,
    PassProgress,
    Position,
)
from readplane.poll.checkpoint_table import CHUNK_SECONDS, DynamoCheckpoints
from readplane.poll.continuation import Continuation
from readplane.poll.errors import ChunkMissingError, LeaseLostError
from readplane.poll.remembered import Remembered, RememberedRecord
from tests.fakes.moto_aws import Aws
from tests.unit.support import NOW_MS

UNTIL_MS = NOW_MS + 60_000


@pytest.fixture
def table(aws: Aws) -> str:
    name = f"checkpoints-{uuid.uuid4()}"
    boto3.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    return name


@pytest.fixture
def checkpoints(table: str) -> DynamoCheckpoints:
    return DynamoCheckpoints(BotoClient("dynamodb"), table)


def acquire(checkpoints: DynamoCheckpoints, holder: str = "one", now_ms: int = NOW_MS) -> Checkpoint:
    checkpoint = checkpoints.acquire_lease("erp", holder, now_ms, now_ms + 60_000)
    assert checkpoint
    return checkpoint


def test_a_new_source_has_an_empty_checkpoint(checkpoints: DynamoCheckpoints) -> None:
    assert checkpoints.get_checkpoint("erp") is None
    assert acquire(checkpoints) == Checkpoint("erp", lease_holder="one", lease_until_ms=UNTIL_MS, generation=1)


def test_every_field_is_saved(checkpoints: DynamoCheckpoints) -> None:
    remembered = Remembered()
    remembered.replace_record(1, RememberedRecord(NOW_MS, 2, pending=True))
    full = replace(
        acquire(checkpoints),
        first_polled_ms=1,
        watermark_ms=2,
        settled_watermark_ms=19,
        settling_watermark_ms=20,
        settling_since_ms=21,
        fresh_as_of_ms=3,
        last_change_ms=4,
        watermark_key=22,
        delta_link="https://office.test/?é",
        deletes_watermark_ms=23,
        main_completed_ms=24,
        last_full_response_ms=25,
        last_cursor_ms=31,
        last_started_ms=32,
        refused=26,
        new_records=28,
        newly_refused=29,
        refused_before=30,
        refused_limit=27,
        main_pass=PassProgress(
            kind="incremental",
            started_ms=5,
            cursor_ms=6,
            until_ms=7,
            from_delta=True,
            next_page=Continuation("https://office.test/?é", pages=1),
            all_read=True,
            doubtful=True,
            newest_ms=8,
            newest_key=9,
            overlap_key=10,
            first_watermark_ms=11,
            setback_ms=12,
            chunks=13,
            without_id=14,
            pages=15,
            records=16,
            refused=17,
            newly_refused=18,
            duplicates=19,
            changes=20,
        ),
        sweep_pass=PassProgress("sweep", 13),
        deletes_pass=PassProgress("deletes", 14),
        last_sweep_ms=14,
        missed_items=MissedItems("x", 15),
        conditional_request=ConditionalRequest("https://office.test", '"e"', None),
        snapshot_version="v",
        living_deletes=21,
        failures=FailureState(16, 17, 18, 22),
        remembered=remembered.to_bytes(),
    )
    checkpoints.save_checkpoint(full, "one")
    assert checkpoints.get_checkpoint("erp") == full
    checkpoints.release_lease(full, "one")
    assert checkpoints.get_checkpoint("erp") == replace(full, lease_holder=None, lease_until_ms=0)
    assert acquire(checkpoints, "two") == replace(full, lease_holder="two", generation=2)


def test_one_poll_holds_a_source_at_a_time(checkpoints: DynamoCheckpoints) -> None:
    acquire(checkpoints)
    assert checkpoints.acquire_lease("erp", "two", UNTIL_MS - 1, UNTIL_MS + 1) is None
    assert checkpoints.acquire_lease("other", "two", NOW_MS, UNTIL_MS) is not None
    assert acquire(checkpoints, "two", UNTIL_MS).generation == 2


def test_a_retried_call_is_not_stopped_by_its_own_lease(checkpoints: DynamoCheckpoints) -> None:
    acquire(checkpoints)
    assert acquire(checkpoints).lease_holder == "one"


def test_a_poll_that_lost_its_lease_saves_nothing(checkpoints: DynamoCheckpoints) -> None:
    old = acquire(checkpoints)
    new = acquire(checkpoints, "two", UNTIL_MS)
    for save in (checkpoints.save_checkpoint, checkpoints.release_lease):
        with pytest.raises(LeaseLostError):
            save(replace(old, watermark_ms=9), "one")
    assert checkpoints.get_checkpoint("erp") == new
    checkpoints.save_checkpoint(replace(new, watermark_ms=1), "two")
    checkpoints.release_lease(replace(new, watermark_ms=1), "two")
    with pytest.raises(LeaseLostError):
        checkpoints.save_checkpoint(new, "two")


def test_a_release_may_be_repeated_until_another_poll_holds_the_lease(checkpoints: DynamoCheckpoints) -> None:
    leased = acquire(checkpoints)
    checkpoints.release_lease(leased, "one")
    checkpoints.release_lease(leased, "one")
    for interfere in (lambda: checkpoints.rewind("erp", 1), lambda: acquire(checkpoints, "two")):
        interfere()
        with pytest.raises(LeaseLostError):
            checkpoints.release_lease(leased, "one")


def test_operators_and_polls_do_not_overwrite_each_other(checkpoints: DynamoCheckpoints) -> None:
    leased = acquire(checkpoints)
    checkpoints.set_paused("erp", True)
    checkpoints.request_sweep("erp", NOW_MS)
    checkpoints.release_lease(replace(leased, watermark_ms=5), "one")
    saved = checkpoints.get_checkpoint("erp")
    assert saved and (saved.paused, saved.sweep_due, saved.watermark_ms) == (True, True, 5)
    checkpoints.set_paused("erp", False)
    leased = acquire(checkpoints)
    assert not leased.paused
    checkpoints.save_checkpoint(replace(leased, last_sweep_ms=NOW_MS), "one")
    saved = checkpoints.get_checkpoint("erp")
    assert saved and not saved.sweep_due


def test_a_source_that_was_never_polled_can_be_paused_and_swept_but_not_rewound(checkpoints: DynamoCheckpoints) -> None:
    checkpoints.set_paused("erp", True)
    checkpoints.request_sweep("erp", NOW_MS)
    checkpoints.rewind("erp", 5)
    checkpoints.rewind("other", 5)
    assert checkpoints.get_checkpoint("other") is None
    leased = acquire(checkpoints)
    assert leased.paused and leased.sweep_due and leased.watermark_ms is None


def test_a_rewind_reads_again_under_the_same_versions_and_takes_the_lease(checkpoints: DynamoCheckpoints) -> None:
    leased = acquire(checkpoints)
    remembered = Remembered()
    remembered.replace_record(1, RememberedRecord(90, 8, counter=1))
    remembered.add_quarantined(2, 5, 90)
    polled = replace(
        leased,
        watermark_ms=100,
        watermark_key=1,
        delta_link="https://office.test/delta",
        deletes_watermark_ms=80,
        fresh_as_of_ms=110,
        main_pass=PassProgress("incremental", 95),
        remembered=remembered.to_bytes(),
        refused=1,
    )
    checkpoints.save_checkpoint(polled, "one")
    checkpoints.rewind("erp", 50)
    with pytest.raises(LeaseLostError):
        checkpoints.save_checkpoint(polled, "one")
    saved = checkpoints.get_checkpoint("erp")
    assert saved and (saved.watermark_ms, saved.fresh_as_of_ms, saved.main_pass) == (50, 110, None)
    assert saved.reread_until_ms == 100
    assert (saved.watermark_key, saved.delta_link, saved.deletes_watermark_ms, saved.refused) == (None, None, 50, 0)
    assert Remembered(saved.remembered).get_record(1) == RememberedRecord(90, 8, counter=1, pending=True)
    assert len(Remembered(saved.remembered)) == 1
    checkpoints.rewind("erp", 70)
    saved = checkpoints.get_checkpoint("erp")
    assert saved and (saved.watermark_ms, saved.reread_until_ms) == (50, 100), "a rewind never goes forward"


def test_a_rewind_leaves_a_source_without_watermark_as_it_is(checkpoints: DynamoCheckpoints) -> None:
    acquire(checkpoints)
    checkpoints.rewind("erp", 50)
    saved = checkpoints.get_checkpoint("erp")
    assert saved and saved.watermark_ms is None


def test_a_reset_forgets_all_but_the_pause(checkpoints: DynamoCheckpoints) -> None:
    leased = acquire(checkpoints)
    checkpoints.save_checkpoint(replace(leased, watermark_ms=100, remembered=b""), "one")
    checkpoints.set_paused("erp", True)
    checkpoints.reset("erp")
    with pytest.raises(LeaseLostError):
        checkpoints.save_checkpoint(leased, "one")
    assert checkpoints.get_checkpoint("erp") == Checkpoint(
        "erp", reread_until_ms=MAX_TIME_MS, paused=True, generation=2
    )


def test_a_region_takes_a_source_over_where_the_other_one_was(checkpoints: DynamoCheckpoints) -> None:
    remembered = Remembered()
    remembered.replace_record(1, RememberedRecord(NOW_MS, 2, pending=True))
    old = replace(
        acquire(checkpoints),
        watermark_ms=NOW_MS - 1,
        missed_items=MissedItems("x", 15),
        conditional_request=ConditionalRequest("https://office.test", '"e"', None),
        main_pass=PassProgress("incremental", 5),
        living_deletes=21,
        failures=FailureState(16, 17, 18, 22),
        remembered=remembered.to_bytes(),
    )
    checkpoints.save_checkpoint(old, "one")
    checkpoints.set_paused("erp", True)
    checkpoints.request_sweep("erp", NOW_MS)
    checkpoints.take_over("erp", Position(NOW_MS - 9, "f", "2026-11-21T08:00:00.123Z"), NOW_MS)
    taken = checkpoints.get_checkpoint("erp")
    # Nothing of an earlier time may matter, when this Region polled the source before.
    assert taken == Checkpoint(
        "erp",
        first_polled_ms=NOW_MS,
        fingerprint="f",
        reread_until_ms=MAX_TIME_MS,
        watermark_ms=NOW_MS - 9,
        deletes_watermark_ms=NOW_MS - 9,
        settling_watermark_ms=NOW_MS - 9,
        fresh_as_of_ms=1_795_248_000_123,
        generation=2,
    )
    with pytest.raises(LeaseLostError):
        checkpoints.save_checkpoint(old, "one")
    checkpoints.take_over("new", Position(None, None, None), NOW_MS)
    new = Checkpoint("new", first_polled_ms=NOW_MS, reread_until_ms=MAX_TIME_MS, generation=1)
    assert checkpoints.get_checkpoint("new") == new


def test_a_rewind_moves_what_another_region_would_take_over(checkpoints: DynamoCheckpoints) -> None:
    saved = replace(
        acquire(checkpoints),
        watermark_ms=NOW_MS - 1,
        settled_watermark_ms=NOW_MS - 9,
        settling_watermark_ms=NOW_MS - 5,
        settling_since_ms=NOW_MS - 3,
    )
    checkpoints.release_lease(saved, "one")
    checkpoints.rewind("erp", NOW_MS - 7)
    rewound = checkpoints.get_checkpoint("erp")
    assert rewound and (rewound.settled_watermark_ms, rewound.settling_watermark_ms) == (NOW_MS - 9, NOW_MS - 7)
    checkpoints.rewind("erp", NOW_MS - 20)
    rewound = checkpoints.get_checkpoint("erp")
    assert rewound and (rewound.settled_watermark_ms, rewound.settling_watermark_ms) == (NOW_MS - 20, NOW_MS - 20)


def test_all_chunks_of_a_set_are_read_back_or_one_is_missing(checkpoints: DynamoCheckpoints, table: str) -> None:
    leased = acquire(checkpoints)
    for number in range(120):
        checkpoints.put_chunk(leased, "a", number, bytes([number]), NOW_MS)
    assert sorted(checkpoints.read_chunks("erp", "a", 120)) == [bytes([number]) for number in range(120)]
    assert list(checkpoints.read_chunks("erp", "a", 0)) == []
    with pytest.raises(ChunkMissingError):
        list(checkpoints.read_chunks("erp", "a", 121))
    stored: Any = boto3.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "chunk/erp/a/0"}})
    assert int(stored["Item"]["expires_at"]["N"]) == NOW_MS // 1000 + CHUNK_SECONDS


def test_an_older_lease_overwrites_no_chunk(checkpoints: DynamoCheckpoints) -> None:
    old = acquire(checkpoints)
    checkpoints.put_chunk(old, "a", 0, b"old", NOW_MS)
    new = acquire(checkpoints, "two", UNTIL_MS)
    checkpoints.put_chunk(new, "a", 0, b"new", NOW_MS)
    with pytest.raises(LeaseLostError):
        checkpoints.put_chunk(old, "a", 0, b"old", NOW_MS)
    assert list(checkpoints.read_chunks("erp", "a", 1)) == [b"new"]


def test_an_error_of_aws_is_not_a_lost_lease(aws: Aws) -> None:
    with pytest.raises(RefusedError, match="ResourceNotFoundException") as raised:
        DynamoCheckpoints(BotoClient("dynamodb"), "none").acquire_lease("erp", "one", NOW_MS, UNTIL_MS)
    assert not isinstance(raised.value.__cause__, RefusedError), "an error must not be its own cause"


def test_the_next_poll_learns_which_refused_records_were_redriven(checkpoints: DynamoCheckpoints) -> None:
    checkpoints.forget_refused("erp", {1, (1 << 64) - 1})
    leased = acquire(checkpoints)
    assert leased.redriven == {1, (1 << 64) - 1}
    checkpoints.forget_refused("erp", [7])
    checkpoints.save_checkpoint(leased, "one")
    checkpoints.release_lease(leased, "one")
    checkpoints.release_lease(leased, "one")
    leased = acquire(checkpoints, "two")
    assert leased.redriven == {7}, "the second redrive came while the first poll ran"
    checkpoints.release_lease(leased, "two")
    assert acquire(checkpoints, "three").redriven == frozenset()
