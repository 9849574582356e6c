"""Test the back office of a local run: its data, Datasette's paging and filters, and the faults of its proxy."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pycountry
import pytest
import requests

from ops.console import CommandError
from ops.local import back_office, emulator
from ops.local.back_office import BackOffice
from ops.local.fault_proxy import Fault

ROWS = 400


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackOffice]:
    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulator, "folder", lambda name: home / name)
        yield back_office.start("unit", rows=ROWS)
        assert back_office.stop("unit")


def get(office: BackOffice, path: str) -> requests.Response:
    return requests.get(f"{office.url}/backoffice/{path}", timeout=10)


def pages(office: BackOffice, path: str) -> list[dict[str, Any]]:
    """Return every page of a list. Each page except the last has a link to the next page."""
    responses, url = [], f"{office.url}/backoffice/{path}"
    while url:
        responses.append(requests.get(url, timeout=10).json())
        url = responses[-1]["next_url"]
    return responses


def test_it_serves_the_entries_of_the_iso_standards(office: BackOffice) -> None:
    currencies = get(office, "currencies.json?_shape=object&_size=max").json()
    assert {code: row["name"] for code, row in currencies.items()} == {
        currency.alpha_3: currency.name for currency in pycountry.currencies
    }
    languages = [row for page in pages(office, "languages.json?_shape=objects") for row in page["rows"]]
    assert {row["code"] for row in languages} == {
        entry.alpha_2 for entry in pycountry.languages if hasattr(entry, "alpha_2")
    }
    (row,) = get(office, "subdivisions.json?code=AZ-BAB&_shape=array").json()
    assert back_office.FIRST_MODIFIED.isoformat()[:10] == row.pop("modified")[:10]
    iso = {"code": "AZ-BAB", "country": "AZ", "name": "Babək", "type": "Rayon", "parent": "AZ-NX"}
    assert row == {**iso, "removed": 0}


def test_without_a_limit_it_has_every_subdivision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "folder", lambda name: tmp_path)
    back_office.make(back_office.database("x"))
    office = BackOffice("x", 1, 1, 1)
    assert office.count("subdivisions") == len(pycountry.subdivisions) > 5000
    zurich = office.get("subdivisions", "CH-ZH")
    assert zurich and (zurich["country"], zurich["name"], zurich["type"]) == ("CH", "Zürich", "Canton")


def test_its_links_lead_through_the_proxy_and_its_pages_lose_no_row_with_an_equal_time(office: BackOffice) -> None:
    """All rows of a country have the same modification time, so some pages end between two rows with equal times."""
    counted = office.requests("subdivisions")
    for size in (7, 33):
        query = f"_shape=objects&_sort=modified&modified__gte=2025-01-01&_size={size}"
        responses = pages(office, f"subdivisions.json?{query}")
        assert all(page["next_url"].startswith(office.url + "/") for page in responses[:-1])
        rows = [row for page in responses for row in page["rows"]]
        assert len(rows) == len({row["code"] for row in rows}) == office.count("subdivisions")
        assert rows == sorted(rows, key=lambda row: (row["modified"], row["code"]))
        counted += len(responses)
    assert office.requests("subdivisions") == counted


def test_a_changed_row_is_served_at_once_with_its_modification_time(office: BackOffice) -> None:
    before = office.count("subdivisions")
    modified = office.put("subdivisions", "AD-02", name="Canillo (changed)")
    office.put("subdivisions", "AD-99", country="AD", name="Added", type="Parish")
    rows = get(office, f"subdivisions.json?_shape=array&modified__gte={modified}").json()
    assert {row["code"]: row["name"] for row in rows} == {"AD-02": "Canillo (changed)", "AD-99": "Added"}
    changed = office.get("subdivisions", "AD-02")
    assert changed and changed["type"] == "Parish" and changed["modified"] == modified
    assert office.delete("subdivisions", "AD-99") and not office.delete("subdivisions", "AD-99")
    assert office.count("subdivisions") == before
    assert get(office, "subdivisions.json?_shape=array&code=AD-99").json() == []


def test_an_unknown_table_or_column_is_refused(office: BackOffice) -> None:
    with pytest.raises(CommandError, match="no colour; its columns are code, country"):
        office.put("subdivisions", "AD-02", colour="red")
    with pytest.raises(CommandError, match="no table provinces"):
        office.delete("provinces", "AD-02")


def test_a_delay_applies_to_the_matching_requests_only(office: BackOffice) -> None:
    with office.failing(Fault("delay", "languages", seconds=0.6)):
        start = time.monotonic()
        assert get(office, "currencies.json").status_code == 200
        quick = time.monotonic() - start
        start = time.monotonic()
        assert get(office, "languages.json").status_code == 200
        assert time.monotonic() - start > 0.6 > quick
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{office.url}/backoffice/languages.json", timeout=0.2)


def test_a_refusal_cuts_open_connections_and_refuses_new_ones_until_it_ends(office: BackOffice) -> None:
    for _ in range(3):
        with office.failing(Fault("refuse")):
            assert not back_office.healthy(office)
            with pytest.raises(requests.ConnectionError, match="refused"):
                get(office, "currencies.json")
        assert get(office, "currencies.json").status_code == 200


def test_a_busy_port_is_refused_with_its_holder(office: BackOffice) -> None:
    with pytest.raises(
        CommandError, match=rf"Port {office.port}, which the back office needs, is in use by .+fault_proxy"
    ):
        back_office.start("other", office.port, rows=1)
    assert back_office.running("other") is None


def test_a_refusal_of_some_paths_cuts_only_their_connections(office: BackOffice) -> None:
    with office.failing(Fault("refuse", "languages")):
        assert get(office, "currencies.json").status_code == 200
        with pytest.raises(requests.ConnectionError):
            get(office, "languages.json")


def test_a_fault_can_answer_with_any_status_and_body(office: BackOffice) -> None:
    html = Fault("answer", status=200, content_type="text/html", body="<h1>Sorry</h1>")
    with office.failing(Fault("answer", "languages", status=503), html):
        assert get(office, "languages.json").status_code == 503
        response = get(office, "currencies.json")
        assert (response.status_code, response.headers["Content-Type"], response.text) == (
            200,
            "text/html",
            "<h1>Sorry</h1>",
        )


def test_an_unknown_mode_is_refused_and_changes_nothing(office: BackOffice) -> None:
    with office.failing(Fault("answer", status=418)):
        fault = Fault()
        object.__setattr__(fault, "mode", "melt")
        with pytest.raises(CommandError, match="the mode is one of pass, delay, refuse, answer"):
            office.faults(fault)
        assert get(office, "currencies.json").status_code == 418


def test_it_is_found_again_and_keeps_its_rows_until_they_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(emulator, "folder", lambda name: tmp_path / name)

    def call(*words: str) -> str:
        assert back_office.main(["--name", "again", *words]) == 0
        return capsys.readouterr().out

    try:
        first = back_office.start("again", rows=10)
        assert back_office.running("again") == first
        assert first.url in call("start"), "a running back office stays up"
        assert "Changed at 20" in call("set", "subdivisions", "AD-02", "name=Kept")
        assert call("refuse") == "refuse: done.\n" and "does not respond" in call("status")
        assert "Stopped" in call("stop") and back_office.running("again") is None
        with pytest.raises(CommandError, match="isn't up"):
            call("pass")
        second = back_office.start("again", first.port)
        assert second.port == first.port and second.pid != first.pid
        assert json.loads(call("show", "subdivisions", "AD-02"))["name"] == "Kept"
    finally:
        back_office.stop("again")
    back_office.forget("again")
    assert not back_office.database("again").exists()
