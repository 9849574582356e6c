"""The tables of docs/scale.md are those that ops/scale computes."""

from pathlib import Path

import pytest

from ops.console import CommandError
from ops.scale import tables
from ops.scale.__main__ import main
from ops.scale.capacity import LIST_SECONDS, WRITE_SECONDS, limits
from ops.scale.pipeline import DELIVERY_SECONDS, PUT_SECONDS, STREAM_SECONDS

PAGE = tables.PAGE.read_text()


def test_the_tables_are_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["--check"]) == 0
    page = tmp_path / "scale.md"
    monkeypatch.setattr("ops.scale.__main__.PAGE", page)
    monkeypatch.setattr(tables, "PAGE", page)
    page.write_text(PAGE.replace("| 250,000 |", "| 250,001 |"))
    monkeypatch.setattr(tables, "tables", lambda: iter(["a table"]))
    with pytest.raises(CommandError, match="make docs"):
        main(["--check"])
    assert main(["--docs"]) == 0
    assert main(["--check"]) == 0


def test_without_an_option_the_tables_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.scale.__main__.tables", lambda: iter(["a", "b"]))
    assert main([]) == 0
    assert capsys.readouterr().out == "a\nb\n"


def test_the_page_names_what_it_assumes() -> None:
    text = " ".join(PAGE.split())
    assert f"{1000 * WRITE_SECONDS:.0f} ms for `write` and {1000 * LIST_SECONDS:.0f} ms for a list" in text
    assert f"{DELIVERY_SECONDS:.0f} seconds from a full buffer to `apply`" in text
    assert f"{STREAM_SECONDS} seconds from the table to `publish`" in text
    assert f"{1000 * PUT_SECONDS:.0f} ms for a PUT to S3" in text


def test_a_limit_that_cannot_grow_says_how_far_it_goes() -> None:
    connections = limits().by_name["cache_connections"]
    assert tables._raise(connections, 150_000) == "connections of the cache: 150,000 (only 65,000 possible)"
    assert tables._raise(limits().by_name["collection_writes"], 150_000) == "collections: 19"
