from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import pytest

from readplane.apply.handler import ApplySettings
from readplane.config import VARIABLE, SettingsError, load_settings
from readplane.model.freshness import DeclaredSource
from readplane.publish.handler import PublishSettings
from readplane.read.handler import ReadSettings
from readplane.write.handler import WriteSettings
from tests.unit.support import settings_text

PRODUCTS = {"read": "public", "write_groups": ["editors"], "cache_ttl": 60}
GOOD: dict[str, Any] = {
    "name": "demo",
    "region": "eu-central-1",
    "client_ids": ["web", "mobile"],
    "cors_origins": [],
    "delivery_stream": "demo",
    "schemas": {"bucket": "b", "key": "k", "version_id": "null", "sha256": "0"},
    "items_table": "t",
    "items_index": "by_collection",
    "documents_bucket": None,
    "pending_seconds": 900,
    "horizon_days": 30,
    "queue_url": "q",
    "log_bucket": "b",
    "quarantine_prefix": "quarantine/",
    "collections": {"products": PRODUCTS},
}


@pytest.mark.parametrize(
    ("settings_class", "change"),
    [
        (WriteSettings, {}),
        (ReadSettings, {}),
        (ReadSettings, {"documents_bucket": "d"}),
        (ApplySettings, {}),
        (PublishSettings, {"documents_bucket": "d"}),
        (PublishSettings, {"documents_bucket": "d", "collections": {"products": {**PRODUCTS, "moved": True}}}),
    ],
)
def test_good_settings_load(settings_class: Any, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | change))
    settings = load_settings(settings_class)
    assert settings.name == "demo"
    products = settings.collections["products"]
    assert (products.read, products.write_groups, products.cache_ttl) == ("public", ("editors",), 60)
    assert products.moved is ("collections" in change)


@pytest.mark.parametrize("moved", ["true", 1, 0, []])
def test_a_truth_value_is_true_or_false(moved: object, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"documents_bucket": "d", "collections": {"products": {**PRODUCTS, "moved": moved}}}
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | bad))
    with pytest.raises(SettingsError, match=r"collections\.products\.moved must be true or false"):
        load_settings(PublishSettings)


def test_a_whole_number_may_be_null_if_its_annotation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for edge_ttl in (None, 0, 300):
        good = {"documents_bucket": "d", "collections": {"products": {**PRODUCTS, "edge_ttl": edge_ttl}}}
        monkeypatch.setenv(VARIABLE, settings_text(GOOD | good))
        assert load_settings(PublishSettings).collections["products"].edge_ttl == edge_ttl
    bad = {"documents_bucket": "d", "collections": {"products": {**PRODUCTS, "edge_ttl": -1}}}
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | bad))
    with pytest.raises(SettingsError, match=r"collections\.products\.edge_ttl must be a whole number"):
        load_settings(PublishSettings)


@pytest.mark.parametrize("settings_class", [WriteSettings, ReadSettings, ApplySettings, PublishSettings])
def test_an_error_lists_every_problem(settings_class: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text({"collections": {"c": {"read": "everybody", "cache_ttl": -1}}}))
    with pytest.raises(SettingsError) as caught:
        load_settings(settings_class)
    message = str(caught.value)
    for part in ("name must be", "collections.c.read must be one of public", "collections.c.cache_ttl must be"):
        assert part in message
    if settings_class is ReadSettings:
        for part in ("client_ids", "items_table", "pending_seconds", "horizon_days"):
            assert part in message


def test_read_settings_hold_the_sources_that_feed_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD))
    assert load_settings(ReadSettings).sources == {}
    sources: dict[str, Any] = {"shop": {"collection": "products", "staleness_budget": 300}}
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"sources": sources}))
    assert load_settings(ReadSettings).sources == {"shop": DeclaredSource("shop", "products", 300)}
    assert load_settings(ReadSettings).sources["shop"].staleness_budget_ms == 300_000
    wrong: list[Any] = [[], {"shop": None}, {"shop": {"collection": "nope", "staleness_budget": 1}}]
    for sources_value in wrong:
        monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"sources": sources_value}))
        with pytest.raises(SettingsError, match="sources"):
            load_settings(ReadSettings)
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"sources": {"shop": {"collection": "nope"}}}))
    with pytest.raises(SettingsError) as caught:
        load_settings(ReadSettings)
    assert "sources.shop.collection must be a declared collection" in str(caught.value)
    assert "sources.shop.staleness_budget must be a whole number" in str(caught.value)


def test_collections_of_the_wrong_kind_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"collections": {"a": None, "b": {"read": []}}}))
    with pytest.raises(SettingsError) as caught:
        load_settings(ApplySettings)
    assert str(caught.value).count("collections.") == 2


@pytest.mark.parametrize("text", ["", "e30=", "{}", "%%%", settings_text([]), "H4sIAAAAAAAAA" + "/" * 40 + "==="])
def test_an_error_names_the_variable_that_holds_no_settings(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(WriteSettings)
    assert VARIABLE in str(caught.value)


class Bucket(NamedTuple):
    region: str
    kind: Literal["old", "new"] = "new"


class Thing(NamedTuple):
    name: str
    size: int = 1


class EveryKind(NamedTuple):
    text: str
    optional: str | None
    number: int
    texts: tuple[str, ...]
    text_set: frozenset[str]
    bucket: Bucket
    buckets: tuple[Bucket, ...]
    things: Mapping[str, Thing]
    second_bucket: Bucket | None = None
    anything: Any = None


def test_each_annotation_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "text": "t",
        "optional": None,
        "number": 0,
        "texts": ["b", "a", "b"],
        "text_set": ["b", "a", "b"],
        "bucket": {"region": "here", "kind": "old"},
        "buckets": [{"region": "here"}, {"region": "there", "kind": None}],
        "things": {"one": {}, "two": {"size": 2}},
        "second_bucket": {"region": "there"},
        "anything": {"port": 6379},
        "nothing": "ignored",
    }
    monkeypatch.setenv(VARIABLE, settings_text(values))
    assert load_settings(EveryKind) == EveryKind(
        text="t",
        optional=None,
        number=0,
        texts=("b", "a", "b"),
        text_set=frozenset({"a", "b"}),
        bucket=Bucket("here", "old"),
        buckets=(Bucket("here"), Bucket("there")),
        things={"one": Thing("one"), "two": Thing("two", 2)},
        second_bucket=Bucket("there"),
        anything={"port": 6379},
    )


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("text", None, "text must be a text that isn't empty"),
        ("text", "", "text must be a text that isn't empty"),
        ("optional", 5, "optional must be a text that isn't empty"),
        ("number", True, "number must be a whole number, not negative"),
        ("number", 1.5, "number must be a whole number, not negative"),
        ("number", -1, "number must be a whole number, not negative"),
        ("texts", "a", "texts must be a list of texts"),
        ("text_set", [1], "text_set must be a list of texts"),
        ("bucket", "b", "bucket.region must be a text that isn't empty"),
        ("bucket", {"region": "here", "kind": "odd"}, "bucket.kind must be one of old, new"),
        ("buckets", {}, "buckets must be a list"),
        ("buckets", [{"region": "here"}, 5], "buckets.1.region must be a text that isn't empty"),
        ("second_bucket", {"region": ""}, "second_bucket.region must be a text that isn't empty"),
        ("second_bucket", "b", "second_bucket.region must be a text that isn't empty"),
        ("things", [], "things must be an object"),
        ("things", {"one": 1}, "things.one must be an object"),
        ("things", {"one": {"size": "1"}}, "things.one.size must be a whole number, not negative"),
    ],
)
def test_each_annotation_refuses_other_values(
    field: str, value: object, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {
        "text": "t",
        "number": 0,
        "texts": [],
        "text_set": [],
        "bucket": {"region": "here"},
        "buckets": [],
        "things": {},
    }
    monkeypatch.setenv(VARIABLE, settings_text({**good, field: value}))
    with pytest.raises(SettingsError) as caught:
        load_settings(EveryKind)
    assert str(caught.value) == f"{VARIABLE}: {problem}"
