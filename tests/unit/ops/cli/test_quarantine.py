"""Test the commands `quarantine list`, `quarantine show` and `quarantine redrive`."""

import json
from typing import Any

import boto3
import pytest

from ops.cli import quarantine, write_log
from ops.walk import LogObject, TimeRange
from readplane.apply.objects import S3LogObjects
from readplane.aws.boto import BotoClient
from readplane.clock import now_ms
from readplane.config import DAY_MS
from readplane.model.keys import marker_key
from tests.unit.ops.cli.support import Polls, Run, objects, quarantine_line
from tests.unit.support import change


def test_quarantined_lines_return_to_the_log_and_leave_no_marker(run: Run) -> None:
    lines = [quarantine_line(number) for number in range(3)]
    listed = run("quarantine", "list")
    assert listed.output.count("too old") == 3 and "3 entries." in listed.output
    assert run("quarantine", "list", "--limit", "2").output.count("too old") == 2
    assert "0 entries" in run("quarantine", "list", "--reason", "invalid").output
    keys = objects("quarantine/")
    assert json.loads(run("quarantine", "show", keys[0]).output)["reason"] == "expired"
    assert run("quarantine", "show", "quarantine/x").exit_code == 1

    assert run("quarantine", "redrive").exit_code == 2
    assert run("quarantine", "redrive", "--all", "--dry-run").exit_code == 0
    assert objects("quarantine/") == keys and not objects("log/")
    result = run("quarantine", "redrive", "--reason", "expired")
    assert result.exit_code == 0 and "3 of 3" in result.output
    assert not objects("quarantine/")
    (key,) = objects("log/redrive/")
    store = S3LogObjects(BotoClient("s3"), "log")
    assert sorted(store.lines(key)) == sorted(lines)
    now = now_ms()
    assert LogObject(key, 1, now + 2 * DAY_MS).may_hold(TimeRange(now, now + 1)), "`erase` has written it again later"
    assert not LogObject(key, 1, now + 2 * DAY_MS).may_hold(TimeRange(now - 3 * DAY_MS, now - 2 * DAY_MS))
    make: Any = boto3.client
    for number in range(3):
        late = change(f"p-{number}")
        marker = make("dynamodb").get_item(TableName="items", Key={"pk": {"S": marker_key(late.key, late.change_id)}})
        assert "Item" not in marker
    again = run("quarantine", "redrive", "--reason", "expired")
    assert again.exit_code == 0 and "0 of 0" in again.output and objects("log/") == [key], "there is nothing left"


def test_a_malformed_row_is_listed_and_shown_and_stays(run: Run) -> None:
    make: Any = boto3.client
    key = "quarantine/malformed_row/a.json"
    entry = {
        "reason": "malformed_row",
        "detail": "version",
        "origin": "items/item/products/p-1",
        "row": {"pk": {"S": "x"}},
    }
    make("s3").put_object(Bucket="log", Key=key, Body=json.dumps(entry).encode())
    quarantine_line(1)
    assert "items/item/products/p-1" in run("quarantine", "list").output
    assert json.loads(run("quarantine", "show", key).output) == entry
    for chosen in (["--all"], [key]):
        result = run("quarantine", "redrive", *chosen)
        assert result.exit_code == 0 and "items/item/products/p-1" in result.output
    assert objects("quarantine/") == [key] and len(objects("log/redrive/")) == 1


def test_a_line_that_is_quarantined_again_meanwhile_stays(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine_line(1)
    (key,) = objects("quarantine/")
    put = write_log.put_lines

    def put_and_quarantine_again(*arguments: Any) -> str:
        written = put(*arguments)
        quarantine_line(1)  # `apply` quarantines the line again before the command deletes the entry
        return written

    monkeypatch.setattr(quarantine, "put_lines", put_and_quarantine_again)
    assert run("quarantine", "redrive", key).exit_code == 0
    assert objects("quarantine/") == [key]


def test_poll_translates_the_records_of_a_source_again(run: Run, polls: Polls) -> None:
    events, responses = polls
    make: Any = boto3.client
    entry = {"reason": "invalid", "detail": "no title", "origin": "source/products", "source": "products"}
    for name in ("a", "b"):
        body = json.dumps({**entry, "record": json.dumps({"sku": name})}).encode()
        make("s3").put_object(Bucket="log", Key=f"quarantine/invalid/{name}.json", Body=body)
    quarantine_line(1)
    responses.append({"redriven": 1, "failed": [{"key": "quarantine/invalid/b.json", "reason": "invalid"}]})
    result = run("quarantine", "redrive", "--source", "products")
    assert result.exit_code == 1 and "stay in quarantine" in str(result.exception)
    keys = ["quarantine/invalid/a.json", "quarantine/invalid/b.json"]
    assert events == [{"redrive": {"source": "products", "keys": keys}}]
    assert len(objects("quarantine/")) == 3, "poll itself removes what it redrives"
