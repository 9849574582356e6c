"""Tests of reading a source's settings, of the rules that only Python can check, and of the error texts.

terraform/tests/validations_sources.tftest.hcl tests all other rules.
"""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readplane.model.collection import Collection
from readplane.poll.errors import SourceError
from readplane.poll.source.functions import columns
from readplane.poll.source.functions.columns import ColumnsAndRows
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import (
    BreakerSettings,
    CursorSettings,
    OAuth2Settings,
    SecretSettings,
    StoredSecret,
    SweepSettings,
)
from tests.unit.poll.source.samples import ARN, BY_FUNCTION, CHANGES, MINIMAL, SNAPSHOT, changed
from tests.unit.poll.upstream.certificates import Authority


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
    assert source.secret == SecretSettings(ARN, "Authorization", None, None, "Bearer {secret}", "token")
    assert source.secret.value("s") == "Bearer s"
    assert source.records and source.records.search({"rows": [1]}) == [1]
    assert source.id and source.id.search({"no": "a"}) == "a"
    assert source.version and source.version.format == "rfc3339" and source.version.expression.search({"changed": 1})
    assert source.deleted and source.deleted.search({"removed": 1}) is True
    assert source.translation and source.translation.search({"name": "n", "x": 1}) == {"name": "n"}
    assert source.paging.style == "link" and source.paging.next and source.paging.next.text == "next_url"
    assert source.cursor == CursorSettings(None, None, "2020-01-01T00:00:00Z", None)
    assert source.breaker == BreakerSettings(2, 10)
    assert source.sweep == SweepSettings("rate(1 day)", "https://office.example/all.json", None, 5)
    assert (source.lag_seconds, source.timeout_seconds, source.attempts, source.max_pages) == (30, 5, 2, 10)
    assert (source.max_seconds, source.requests_per_second, source.max_bytes) == (20, 2.5, 2048)
    assert (source.staleness_budget, source.document, source.schedule) == (300, "current", "rate(1 minute)")
    assert source.owner is None and source.function is None
    assert source.versioned and source.incremental
    assert parse_source(CHANGES) == source


def test_a_setting_that_a_source_can_do_without_may_be_null_or_missing() -> None:
    source = parse_source(MINIMAL)
    assert (source.headers, source.secret, source.version, source.cursor, source.sweep) == ({}, None, None, None, None)
    assert (source.paging.style, source.paging.first, source.paging.size) == ("none", None, None)
    assert not source.versioned and not source.incremental
    assert source.main_list(None).url_of_page(None) == source.sweep_list().url_of_page(None) == MINIMAL["url"]
    optional = ("secret", "version", "deleted", "owner", "function", "cursor", "requests_per_second", "sweep")
    assert parse_source({**MINIMAL, **dict.fromkeys(optional)}) == source


@pytest.mark.parametrize(
    "field",
    sorted(MINIMAL.keys() - {"records", "id", "translation", "conditional", "max_refused_percent"}),
    ids=lambda field: f"without_{field}",
)
def test_a_required_setting_that_is_missing_is_the_only_problem(field: str) -> None:
    """Terraform sends all of them, because it also sends the defaults. `poll` has no defaults of its own."""
    name = "?" if field == "name" else "articles"
    assert problems({**MINIMAL, field: None}) == [f"sources.{name}.{field}: is needed"]
    assert problems({key: value for key, value in MINIMAL.items() if key != field}) == [
        f"sources.{name}.{field}: is needed"
    ]


def test_a_snapshot_or_a_function_needs_fewer_settings() -> None:
    assert parse_source(SNAPSHOT).mode == "snapshot"
    source = parse_source(BY_FUNCTION)
    assert isinstance(source.function, ColumnsAndRows) and source.versioned and not source.incremental


WRONG_TYPES: list[tuple[str, Any, str]] = [
    ("url", 7, "must be a string that isn't empty"),
    ("url", "", "must be a string that isn't empty"),
    ("mode", "poll", "must be one of changes, snapshot"),
    ("mode", ["changes"], "must be one of changes, snapshot"),
    ("headers", ["X"], "must be an object"),
    ("headers", {"X-Y": 1}, "X-Y: must be a string"),
    ("secret", "arn", "must be an object"),
    ("secret__arn", None, "is needed"),
    ("secret__field", "", "must be a string that isn't empty"),
    ("secret__value", "s3cret", "no such field"),
    ("version", "changed", "must be an object"),
    ("version__expression", None, "is needed"),
    (
        "version__format",
        "epoch",
        "must be one of rfc3339, unix_s, unix_ms, unix_us, date, dotnet, or a pattern such as",
    ),
    ("cursor__format", "iso", "must be one of rfc3339, unix_s, unix_ms, unix_us, date, dotnet, or a pattern such as"),
    ("version__format", 7, "must be one of rfc3339"),
    ("version__format", "%H:%M", "leaves the year open"),
    ("version__zone", "Berlin", "isn't a time zone; use a name such as Europe/Berlin"),
    ("version__zone", "", "must be a string that isn't empty"),
    ("cursor__zone", 7, "must be a string that isn't empty"),
    ("conditional", "yes", "must be true or false"),
    ("paging__end_status", 404, "must be a list"),
    ("paging__end_status", ["404"], "[0]: must be a whole number"),
    ("paging__more", "[", "isn't JMESPath"),
    ("expect", "]", "isn't JMESPath"),
    ("payload__format", "yaml", "must be one of json, csv, xml"),
    ("payload__charset", "klingon", "isn't a known character set"),
    ("payload__charset", "idna", "isn't a known character set"),
    ("payload__charset", "rot13", "isn't a known character set"),
    ("payload__charset", "../x", "isn't a known character set"),
    ("paging__style", "scroll", "must be one of none, link, page, offset, token"),
    ("paging__first", "1", "must be a whole number"),
    ("paging__sise", 1, "no such field"),
    ("lag_seconds", "60", "must be a number"),
    ("lag_seconds", True, "must be a number"),
    ("attempts", 1.5, "must be a whole number"),
    ("attempts", True, "must be a whole number"),
    ("breaker__failures", "5", "must be a whole number"),
    ("sweep__schedule", 7, "must be a string that isn't empty"),
    ("colection", "x", "no such field"),
]


@pytest.mark.parametrize(("setting", "value", "problem"), WRONG_TYPES)
def test_a_setting_of_the_wrong_type_is_the_only_problem(setting: str, value: Any, problem: str) -> None:
    (found,) = problems(changed(CHANGES, **{setting: value}))
    assert found.startswith(f"sources.articles.{setting.replace('__', '.')}") and problem in found


BAD_EXPRESSIONS: list[tuple[str, str, str]] = [
    ("records", "rows[", "isn't JMESPath: "),
    ("id", "nothing(no)", "isn't JMESPath: there is no function nothing()"),
    ("version__expression", "a..b", "isn't JMESPath: "),
    ("deleted", "removed ==", "isn't JMESPath: "),
    ("owner", "]", "isn't JMESPath: "),
    ("translation", "{name: }", "isn't JMESPath: "),
    ("paging__next", "[", "isn't JMESPath: "),
]


@pytest.mark.parametrize(("setting", "expression", "problem"), BAD_EXPRESSIONS)
def test_an_expression_that_does_not_compile_is_the_only_problem(setting: str, expression: str, problem: str) -> None:
    (found,) = problems(changed(CHANGES, **{setting: expression}))
    assert found.startswith(f"sources.articles.{setting.replace('__', '.')}: {problem}")


@pytest.mark.parametrize(
    "function",
    [
        "os:system",
        "readplane.poll.handler:make_poll",
        "readplane.poll.source.functions.columns",
        "readplane.poll.source.functions..os:system",
        "readplane.poll.source.functions.nothing:X",
        "readplane.poll.source.functions.columns:Nothing",
        "readplane.poll.source.functions.columns:Mapping",
    ],
)
def test_a_function_that_is_not_a_class_of_the_package_functions_is_refused(function: str) -> None:
    (found,) = problems(changed(BY_FUNCTION, function=function))
    assert found.startswith("sources.articles.function: can't be imported and called")


class WithoutItem:
    versioned: Any = True

    def page(self, payload: object) -> None: ...


class WithoutVersioned(WithoutItem):
    versioned: Any = "yes"

    def item(self, record: object) -> None: ...


class WithoutTimes(WithoutVersioned):
    versioned = False


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (WithoutItem, "function: must have the methods `page` and `item`"),
        (WithoutVersioned, "function: must have the attribute `versioned`"),
        (WithoutTimes, "url: holds {cursor}, but the function's records have no modification time"),
    ],
)
def test_a_function_that_does_not_fit_its_source_is_refused(
    function: type, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "Misfit", function, raising=False)
    url = "http://office.example/{cursor}"
    raw = changed(BY_FUNCTION, url=url, cursor__format="unix_s", function=f"{columns.__name__}:Misfit")
    (found,) = problems(raw)
    assert found.startswith(f"sources.articles.{problem}")
    assert problems({**raw, "url": "http://office.example/"}) == ([] if function is WithoutTimes else [found])


def test_every_problem_is_reported_at_once() -> None:
    raw = changed(
        CHANGES, records="[", id="]", url=None, attempts="3", headers={"X-Y": 1}, sweep__max_deletes_percent=None
    )
    assert [problem.partition(":")[0] for problem in problems(raw | {"collection": "nowhere", "x": 1}, {})] == [
        "sources.articles.x",
        "sources.articles.url",
        "sources.articles.headers.X-Y",
        "sources.articles.records",
        "sources.articles.id",
        "sources.articles.attempts",
        "sources.articles.sweep.max_deletes_percent",
        "sources.articles.collection",
    ]


@pytest.mark.parametrize("name", [None, "", 7, ["a"]])
def test_a_question_mark_stands_for_a_name_that_cannot_be_used(name: Any) -> None:
    (found,) = problems(changed(CHANGES, name=name))
    assert found.startswith("sources.?.name: ")


@pytest.mark.parametrize("raw", [None, [], "x", 1, True])
def test_settings_must_be_an_object(raw: object) -> None:
    assert problems(raw) == ["sources.?: must be an object"]


CERTIFICATE, OTHER_CERTIFICATE = Authority("private authority").pem, Authority("another authority").pem
FAKE_CERTIFICATE = (
    "-----BEGIN CERTIFICATE-----\n"
    + base64.encodebytes(b"\x30\x82\x01\x00" + bytes(256)).decode()
    + "-----END CERTIFICATE-----\n"
)


@pytest.mark.parametrize("pem", [CERTIFICATE, f"# ü\n{CERTIFICATE}\n{OTHER_CERTIFICATE}".replace("\n", "\r\n")])
def test_certificates_in_pem_are_accepted(pem: str) -> None:
    assert not problems(changed(CHANGES, tls={"ca_pem": pem}))
    assert not problems(changed(CHANGES, tls={"client_certificate": {"arn": ARN}}))


@pytest.mark.parametrize(
    "pem",
    [
        "hidden",
        FAKE_CERTIFICATE,
        CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY"),
        CERTIFICATE + CERTIFICATE.replace("CERTIFICATE", "PRIVATE KEY"),
        CERTIFICATE[:-40],
        CERTIFICATE + OTHER_CERTIFICATE[:-40],
        CERTIFICATE + OTHER_CERTIFICATE.partition("\n")[2],
        CERTIFICATE[:100] + CERTIFICATE[102:],
        CERTIFICATE[:100] + CERTIFICATE[104:],
        CERTIFICATE + OTHER_CERTIFICATE[:100] + OTHER_CERTIFICATE[104:],
        CERTIFICATE[:100] + "?" + CERTIFICATE[101:],
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----",
    ],
)
def test_a_text_that_is_not_certificates_in_pem_is_the_only_problem(pem: str) -> None:
    assert problems(changed(CHANGES, tls={"ca_pem": pem})) == [
        "sources.articles.tls.ca_pem: isn't a list of certificates in PEM; copy the whole file of the authority"
    ]


def test_a_list_of_deleted_records_is_read() -> None:
    deletes = {"url": "https://o.example/gone", "records": "rows", "id": "no", "version": CHANGES["version"]}
    source = parse_source(changed(CHANGES, deletes=deletes))
    assert source.deletes and source.deletes.paging.style == "none" and source.deletes.request is None
    assert problems(changed(CHANGES, deletes=deletes | {"id": "["}))[0].startswith("sources.articles.deletes.id: ")


def test_the_secret_of_oauth_2_is_read() -> None:
    oauth2 = {"token_url": "https://id.example/", "client_id": "c", "secret": {"arn": ARN}}
    source = parse_source(changed(CHANGES, secret=None, oauth2=oauth2))
    assert source.oauth2 == OAuth2Settings(
        "https://id.example/", "client_credentials", "c", "basic", None, {}, StoredSecret(ARN, None)
    )


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


def test_the_collection_must_be_one_of_the_functions_own_settings() -> None:
    """A schedule may be older than the function: then it may name a collection that the function no longer has."""
    assert not problems(MINIMAL, {"articles": Collection("articles", "public")})
    assert problems(MINIMAL, {"others": Collection("others", "public")}) == [
        "sources.articles.collection: no such collection is declared"
    ]
