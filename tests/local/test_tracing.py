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


def calls(documents: list[dict[str, Any]], service: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["name"] == service]


def test_a_write_and_a_read_are_traced_through_every_function(stack: Local, daemon: Daemon) -> None:
    alice = stack.api(stack.alice)
    seen: list[dict[str, Any]] = []
    change_id = put(alice, "/items/profiles/traced", {"display_name": "Alice"})
    seen += daemon.received()
    (written,) = calls(seen, "firehose")
    assert written["aws"]["operation"] == "PutRecord" and written["http"]["response"]["status"] == 200
    assert read(alice, "/items/profiles/traced", change_id).status_code == 200

    def published() -> list[dict[str, Any]]:
        seen.extend(daemon.received())
        return [told for told in calls(seen, "s3") if told["aws"]["bucket_name"] == stack.outputs.documents_bucket]

    document = eventually(published)[0]
    assert document["aws"]["operation"] == "PutObject"

    daemon.received()
    assert alice("GET", "/items/profiles/traced").status_code == 200
    (got,) = daemon.received()
    assert (got["name"], got["aws"]["operation"]) == ("dynamodb", "GetItem")
    assert got["aws"]["table_name"] == stack.outputs.items_table
    assert got["aws"]["request_id"] and got["aws"]["region"] == stack.outputs.region

    # `apply` reads the log object and writes the item within one invocation.
    (fetched,) = (told for told in calls(seen, "s3") if told["aws"]["bucket_name"] == stack.outputs.write_log_bucket)
    assert fetched["aws"]["operation"] == "GetObject"
    siblings = [told for told in seen if told["trace_id"] == fetched["trace_id"]]
    assert {told["parent_id"] for told in siblings} == {fetched["parent_id"]}
    assert calls(siblings, "dynamodb")

    # Four functions, four invocations at least, a trace each: the emulator doesn't hand on the API's.
    assert len({told["trace_id"] for told in (written, fetched, document, got)}) == 4
    text = json.dumps([*seen, got])
    assert stack.alice.sub not in text and "traced" not in text and "Alice" not in text
