"""The checkpoints, against moto's DynamoDB: the lease that guards them, and what operators do to them."""

import uuid
from dataclasses import replace
from typing import Any

import boto3
import pytest

from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError
from readplane.poll.checkpoint import EVER, Checkpoint, ConditionalRequest, FailureState, MissedItems, Pass
from readplane.poll.checkpoint_table import CHUNK_SECONDS, DynamoCheckpoints
from readplane.poll.errors import ChunkMissingError, LeaseLostError
from readplane.poll.remembered import Remembered
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


def acquired(checkpoints: DynamoCheckpoints, owner: str = "one", now_ms: int = NOW_MS) -> Checkpoint:
    checkpoint = checkpoints.acquire("erp", owner, now_ms, now_ms + 60_000)
    assert checkpoint
    return checkpoint


def test_a_new_source_has_nothing_behind_it(checkpoints: DynamoCheckpoints) -> None:
    assert checkpoints.get("erp") is None
    assert acquired(checkpoints) == Checkpoint("erp", owner="one", lease_until_ms=UNTIL_MS, generation=1)


def test_all_of_it_is_saved(checkpoints: DynamoCheckpoints) -> None:
    seen = Remembered()
    seen.meet(1, NOW_MS, 2)
    full = replace(
        acquired(checkpoints),
        begun_ms=1,
        watermark_ms=2,
        fresh_as_of_ms=3,
        changed_ms=4,
        changes=Pass(5, 6, '{"url":"é"}', False, 7, 8, 9, 10, 11, 12),
        sweep=Pass(13),
        swept_ms=14,
        missing=MissedItems("x", 15),
        validators=ConditionalRequest("https://office.test", '"e"', None),
        version="v",
        failures=FailureState(16, 17, 18),
        seen=seen.packed(),
    )
    checkpoints.save(full, "one")
    assert checkpoints.get("erp") == full
    checkpoints.release(full, "one")
    assert checkpoints.get("erp") == replace(full, owner=None, lease_until_ms=0)
    assert acquired(checkpoints, "two") == replace(full, owner="two", generation=2)


def test_one_holds_a_source_at_a_time(checkpoints: DynamoCheckpoints) -> None:
    acquired(checkpoints)
    assert checkpoints.acquire("erp", "two", UNTIL_MS - 1, UNTIL_MS + 1) is None
    assert checkpoints.acquire("other", "two", NOW_MS, UNTIL_MS) is not None
    assert acquired(checkpoints, "two", UNTIL_MS).generation == 2


def test_a_retry_of_the_client_finds_its_own_lease(checkpoints: DynamoCheckpoints) -> None:
    acquired(checkpoints)
    assert acquired(checkpoints).owner == "one"


def test_who_lost_the_lease_saves_nothing(checkpoints: DynamoCheckpoints) -> None:
    old = acquired(checkpoints)
    new = acquired(checkpoints, "two", UNTIL_MS)
    for lost in (checkpoints.save, checkpoints.release):
        with pytest.raises(LeaseLostError):
            lost(replace(old, watermark_ms=9), "one")
    assert checkpoints.get("erp") == new
    checkpoints.save(replace(new, watermark_ms=1), "two")
    checkpoints.release(replace(new, watermark_ms=1), "two")
    with pytest.raises(LeaseLostError):
        checkpoints.save(new, "two")


def test_a_release_may_be_tried_again_until_another_holds_the_source(checkpoints: DynamoCheckpoints) -> None:
    held = acquired(checkpoints)
    checkpoints.release(held, "one")
    checkpoints.release(held, "one")
    for interfere in (lambda: checkpoints.rewind("erp", 1), lambda: acquired(checkpoints, "two")):
        interfere()
        with pytest.raises(LeaseLostError):
            checkpoints.release(held, "one")


def test_operators_and_polls_do_not_overwrite_each_other(checkpoints: DynamoCheckpoints) -> None:
    held = acquired(checkpoints)
    checkpoints.set_paused("erp", True)
    checkpoints.request_sweep("erp", NOW_MS)
    checkpoints.release(replace(held, watermark_ms=5), "one")
    found = checkpoints.get("erp")
    assert found and (found.paused, found.sweep_due, found.watermark_ms) == (True, True, 5)
    checkpoints.set_paused("erp", False)
    held = acquired(checkpoints)
    assert not held.paused
    checkpoints.save(replace(held, swept_ms=NOW_MS), "one")
    found = checkpoints.get("erp")
    assert found and not found.sweep_due


def test_what_was_never_polled_can_be_paused_and_swept(checkpoints: DynamoCheckpoints) -> None:
    checkpoints.set_paused("erp", True)
    checkpoints.request_sweep("erp", NOW_MS)
    checkpoints.rewind("erp", 5)
    checkpoints.rewind("other", 5)
    assert checkpoints.get("other") is None
    held = acquired(checkpoints)
    assert held.paused and held.sweep_due and held.watermark_ms is None


def test_a_rewind_reads_again_under_the_same_ids_and_takes_the_lease(checkpoints: DynamoCheckpoints) -> None:
    held = acquired(checkpoints)
    seen = Remembered()
    seen.meet(1, 90, 7), seen.meet(1, 90, 8)
    entry = seen.get(1)
    assert entry
    seen.settle([(1, entry)])
    seen.refuse(2, 90)
    known = replace(held, watermark_ms=100, fresh_as_of_ms=110, changes=Pass(95), seen=seen.packed())
    checkpoints.save(known, "one")
    checkpoints.rewind("erp", 50)
    with pytest.raises(LeaseLostError):
        checkpoints.save(known, "one")
    found = checkpoints.get("erp")
    assert found and (found.watermark_ms, found.fresh_as_of_ms, found.changes) == (50, 110, None)
    assert found.again_ms == 100
    again = Remembered(found.seen).meet(1, 90, 8)
    assert again and again.tie == 1
    assert len(Remembered(found.seen)) == 1
    checkpoints.rewind("erp", 70)
    found = checkpoints.get("erp")
    assert found and (found.watermark_ms, found.again_ms) == (50, 100), "never forward"


def test_a_source_that_has_not_been_read_whole_has_nothing_to_rewind_to(checkpoints: DynamoCheckpoints) -> None:
    acquired(checkpoints)
    checkpoints.rewind("erp", 50)
    found = checkpoints.get("erp")
    assert found and found.watermark_ms is None


def test_a_reset_forgets_all_but_the_pause(checkpoints: DynamoCheckpoints) -> None:
    held = acquired(checkpoints)
    checkpoints.save(replace(held, watermark_ms=100, seen=b""), "one")
    checkpoints.set_paused("erp", True)
    checkpoints.reset("erp")
    with pytest.raises(LeaseLostError):
        checkpoints.save(held, "one")
    assert checkpoints.get("erp") == Checkpoint("erp", again_ms=EVER, paused=True, generation=2)


def test_parts_of_a_set_are_read_back_or_missed(checkpoints: DynamoCheckpoints, table: str) -> None:
    held = acquired(checkpoints)
    for number in range(120):
        checkpoints.put_chunk(held, "a", number, bytes([number]), NOW_MS)
    assert sorted(checkpoints.chunks("erp", "a", 120)) == [bytes([number]) for number in range(120)]
    assert list(checkpoints.chunks("erp", "a", 0)) == []
    with pytest.raises(ChunkMissingError):
        list(checkpoints.chunks("erp", "a", 121))
    kept: Any = boto3.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "chunk/erp/a/0"}})
    assert int(kept["Item"]["expires_at"]["N"]) == NOW_MS // 1000 + CHUNK_SECONDS


def test_an_older_lease_overwrites_no_part(checkpoints: DynamoCheckpoints) -> None:
    old = acquired(checkpoints)
    checkpoints.put_chunk(old, "a", 0, b"old", NOW_MS)
    new = acquired(checkpoints, "two", UNTIL_MS)
    checkpoints.put_chunk(new, "a", 0, b"new", NOW_MS)
    with pytest.raises(LeaseLostError):
        checkpoints.put_chunk(old, "a", 0, b"old", NOW_MS)
    assert list(checkpoints.chunks("erp", "a", 1)) == [b"new"]


def test_a_fault_is_no_lost_lease(aws: Aws) -> None:
    with pytest.raises(RefusedError, match="ResourceNotFoundException") as raised:
        DynamoCheckpoints(BotoClient("dynamodb"), "none").acquire("erp", "one", NOW_MS, UNTIL_MS)
    assert not isinstance(raised.value.__cause__, RefusedError), "an error that is its own cause has no end"
