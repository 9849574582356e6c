"""Tests of the events that `poll` serves, and of those that it refuses."""

from typing import Any

import pytest

from readplane.poll.errors import EventError
from readplane.poll.events import FreshnessEvent, PollEvent, RedriveEvent, parse_event


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"source": "products", "sweep": False}, PollEvent("products", False)),
        ({"source": "products", "sweep": True}, PollEvent("products", True)),
        ({"source": "products"}, PollEvent("products", False)),
        ({"freshness": True}, FreshnessEvent()),
        ({"redrive": {"source": "products", "keys": ["a", "b"]}}, RedriveEvent("products", ["a", "b"])),
        ({"redrive": {"source": "products", "keys": []}}, RedriveEvent("products", [])),
    ],
)
def test_an_event_names_what_to_do(event: object, expected: object) -> None:
    assert parse_event(event) == expected


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "products",
        {},
        {"source": {"name": "products", "url": "https://evil.example/hush"}},
        {"source": {"name": "products"}, "sweep": False},
        {"source": ""},
        {"source": None, "sweep": False},
        {"source": "products", "sweep": None},
        {"source": "products", "sweep": 1},
        {"source": "products", "sweep": "true"},
        {"source": "products", "url": "https://evil.example/hush"},
        {"source": "products", "freshness": True},
        {"sweep": True},
        {"freshness": [{"name": "products", "staleness_budget": 60}]},
        {"freshness": False},
        {"freshness": 1},
        {"validate": []},
        {"redrive": {"source": {"name": "products"}, "keys": ["a"]}},
        {"redrive": {"source": "products"}},
        {"redrive": {"source": "products", "keys": "a"}},
        {"redrive": {"source": "products", "keys": [1]}},
        {"redrive": {"source": "products", "keys": ["a"] * 1001}},
        {"redrive": {"source": "products", "keys": ["a"], "translation": "@"}},
        {"redrive": ["a"]},
    ],
)
def test_any_other_event_is_refused_without_a_quote(event: Any) -> None:
    with pytest.raises(EventError, match="can't be served") as refused:
        parse_event(event)
    assert "evil" not in str(refused.value)
