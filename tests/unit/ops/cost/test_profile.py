"""Test which traffic profiles ops/cost reads, and what it says about the others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops.console import CommandError
from ops.cost.profile import EXAMPLE_FILE, FIELDS, LARGEST, profile_of, read_profile


def test_the_example_names_every_number() -> None:
    names = re.findall(r"^(\w+) *=", EXAMPLE_FILE.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(name for section in FIELDS.values() for name in section)
    example = read_profile(EXAMPLE_FILE)
    assert (example.reads["stage_cache"], example.writes, example.regions) == (20_000_000, 1_500_000, 2)


def test_json_and_toml_say_the_same(tmp_path: Path) -> None:
    toml, as_json = tmp_path / "month.toml", tmp_path / "month.json"
    toml.write_text("[reads]\nitem = 1e6\n[items]\nkb = 2.5\n")
    as_json.write_text(json.dumps({"reads": {"item": 1_000_000}, "items": {"kb": 2.5}}))
    assert read_profile(toml) == read_profile(as_json)


def test_an_empty_profile_has_the_defaults() -> None:
    profile = profile_of({})
    assert (profile.sizes.item_kb, profile.sizes.list_items, profile.regions, profile.collections) == (1, 50, None, 1)
    assert not any(profile.reads.values()) and not profile.writes


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "A profile is a table of sections."),
        ({"read": {}}, "Unknown section: read. There are: reads, writes, items, stack."),
        ({"reads": 5}, "reads must be a section"),
        ({"reads": {"edge": 1}}, "Unknown name in [reads]: edge. There are: edge_public, "),
        ({"writes": {"clients": -1}}, "writes.clients must be from 0 to 1e+15."),
        ({"writes": {"clients": float("nan")}}, "writes.clients must be from 0"),
        ({"writes": {"clients": float("inf")}}, "writes.clients must be from 0"),
        ({"writes": {"clients": LARGEST * 10}}, "writes.clients must be from 0"),
        ({"writes": {"clients": 10**400}}, "writes.clients must be from 0"),
        ({"writes": {"clients": True}}, "writes.clients must be a number."),
        ({"writes": {"clients": "1000"}}, "writes.clients must be a number."),
        ({"writes": {"clients": None}}, "writes.clients must be a number."),
        ({"items": {"kb": 0}}, "items.kb must be above 0 and at most 400"),
        ({"items": {"kb": 401}}, "items.kb must be above 0 and at most 400"),
        ({"items": {"in_list": 0.5}}, "items.in_list must be from 1 to 200."),
        ({"items": {"in_list": 201}}, "items.in_list must be from 1 to 200."),
        ({"stack": {"regions": 3}}, "stack.regions must be 1 or 2."),
        ({"stack": {"regions": 1.5}}, "stack.regions must be 1 or 2."),
        ({"stack": {"regions": 0}}, "stack.regions must be 1 or 2."),
    ],
)
def test_a_wrong_profile_is_an_error(values: Any, message: str) -> None:
    with pytest.raises(CommandError, match=re.escape(message)):
        profile_of(values)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("month.toml", b"reads = [", "isn't TOML"),
        ("month.json", b"{", "isn't JSON"),
        ("month.toml", b"\xff", "Can't read"),
        ("month.json", b"[reads]\nitem = 1", "isn't JSON"),
        ("month.JSON", b"[reads]\nitem = 1", "isn't JSON"),
        ("month.toml", b"[reads]\nitem = 1" + b"0" * 5000, "too long a number"),
        ("month.json", b'{"reads": {"item": 1' + b"0" * 5000 + b"}}", "too long a number"),
        ("month.toml", b"a = " + b"[" * 5000, "too many nested brackets"),
        ("month.json", b"[" * 100_000, "too many nested brackets"),
    ],
)
def test_a_file_that_is_no_profile_is_an_error(tmp_path: Path, name: str, text: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    with pytest.raises(CommandError, match=message):
        read_profile(path)


def test_a_file_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Can't read"):
        read_profile(tmp_path / "month.toml")
