from collections.abc import Callable
from typing import Any

import pytest

from readplane.apply.handler import apply_settings
from readplane.config import VARIABLE, SettingsError
from readplane.model.freshness import DeclaredSource
from readplane.publish.handler import publish_settings
from readplane.read.handler import read_settings
from readplane.write.handler import write_settings
from tests.unit.support import settings_text

GOOD: dict[str, Any] = {
    "name": "demo",
    "region": "eu-central-1",
    "client_ids": ["web", "mobile"],
    "cors_origins": [],
    "delivery_stream": "demo",
    "schemas": {"bucket": "b", "key": "k", "sha256": "0"},
    "items_table": "t",
    "items_index": "by_collection",
    "documents_bucket": None,
    "pending_seconds": 900,
    "horizon_days": 30,
    "queue_url": "q",
    "log_bucket": "b",
    "quarantine_prefix": "quarantine/",
    "collections": {"products": {"read": "public", "write_groups": ["editors"], "cache_ttl": 60}},
}


@pytest.mark.parametrize(
    ("load", "change"),
    [
        (write_settings, {}),
        (read_settings, {}),
        (read_settings, {"documents_bucket": "d"}),
        (apply_settings, {}),
        (publish_settings, {"documents_bucket": "d"}),
    ],
)
def test_good_settings_load(load: Callable[[], Any], change: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | change))
    settings = load()
    assert settings.name == "demo"
    products = settings.collections["products"]
    assert (products.read, products.write_groups, products.cache_ttl) == ("public", ("editors",), 60)


@pytest.mark.parametrize("load", [write_settings, read_settings, apply_settings, publish_settings])
def test_every_problem_is_told_at_once(load: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text({"collections": {"c": {"read": "everybody", "cache_ttl": -1}}}))
    with pytest.raises(SettingsError) as caught:
        load()
    message = str(caught.value)
    for part in ("name must be", "collections.c.read must be one of public", "collections.c.cache_ttl must be"):
        assert part in message
    if load is read_settings:
        for part in ("client_ids", "items_table", "pending_seconds", "horizon_days"):
            assert part in message


def test_the_sources_that_feed_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD))
    assert read_settings().sources == {}
    sources: dict[str, Any] = {"shop": {"collection": "products", "staleness_budget": 300}}
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"sources": sources}))
    assert read_settings().sources == {"shop": DeclaredSource("shop", "products", 300_000)}
    odd: list[Any] = [[], {"shop": None}, {"shop": {"collection": "nope", "staleness_budget": 1}}]
    for wrong in odd:
        monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"sources": wrong}))
        with pytest.raises(SettingsError, match="sources"):
            read_settings()
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"sources": {"shop": {"collection": "nope"}}}))
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert "sources.shop.collection must be a declared collection" in str(caught.value)
    assert "sources.shop.staleness_budget must be a whole number" in str(caught.value)


def test_odd_entries_are_problems_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, settings_text(GOOD | {"collections": {"a": None, "b": {"read": []}}}))
    with pytest.raises(SettingsError) as caught:
        apply_settings()
    assert str(caught.value).count("collections.") == 2


@pytest.mark.parametrize("text", ["", "e30=", "{}", "%%%", settings_text([]), "H4sIAAAAAAAAA" + "/" * 40 + "==="])
def test_what_is_no_settings_object_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(SettingsError) as caught:
        write_settings()
    assert VARIABLE in str(caught.value)
