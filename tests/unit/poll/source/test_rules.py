"""Tests of the rules for a source's settings, of the settings' defaults, and of the error texts for bad settings."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.model.collection import Collection
from readplane.poll.errors import SourceError
from readplane.poll.source.functions.columns import ColumnsAndRows
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import BreakerSettings, CursorSettings, SecretHeader, SweepSettings
from tests.unit.poll.source.samples import ARN, BY_FUNCTION, CHANGES, FUNCTION, MINIMAL, SNAPSHOT, changed


def problems(raw: object, collections: Mapping[str, Collection] | None = None) -> list[str]:
    try:
        parse_source(raw, collections)
    except SourceError as error:
        assert str(error) == "; ".join(error.problems) and error.problems
        return error.problems
    return []


def test_every_setting_is_read() -> None:
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


@pytest.mark.parametrize("unset", [{}, {"headers": None, "paging": None, "breaker": None, "cursor": {}, "sweep": None}])
def test_a_setting_that_is_left_out_takes_its_default(unset: dict[str, Any]) -> None:
    source = parse_source(MINIMAL | unset)
    assert (source.headers, source.secret, source.version, source.cursor, source.sweep) == ({}, None, None, None, None)
    assert (source.paging.style, source.paging.first, source.breaker) == ("none", 1, BreakerSettings(5, 30))
    assert (source.lag_seconds, source.timeout_seconds, source.attempts, source.max_pages) == (60, 10, 3, 100)
    assert (source.max_seconds, source.requests_per_second, source.max_bytes) == (45, None, 8 * 1024 * 1024)
    assert not source.versioned and not source.incremental
    assert source.url_at(None) == source.sweep_url() == MINIMAL["url"]


def test_a_snapshot_or_a_function_needs_fewer_settings() -> None:
    assert parse_source(SNAPSHOT).mode == "snapshot"
    source = parse_source(BY_FUNCTION)
    assert isinstance(source.function, ColumnsAndRows) and source.versioned and not source.incremental


NAME_RULE = "must be 1 to 63 lower-case letters, digits and hyphens, the first a letter"


BAD: list[tuple[dict[str, Any], str]] = [
    (changed(CHANGES, mode="poll"), "mode: must be one of changes, snapshot"),
    (changed(CHANGES, collection="A"), f"collection: {NAME_RULE}"),
    (changed(CHANGES, collection="sources"), "collection: can't be `sources`"),
    (changed(CHANGES, url=None), "url: is needed"),
    (changed(CHANGES, url=7), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="ftp://office.example/"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="//office.example/"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http:///x"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http://office.example:port/"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http://[::1/"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http://office.example/a b"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http://office.example/\r\nX: y"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http://bücher.example/"), "url: must be an http(s) URL"),
    (changed(MINIMAL, url="http://me:mine@office.example/"), "url: must not hold a user"),
    (changed(MINIMAL, url="http://office.example/#top"), "url: must not hold a fragment"),
    (changed(MINIMAL, url="http://office.example/#"), "url: must not hold a fragment"),
    (changed(MINIMAL, url="http://office.example/{id}"), "url: {cursor} is the only placeholder"),
    (changed(CHANGES, url="http://office.example/{cursor}}", sweep=None), "url: {cursor} is the only placeholder"),
    (changed(CHANGES, url="http://{cursor}.example/", sweep=None), "url: {cursor} may stand in the path"),
    (changed(MINIMAL, url="http://office.example/{cursor}"), "url: holds {cursor}, but no `version`"),
    (changed(MINIMAL, cursor__initial="0"), "cursor.initial: means nothing without {cursor}"),
    (changed(MINIMAL, cursor__format="unix_s"), "cursor.format: means nothing without {cursor}"),
    (changed(CHANGES, cursor__format="iso"), "cursor.format: must be one of rfc3339, unix_s, unix_ms"),
    (changed(BY_FUNCTION, url="http://o.example/{cursor}"), "cursor.format: is needed when a function"),
    (changed(CHANGES, headers=["X"]), "headers: must be an object"),
    (changed(CHANGES, headers={"X Y": "1"}), "headers.X Y: isn't the name of a header"),
    (changed(CHANGES, headers={"X-Y": "a\r\nb"}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": " a"}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": "ü"}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": 1}), "headers.X-Y: must be printable"),
    (changed(CHANGES, headers={"X-Y": "1", "x-y": "2"}), "headers.x-y: is set twice"),
    (changed(MINIMAL, headers={"authorization": "Basic eA=="}), "headers.authorization: would be readable"),
    (changed(MINIMAL, headers={"Cookie": "a=b"}), "headers.Cookie: would be readable"),
    (changed(MINIMAL, headers={"Host": "x"}), "headers.Host: is set by Readplane"),
    (changed(MINIMAL, headers={"If-None-Match": "x"}), "headers.If-None-Match: is set by Readplane"),
    (changed(CHANGES, secret__arn="back-office"), "secret.arn: must be the ARN"),
    (changed(CHANGES, secret__arn="arn:aws:s3:::bucket"), "secret.arn: must be the ARN"),
    (changed(CHANGES, secret__header="X Y"), "secret.header: must be the name of a header"),
    (changed(CHANGES, secret__header="host"), "secret.header: is set by Readplane"),
    (changed(CHANGES, secret__header="x-tenant"), "secret.header: is also set in `headers`"),
    (changed(CHANGES, secret__format="Bearer"), "secret.format: must hold {secret} once"),
    (changed(CHANGES, secret__format="{secret}\n"), "secret.format: must be printable"),
    (changed(CHANGES, secret__field=""), "secret.field: must be the name of a field"),
    (changed(CHANGES, records=None), "records: is needed unless `function` is set"),
    (changed(CHANGES, records="rows["), "records: isn't JMESPath: "),
    (changed(CHANGES, id="nothing(no)"), "id: isn't JMESPath: there is no function nothing()"),
    (changed(CHANGES, id=""), "id: must be a JMESPath expression"),
    (changed(CHANGES, translation=None), "translation: is needed unless `function` is set"),
    (changed(CHANGES, version__expression=None), "version.expression: must be a JMESPath expression"),
    (changed(CHANGES, version__expression="a..b"), "version.expression: isn't JMESPath: "),
    (changed(CHANGES, version__format="epoch"), "version.format: must be one of rfc3339, unix_s, unix_ms"),
    (changed(CHANGES, version="changed"), "version: must be an object"),
    (changed(CHANGES, paging__style="scroll"), "paging.style: must be one of none, link, page, offset, token"),
    (changed(CHANGES, paging__next="["), "paging.next: isn't JMESPath: "),
    (changed(MINIMAL, paging={"style": "token", "parameter": "t"}), "paging.next: must say where the token is"),
    (changed(CHANGES, paging__style="token"), "paging.parameter: must name the query parameter of style token"),
    (changed(MINIMAL, paging__style="page"), "paging.parameter: must name the query parameter of style page"),
    (changed(MINIMAL, paging={"style": "offset", "parameter": "at", "next": "n"}), "paging.next: is for the styles"),
    (changed(CHANGES, paging__parameter="page"), "paging.parameter: is for the styles page, offset, token"),
    (changed(MINIMAL, paging={"style": "page", "parameter": "p", "first": -1}), "paging.first: must be a whole number"),
    (changed(MINIMAL, paging={"style": "page", "parameter": "p", "size": 0}), "paging.size: must be a whole number"),
    (changed(BY_FUNCTION, records="rows"), "records: must be left out when a function translates"),
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
    (changed(BY_FUNCTION, paging={"style": "link", "next": "n"}), "paging.next: must be left out when a function"),
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
def test_a_bad_setting_is_the_only_problem(raw: dict[str, Any], problem: str) -> None:
    (found,) = problems(raw)
    assert found.startswith(f"sources.{raw['name']}.{problem}")


def test_every_problem_is_reported_at_once() -> None:
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
def test_a_question_mark_stands_for_a_name_that_cannot_be_used(name: Any) -> None:
    assert problems(changed(CHANGES, name=name)) == [f"sources.?.name: {NAME_RULE}"]


@pytest.mark.parametrize("raw", [None, [], "x", 1, True])
def test_settings_must_be_an_object(raw: object) -> None:
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
def test_any_settings_raise_only_a_source_error(raw: object) -> None:
    assert all(problem.startswith("sources.") for problem in problems(raw))


@settings(deadline=None)
@given(st.sampled_from([CHANGES, MINIMAL, SNAPSHOT, BY_FUNCTION]), st.sampled_from(sorted(CHANGES)), JSON)
def test_one_bad_setting_raises_only_a_source_error(base: dict[str, Any], field: str, value: object) -> None:
    problems(base | {field: value})


@settings(deadline=None)
@given(
    st.sampled_from([(name, inner) for name, part in CHANGES.items() if isinstance(part, dict) for inner in part]), JSON
)
def test_one_bad_setting_of_a_part_raises_only_a_source_error(setting: tuple[str, str], value: object) -> None:
    name, inner = setting
    problems(changed(CHANGES, **{name: CHANGES[name] | {inner: value}}))


COLLECTIONS = {
    "articles": Collection("articles", "public"),
    "baskets": Collection("baskets", "owner"),
    "rates": Collection("rates", "authenticated"),
}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (changed(MINIMAL), None),
        (changed(SNAPSHOT), None),
        (changed(MINIMAL, collection="baskets", owner="customer"), None),
        (changed(BY_FUNCTION, collection="baskets"), None),
        (changed(MINIMAL, collection="other"), "collection: no such collection is declared"),
        (changed(MINIMAL, collection="baskets"), "owner: is needed"),
        (changed(MINIMAL, owner="customer"), "owner: is for owner collections only"),
        (changed(SNAPSHOT, collection="baskets"), "collection: is an owner collection"),
        (changed(CHANGES, collection="baskets", owner="customer"), "sweep: can't be used with an owner collection"),
    ],
)
def test_a_source_must_fit_its_collection(raw: dict[str, Any], problem: str | None) -> None:
    assert [text.startswith(f"sources.{raw['name']}.{problem}") for text in problems(raw, COLLECTIONS)] == (
        [True] if problem else []
    )
