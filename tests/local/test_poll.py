"""Tests of `poll` on the local stack: from a back office to the items and documents of both Regions.

They test polls, faults, snapshots, sweeps and freshness. The back office is an unmodified Datasette over SQLite. Most
tests poll a table of their own through a source of their own (back_offices.PolledTable), so that the schedules of the
stack's own sources don't disturb them.
"""

import concurrent.futures
import json
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from ops.console import CommandError
from ops.local import session
from ops.local.fault_proxy import Fault
from ops.local.session import Api
from tests.local.back_offices import COLLECTION, PolledTable, checkpoints, poll, source_of, unscheduled
from tests.local.pipeline import items, now_ms
from tests.local.poll_copies import copies_of
from tests.local.support import Local, eventually

ROW = "AD-02"
CAP = 10
"""The greatest percentage of a collection's items that a sweep may delete by default."""


@pytest.fixture(scope="module", autouse=True)
def early_change(stack: Local) -> tuple[str, int]:
    """Change a row before all other tests, so that a scheduled poll reads the change while they run.

    Without this fixture, test_the_schedule_polls_a_source_every_minute would have to wait up to a minute for the poll.

    :returns: the row's new name, and how many requests for the row's table the back office had received before the
        change.
    """
    name = f"Canillo, as it was called at {time.time():.3f}"
    requests_before = stack.office.requests("/subdivisions.json")
    stack.office.put("subdivisions", ROW, name=name)
    return name, requests_before


@pytest.fixture(autouse=True)
def no_faults_left(stack: Local) -> Iterator[None]:
    yield
    stack.office.faults()


def found(stack: Local, path: str, *, replica: bool = False, api: Api | None = None) -> requests.Response | None:
    """Send a GET; return the response if its status is 200, otherwise ``None``.

    :param api: the client that sends the request; ``None`` for a client without a token.
    """
    response = (api or stack.api(replica=replica))("GET", path)
    return response if response.status_code == 200 else None


def time_reads(stack: Local, path: str, seconds: float) -> list[float]:
    """Send GETs for a path, one after the other, for some seconds. Each response must be a 200.

    :returns: how many seconds each read took.
    """
    api, took = stack.api(), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        assert api("GET", path).status_code == 200
        took.append(time.monotonic() - start)
    return took


def test_rows_become_items_and_documents_of_both_regions(stack: Local) -> None:
    table = PolledTable(stack)
    modified = table.put(1, "Zürich")
    report = table.poll()
    assert report["outcome"] == "completed" and (report["records"], report["changes"]) == (1, 1)
    path = f"/items/{COLLECTION}/{table.code(1)}"
    item = eventually(lambda: found(stack, path)).json()
    assert item["data"] == {"code": table.code(1), "country": "XA", "name": "Zürich", "type": "Row"}
    assert item["as_of"] == modified, "the item must have the row's modification time"
    for replica in (False, True):
        document = path.replace("/items/", "/documents/")
        assert eventually(lambda: found(stack, document, replica=replica)).json() == item
    assert stack.api(stack.eve)("PUT", path, item["data"]).status_code == 405, "clients must not write a sourced item"


def test_pages_that_end_between_equal_times_lose_no_row_and_a_second_poll_makes_no_change(stack: Local) -> None:
    table = PolledTable(stack)
    times = [table.put(0), table.put(1)]
    for number in range(95):  # the rows fill 3 pages; the last row of pages 1 and 2 has the same time as the next row
        table.put(number, f"Row {number}", modified=times[number > 50])
    report = table.poll()
    assert report["outcome"] == "completed" and (report["pages"], report["changes"]) == (3, 95)
    eventually(lambda: table.names(95) == [f"Row {number}" for number in range(95)])
    for replica in (False, True):
        for number in (0, 50, 94):
            path = f"/documents/{COLLECTION}/{table.code(number)}"
            eventually(lambda: found(stack, path, replica=replica))
    again = table.poll()
    assert again["outcome"] == "completed" and again["changes"] == 0 < again["records"], "the polls must overlap"


def test_a_row_marked_as_removed_deletes_its_item_and_a_later_change_restores_it(stack: Local) -> None:
    table = PolledTable(stack)
    table.put(1, "First")
    table.poll()
    eventually(lambda: table.names(1 + 1)[1] == "First")
    table.put(1, "First", removed=1)
    table.poll()
    path = f"/items/{COLLECTION}/{table.code(1)}"
    eventually(lambda: stack.api()("GET", path).status_code == 404)
    table.put(1, "Second", removed=0)
    table.poll()
    eventually(lambda: table.names(1 + 1)[1] == "Second")


def test_a_stalled_back_office_delays_no_read_and_gets_no_request_from_one(stack: Local) -> None:
    table = PolledTable(stack, timeout_seconds=3)
    table.put(1, "Before")
    table.poll()
    path = f"/items/{COLLECTION}/{table.code(1)}"
    eventually(lambda: found(stack, path))
    usual = time_reads(stack, path, 1)
    table.put(1, "After")
    with (
        concurrent.futures.ThreadPoolExecutor(1) as pool,
        stack.office.failing(table.own_fault(Fault("delay", seconds=30))),
    ):
        requests_before, start = table.requests(), time.monotonic()
        polled = pool.submit(table.poll)
        meanwhile = time_reads(stack, path, 2)
        assert not polled.done(), "the poll must hang while clients read"
        assert polled.result()["outcome"] == "failed"
        assert 3 <= time.monotonic() - start < 15, "the poll must wait for its timeout"
        assert table.requests() == requests_before + 1, "only the poll may call the back office"
    assert statistics.median(meanwhile) < 3 * statistics.median(usual) + 0.05
    assert max(meanwhile) < 1.5, "no read may wait for the back office"
    assert table.names(2)[1] == "Before"
    assert table.poll()["outcome"] == "completed"
    eventually(lambda: table.names(2)[1] == "After")


def test_a_poll_reports_an_outage_and_no_change_is_lost_over_it(stack: Local) -> None:
    """Let the back office refuse all connections, as if its machine were down."""
    table = PolledTable(stack)
    table.put(1, "Before")
    table.poll()
    eventually(lambda: table.names(2)[1] == "Before")
    fresh = (checkpoint := checkpoints(stack).get_checkpoint(table.name)) and checkpoint.fresh_as_of_ms
    with stack.office.failing(Fault("refuse")):
        table.put(1, "After")
        assert table.poll()["outcome"] == "failed"
        assert stack.api()("GET", f"/items/{COLLECTION}/{table.code(1)}").json()["data"]["name"] == "Before"
    checkpoint = checkpoints(stack).get_checkpoint(table.name)
    assert checkpoint and checkpoint.fresh_as_of_ms == fresh and checkpoint.failures.count == 1
    assert table.poll()["outcome"] == "completed"
    eventually(lambda: table.names(2)[1] == "After")


def test_the_breaker_opens_probes_the_back_office_and_closes(stack: Local) -> None:
    table = PolledTable(stack, breaker={"failures": 2, "cooldown_seconds": 2})
    table.put(1)

    def breaker() -> str | None:
        checkpoint = checkpoints(stack).get_checkpoint(table.name)
        assert checkpoint
        return checkpoint.breaker(2, now_ms())

    with stack.office.failing(table.own_fault(Fault("answer", status=500))):
        assert [table.poll()["outcome"] for _ in range(2)] == ["failed", "failed"]
        requests_before = table.requests()
        assert table.poll()["outcome"] == "open" and breaker() == "open"
        assert table.requests() == requests_before, "an open breaker must send no request"
        eventually(lambda: breaker() == "half_open")
        assert table.poll()["outcome"] == "failed" and breaker() == "open"
        assert table.requests() == requests_before + 1, "a half-open breaker must send one request"
        eventually(lambda: breaker() == "half_open")
    assert table.poll()["outcome"] == "completed" and breaker() == "closed"
    eventually(lambda: table.names(2)[1] == "A name")


@pytest.mark.parametrize(
    "response",
    [
        {"status": 200, "content_type": "text/html", "body": "<html><body>Maintenance</body></html>"},
        {"status": 200, "content_type": "application/json", "body": '{"rows": [{"code": "half'},
        {"status": 200, "content_type": "application/json", "body": '{"error": "no such table"}'},
        {"status": 404, "content_type": "application/json", "body": '{"rows": []}'},
    ],
    ids=["html", "half a json", "no list", "not found"],
)
def test_a_response_that_is_not_data_fails_the_poll_and_changes_nothing(stack: Local, response: dict[str, Any]) -> None:
    table = PolledTable(stack)
    table.put(1)
    with stack.office.failing(table.own_fault(Fault("answer", **response))):
        assert table.poll()["outcome"] == "failed"
    assert table.quarantine() == [] and table.names(2) == [None, None]
    checkpoint = checkpoints(stack).get_checkpoint(table.name)
    assert checkpoint and checkpoint.watermark_ms is None and checkpoint.fresh_as_of_ms is None


def test_one_bad_row_among_100_is_quarantined_alone_and_redriven_after_the_fix(stack: Local) -> None:
    table = PolledTable(stack)
    for number in range(100):
        table.put(number, None if number == 42 else f"Row {number}")
    report = table.poll()
    assert report["outcome"] == "completed" and (report["changes"], report["quarantined"]) == (99, 1)
    expected: list[str | None] = [f"Row {number}" for number in range(100)]
    eventually(lambda: sum(name is not None for name in table.names(100)) == 99)
    assert table.names(100) == [*expected[:42], None, *expected[43:]]
    table.poll()
    (entry,) = table.quarantine()  # although two polls have read the bad row, there must be only one entry
    assert entry["reason"] == "invalid" and entry["origin"] == f"source/{table.name}"
    assert json.loads(entry["record"])["code"] == table.code(42)

    refused = table.redrive([entry["key"]])
    assert refused["redriven"] == 0 and [failed["key"] for failed in refused["failed"]] == [entry["key"]]
    assert table.redrive([entry["key"]], translation=table.FIXED) == {"redriven": 1, "failed": []}
    eventually(lambda: table.names(100)[42] == table.code(42))
    assert table.quarantine() == []


def test_a_stalled_source_does_not_delay_another(stack: Local) -> None:
    stalled, healthy = PolledTable(stack, timeout_seconds=4), PolledTable(stack)
    stalled.put(1, "Late")
    with (
        concurrent.futures.ThreadPoolExecutor(1) as pool,
        stack.office.failing(stalled.own_fault(Fault("delay", seconds=30))),
    ):
        hanging = pool.submit(stalled.poll)
        eventually(lambda: stalled.requests() == 1)
        for round_ in range(2):
            healthy.put(1, f"Round {round_}")
            assert healthy.poll()["outcome"] == "completed"
            eventually(lambda: healthy.names(2)[1] == f"Round {round_}")
        assert not hanging.done()
        assert hanging.result()["outcome"] == "failed"
    states = [checkpoints(stack).get_checkpoint(table.name) for table in (stalled, healthy)]
    assert [state.failures.count for state in states if state] == [1, 0]
    assert stalled.poll()["outcome"] == "completed"
    eventually(lambda: stalled.names(2)[1] == "Late")


def test_of_two_concurrent_polls_only_one_calls_the_back_office(stack: Local) -> None:
    table = PolledTable(stack)
    table.put(1)
    with (
        concurrent.futures.ThreadPoolExecutor(2) as pool,
        # The second invocation starts a new sandbox, which takes a second or two. The source's timeout is five seconds.
        stack.office.failing(table.own_fault(Fault("delay", seconds=4.5))),
    ):
        first = pool.submit(table.poll)
        eventually(lambda: table.requests() == 1)
        assert table.poll()["outcome"] == "running"
        assert first.result()["outcome"] == "completed"
    assert table.requests() == 1


def test_a_paused_source_sends_no_request(stack: Local) -> None:
    table = PolledTable(stack)
    table.put(1)
    checkpoints(stack).set_paused(table.name, True)
    assert table.poll()["outcome"] == "paused" and table.requests() == 0
    checkpoints(stack).set_paused(table.name, False)
    assert table.poll()["outcome"] == "completed"


def test_a_poll_continues_where_the_last_one_reached_its_page_limit(stack: Local) -> None:
    table = PolledTable(stack, max_pages=1)
    for number in range(90):
        table.put(number)
    reports = [table.poll() for _ in range(3)]
    assert [report["outcome"] for report in reports] == ["unfinished", "unfinished", "completed"]
    assert [report["records"] for report in reports] == [40, 40, 10] and table.requests() == 3
    eventually(lambda: table.names(90) == ["A name"] * 90)


def snapshot_of(stack: Local, *, replica: bool) -> tuple[bytes, str]:
    """Return the bytes and the version of the document of the collection `currencies` in one Region."""
    bucket = stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket
    assert bucket
    document = (
        stack.root(replica=replica).client("s3").get_object(Bucket=bucket, Key="public/documents/currencies/current")
    )
    return document["Body"].read(), document["Metadata"]["readplane-version"]


def test_a_snapshot_reaches_both_regions_byte_for_byte_and_replaces_no_newer_one(stack: Local) -> None:
    with unscheduled(stack, "currencies"):
        stack.office.put("currencies", "XTS", name="Testing: 1.50 < 2 & “quoted”")
        assert poll(stack, "currencies")["outcome"] == "completed"
        original = requests.get(source_of(stack, "currencies")["url"], timeout=10).content
        snapshots = [snapshot_of(stack, replica=replica) for replica in (False, True)]
        assert snapshots[0] == snapshots[1]
        body, version = snapshots[0]
        assert body.endswith(b'"data":' + original + b"}")
        document = json.loads(body)
        assert (document["id"], document["collection"], document["version"]) == ("current", "currencies", version)
        response = stack.api()("GET", "/documents/currencies/current")
        assert response.content == body and response.headers["Readplane-Version"] == version
        assert stack.api()("GET", "/items/currencies/current").status_code in (403, 404)

        newer = "f" + version[1:]  # the same version, but with a time far in the future
        s3: Any = stack.root(replica=True).client("s3")
        assert stack.outputs.replica_documents_bucket
        place = {"Bucket": stack.outputs.replica_documents_bucket, "Key": "public/documents/currencies/current"}
        s3.put_object(**place, Body=b"{}", Metadata={"readplane-version": newer})
        stack.office.put("currencies", "XTS", name="Codes specifically reserved for testing purposes")
        poll(stack, "currencies")
        assert snapshot_of(stack, replica=True) == (b"{}", newer), "an older snapshot must replace no newer one"
        later, later_version = snapshot_of(stack, replica=False)
        assert b"reserved for testing" in later and later_version > version

        s3.put_object(**place, Body=body, Metadata={"readplane-version": version})
        stack.office.put("currencies", "XTS", name="Testing")
        assert poll(stack, "currencies")["outcome"] == "completed"
        assert snapshot_of(stack, replica=True) == snapshot_of(stack, replica=False)
        assert b'"Testing"' in snapshot_of(stack, replica=True)[0]


def test_a_snapshot_that_is_not_json_leaves_the_document_unchanged(stack: Local) -> None:
    with unscheduled(stack, "currencies"):
        poll(stack, "currencies")
        before = snapshot_of(stack, replica=False)
        html = Fault("answer", "/currencies.json", status=200, content_type="text/html", body="<h1>Sorry</h1>")
        with stack.office.failing(html):
            assert poll(stack, "currencies")["outcome"] == "failed"
        assert snapshot_of(stack, replica=False) == before
        assert poll(stack, "currencies")["outcome"] in ("completed", "not_modified")


def language(stack: Local, code: str) -> str | None:
    item = items(stack).get_item(f"item/languages/{code}")
    return item.data if item else None


def list_languages(stack: Local) -> dict[str, Any]:
    """Poll the full listing of the collection `languages`; return the report of `poll`.

    The poll has a lag of zero. With a longer lag, `poll` would not count an item as missing while the item is younger
    than the lag.
    """
    report = poll(stack, "languages", lag_seconds=0)
    assert report["outcome"] == "completed"
    return report


def test_an_item_whose_row_is_gone_is_deleted_after_two_listings(stack: Local) -> None:
    office = stack.office
    with unscheduled(stack, "languages"):
        list_languages(stack)
        eventually(lambda: language(stack, "aa") and language(stack, "zu"))
        row = office.get("languages", "aa")
        assert row and office.delete("languages", "aa")
        try:
            report = list_languages(stack)
            assert (report["missing"], report["changes"]) == (1, 0), "one listing without the row must delete nothing"
            assert language(stack, "aa")
            report = list_languages(stack)
            assert (report["missing"], report["changes"]) == (1, 1)
            eventually(lambda: language(stack, "aa") is None)
            assert stack.api(stack.alice)("GET", "/items/languages/aa").status_code == 404
        finally:
            office.put("languages", row.pop("code"), **row)
        list_languages(stack)
        eventually(lambda: language(stack, "aa"))


def test_a_listing_that_lacks_more_rows_than_allowed_deletes_nothing(stack: Local) -> None:
    office = stack.office
    with unscheduled(stack, "languages"):
        list_languages(stack)
        eventually(lambda: language(stack, "aa") and language(stack, "zu"))
        all_rows = requests.get(f"{office.url}/backoffice/languages.json?_shape=array&_size=max", timeout=10).json()
        empty: list[object] = []
        for rows in (empty, all_rows[: len(all_rows) - len(all_rows) * CAP // 100 - 2]):
            body = json.dumps({"rows": rows, "next": None})
            fault = Fault("answer", "/languages.json", status=200, content_type="application/json", body=body)
            with office.failing(fault):
                reports = [list_languages(stack) for _ in range(2)]
            assert [(report["changes"], report["sweep_refused"]) for report in reports] == [(0, True)] * 2
        assert list_languages(stack)["missing"] == 0
        assert all(language(stack, row["code"]) for row in all_rows[::20])


def test_every_problem_of_the_settings_is_reported_at_once(stack: Local) -> None:
    good = source_of(stack, "languages")
    wrong = {"id": "code[", "translation": "{name: }", "collection": "nowhere", "timeout_seconds": None}
    bad = {**source_of(stack, COLLECTION), **wrong}
    snapshot = {**source_of(stack, "currencies"), "name": "second", "url": None}
    report = copies_of(stack).invoke([good, bad, snapshot], {"check": True})
    problems = [problem.partition(": ")[0] for problem in report["problems"]]
    assert sorted(problems) == sorted(
        [f"sources.{COLLECTION}.{field}" for field in ("id", "translation", "collection", "timeout_seconds")]
        + ["sources.second.url"]
    )
    assert session.poll(stack.outputs, {"check": True}) == {"problems": []}


def test_a_source_that_cannot_be_used_fails_alone(stack: Local) -> None:
    good = source_of(stack, "languages")
    bad = {**source_of(stack, COLLECTION), "name": PolledTable.fresh_name(), "id": "code["}
    copies = copies_of(stack)
    report = copies.invoke([good, bad], {"source": bad["name"], "sweep": False})
    assert report["outcome"] == "failed" and "isn't JMESPath" in report["fault"]
    assert copies.invoke([good, bad], {"source": "languages"})["outcome"] in ("completed", "running")
    assert bad["name"] in copies.invoke([good, bad], {"freshness": True})["staleness"]


def test_an_event_cannot_bring_settings_along(stack: Local) -> None:
    source = {**source_of(stack, "currencies"), "url": f"{stack.office.url}/elsewhere"}
    before = stack.office.requests("/elsewhere")
    for event in ({"source": source}, {"source": source, "sweep": False}, {"redrive": {"source": source, "keys": []}}):
        with pytest.raises(CommandError, match="can't be served"):
            session.poll(stack.outputs, event)
    assert stack.office.requests("/elsewhere") == before
    scheduler: Any = stack.root().client("scheduler")
    inputs = [
        scheduler.get_schedule(Name=listed["Name"], GroupName=listed["GroupName"])["Target"]["Input"]
        for listed in scheduler.list_schedules()["Schedules"]
    ]
    assert inputs and not any(stack.office.url in text for text in inputs)


def test_freshness_is_published_by_route_document_and_header(stack: Local) -> None:
    before = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    api = stack.api(stack.alice)
    item, listed = "/items/languages/zu", "/items/languages?limit=1"

    def freshness(*, stale: bool) -> dict[str, Any] | None:
        response = api("GET", "/sources/languages")
        assert response.status_code == 200
        source: dict[str, Any] = response.json()
        return source if source["stale"] == stale and source["fresh_as_of"] else None

    with unscheduled(stack, "languages"):
        assert poll(stack, "languages")["outcome"] == "completed"
        budget = source_of(stack, "languages")["staleness_budget"]
        fresh = eventually(lambda: (source := freshness(stale=False)) and source["fresh_as_of"] >= before and source)
        assert fresh == {
            "source": "languages",
            "collection": "languages",
            "fresh_as_of": fresh["fresh_as_of"],
            "staleness": fresh["staleness"],
            "staleness_budget": budget,
            "stale": False,
            "breaker": "closed",
        }
        assert 0 <= fresh["staleness"] < 60
        assert stack.api()("GET", "/sources/languages").status_code == 401, "only a reader may see the freshness"
        document = eventually(lambda: found(stack, "/documents/sources/languages", api=api)).json()
        assert document["fresh_as_of"] == fresh["fresh_as_of"] and document["staleness_budget"] == budget
        eventually(lambda: found(stack, item, api=api))
        for path in (item, listed):
            eventually(lambda: "Readplane-Stale" not in api("GET", path).headers)

        grow_old(stack, "languages", budget + 60)
        for path in (item, listed):
            # Judge the response that has the header. The next one may come from another sandbox, which reuses the
            # freshness that it read up to five seconds ago.
            header = eventually(
                lambda: (response := found(stack, path, api=api)) and response.headers.get("Readplane-Stale")
            )
            assert header == "true"
        assert "Readplane-Stale" not in api("GET", "/items/countries?limit=1").headers
        assert eventually(lambda: freshness(stale=True))["staleness"] > budget
        poll(stack, "languages")
        for path in (item, listed):
            eventually(lambda: "Readplane-Stale" not in api("GET", path).headers)


def grow_old(stack: Local, source: str, seconds: float) -> None:
    """Set the source's ``fresh_as_of`` to this many seconds ago, as if no poll had succeeded since then."""
    dynamodb: Any = stack.root().client("dynamodb")
    table = stack.outputs.items_table
    record = dynamodb.get_item(TableName=table, Key={"pk": {"S": f"source/{source}"}})["Item"]
    old = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(timespec="milliseconds")
    dynamodb.put_item(TableName=table, Item={**record, "fresh_as_of": {"S": old.replace("+00:00", "Z")}})


def test_changes_of_the_change_stream_are_archived(stack: Local) -> None:
    table = PolledTable(stack)
    table.put(1, "Archived")
    table.poll()
    change = eventually(table.archived)
    item = eventually(lambda: items(stack).get_item(f"item/{COLLECTION}/{table.code(1)}"))
    assert change["change_id"] == item.change_id and change["actor"] == f"source/{table.name}"


def test_the_schedule_polls_a_source_every_minute(stack: Local, early_change: tuple[str, int]) -> None:
    """Wait until the change of the fixture ``early_change`` is in the items and documents of both Regions.

    No test polls this source, so only the schedule can have polled the change.
    """
    name, requests_before = early_change
    for replica in (False, True):
        for kind in ("items", "documents"):
            path = f"/{kind}/{COLLECTION}/{ROW}"
            eventually(
                lambda: (response := found(stack, path, replica=replica)) and response.json()["data"]["name"] == name,
                within=90,
                every=0.5,
            )
    assert stack.office.requests("/subdivisions.json") > requests_before
