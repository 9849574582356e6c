"""A back office feeds the read model: by its schedule, through Kinesis, into items and documents of both Regions.

The back office is Datasette, as it comes, over SQLite. Most tests poll a table and a source of their own (feeds.Feed),
so that the stack's own schedules go on beside them.
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

from ops.local import session
from ops.local.fault_proxy import Fault
from ops.local.session import Api
from tests.local.back_offices import COLLECTION, Feed, checkpoints, poll, source_of, unscheduled
from tests.local.pipeline import items, now_ms
from tests.local.support import Local, eventually

ROW = "AD-02"
CAP = 10
"""Percent of a collection that a sweep may delete, unless a source says otherwise."""


@pytest.fixture(scope="module", autouse=True)
def waiting_for_the_schedule(stack: Local) -> tuple[str, int]:
    """A row that is changed before all else, so that the minute until its poll goes by with the other tests."""
    name = f"Canillo, as it was called at {time.time():.3f}"
    asked = stack.office.requests("/subdivisions.json")
    stack.office.put("subdivisions", ROW, name=name)
    return name, asked


@pytest.fixture(autouse=True)
def no_faults_left(stack: Local) -> Iterator[None]:
    yield
    stack.office.faults()


def found(stack: Local, path: str, *, replica: bool = False, api: Api | None = None) -> requests.Response | None:
    """The answer to anybody, or to an API's user, if it is a good one."""
    answer = (api or stack.api(replica=replica))("GET", path)
    return answer if answer.status_code == 200 else None


def reads(stack: Local, path: str, seconds: float) -> list[float]:
    """Seconds that reads took, all of them good, one after the other for a while."""
    api, took = stack.api(), []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        assert api("GET", path).status_code == 200
        took.append(time.monotonic() - start)
    return took


def test_rows_become_items_and_documents_of_both_regions(stack: Local) -> None:
    feed = Feed(stack)
    modified = feed.put(1, "Zürich")
    told = feed.poll()
    assert told["outcome"] == "completed" and (told["records"], told["changes"]) == (1, 1)
    path = f"/items/{COLLECTION}/{feed.code(1)}"
    item = eventually(lambda: found(stack, path)).json()
    assert item["data"] == {"code": feed.code(1), "country": "XA", "name": "Zürich", "type": "Feed"}
    assert item["as_of"] == modified, "the time is the back office's"
    for replica in (False, True):
        document = path.replace("/items/", "/documents/")
        assert eventually(lambda: found(stack, document, replica=replica)).json() == item
    assert stack.api(stack.eve)("PUT", path, item["data"]).status_code in (403, 404), "clients don't write it"


def test_pages_cut_at_equal_times_lose_nothing_and_a_second_poll_brings_nothing(stack: Local) -> None:
    feed = Feed(stack)
    times = [feed.put(0), feed.put(1)]
    for number in range(95):  # three pages, the edges of which are within one time
        feed.put(number, f"Row {number}", modified=times[number > 50])
    told = feed.poll()
    assert told["outcome"] == "completed" and (told["pages"], told["changes"]) == (3, 95)
    eventually(lambda: feed.names(95) == [f"Row {number}" for number in range(95)])
    for replica in (False, True):
        for number in (0, 50, 94):
            path = f"/documents/{COLLECTION}/{feed.code(number)}"
            eventually(lambda: found(stack, path, replica=replica))
    again = feed.poll()
    assert again["outcome"] == "completed" and again["changes"] == 0 < again["records"], "the window overlaps"


def test_a_deleted_flag_takes_the_item_away_and_a_later_row_brings_it_back(stack: Local) -> None:
    feed = Feed(stack)
    feed.put(1, "First")
    feed.poll()
    eventually(lambda: feed.names(1 + 1)[1] == "First")
    feed.put(1, "First", removed=1)
    feed.poll()
    path = f"/items/{COLLECTION}/{feed.code(1)}"
    eventually(lambda: stack.api()("GET", path).status_code == 404)
    feed.put(1, "Second", removed=0)
    feed.poll()
    eventually(lambda: feed.names(1 + 1)[1] == "Second")


def test_a_stalled_back_office_holds_no_read_up_and_no_read_asks_it(stack: Local) -> None:
    feed = Feed(stack, timeout_seconds=3)
    feed.put(1, "Before")
    feed.poll()
    path = f"/items/{COLLECTION}/{feed.code(1)}"
    eventually(lambda: found(stack, path))
    usual = reads(stack, path, 1)
    feed.put(1, "After")
    with concurrent.futures.ThreadPoolExecutor(1) as pool, stack.office.failing(feed.fault("delay", seconds=30)):
        asked, start = feed.requests(), time.monotonic()
        polled = pool.submit(feed.poll)
        meanwhile = reads(stack, path, 2)
        assert not polled.done(), "the poll hangs while clients read"
        assert polled.result()["outcome"] == "failed"
        assert 3 <= time.monotonic() - start < 15, "a poll waits for as long as its time-out says"
        assert feed.requests() == asked + 1, "the poll's own"
    assert statistics.median(meanwhile) < 3 * statistics.median(usual) + 0.05
    assert max(meanwhile) < 1.5, "nobody waited for the back office"
    assert feed.names(2)[1] == "Before"
    assert feed.poll()["outcome"] == "completed"
    eventually(lambda: feed.names(2)[1] == "After")


def test_an_outage_is_a_told_outcome_and_nothing_is_lost_over_it(stack: Local) -> None:
    """Connections are refused for every source, as when the machine is gone."""
    feed = Feed(stack)
    feed.put(1, "Before")
    feed.poll()
    eventually(lambda: feed.names(2)[1] == "Before")
    fresh = (checkpoint := checkpoints(stack).get(feed.name)) and checkpoint.fresh_as_of_ms
    with stack.office.failing(Fault("refuse")):
        feed.put(1, "After")
        assert feed.poll()["outcome"] == "failed"
        assert stack.api()("GET", f"/items/{COLLECTION}/{feed.code(1)}").json()["data"]["name"] == "Before"
    checkpoint = checkpoints(stack).get(feed.name)
    assert checkpoint and checkpoint.fresh_as_of_ms == fresh and checkpoint.failures.count == 1
    assert feed.poll()["outcome"] == "completed"
    eventually(lambda: feed.names(2)[1] == "After")


def test_the_breaker_leaves_the_back_office_alone_probes_it_and_closes(stack: Local) -> None:
    feed = Feed(stack, breaker={"failures": 2, "cooldown_seconds": 2})
    feed.put(1)

    def breaker() -> str | None:
        told = checkpoints(stack).get(feed.name)
        assert told
        return told.breaker(2, now_ms())

    with stack.office.failing(feed.fault("answer", status=500)):
        assert [feed.poll()["outcome"] for _ in range(2)] == ["failed", "failed"]
        asked = feed.requests()
        assert feed.poll()["outcome"] == "open" and breaker() == "open"
        assert feed.requests() == asked, "it is left alone"
        eventually(lambda: breaker() == "half_open")
        assert feed.poll()["outcome"] == "failed" and breaker() == "open"
        assert feed.requests() == asked + 1, "one probe"
        eventually(lambda: breaker() == "half_open")
    assert feed.poll()["outcome"] == "completed" and breaker() == "closed"
    eventually(lambda: feed.names(2)[1] == "A name")


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "content_type": "text/html", "body": "<html><body>Maintenance</body></html>"},
        {"status": 200, "content_type": "application/json", "body": '{"rows": [{"code": "half'},
        {"status": 200, "content_type": "application/json", "body": '{"error": "no such table"}'},
        {"status": 404, "content_type": "application/json", "body": '{"rows": []}'},
    ],
    ids=["html", "half a json", "no list", "not found"],
)
def test_what_is_no_data_is_not_taken_for_data(stack: Local, answer: dict[str, Any]) -> None:
    feed = Feed(stack)
    feed.put(1)
    with stack.office.failing(feed.fault("answer", **answer)):
        assert feed.poll()["outcome"] == "failed"
    assert feed.quarantine() == [] and feed.names(2) == [None, None]
    known = checkpoints(stack).get(feed.name)
    assert known and known.watermark_ms is None and known.fresh_as_of_ms is None


def test_a_poison_row_among_100_is_quarantined_alone_and_redriven_after_the_fix(stack: Local) -> None:
    feed = Feed(stack)
    for number in range(100):
        feed.put(number, None if number == 42 else f"Row {number}")
    told = feed.poll()
    assert told["outcome"] == "completed" and (told["changes"], told["quarantined"]) == (99, 1)
    wanted: list[str | None] = [f"Row {number}" for number in range(100)]
    eventually(lambda: sum(name is not None for name in feed.names(100)) == 99)
    assert feed.names(100) == [*wanted[:42], None, *wanted[43:]]
    feed.poll()
    (entry,) = feed.quarantine()  # one, however often the row comes
    assert entry["reason"] == "invalid" and entry["origin"] == f"source/{feed.name}"
    assert json.loads(entry["record"])["code"] == feed.code(42)

    refused = feed.redrive([entry["key"]])
    assert refused["redriven"] == 0 and [one["key"] for one in refused["failed"]] == [entry["key"]]
    assert feed.redrive([entry["key"]], translation=feed.FIXED) == {"redriven": 1, "failed": []}
    eventually(lambda: feed.names(100)[42] == feed.code(42))
    assert feed.quarantine() == []


def test_a_source_that_stalls_does_not_hold_up_another(stack: Local) -> None:
    stalled, healthy = Feed(stack, timeout_seconds=4), Feed(stack)
    stalled.put(1, "Late")
    with concurrent.futures.ThreadPoolExecutor(1) as pool, stack.office.failing(stalled.fault("delay", seconds=30)):
        hanging = pool.submit(stalled.poll)
        eventually(lambda: stalled.requests() == 1)
        for round_ in range(2):
            healthy.put(1, f"Round {round_}")
            assert healthy.poll()["outcome"] == "completed"
            eventually(lambda: healthy.names(2)[1] == f"Round {round_}")
        assert not hanging.done()
        assert hanging.result()["outcome"] == "failed"
    states = [checkpoints(stack).get(feed.name) for feed in (stalled, healthy)]
    assert [state.failures.count for state in states if state] == [1, 0]
    assert stalled.poll()["outcome"] == "completed"
    eventually(lambda: stalled.names(2)[1] == "Late")


def test_two_polls_at_once_do_nothing_twice(stack: Local) -> None:
    feed = Feed(stack)
    feed.put(1)
    with concurrent.futures.ThreadPoolExecutor(2) as pool, stack.office.failing(feed.fault("delay", seconds=1.5)):
        first = pool.submit(feed.poll)
        eventually(lambda: feed.requests() == 1)
        assert feed.poll()["outcome"] == "running"
        assert first.result()["outcome"] == "completed"
    assert feed.requests() == 1


def test_a_paused_source_is_not_asked(stack: Local) -> None:
    feed = Feed(stack)
    feed.put(1)
    checkpoints(stack).set_paused(feed.name, True)
    assert feed.poll()["outcome"] == "paused" and feed.requests() == 0
    checkpoints(stack).set_paused(feed.name, False)
    assert feed.poll()["outcome"] == "completed"


def test_a_catch_up_goes_on_where_its_page_budget_ended(stack: Local) -> None:
    feed = Feed(stack, max_pages=1)
    for number in range(90):
        feed.put(number)
    told = [feed.poll() for _ in range(3)]
    assert [one["outcome"] for one in told] == ["unfinished", "unfinished", "completed"]
    assert [one["records"] for one in told] == [40, 40, 10] and feed.requests() == 3
    eventually(lambda: feed.names(90) == ["A name"] * 90)


def snapshot_of(stack: Local, *, replica: bool) -> tuple[bytes, str]:
    """The currencies' document in one Region: its bytes, its version."""
    bucket = stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket
    assert bucket
    found = stack.root(replica=replica).client("s3").get_object(Bucket=bucket, Key="public/currencies/current.json")
    return found["Body"].read(), found["Metadata"]["readplane-version"]


def test_a_snapshot_stands_in_both_regions_byte_for_byte_and_a_newer_one_stays(stack: Local) -> None:
    with unscheduled(stack, "currencies"):
        stack.office.put("currencies", "XTS", name="Testing: 1.50 < 2 & “quoted”")
        assert poll(stack, "currencies")["outcome"] == "completed"
        upstream = requests.get(source_of(stack, "currencies")["url"], timeout=10).content
        kept = [snapshot_of(stack, replica=replica) for replica in (False, True)]
        assert kept[0] == kept[1]
        body, version = kept[0]
        assert body.endswith(b'"data":' + upstream + b"}")
        told = json.loads(body)
        assert (told["id"], told["collection"], told["version"]) == ("current", "currencies", version)
        answer = stack.api()("GET", "/documents/currencies/current")
        assert answer.content == body and answer.headers["Readplane-Version"] == version
        assert stack.api()("GET", "/items/currencies/current").status_code in (403, 404)

        newer = "f" + version[1:]  # as if a poll far ahead had put it
        s3: Any = stack.root(replica=True).client("s3")
        assert stack.outputs.replica_documents_bucket
        place = {"Bucket": stack.outputs.replica_documents_bucket, "Key": "public/currencies/current.json"}
        s3.put_object(**place, Body=b"{}", Metadata={"readplane-version": newer})
        stack.office.put("currencies", "XTS", name="Codes specifically reserved for testing purposes")
        poll(stack, "currencies")
        assert snapshot_of(stack, replica=True) == (b"{}", newer), "an older snapshot replaces no newer one"
        later, later_version = snapshot_of(stack, replica=False)
        assert b"reserved for testing" in later and later_version > version

        s3.put_object(**place, Body=body, Metadata={"readplane-version": version})
        stack.office.put("currencies", "XTS", name="Testing")
        assert poll(stack, "currencies")["outcome"] == "completed"
        assert snapshot_of(stack, replica=True) == snapshot_of(stack, replica=False)
        assert b'"Testing"' in snapshot_of(stack, replica=True)[0]


def test_a_snapshot_that_is_no_json_leaves_the_document_as_it_is(stack: Local) -> None:
    with unscheduled(stack, "currencies"):
        poll(stack, "currencies")
        before = snapshot_of(stack, replica=False)
        html = Fault("answer", "/currencies.json", status=200, content_type="text/html", body="<h1>Sorry</h1>")
        with stack.office.failing(html):
            assert poll(stack, "currencies")["outcome"] == "failed"
        assert snapshot_of(stack, replica=False) == before
        assert poll(stack, "currencies")["outcome"] in ("completed", "not_modified")


def language(stack: Local, code: str) -> str | None:
    item = items(stack).get(f"item/languages/{code}")
    return item.data if item else None


def list_languages(stack: Local) -> dict[str, Any]:
    """Poll them, which reads the full listing. Without a lag, or what is younger than that wouldn't be missed."""
    told = poll(stack, "languages", lag_seconds=0)
    assert told["outcome"] == "completed"
    return told


def test_what_vanishes_upstream_goes_after_two_listings(stack: Local) -> None:
    office = stack.office
    with unscheduled(stack, "languages"):
        list_languages(stack)
        eventually(lambda: language(stack, "aa") and language(stack, "zu"))
        row = office.get("languages", "aa")
        assert row and office.delete("languages", "aa")
        try:
            told = list_languages(stack)
            assert (told["missing"], told["changes"]) == (1, 0), "missing once is no delete"
            assert language(stack, "aa")
            told = list_languages(stack)
            assert (told["missing"], told["changes"]) == (1, 1)
            eventually(lambda: language(stack, "aa") is None)
            assert stack.api(stack.alice)("GET", "/items/languages/aa").status_code == 404
        finally:
            office.put("languages", row.pop("code"), **row)
        list_languages(stack)
        eventually(lambda: language(stack, "aa"))


def test_a_listing_that_suddenly_lacks_much_deletes_nothing(stack: Local) -> None:
    office = stack.office
    with unscheduled(stack, "languages"):
        list_languages(stack)
        eventually(lambda: language(stack, "aa") and language(stack, "zu"))
        kept = requests.get(f"{office.url}/backoffice/languages.json?_shape=array&_size=max", timeout=10).json()
        empty: list[object] = []
        for rows in (empty, kept[: len(kept) - len(kept) * CAP // 100 - 2]):
            body = json.dumps({"rows": rows, "next": None})
            fault = Fault("answer", "/languages.json", status=200, content_type="application/json", body=body)
            with office.failing(fault):
                told = [list_languages(stack) for _ in range(2)]
            assert [(one["changes"], one["sweep_refused"]) for one in told] == [(0, True)] * 2
        assert list_languages(stack)["missing"] == 0
        assert all(language(stack, row["code"]) for row in kept[::20])


def test_settings_that_can_not_work_are_told_all_at_once(stack: Local) -> None:
    good = source_of(stack, COLLECTION)
    bad = {**good, "id": "code[", "translation": "{name: }", "collection": "nowhere", "timeout_seconds": -1}
    snapshot = {**source_of(stack, "currencies"), "name": "second", "url": "ftp://x"}
    told = session.poll(stack.outputs, {"validate": [good, bad, snapshot]})
    problems = [problem.partition(": ")[0] for problem in told["problems"]]
    assert sorted(problems) == sorted(
        [f"sources.{COLLECTION}.{field}" for field in ("id", "translation", "collection", "timeout_seconds")]
        + ["sources.second.url"]
    )
    assert session.poll(stack.outputs, {"validate": [good]}) == {"problems": []}


def test_freshness_is_told_by_route_document_and_header(stack: Local) -> None:
    before = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    api = stack.api(stack.alice)
    item, listed = "/items/languages/zu", "/items/languages?limit=1"

    def told(**wanted: object) -> dict[str, Any] | None:
        answer = api("GET", "/sources/languages")
        assert answer.status_code == 200
        source: dict[str, Any] = answer.json()
        return source if wanted.items() <= source.items() and source["fresh_as_of"] else None

    with unscheduled(stack, "languages"):
        assert poll(stack, "languages")["outcome"] == "completed"
        budget = source_of(stack, "languages")["staleness_budget"]
        fresh = eventually(lambda: (source := told(stale=False)) and source["fresh_as_of"] >= before and source)
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
        assert stack.api()("GET", "/sources/languages").status_code == 401, "who may not read it isn't told, either"
        document = eventually(lambda: found(stack, "/documents/sources/languages", api=api)).json()
        assert document["fresh_as_of"] == fresh["fresh_as_of"] and document["staleness_budget"] == budget
        eventually(lambda: found(stack, item, api=api))
        for path in (item, listed):
            eventually(lambda: "Readplane-Stale" not in api("GET", path).headers)

        grow_old(stack, "languages", budget + 60)
        for path in (item, listed):
            eventually(lambda: (answer := found(stack, path, api=api)) and "Readplane-Stale" in answer.headers)
            assert api("GET", path).headers["Readplane-Stale"] == "true"
        assert "Readplane-Stale" not in api("GET", "/items/countries?limit=1").headers
        assert eventually(lambda: told(stale=True))["staleness"] > budget
        poll(stack, "languages")
        for path in (item, listed):
            eventually(lambda: "Readplane-Stale" not in api("GET", path).headers)


def grow_old(stack: Local, source: str, seconds: float) -> None:
    """Have the source's watermark be as it will be, unless somebody polls."""
    dynamodb: Any = stack.root().client("dynamodb")
    table = stack.outputs.items_table
    record = dynamodb.get_item(TableName=table, Key={"pk": {"S": f"source/{source}"}})["Item"]
    old = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(timespec="milliseconds")
    dynamodb.put_item(TableName=table, Item={**record, "fresh_as_of": {"S": old.replace("+00:00", "Z")}})


def test_what_kinesis_brings_is_archived(stack: Local) -> None:
    feed = Feed(stack)
    feed.put(1, "Archived")
    feed.poll()
    change = eventually(feed.archived)
    item = eventually(lambda: items(stack).get(f"item/{COLLECTION}/{feed.code(1)}"))
    assert change["change_id"] == item.change_id and change["actor"] == f"source/{feed.name}"


def test_the_schedule_does_all_this_every_minute(stack: Local, waiting_for_the_schedule: tuple[str, int]) -> None:
    """Nobody here polls this source; see the fixture."""
    name, asked = waiting_for_the_schedule
    for replica in (False, True):
        for kind in ("items", "documents"):
            path = f"/{kind}/{COLLECTION}/{ROW}"
            eventually(
                lambda: (answer := found(stack, path, replica=replica)) and answer.json()["data"]["name"] == name,
                within=90,
                every=0.5,
            )
    assert stack.office.requests("/subdivisions.json") > asked
