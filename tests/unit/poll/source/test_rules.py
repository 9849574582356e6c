import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.model.collection import Collection
from readplane.poll.errors import SourceError
from readplane.poll.source.functions.columns import ColumnsAndRows
from readplane.poll.source.settings import (
    BreakerSettings,
    CursorSettings,
    SecretHeader,
    Source,
    SweepSettings,
    next_url,
    origin,
    parse_source,
    time_text,
    with_parameter,
)

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:back-office-AbCdEf"
FUNCTION = "readplane.poll.source.functions.columns:ColumnsAndRows"

CHANGES: dict[str, Any] = {
    "name": "articles",
    "mode": "changes",
    "collection": "articles",
    "url": "https://office.example/articles.json?changed_since={cursor}",
    "headers": {"X-Tenant": "7"},
    "secret": {"arn": ARN, "header": "Authorization", "format": "Bearer {secret}", "field": "token"},
    "records": "rows",
    "id": "no",
    "version": {"expression": "changed", "format": "rfc3339"},
    "deleted": "removed == `1`",
    "owner": None,
    "translation": "{name: name}",
    "function": None,
    "cursor": None,
    "paging": {"style": "link", "next": "next_url", "parameter": None, "first": 1, "size": None},
    "lag_seconds": 30,
    "timeout_seconds": 5,
    "attempts": 2,
    "max_pages": 10,
    "max_seconds": 20,
    "requests_per_second": 2.5,
    "max_bytes": 2048,
    "breaker": {"failures": 2, "cooldown_seconds": 10},
    "sweep": {"schedule": "rate(1 day)", "url": "https://office.example/all.json", "max_deletes_percent": 5},
    "staleness_budget": 300,
    "document": None,
    "schedule": "rate(1 minute)",
}
LEAST: dict[str, Any] = {
    "name": "articles",
    "mode": "changes",
    "collection": "articles",
    "url": "http://office.example/articles.json",
    "records": "rows",
    "id": "no",
    "translation": "@",
    "staleness_budget": 300,
}
SNAPSHOT: dict[str, Any] = {
    "name": "rates",
    "mode": "snapshot",
    "collection": "rates",
    "url": "http://office.example/rates.json",
    "staleness_budget": 300,
}
BY_FUNCTION = {name: value for name, value in LEAST.items() if name not in ("records", "id", "translation")} | {
    "function": FUNCTION
}


def changed(base: Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """``base`` with other settings; ``paging__style`` is a setting within one."""
    raw: dict[str, Any] = copy.deepcopy(dict(base))
    for path, value in settings.items():
        *outer, last = path.split("__")
        place = raw
        for step in outer:
            place[step] = place.get(step) or {}
            place = place[step]
        place[last] = value
    return raw


def problems(raw: object, collections: Mapping[str, Collection] | None = None) -> list[str]:
    try:
        parse_source(raw, collections)
    except SourceError as bad:
        assert str(bad) == "; ".join(bad.problems) and bad.problems
        return bad.problems
    return []


def test_everything_that_is_said_is_read() -> None:
    source = parse_source(CHANGES)
    assert (source.name, source.mode, source.collection) == ("articles", "changes", "articles")
    assert source.headers == {"X-Tenant": "7"}
    assert source.secret == SecretHeader(ARN, "Authorization", "Bearer {secret}", "token")
    assert source.secret.value("s") == "Bearer s"
    assert source.records and source.records.search({"rows": [1]}) == [1]
    assert source.id and source.id.search({"no": "a"}) == "a"
    assert source.version and source.version.format == "rfc3339" and source.version.expression.search({"changed": 1})
    assert source.deleted and source.deleted.search({"removed": 1}) is True
    assert source.translation and source.translation.search({"name": "n", "x": 1}) == {"name": "n"}
    assert source.paging.style == "link" and source.paging.next and source.paging.next.text == "next_url"
    assert source.cursor == CursorSettings("rfc3339", "1970-01-01T00:00:00.000Z")
    assert source.breaker == BreakerSettings(2, 10)
    assert source.sweep == SweepSettings("rate(1 day)", "https://office.example/all.json", 5)
    assert (source.lag_seconds, source.timeout_seconds, source.attempts, source.max_pages) == (30, 5, 2, 10)
    assert (source.max_seconds, source.requests_per_second, source.max_bytes) == (20, 2.5, 2048)
    assert (source.staleness_budget, source.document, source.schedule) == (300, "current", "rate(1 minute)")
    assert source.owner is None and source.function is None
    assert source.versioned and source.incremental
    assert parse_source(CHANGES) == source


@pytest.mark.parametrize(
    "nothing", [{}, {"headers": None, "paging": None, "breaker": None, "cursor": {}, "sweep": None}]
)
def test_what_is_left_out_takes_its_default(nothing: dict[str, Any]) -> None:
    source = parse_source(LEAST | nothing)
    assert (source.headers, source.secret, source.version, source.cursor, source.sweep) == ({}, None, None, None, None)
    assert (source.paging.style, source.paging.first, source.breaker) == ("none", 1, BreakerSettings(5, 30))
    assert (source.lag_seconds, source.timeout_seconds, source.attempts, source.max_pages) == (60, 10, 3, 100)
    assert (source.max_seconds, source.requests_per_second, source.max_bytes) == (45, None, 8 * 1024 * 1024)
    assert not source.versioned and not source.incremental
    assert source.url_at(None) == source.sweep_url() == LEAST["url"]


def test_a_snapshot_and_a_function_need_less() -> None:
    assert parse_source(SNAPSHOT).mode == "snapshot"
    source = parse_source(BY_FUNCTION)
    assert isinstance(source.function, ColumnsAndRows) and source.versioned and not source.incremental


def test_the_cursor_stands_in_the_url_as_text_of_its_form() -> None:
    source = parse_source(CHANGES)
    assert source.url_at(1_700_000_000_123).endswith("?changed_since=2023-11-14T22%3A13%3A20.123Z")
    assert source.url_at(None).endswith("?changed_since=1970-01-01T00%3A00%3A00.000Z")
    assert source.sweep_url() == "https://office.example/all.json"
    own = parse_source(changed(CHANGES, cursor={"format": "unix_s", "initial": "all of it"}, sweep__url=None))
    assert own.url_at(1_700_000_000_999).endswith("=1700000000")
    assert own.url_at(None) == own.sweep_url() == "https://office.example/articles.json?changed_since=all%20of%20it"
    by_function = parse_source(changed(BY_FUNCTION, url="http://o.example/since/{cursor}/x", cursor__format="unix_ms"))
    assert by_function.url_at(1_700_000_000_123) == "http://o.example/since/1700000000123/x"
    assert by_function.url_at(None) == "http://o.example/since/0/x"


@settings(deadline=None)
@given(st.integers(0, 4_000_000_000_000))
def test_the_cursor_is_never_later_than_the_time_asked_for(ms: int) -> None:
    assert int(time_text(ms, "unix_ms")) == ms
    assert ms - 1000 < int(time_text(ms, "unix_s")) * 1000 <= ms
    text = time_text(ms, "rfc3339")
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo == UTC and round(moment.timestamp() * 1000) == ms and len(text) == 24


NAME_RULE = "must be 1 to 63 lower-case letters, digits and hyphens, the first a letter"

BAD: list[tuple[dict[str, Any], str]] = [
    (changed(CHANGES, mode="poll"), "mode: must be one of changes, snapshot"),
    (changed(CHANGES, collection="A"), f"collection: {NAME_RULE}"),
    (changed(CHANGES, collection="sources"), "collection: can't be `sources`"),
    (changed(CHANGES, url=None), "url: is needed"),
    (changed(CHANGES, url=7), "url: must be an http(s) URL"),
    (changed(LEAST, url="ftp://office.example/"), "url: must be an http(s) URL"),
    (changed(LEAST, url="//office.example/"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http:///x"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http://office.example:port/"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http://[::1/"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http://office.example/a b"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http://office.example/\r\nX: y"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http://bücher.example/"), "url: must be an http(s) URL"),
    (changed(LEAST, url="http://me:mine@office.example/"), "url: must not hold a user"),
    (changed(LEAST, url="http://office.example/#top"), "url: must not hold a fragment"),
    (changed(LEAST, url="http://office.example/#"), "url: must not hold a fragment"),
    (changed(LEAST, url="http://office.example/{id}"), "url: {cursor} is the only placeholder"),
    (changed(CHANGES, url="http://office.example/{cursor}}", sweep=None), "url: {cursor} is the only placeholder"),
    (changed(CHANGES, url="http://{cursor}.example/", sweep=None), "url: {cursor} may stand in the path"),
    (changed(LEAST, url="http://office.example/{cursor}"), "url: holds {cursor}, but no `version`"),
    (changed(LEAST, cursor__initial="0"), "cursor.initial: means nothing without {cursor}"),
    (changed(LEAST, cursor__format="unix_s"), "cursor.format: means nothing without {cursor}"),
    (changed(CHANGES, cursor__format="iso"), "cursor.format: must be one of rfc3339, unix_s, unix_ms"),
    (changed(BY_FUNCTION, url="http://o.example/{cursor}"), "cursor.format: is needed where a function"),
    (changed(CHANGES, headers=["X"]), "headers: must be an object"),
    (changed(CHANGES, headers={"X Y": "1"}), "headers.X Y: isn't the name of a header"),
    (changed(CHANGES, headers={"X-Y": "a\r\nb"}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": " a"}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": "ü"}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": 1}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": "1", "x-y": "2"}), "headers.x-y: is there twice"),
    (changed(LEAST, headers={"authorization": "Basic eA=="}), "headers.authorization: would stand in the settings"),
    (changed(LEAST, headers={"Cookie": "a=b"}), "headers.Cookie: would stand in the settings"),
    (changed(LEAST, headers={"Host": "x"}), "headers.Host: is set by Readplane"),
    (changed(LEAST, headers={"If-None-Match": "x"}), "headers.If-None-Match: is set by Readplane"),
    (changed(CHANGES, secret__arn="back-office"), "secret.arn: must be the ARN"),
    (changed(CHANGES, secret__arn="arn:aws:s3:::bucket"), "secret.arn: must be the ARN"),
    (changed(CHANGES, secret__header="X Y"), "secret.header: must be the name of a header"),
    (changed(CHANGES, secret__header="host"), "secret.header: is set by Readplane"),
    (changed(CHANGES, secret__header="x-tenant"), "secret.header: is one of `headers`, too"),
    (changed(CHANGES, secret__format="Bearer"), "secret.format: must hold {secret} once"),
    (changed(CHANGES, secret__format="{secret}\n"), "secret.format: must be printable"),
    (changed(CHANGES, secret__field=""), "secret.field: must be the name of a field"),
    (changed(CHANGES, records=None), "records: is needed, or a function"),
    (changed(CHANGES, records="rows["), "records: isn't JMESPath: "),
    (changed(CHANGES, id="nothing(no)"), "id: isn't JMESPath: there is no function nothing()"),
    (changed(CHANGES, id=""), "id: must be a JMESPath expression"),
    (changed(CHANGES, translation=None), "translation: is needed, or a function"),
    (changed(CHANGES, version__expression=None), "version.expression: must be a JMESPath expression"),
    (changed(CHANGES, version__expression="a..b"), "version.expression: isn't JMESPath: "),
    (changed(CHANGES, version__format="epoch"), "version.format: must be one of rfc3339, unix_s, unix_ms"),
    (changed(CHANGES, version="changed"), "version: must be an object"),
    (changed(CHANGES, paging__style="scroll"), "paging.style: must be one of none, link, page, offset, token"),
    (changed(CHANGES, paging__next="["), "paging.next: isn't JMESPath: "),
    (changed(LEAST, paging={"style": "token", "parameter": "t"}), "paging.next: must say where the token is"),
    (changed(CHANGES, paging__style="token"), "paging.parameter: must name the query parameter of style token"),
    (changed(LEAST, paging__style="page"), "paging.parameter: must name the query parameter of style page"),
    (changed(LEAST, paging={"style": "offset", "parameter": "at", "next": "n"}), "paging.next: is for the styles"),
    (changed(CHANGES, paging__parameter="page"), "paging.parameter: is for the styles page, offset, token"),
    (changed(LEAST, paging={"style": "page", "parameter": "p", "first": -1}), "paging.first: must be a whole number"),
    (changed(LEAST, paging={"style": "page", "parameter": "p", "size": 0}), "paging.size: must be a whole number"),
    (changed(BY_FUNCTION, records="rows"), "records: must be left out where a function translates"),
    (changed(BY_FUNCTION, function="os:system"), "function: must be readplane.poll.source.functions.<module>:<name>"),
    (
        changed(BY_FUNCTION, function="readplane.poll.source.functions.columns"),
        "function: must be readplane.poll",
    ),
    (
        changed(BY_FUNCTION, function="readplane.poll.source.functions..os:system"),
        "function: must be readplane.poll",
    ),
    (
        changed(BY_FUNCTION, function="readplane.poll.source.functions.nothing:X"),
        "function: can't be imported and called",
    ),
    (
        changed(BY_FUNCTION, function="readplane.poll.source.functions.columns:Nothing"),
        "function: can't be imported and called",
    ),
    (
        changed(BY_FUNCTION, function="readplane.poll.source.functions.columns:Mapping"),
        "function: can't be imported and called",
    ),
    (changed(BY_FUNCTION, paging={"style": "link", "next": "n"}), "paging.next: must be left out where a function"),
    (changed(CHANGES, lag_seconds=-1), "lag_seconds: must be 0 to 604800 seconds"),
    (changed(CHANGES, lag_seconds="60"), "lag_seconds: must be 0 to 604800 seconds"),
    (changed(CHANGES, lag_seconds=float("nan")), "lag_seconds: must be 0 to 604800 seconds"),
    (changed(CHANGES, timeout_seconds=0), "timeout_seconds: must be 0.1 to 120 seconds"),
    (changed(CHANGES, timeout_seconds=21), "timeout_seconds: must not be longer than max_seconds"),
    (changed(CHANGES, attempts=0), "attempts: must be a whole number from 1 to 10"),
    (changed(CHANGES, attempts=1.5), "attempts: must be a whole number from 1 to 10"),
    (changed(CHANGES, attempts=True), "attempts: must be a whole number from 1 to 10"),
    (changed(CHANGES, max_pages=0), "max_pages: must be a whole number"),
    (changed(CHANGES, max_seconds=900), "max_seconds: must be 1 to 840 seconds"),
    (changed(CHANGES, requests_per_second=0), "requests_per_second: must be 0.01 to 1000"),
    (changed(CHANGES, max_bytes=1), "max_bytes: must be a whole number"),
    (changed(CHANGES, breaker__failures=0), "breaker.failures: must be a whole number"),
    (changed(CHANGES, breaker__cooldown_seconds=-1), "breaker.cooldown_seconds: must be 0 to 86400 seconds"),
    (changed(CHANGES, sweep__schedule="daily"), "sweep.schedule: must be rate(…) or cron(…)"),
    (changed(CHANGES, sweep__url="https://office.example/{cursor}"), "sweep.url: must not hold {cursor}"),
    (changed(CHANGES, sweep__url="https://elsewhere.example/"), "sweep.url: must have the scheme, host and port"),
    (changed(CHANGES, sweep__max_deletes_percent=101), "sweep.max_deletes_percent: must be 0 to 100"),
    (changed(CHANGES, staleness_budget=None), "staleness_budget: is needed"),
    (changed(CHANGES, staleness_budget=0), "staleness_budget: must be a whole number"),
    (changed(SNAPSHOT, document="a/b"), "document: must be an item's id"),
    (changed(CHANGES, schedule="hourly"), "schedule: must be rate(…) or cron(…)"),
    (changed(CHANGES, colection="x"), "colection: no such field"),
    (changed(CHANGES, paging__sise=1), "paging.sise: no such field"),
    (changed(CHANGES, secret__value="s3cret"), "secret.value: no such field"),
    (changed(SNAPSHOT, records="rows"), "records: must be left out of a snapshot"),
    (changed(SNAPSHOT, function=FUNCTION), "function: must be left out of a snapshot"),
    (changed(SNAPSHOT, sweep__schedule="rate(1 day)"), "sweep: must be left out of a snapshot"),
    (changed(SNAPSHOT, paging__style="link"), "paging.style: must be none in a snapshot"),
    (changed(SNAPSHOT, url="http://o.example/{cursor}"), "url: must not hold {cursor} in a snapshot"),
]


@pytest.mark.parametrize(("raw", "problem"), BAD, ids=[problem for _, problem in BAD])
def test_a_bad_setting_is_the_one_problem(raw: dict[str, Any], problem: str) -> None:
    (only,) = problems(raw)
    assert only.startswith(f"sources.{raw['name']}.{problem}")


def test_every_problem_is_told_at_once() -> None:
    raw = changed(CHANGES, records="[", id="]", url="ftp://x", attempts=0, headers={"X Y": "1"}, sweep__schedule="x")
    assert [problem.partition(":")[0] for problem in problems(raw)] == [
        "sources.articles.url",
        "sources.articles.headers.X Y",
        "sources.articles.records",
        "sources.articles.id",
        "sources.articles.attempts",
        "sources.articles.sweep.schedule",
    ]


@pytest.mark.parametrize("name", [None, "", "A", "a_b", "a/b", 7, ["a"], "a" * 64])
def test_a_source_without_a_usable_name_is_told_by_a_question_mark(name: Any) -> None:
    assert problems(changed(CHANGES, name=name)) == [f"sources.?.name: {NAME_RULE}"]


@pytest.mark.parametrize("raw", [None, [], "x", 1, True])
def test_settings_are_an_object(raw: object) -> None:
    assert problems(raw) == ["sources.? must be an object"]


NAMES = st.text() | st.sampled_from(sorted(CHANGES))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["{cursor}", "http://x/{"]),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text() | st.sampled_from(sorted(CHANGES)), part, max_size=5)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON)
def test_nothing_but_a_bad_source_is_ever_raised(raw: object) -> None:
    assert all(problem.startswith("sources.") for problem in problems(raw))


@settings(deadline=None)
@given(st.sampled_from([CHANGES, LEAST, SNAPSHOT, BY_FUNCTION]), st.sampled_from(sorted(CHANGES)), JSON)
def test_nothing_but_a_bad_source_is_raised_by_one_bad_setting(base: dict[str, Any], field: str, value: object) -> None:
    problems(base | {field: value})


@settings(deadline=None)
@given(
    st.sampled_from([(name, inner) for name, part in CHANGES.items() if isinstance(part, dict) for inner in part]), JSON
)
def test_nothing_but_a_bad_source_is_raised_by_one_bad_setting_within(place: tuple[str, str], value: object) -> None:
    name, inner = place
    problems(changed(CHANGES, **{name: CHANGES[name] | {inner: value}}))


COLLECTIONS = {
    "articles": Collection("articles", "public"),
    "baskets": Collection("baskets", "owner"),
    "rates": Collection("rates", "authenticated"),
}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (changed(LEAST), None),
        (changed(SNAPSHOT), None),
        (changed(LEAST, collection="baskets", owner="customer"), None),
        (changed(BY_FUNCTION, collection="baskets"), None),
        (changed(LEAST, collection="other"), "collection: no such collection is declared"),
        (changed(LEAST, collection="baskets"), "owner: is needed"),
        (changed(LEAST, owner="customer"), "owner: is for owner collections only"),
        (changed(SNAPSHOT, collection="baskets"), "collection: is an owner collection"),
        (changed(CHANGES, collection="baskets", owner="customer"), "sweep: isn't there for owner collections"),
    ],
)
def test_a_source_fits_its_collection(raw: dict[str, Any], problem: str | None) -> None:
    found = problems(raw, COLLECTIONS)
    assert [text.startswith(f"sources.{raw['name']}.{problem}") for text in found] == ([True] if problem else [])


@pytest.mark.parametrize(
    ("page", "link", "where"),
    [
        ("https://o.example/a/b?x=1", "/c?n=2", "https://o.example/c?n=2"),
        ("https://o.example/a/b?x=1", "?n=2", "https://o.example/a/b?n=2"),
        ("https://o.example/a/b", "https://O.EXAMPLE:443/c", "https://O.EXAMPLE:443/c"),
        ("https://o.example/a/b", "http://o.example/c", None),
        ("https://o.example/a/b", "https://o.example:8443/c", None),
        ("https://o.example/a/b", "//evil.example/c", None),
        ("https://o.example/a/b", "https://o.example@evil.example/c", None),
        ("https://o.example/a/b", "https://o.example.evil.example/c", None),
        ("https://o.example/a/b", "javascript:alert(1)", None),
        ("https://o.example/a/b", "https://[", None),
        ("https://o.example/a/b", "https://o.example:99999/", None),
    ],
)
def test_a_next_link_stays_on_the_origin(page: str, link: str, where: str | None) -> None:
    assert next_url(page, link) == where


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("HTTP://O.example/x") == ("http", "o.example", 80) == origin("http://o.example:80")
    assert origin("https://[::1]:8443/") == ("https", "::1", 8443)
    assert [origin(url) for url in ("", "x", "file:///x", "http://", "http://:80/", "http://o:0x50/")] == [None] * 6


def test_a_parameter_is_set_and_the_rest_of_the_url_stays_to_the_letter() -> None:
    url = "http://o.example/a?x=%2f&page=1&y=a+b&z&page=2"
    assert with_parameter(url, "page", "3") == "http://o.example/a?x=%2f&y=a+b&z&page=3"
    assert with_parameter("http://o.example/a", "p g", "a&b=c/é") == "http://o.example/a?p%20g=a%26b%3Dc%2F%C3%A9"
    assert with_parameter("http://o.example/a?p+g=1&p%20g=2", "p g", "3") == "http://o.example/a?p%20g=3"
    source: Source = parse_source(changed(LEAST, paging={"style": "page", "parameter": "p"}))
    assert source.page_url(source.url_at(None), 2) == "http://office.example/articles.json?p=2"
