"""Test the trial of a source: what it shows of a list, what it calls a problem, and which secrets it hides."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, get_args

import pytest

from ops.cli.source_trial import LocalSecrets, Trial
from ops.cli.trial_report import END_TEXTS, ListName, TrialReport, report_lines
from readplane.clock import now_ms
from readplane.model.collection import Collection
from readplane.model.schema import SchemaValidator
from readplane.model.timestamp import rfc3339
from readplane.poll.declared_sources import DeclaredSource
from readplane.poll.errors import SecretError
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import StoredSecret
from readplane.poll.upstream.paging.ending import EndReason
from tests.fakes.source_settings import add_defaults
from tests.unit.poll.upstream.http_server import ARN, HttpServer, says

DAY_MS = 86_400_000


@pytest.fixture
def office() -> Iterator[HttpServer]:
    server = HttpServer()
    yield server
    server.close()


def rows(*ids: str, at: int | None = None, **members: Any) -> bytes:
    """Return a page with these ids, each a second newer than the one before."""
    start = now_ms() - DAY_MS if at is None else at
    listed = [{"id": name, "at": start + 1000 * number, "n": 1} for number, name in enumerate(ids)]
    return json.dumps({"rows": listed, **members}).encode()


def declared(office: HttpServer, schema: Any = None, **settings: Any) -> DeclaredSource:
    all_settings = add_defaults(
        {
            "name": "rows",
            "mode": "changes",
            "collection": "things",
            "url": f"{office.url}/rows?since={{cursor}}",
            "records": "rows",
            "id": "id",
            "version": {"expression": "at", "format": "unix_ms"},
            "translation": "{n: n}",
            "deleted": "gone",
            "staleness_budget": 600,
            "attempts": 1,
            **settings,
        }
    )
    collection = Collection("things", "public")
    source = parse_source(all_settings, {"things": collection})
    return DeclaredSource(source, collection, SchemaValidator(schema or {}))


def trial(source: DeclaredSource, secrets: Mapping[str, str] | None = None, **options: Any) -> TrialReport:
    return Trial(source, LocalSecrets(secrets or {}), **options).run()


def test_a_trial_shows_requests_pages_items_and_how_the_list_ended(office: HttpServer) -> None:
    office.will(
        says(body=rows("a", "b", next=f"{office.url}/rows?page=2")),
        says(body=rows("c", at=now_ms() - DAY_MS + 9000)),
        says(body=rows("c", at=now_ms() - DAY_MS + 9000)),
    )
    report = trial(declared(office, paging={"style": "link", "next": "next"}))
    assert [(exchange.method, exchange.status) for exchange in report.exchanges] == [("GET", 200)] * 3
    assert [(page.records, page.refused, page.next_page) for page in report.pages] == [
        (2, 0, "a link from paging.next"),
        (1, 0, None),
    ]
    assert (report.end, report.certain, report.item_count) == ("no_next", True, 3)
    assert [item["id"] for item in report.items] == ["a", "b", "c"] and report.items[0]["data"] == '{"n":1}'
    assert report.problems == []
    text = "\n".join(report_lines(report))
    assert "GET" in text and "End of the list: no_next, certain: the page names no next page." in text
    json.dumps(asdict(report))


def test_the_next_pass_asks_from_the_newest_record_minus_the_lag(office: HttpServer) -> None:
    newest = now_ms() - DAY_MS
    office.will(says(body=rows("a", at=newest)))
    report = trial(declared(office, lag_seconds=60))
    assert report.newest == rfc3339(newest)
    assert report.next_pass and report.next_pass.url.endswith(f"since={newest - 60_000}")


def test_a_back_office_that_reads_the_cursor_as_local_time_is_a_problem(office: HttpServer) -> None:
    office.will(says(body=rows("a")), says(body=rows()))
    (problem,) = trial(declared(office)).problems
    assert "cursor.zone" in problem


def test_a_next_pass_that_goes_on_shows_nothing_about_the_newest_record(office: HttpServer) -> None:
    office.will(says(body=rows("a", "b")), says(body=rows("a", next=f"{office.url}/rows?page=2")))
    report = trial(declared(office, paging={"style": "link", "next": "next"}), pages=1)
    assert report.problems == [] and any("next pass" in hint for hint in report.hints)


def test_refused_records_are_shown_with_their_reason(office: HttpServer) -> None:
    office.will(says(body=rows("a", "b/c", "d")))
    report = trial(declared(office, {"required": ["m"]}))
    assert [(refusal.position, refusal.reason) for refusal in report.refusals] == [
        (1, "invalid"),
        (2, "bad_id"),
        (3, "invalid"),
    ]
    assert report.refused_count == 3 and "3 of 3 records would go to quarantine" in report.problems[0]
    assert "wouldn't become fresh" in report.problems[0] and any("id_encoding" in hint for hint in report.hints)
    assert "page 1, record 2: bad_id" in "\n".join(report_lines(report))


def test_a_share_of_refused_records_within_the_limit_does_not_stop_the_source(office: HttpServer) -> None:
    office.will(says(body=rows("a", "b", "c/")))
    (problem,) = trial(declared(office, max_refused_percent=34)).problems
    assert "1 of 3" in problem and "fresh" not in problem


def test_a_list_that_repeats_a_page_has_a_doubtful_end(office: HttpServer) -> None:
    office.will(says(body=rows("a", at=now_ms() - DAY_MS, next=f"{office.url}/rows?page=2")))
    report = trial(declared(office, paging={"style": "link", "next": "next"}), pages=9)
    assert report.certain is False and any("nothing proves" in problem for problem in report.problems)


def test_every_end_of_a_list_has_a_text() -> None:
    assert END_TEXTS.keys() == set(get_args(EndReason))


def test_a_list_goes_on_behind_the_pages_that_were_read(office: HttpServer) -> None:
    office.will(says(body=rows("a", next="t1")), says(body=rows("b", next="t2")), says(body=rows("a", "b", next="t3")))
    paging = {"style": "token", "next": "next", "parameter": "token"}
    report = trial(declared(office, paging=paging), pages=2)
    assert report.end is None and report.pages[1].next_page == "a token from paging.next"
    assert "--pages" in "\n".join(report_lines(report))


@pytest.mark.parametrize(
    ("paging", "expected"),
    [
        ({"style": "page", "parameter": "page"}, "the next page number"),
        ({"style": "offset", "parameter": "offset"}, "the next offset"),
    ],
)
def test_the_styles_that_count_say_what_they_ask_next(
    office: HttpServer, paging: dict[str, Any], expected: str
) -> None:
    office.will(says(body=rows("a")))
    assert trial(declared(office, paging=paging), pages=1).pages[0].next_page == expected


@pytest.mark.parametrize(
    ("settings", "header", "expected"),
    [
        ({"style": "link"}, {"Link": "</rows?page=2>; rel=next"}, "a link from the Link header, rel=next"),
        ({"style": "link", "header": "X-Next"}, {"X_Next": "/rows?page=2"}, "a link from the header X-Next"),
    ],
)
def test_the_next_page_in_a_header_is_named(
    office: HttpServer, settings: dict[str, Any], header: dict[str, str], expected: str
) -> None:
    office.will(says(200, rows("a"), **header))
    assert trial(declared(office, paging=settings), pages=1).pages[0].next_page == expected


def test_records_out_of_order_contradict_the_setting_and_sorted_ones_hint_at_it(office: HttpServer) -> None:
    newest_first = json.dumps({"rows": [{"id": "a", "at": 2000, "n": 1}, {"id": "b", "at": 1000, "n": 1}]}).encode()
    office.will(says(body=newest_first))
    assert "aren't sorted" in trial(declared(office, order="modified")).problems[0]
    office.will(
        says(body=rows("a", next=f"{office.url}/rows?page=2")), says(body=rows("b", at=now_ms() - DAY_MS + 5000))
    )
    assert any("sorted" in hint for hint in trial(declared(office, paging={"style": "link", "next": "next"})).hints)


def test_a_time_in_the_future_is_a_problem(office: HttpServer) -> None:
    office.will(says(body=rows("a", at=now_ms() + 120_000)))
    assert any("version.zone" in problem for problem in trial(declared(office)).problems)
    office.will(says(body=rows("a", at=now_ms() + 7_200_000)))
    report = trial(declared(office))
    assert report.refusals[0].reason == "bad_version" and any("version.zone" in hint for hint in report.hints)


def test_an_id_that_comes_twice_is_a_problem_without_versions(office: HttpServer) -> None:
    office.will(says(body=rows("a", "a")))
    report = trial(declared(office, version=None, url=f"{office.url}/rows"))
    assert "1 of the records have the id of an earlier record" in report.problems[0]


def test_a_source_without_deletes_gets_a_hint(office: HttpServer) -> None:
    office.will(says(body=rows("a")))
    assert any("deleted records" in hint for hint in trial(declared(office, deleted=None)).hints)
    assert not any("deleted records" in hint for hint in trial(declared(office)).hints)


def test_an_empty_list_gets_a_hint(office: HttpServer) -> None:
    office.will(says(body=rows()))
    report = trial(declared(office))
    assert report.problems == [] and any("no records" in hint for hint in report.hints)


def test_a_failure_is_a_problem_that_says_what_to_do(office: HttpServer) -> None:
    office.will(says(404, b""))
    report = trial(declared(office))
    assert report.exchanges[0].status == 404 and "check the source's url" in report.problems[0]
    office.will(says(body=b'{"error": 1}'))
    assert "can't be read: page:" in trial(declared(office)).problems[0]


def test_no_secret_is_shown(office: HttpServer) -> None:
    office.will(says(body=rows("a", next=f"{office.url}/rows?page=2&api_key=k3y-of-the-office")), says(body=rows("a")))
    secret = {"arn": ARN, "query": "api_key"}
    report = trial(
        declared(office, secret=secret, paging={"style": "link", "next": "next"}), {ARN: "k3y-of-the-office"}
    )
    assert any("api_key=k3y-of-the-office" in target for target in office.targets)
    assert report.exchanges and "k3y-of-the-office" not in json.dumps(asdict(report))
    assert "k3y-of-the-office" not in "\n".join(report_lines(report))


def test_a_body_is_shown_with_its_values(office: HttpServer) -> None:
    office.will(says(body=rows("a")))
    request = {"method": "POST", "body": '{"since": "{cursor}"}'}
    report = trial(declared(office, url=f"{office.url}/rows", request=request))
    assert report.exchanges[0].method == "POST" and report.exchanges[0].body == '{"since":0}'
    assert '{"since":0}' in "\n".join(report_lines(report))


def test_a_window_begins_at_the_initial_time(office: HttpServer) -> None:
    office.will(says(body=rows()))
    cursor = {"initial": "2020-01-01T00:00:00Z", "window_seconds": 86400}
    trial(declared(office, url=f"{office.url}/rows?from={{cursor}}&to={{now}}", cursor=cursor))
    assert office.targets == ["/rows?from=1577836800000&to=1577923200000"]


@pytest.mark.parametrize("list_name", ["main", "sweep"])
def test_a_main_pass_and_a_sweep_of_the_same_list_begin_with_the_same_window(
    office: HttpServer, list_name: ListName
) -> None:
    office.will(says(body=rows()))
    cursor = {"initial": "2020-01-01T00:00:00Z", "window_seconds": 86400}
    sweep = {"schedule": "rate(1 day)"}
    source = declared(office, url=f"{office.url}/rows?from={{cursor}}&to={{now}}", cursor=cursor, sweep=sweep)
    trial(source, list_name=list_name)
    assert office.targets == ["/rows?from=1577836800000&to=1577923200000"]


@pytest.mark.parametrize(
    ("window_seconds", "lag_seconds", "asked_lag_ms"),
    [
        (None, 80_000, 80_000_000),
        (86_400, 60, 60_000),
        (86_400, 80_000, 43_200_000),  # at most half the window
    ],
    ids=["no window", "window", "window with a long lag"],
)
def test_the_next_pass_begins_before_the_newest_record_by_the_lag_of_poll(
    office: HttpServer, window_seconds: int | None, lag_seconds: int, asked_lag_ms: int
) -> None:
    newest = now_ms() - 3_600_000
    office.will(says(body=rows("a", at=newest)))
    cursor = {"initial": "2020-01-01T00:00:00Z", "window_seconds": window_seconds}
    url = f"{office.url}/rows?from={{cursor}}&to={{now}}"
    source = declared(office, url=url, cursor=cursor if window_seconds else None, lag_seconds=lag_seconds)
    report = trial(source, since_ms=newest - 3_600_000)
    assert report.next_pass and f"from={newest - asked_lag_ms}&" in report.next_pass.url
    assert office.targets[-1] in report.next_pass.url and report.problems == []


def test_after_a_window_in_the_past_the_next_pass_begins_at_the_end_of_the_window(office: HttpServer) -> None:
    start, newest, end = 1_577_836_800_000, 1_577_880_000_000, 1_577_923_200_000
    office.will(says(body=rows("a", at=newest)))
    cursor = {"initial": "2020-01-01T00:00:00Z", "window_seconds": 86_400}
    source = declared(office, url=f"{office.url}/rows?from={{cursor}}&to={{now}}", cursor=cursor, lag_seconds=60)
    report = trial(source)
    assert office.targets == [
        f"/rows?from={start}&to={end}",
        f"/rows?from={newest - 60_000}&to={newest - 60_000 + DAY_MS}",
    ]
    assert report.next_pass and report.next_pass.url.endswith(f"from={end - 60_000}&to={end - 60_000 + DAY_MS}")


def test_changes_since_a_time_are_asked_for(office: HttpServer) -> None:
    office.will(says(body=rows()))
    trial(declared(office), since_ms=5000)
    assert office.targets == ["/rows?since=5000"]


def test_the_lists_of_sweeps_and_of_deleted_records_are_tried(office: HttpServer) -> None:
    source = declared(
        office,
        sweep={"schedule": "rate(1 day)", "url": f"{office.url}/all"},
        deletes={
            "url": f"{office.url}/deleted",
            "records": "rows",
            "id": "id",
            "version": {"expression": "at", "format": "unix_ms"},
        },
    )
    office.will(says(body=rows("a")))
    assert trial(source, list_name="sweep").item_count == 1
    report = trial(source, list_name="deletes")
    assert report.items[0]["deleted"] and "deleted" in "\n".join(report_lines(report))
    assert office.targets == ["/all", "/deleted"]


def test_the_first_deletes_are_those_of_the_last_day(office: HttpServer) -> None:
    source = declared(
        office,
        deletes={
            "url": f"{office.url}/deleted?since={{cursor}}",
            "records": "rows",
            "id": "id",
            "version": {"expression": "at", "format": "unix_ms"},
        },
    )
    office.will(says(body=rows("a")))
    report = trial(source, list_name="deletes")
    since_ms = int(report.exchanges[0].url.partition("since=")[2])
    assert DAY_MS <= now_ms() - since_ms < DAY_MS + 3_600_000


def test_a_delta_link_begins_the_next_pass(office: HttpServer) -> None:
    office.will(says(body=rows("a", delta=f"{office.url}/rows?delta=7")))
    report = trial(
        declared(office, url=f"{office.url}/rows", paging={"style": "link", "next": "next", "delta": "delta"})
    )
    assert report.next_pass and report.next_pass.url == f"{office.url}/rows?delta=7"


def test_a_snapshot_is_shown_as_the_document(office: HttpServer) -> None:
    settings = {
        "mode": "snapshot",
        "url": f"{office.url}/rates",
        "expect": "rates != null",
        **dict.fromkeys(("records", "id", "version", "translation", "deleted")),
    }
    office.will(says(body=b'{"rates": [1]}'))
    report = trial(declared(office, **settings))
    assert report.document == '{"rates": [1]}' and report.problems == []
    assert 'Document: {"rates": [1]}' in "\n".join(report_lines(report))
    office.will(says(body=b'{"errors": [1]}'))
    assert "expect" in trial(declared(office, **settings)).problems[0]


def test_a_field_of_a_secret_may_be_given_alone() -> None:
    secrets = LocalSecrets({"whole": '{"token": "t"}', "alone": "t", "array": "[1]"})
    assert secrets.get_secret(StoredSecret("whole", "token")) == "t"
    assert secrets.refresh_secret(StoredSecret("alone", "token")) == "t"
    assert secrets.get_secret(StoredSecret("array", "token")) == "[1]"
    assert secrets.get_secret(StoredSecret("whole", None)) == '{"token": "t"}'
    with pytest.raises(SecretError):
        secrets.get_secret(StoredSecret("missing", None))
