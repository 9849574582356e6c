"""Histories of back offices that send values in a form of their own: bytes, numbers, times, ids, CSV, XML and charsets.

A bad record must never cost another record. Each test is named after the right behaviour.
"""

import gzip
import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.fakes.apis.server import ApiRequest, ApiResponse, status_response
from tests.histories.back_office_case import HOUR_MS, Body, Case

_BERLIN = ZoneInfo("Europe/Berlin")
_BAD_RECORDS = {
    "NaN": b'{"id":"bad","at":1,"n":NaN}',
    "NaN as the time": b'{"id":"bad","at":NaN,"n":1}',
    "-Infinity in an unused member": b'{"id":"bad","at":1,"n":1,"x":{"y":[-Infinity]}}',
    "a byte of another code page": b'{"id":"bad","at":1,"n":1,"t":"M\xfcller"}',
    "a byte of another code page in a name": b'{"id":"bad","at":1,"n":1,"M\xfc":2}',
    "a byte of another code page in the id": b'{"id":"b\xfcd","at":1,"n":1}',
    "cut UTF-8": b'{"id":"bad","at":1,"n":1,"t":"abc\xe2\x82"}',
    "surrogates in UTF-8": b'{"id":"bad","at":1,"n":1,"t":"\xed\xa0\xbd\xed\xb8\x80"}',
    "half a surrogate pair": b'{"id":"bad","at":1,"n":1,"t":"\\ud83d"}',
    "a raw tab": b'{"id":"bad","at":1,"n":1,"t":"a\tb\nc"}',
    "a raw NUL": b'{"id":"bad","at":1,"n":1,"t":"a\x00b"}',
    "50 KB of binary": b'{"id":"bad","at":1,"n":1,"t":"' + bytes(range(128, 256)) * 400 + b'"}',
    "1e999999": b'{"id":"bad","at":1,"n":1e999999}',
    "6,000 digits": b'{"id":"bad","at":1,"n":' + b"9" * 6000 + b"}",
    "5,000 brackets": b'{"id":"bad","at":1,"n":1,"x":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a string": b'"oops"',
}


def _rows_with(case: Case, raw: bytes, since_ms: int = 0) -> bytes:
    """Return a page of the case's rows, with a record as raw JSON between them."""
    rows = [json.dumps(row).encode() for row in case.list_rows(since_ms)]
    return b'{"rows":[' + b",".join([*rows[:3], raw, *rows[3:]]) + b'],"next":null}'


@pytest.mark.parametrize("raw", _BAD_RECORDS.values(), ids=_BAD_RECORDS)
def test_one_bad_record_costs_no_other_record(case: Case, raw: bytes) -> None:
    case.fill(60)
    case.declare()
    case.answer = lambda request: _rows_with(case, raw, int(request.query["since"]))
    case.poll(2)
    case.check_fresh()
    case.put("later", 5)
    case.poll()
    items = {item_id: n for item_id, n in case.values.items() if item_id != "bad"}
    assert items == case.truth()


@pytest.mark.parametrize(
    "junk",
    [b"[" + b"NaN," * 100_000 + b"1]", b'"' + b"\xff" * 90_000 + b'"', b'"' + b"\\q" * 300_000 + b'"'],
    ids=["numbers", "bytes", "escapes"],
)
def test_megabytes_of_bad_values_in_one_record_cost_no_other_record(case: Case, junk: bytes) -> None:
    case.fill(3)
    case.declare()
    case.answer = lambda request: _rows_with(case, b'{"id":"bad","at":1,"n":1,"x":' + junk + b"}")
    case.poll()
    assert {item_id: n for item_id, n in case.values.items() if item_id != "bad"} == case.truth()


def test_a_bad_number_beside_the_records_costs_no_record(case: Case) -> None:
    case.fill(5)
    case.declare()
    case.answer = lambda request: b'{"took":NaN,"rows":' + json.dumps(case.list_rows()).encode() + b',"next":null}'
    case.poll(2)
    case.check_equal()
    case.check_fresh()


def test_a_record_that_turns_unreadable_keeps_its_item(case: Case) -> None:
    """A full listing deletes what it lacks. A record that nobody can read isn't missing."""
    case.fill(10)
    case.declare_listing()
    case.poll(2)
    rows = [json.dumps(row).encode() for row in case.list_rows()]
    rows[3] = rows[3].replace(b'"n": 3', b'"n": 3, "t":"\xff"')
    case.answer = lambda request: b'{"rows":[' + b",".join(rows) + b'],"next":null}'
    case.poll(4)
    case.check_equal()
    assert case.outcomes[-1] == "completed"


@pytest.mark.parametrize("pages_per_poll", [1, 100])
def test_an_id_on_two_pages_keeps_its_first_record_at_every_poll(case: Case, pages_per_poll: int) -> None:
    case.fill(6)
    case.declare_listing(max_pages=pages_per_poll)

    def answer(request: ApiRequest) -> Body:
        rows = case.list_rows()
        if "p" not in request.query:
            return {"rows": rows[:3], "next": "/rows?p=1"}
        return {"rows": [*rows[3:], {"id": "r000", "at": 1, "n": 999}]}

    case.answer = answer
    case.poll(4)
    before = len(case.world.stream.changes)
    case.poll(6)
    assert len(case.world.stream.changes) == before
    case.check_equal()


def test_an_id_of_two_records_is_reported(case: Case) -> None:
    case.fill(6)
    case.declare_listing()
    case.answer = lambda request: {"rows": [*case.list_rows(), {"id": "r000", "n": 999}]}
    case.poll()
    assert case.metric("DuplicateIds") == [1]


@pytest.mark.parametrize("second", [{"id": "dup", "n": "y"}, {"id": "dup", "n": 5}], ids=["both bad", "one good"])
def test_an_id_of_two_records_goes_to_the_quarantine_once(case: Case, second: dict[str, object]) -> None:
    case.fill(30)
    case.declare_listing()
    case.answer = lambda request: {"rows": [{"id": "dup", "n": "x"}, *case.list_rows(), second]}
    case.poll(3)
    puts, changes = case.world.quarantine.puts, len(case.world.stream.changes)
    case.poll(5)
    assert (case.world.quarantine.puts, len(case.world.stream.changes)) == (puts, changes)
    case.check_fresh()


def test_ids_with_any_character_become_distinct_items_and_deletes_still_work(case: Case) -> None:
    ids = ["a/b", "a b", "a~2Fb", "~", "0~~x", "/x", "~2Fx", "ä/ö", "日本", "-5", "a+b", "_x", "x" * 256]
    for number, row_id in enumerate(ids):
        case.put(row_id, number, case.world.ms - 5000)
    case.declare_listing(id_encoding="tilde")
    case.poll(2)
    assert sorted(case.values.values()) == list(range(len(ids)))
    assert case.values["a~2Fb"] == 0
    del case.rows["a b"]
    case.poll(4)
    assert sorted(case.values.values()) == [0, *range(2, len(ids))]


def test_times_in_the_common_deviations_of_rfc_3339_are_read(case: Case) -> None:
    times = [
        "2026-11-18T08:00Z",
        "2026-11-18T08:00:01+0000",
        "2026-11-18T08:00:02+00",
        "2026-11-18 08:00:03,5Z",
        "2026-11-18t08:00:04z",
        "2026-11-18T08:00:05.1234567Z",
    ]
    rows = [{"id": f"t{number}", "at": at, "n": number} for number, at in enumerate(times)]
    case.declare(version={"expression": "at", "format": "rfc3339"})
    case.answer = lambda request: {"rows": rows}
    case.poll()
    assert case.values == {f"t{number}": number for number in range(len(times))}


def test_local_times_are_read_and_sent_in_their_zone_without_a_loss_in_autumn(case: Case) -> None:
    """Clocks go back within this history, so one hour of local times happens twice."""
    case.world.ms = int(datetime(2026, 10, 24, 23, tzinfo=_BERLIN).timestamp() * 1000)
    case.declare(
        lag_seconds=120,
        version={"expression": "at", "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
        cursor={"format": "%Y%m%d%H%M", "zone": "Europe/Berlin"},
    )

    def local(at_ms: int, time_format: str) -> str:
        return datetime.fromtimestamp(at_ms / 1000, _BERLIN).strftime(time_format)

    case.answer = lambda request: {
        "rows": [
            {**row, "at": local(row["at"], "%d.%m.%Y %H:%M")}
            for row in case.list_rows()
            if local(row["at"], "%Y%m%d%H%M") >= request.query["since"]
        ],
        "next": None,
    }
    for number in range(42):
        case.put(f"w{number:02}", number)
        case.poll(step_ms=600_000)
    case.check_equal()


def test_bytes_behind_a_complete_gzip_body_are_ignored(case: Case) -> None:
    case.fill(5)
    case.declare()
    case.answer = lambda request: ApiResponse(
        200, gzip.compress(json.dumps({"rows": case.list_rows()}).encode()) + b"\0\0\0\n", {"Content-Encoding": "gzip"}
    )
    case.poll()
    case.check_equal()


def test_a_cut_second_gzip_member_is_a_fault(case: Case) -> None:
    case.fill(3)
    case.declare()
    body = json.dumps({"rows": case.list_rows()}).encode()
    case.answer = lambda request: ApiResponse(
        200, gzip.compress(body[:20]) + gzip.compress(body[20:])[:-9], {"Content-Encoding": "gzip"}
    )
    case.poll()
    assert case.outcomes == ["failed"]


def test_json_under_text_html_is_read_and_a_web_page_is_a_fault(case: Case) -> None:
    case.fill(5)
    case.declare()
    case.answer = lambda request: ApiResponse(
        200, json.dumps({"rows": case.list_rows()}).encode(), {"Content-Type": "text/html; charset=utf-8"}
    )
    case.poll()
    case.check_equal()
    before = case.fresh
    case.answer = lambda request: ApiResponse(
        200, b"\xef\xbb\xbf  <!doctype html><h1>Login</h1>", {"Content-Type": "text/html"}
    )
    case.poll(2)
    assert case.fresh == before
    assert "page" in case.fault


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("ISO-8859-1", "latin-1"), ("ISO-8859-1", "utf-8"), ("utf8mb4", "utf-8"), ("base64_codec", "utf-8")],
    ids=["true", "untrue", "unknown", "no charset"],
)
def test_a_declared_charset_is_obeyed_unless_the_body_contradicts_it(case: Case, declared: str, encoding: str) -> None:
    case.world.schemas["things"] = {"type": "object"}
    case.declare(translation="{n: n, t: t}")
    row = {"id": "m", "at": case.world.ms - 5000, "n": 1, "t": "Müller"}
    case.answer = lambda request: ApiResponse(
        200,
        json.dumps({"rows": [row]}, ensure_ascii=False).encode(encoding),
        {"Content-Type": f"application/json;charset={declared}"},
    )
    case.poll()
    (item,) = case.world.items.by_key.values()
    assert json.loads(item.data or "{}") == {"n": 1, "t": "Müller"}


def _declare_csv(case: Case, **payload: str) -> None:
    case.declare_listing(
        payload={"format": "csv", **payload},
        records=None,
        paging={"style": "none"},
        translation="{n: to_number(n)}",
    )


def test_a_csv_of_another_code_page_loses_only_its_broken_line(case: Case) -> None:
    _declare_csv(case, charset="windows-1252", delimiter=";")
    body = 'id;n;t\r\na;1;Müller\r\nb;2\r\nc;3;"x;\r\ny"\r\n'.encode("cp1252")
    case.answer = lambda request: ApiResponse(200, body, {"Content-Type": "text/csv"})
    case.poll(2)
    assert case.values == {"a": 1, "c": 3}


@pytest.mark.parametrize(
    "body",
    [b"Error: quota exceeded\n", b"ID,n\n" + b"".join(b"k%d,%d\n" % (n, n) for n in range(20)), b"id,n\nk0,0\nk1,1\n"],
    ids=["an error text", "a renamed column", "a cut export"],
)
def test_a_wrong_csv_deletes_nothing_and_is_not_fresh(case: Case, body: bytes) -> None:
    _declare_csv(case)
    lines = b"".join(b"k%d,%d\n" % (number, number) for number in range(20))
    case.answer = lambda request: ApiResponse(200, b"id,n\n" + lines, {"Content-Type": "text/csv"})
    case.poll(2)
    case.answer = lambda request: ApiResponse(200, body, {"Content-Type": "text/csv"})
    case.poll(4)
    assert len(case.values) == 20


def test_a_csv_follows_its_changed_and_vanished_lines(case: Case) -> None:
    _declare_csv(case)
    body = b"id,n\na,1\nb,2\nc,3\n"

    def answer(request: ApiRequest) -> Body | ApiResponse:
        etag = f'"{hash(body)}"'
        if request.headers.get("if-none-match") == etag:
            return status_response(304, {"ETag": etag})
        return ApiResponse(200, body, {"ETag": etag, "Content-Type": "text/csv"})

    case.answer = answer
    case.poll(3, step_ms=HOUR_MS)
    body = b"id,n\na,5\nc,3\n"
    case.poll(4)
    assert case.values == {"a": 5, "c": 3}


def _declare_xml(case: Case) -> None:
    case.declare_listing(
        payload={"format": "xml"}, records="feed.row", paging={"style": "none"}, translation="{n: to_number(n)}"
    )


def test_an_xml_list_is_read_with_one_row_and_with_several(case: Case) -> None:
    _declare_xml(case)
    count = 1
    case.answer = lambda request: ApiResponse(
        200,
        ("<feed>" + "".join(f"<row><id>x{n}</id><n>{n}</n></row>" for n in range(count)) + "</feed>").encode(),
        {"Content-Type": "application/xml"},
    )
    case.poll()
    assert case.values == {"x0": 0}
    count = 3
    case.poll()
    assert case.values == {"x0": 0, "x1": 1, "x2": 2}


_EVIL_XML = {
    "an error document": b"<Envelope><Body><Fault><faultstring>quota</faultstring></Fault></Body></Envelope>",
    "entities": b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feed><row><id>&b;</id><n>1</n></row></feed>',
    "an external entity": (
        b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/hostname">]><feed><row><id>&x;</id><n>1</n></row></feed>'
    ),
    "100,000 levels": b"<a>" * 100_000,
}


@pytest.mark.parametrize("body", _EVIL_XML.values(), ids=_EVIL_XML)
def test_an_xml_error_or_attack_is_a_fault(case: Case, body: bytes) -> None:
    _declare_xml(case)
    case.answer = lambda request: ApiResponse(
        200, b"<feed><row><id>a</id><n>1</n></row></feed>", {"Content-Type": "text/xml"}
    )
    case.poll(2)
    before = case.fresh
    case.answer = lambda request: ApiResponse(200, body, {"Content-Type": "text/xml"})
    case.poll(3)
    assert case.fresh == before
    assert case.values == {"a": 1}
