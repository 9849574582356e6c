"""Traces of real requests: what an X-Ray daemon would get from the deployed functions."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ops.local.emulator import running
from tests.local.support import Local, eventually
from tests.local.test_http import put, read
from tests.xray import Daemon


@pytest.fixture
def daemon(stack: Local) -> Iterator[Daemon]:
    emulator = running(stack.stack.name)
    if emulator is None:
        pytest.skip("only the emulator that was started here sends its functions' traces to this machine")
    with Daemon(emulator.port) as listening:
        yield listening


def calls(documents: list[dict[str, Any]], service: str, operation: str, **about: str) -> list[dict[str, Any]]:
    """The subsegments of one kind of call."""
    wanted = {"operation": operation, **about}
    return [told for told in documents if told["name"] == service and wanted.items() <= told["aws"].items()]


def test_a_write_and_a_read_are_traced_through_every_function(stack: Local, daemon: Daemon) -> None:
    alice, outputs = stack.api(stack.alice), stack.outputs
    change_id = put(alice, "/items/profiles/traced", {"display_name": "Alice"})
    seen = daemon.received()
    (written,) = calls(seen, "firehose", "PutRecord", region=outputs.region)

    assert read(alice, "/items/profiles/traced", change_id).status_code == 200

    def published() -> list[dict[str, Any]]:
        seen.extend(daemon.received())
        return calls(seen, "s3", "PutObject", bucket_name=outputs.documents_bucket)

    document = eventually(published)[-1]

    # `apply` reads the log object and writes the item within one invocation.
    fetched = calls(seen, "s3", "GetObject", bucket_name=outputs.write_log_bucket)[-1]
    siblings = [told for told in seen if told["trace_id"] == fetched["trace_id"]]
    assert {told["name"] for told in siblings} >= {"s3", "dynamodb"}
    assert {told["parent_id"] for told in siblings} == {fetched["parent_id"]}

    assert alice("GET", "/items/profiles/traced").status_code == 200
    last = daemon.received()  # the replica's `publish` may have sent something, too
    (got,) = calls(last, "dynamodb", "GetItem", table_name=outputs.items_table)

    for told in (written, fetched, document, got):
        assert told["http"]["response"]["status"] == 200 and told["aws"]["request_id"]
    # Four functions, a trace each: the emulator makes one per invocation, where AWS goes on with the API's.
    assert len({told["trace_id"] for told in (written, fetched, document, got)}) == 4
    text = json.dumps([*seen, *last])
    assert stack.alice.sub not in text and "traced" not in text and "Alice" not in text
