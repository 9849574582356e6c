"""Test `sources move`, and the commands about sources in the replica Region."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli.main import main
from readplane.aws.boto import BotoClient
from readplane.model.freshness import Freshness
from readplane.poll.checkpoint import MAX_TIME_MS, Checkpoint, Position
from readplane.poll.checkpoint_table import DynamoCheckpoints
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.poll.switch import DynamoSwitch
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run
from tests.unit.support import NOW_MS

REPLICA = "eu-west-1"
FRESH = "2026-01-01T00:00:00.000Z"
REPLICA_OUTPUTS: dict[str, Any] = {
    "replica_region": REPLICA,
    "replica_write_log_bucket": "log-2",
    "replica_documents_bucket": "documents-2",
    "replica_checkpoints_table": "checkpoints-2",
    "replica_poll_function": "shop-poll",
    "sources": {name: {**OUTPUTS["sources"]["products"]} for name in ("prices", "products")},  # type: ignore[index]
}


def make_tables(region: str, *names: str) -> None:
    make: Any = boto3.client
    for name in names:
        make("dynamodb", region_name=region).create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )


def runner(path: Path, **outputs: Any) -> Run:
    path.write_text(json.dumps({name: {"value": value} for name, value in (OUTPUTS | outputs).items()}))

    def command(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(main, ["--outputs", str(path), *words], input=stdin)

    return command


@pytest.fixture
def run(aws: Aws, tmp_path: Path) -> Run:
    """Return a function that runs a command line on a stack whose primary Region is lost: nothing of it answers."""
    make_tables(REPLICA, "items", "checkpoints-2")
    return runner(tmp_path / "outputs.json", **REPLICA_OUTPUTS)


def publish(source: str, region: str, position: Position) -> None:
    items = DynamoSourcedItems(BotoClient("dynamodb", region=region), "items", horizon_ms=1)
    items.put_freshness(source, Freshness(position.fresh_as_of, "closed", FRESH), position)


def polled_in(source: str) -> str:
    return DynamoSwitch(BotoClient("dynamodb", region=REPLICA), "items", REPLICA, REGION).get_region(source)


def checkpoint(source: str) -> Checkpoint | None:
    return DynamoCheckpoints(BotoClient("dynamodb", region=REPLICA), "checkpoints-2").get_checkpoint(source)


def test_the_replica_region_takes_every_source_over_and_no_other_region_is_called(run: Run) -> None:
    publish("products", REPLICA, Position(NOW_MS, "f", FRESH))
    asked = run("sources", "move", "--to", REPLICA)
    assert asked.exit_code == 0, asked.exception
    assert "Would move these sources to eu-west-1" in asked.output and "everything" in asked.output
    assert polled_in("products") == polled_in("prices") == REGION and checkpoint("products") is None

    moved = run("sources", "move", "--to", REPLICA, "--yes")
    assert moved.exit_code == 0, moved.exception
    assert polled_in("products") == polled_in("prices") == REPLICA
    saved = checkpoint("products")
    assert saved and (saved.watermark_ms, saved.fingerprint, saved.reread_until_ms) == (NOW_MS, "f", MAX_TIME_MS)
    assert saved.fresh_as_of_ms == 1_767_225_600_000
    assert (new := checkpoint("prices")) and new.watermark_ms is None, "a source without a position is read whole"


def test_a_second_move_changes_nothing(run: Run) -> None:
    assert run("sources", "move", "--to", REPLICA, "--yes").exit_code == 0
    before = checkpoint("products")
    again = run("sources", "move", "--to", REPLICA, "--yes")
    assert again.exit_code == 0 and "products is polled in eu-west-1 already" in again.output
    assert checkpoint("products") == before


def test_one_source_is_moved_alone_and_may_be_read_whole(run: Run) -> None:
    publish("products", REPLICA, Position(NOW_MS, "f", FRESH))
    moved = run("sources", "move", "--to", REPLICA, "--source", "products", "--all-records", "--yes")
    assert moved.exit_code == 0, moved.exception
    assert polled_in("products") == REPLICA and polled_in("prices") == REGION
    assert (saved := checkpoint("products")) and saved.watermark_ms is None
    refused = run("sources", "move", "--to", REPLICA, "--source", "prodcts", "--yes")
    assert refused.exit_code == 1 and "Declared are: prices, products" in str(refused.exception)


def test_a_move_that_failed_halfway_is_repeated(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: DynamoSwitch, source: str, now_ms: int) -> None:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(DynamoSwitch, "move_here", fail)
        assert run("sources", "move", "--to", REPLICA, "--yes").exit_code == 1
    assert polled_in("prices") == REGION and checkpoint("prices"), "the checkpoint comes before the switch"
    assert run("sources", "move", "--to", REPLICA, "--yes").exit_code == 0
    assert polled_in("prices") == polled_in("products") == REPLICA


def test_the_primary_region_takes_the_sources_back(run: Run) -> None:
    make_tables(REGION, "items", "checkpoints")
    primary = DynamoSwitch(BotoClient("dynamodb", region=REGION), "items", REGION, REGION)
    DynamoSwitch(BotoClient("dynamodb", region=REGION), "items", REPLICA, REGION).move_here("products", NOW_MS)
    publish("products", REGION, Position(NOW_MS + 7, "f", FRESH))
    moved = run("sources", "move", "--to", REGION, "--yes")
    assert moved.exit_code == 0 and "prices is polled in eu-central-1 already" in moved.output
    assert primary.polls_here("products")
    saved = DynamoCheckpoints(BotoClient("dynamodb", region=REGION), "checkpoints").get_checkpoint("products")
    assert saved and saved.watermark_ms == NOW_MS + 7


def test_a_move_to_a_region_that_cannot_poll_is_refused(run: Run, tmp_path: Path) -> None:
    refused = run("sources", "move", "--to", "us-east-1", "--yes")
    assert refused.exit_code == 1 and "eu-central-1 and eu-west-1, not in us-east-1" in str(refused.exception)
    alone = runner(tmp_path / "alone.json", replica_region=REPLICA, replica_poll_function=None)
    refused = alone("sources", "move", "--to", REPLICA, "--yes")
    assert refused.exit_code == 1 and "poll.in_replica = true" in str(refused.exception)


def test_sources_and_checkpoints_of_the_replica_region(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []

    def call(target: object, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        calls.append((function, region))
        return {"outcome": "completed", "sweeping": False}

    monkeypatch.setattr("ops.cli.invoke.call", call)
    assert run("sources", "pause", "products", "--replica").exit_code == 0
    assert (saved := checkpoint("products")) and saved.paused
    lines = [json.loads(line) for line in run("sources", "list", "--replica", "--json").output.splitlines()]
    assert [(line["source"], line["state"], line["polled_in"]) for line in lines] == [
        ("prices", "never polled", REGION),
        ("products", "paused", REGION),
    ]
    assert run("sources", "resume", "products", "--replica").exit_code == 0
    assert (saved := checkpoint("products")) and not saved.paused
    assert run("sources", "run", "products", "--replica").exit_code == 0 and calls == [("shop-poll:live", REPLICA)]
    assert run("sources", "move", "--to", REPLICA, "--yes").exit_code == 0
    assert run("sources", "reset", "products", "--replica", "--yes").exit_code == 0
    assert '"source": "products"' in run("checkpoint", "show", "products", "--replica").output
    refused = run("checkpoint", "rewind", "products", "--replica", "--to", "2026-01-01T00:00:00Z")
    assert refused.exit_code == 1 and "no watermark to rewind" in str(refused.exception)


def test_a_stack_that_polls_in_one_region_has_nothing_in_the_replica_region(aws: Aws, tmp_path: Path) -> None:
    alone = runner(tmp_path / "alone.json", **{**REPLICA_OUTPUTS, "replica_checkpoints_table": None})
    refused = alone("sources", "list", "--replica")
    assert refused.exit_code == 1 and "poll.in_replica isn't set" in str(refused.exception)


def test_records_that_the_replica_region_has_quarantined_are_redriven_there(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[dict[str, Any], str]] = []

    def call(target: object, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        calls.append((event, region))
        return {"redriven": 1, "failed": []}

    monkeypatch.setattr("ops.cli.invoke.call", call)
    make: Any = boto3.client
    s3 = make("s3", region_name=REPLICA)
    s3.create_bucket(Bucket="log-2", CreateBucketConfiguration={"LocationConstraint": REPLICA})
    entry = {"reason": "invalid", "detail": "no title", "origin": "source/products", "source": "products"}
    key = "quarantine/invalid/a.json"
    s3.put_object(Bucket="log-2", Key=key, Body=json.dumps({**entry, "record": "{}"}).encode())
    redriven = run("quarantine", "redrive", "--source", "products", "--replica")
    assert redriven.exit_code == 0, redriven.exception
    assert calls == [({"redrive": {"source": "products", "keys": [key]}}, REPLICA)]
