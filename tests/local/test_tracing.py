"""Tests of tracing on the local stack: the subsegments that the deployed functions send to the X-Ray daemon."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ops.local.emulator import running
from tests.local.calls import put, read
from tests.local.support import Local, eventually
from tests.xray import Daemon


@pytest.fixture
def daemon(stack: Local) -> Iterator[Daemon]:
    emulator = running(stack.stack.name)
    if emulator is None:
        pytest.skip("only an emulator on this machine sends its functions' traces here")
    with Daemon(emulator.port) as listening:
        yield listening


def calls(documents: list[dict[str, Any]], service: str, operation: str, **about: str) -> list[dict[str, Any]]:
    """Return the subsegments of the calls to one operation of an AWS service.

    :param about: further members that the object ``aws`` of a subsegment must have, such as ``bucket_name``.
    """
    expected = {"operation": operation, **about}
    return [entry for entry in documents if entry["name"] == service and expected.items() <= entry["aws"].items()]


def test_a_write_and_a_read_are_traced_through_every_function(stack: Local, daemon: Daemon) -> None:
    alice, outputs = stack.api(stack.alice), stack.outputs
    change_id = put(alice, "/items/profiles/traced", {"display_name": "Alice"})
    subsegments = daemon.received()
    (written,) = calls(subsegments, "firehose", "PutRecord", region=outputs.region)

    assert read(alice, "/items/profiles/traced", change_id).status_code == 200

    def published() -> list[dict[str, Any]]:
        subsegments.extend(daemon.received())
        return calls(subsegments, "s3", "PutObject", bucket_name=outputs.documents_bucket)

    document = eventually(published)[-1]

    # `apply` reads the log object and writes the item in the same invocation. So the subsegments of these calls must
    # have the same trace and the same parent.
    fetched = calls(subsegments, "s3", "GetObject", bucket_name=outputs.write_log_bucket)[-1]
    siblings = [entry for entry in subsegments if entry["trace_id"] == fetched["trace_id"]]
    assert {entry["name"] for entry in siblings} >= {"s3", "dynamodb"}
    assert {entry["parent_id"] for entry in siblings} == {fetched["parent_id"]}

    # `read` asks DynamoDB for it, because the cache holds no notices.
    assert alice("GET", "/items/notices/traced").status_code == 404
    last = daemon.received()  # can also contain subsegments from `publish` in the replica Region
    (got,) = calls(last, "dynamodb", "GetItem", table_name=outputs.items_table)

    for entry in (written, fetched, document, got):
        assert entry["http"]["response"]["status"] == 200 and entry["aws"]["request_id"]
    # Expect four traces, because the emulator begins a new trace for each invocation: of `write`, `apply`, `publish`
    # and `read`. On AWS, a function continues the trace that API Gateway has begun.
    assert len({entry["trace_id"] for entry in (written, fetched, document, got)}) == 4
    text = json.dumps([*subsegments, *last])
    assert stack.alice.sub not in text and "traced" not in text and "Alice" not in text
