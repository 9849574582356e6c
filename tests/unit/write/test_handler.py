"""Tests of `write`: which requests it accepts or refuses, and which lines it appends to the write log."""

import json
from typing import Any
from urllib.parse import urljoin

import pytest

from readplane.model.change import parse_line
from readplane.model.version import MAX_AHEAD_MS, is_version, stamp
from readplane.write.log import NotAppendedError
from tests.unit.support import ALICE, BOB, COLLECTIONS, NOW_MS, event
from tests.unit.write.support import WriteService, delete, post, put


@pytest.fixture
def service() -> WriteService:
    return WriteService()


def test_the_recorded_put_is_accepted_once_it_is_durable(service: WriteService) -> None:
    status, body, headers = service(event("api"))
    change_id = body["change_id"]
    assert status == 202 and body == {"change_id": change_id, "item_id": "p-1", "status": "accepted"}
    assert headers["Location"] == f"p-1/changes/{change_id}"
    assert headers["Cache-Control"] == "no-store" and is_version(change_id)
    (line,) = service.log.appended
    change = parse_line(line, COLLECTIONS)
    assert (change.change_id, change.item_id, change.actor, change.source) == (change_id, "p-1", ALICE, "api")
    assert change.data == '{"name": "Kettle", "price": 19.90}' and change.owner is None
    assert change.accepted_at.endswith("Z") and len(change.accepted_at) == 24


def test_a_delete_needs_no_body(service: WriteService) -> None:
    status, body, _ = service(delete())
    assert status == 202 and json.loads(service.log.appended[0])["op"] == "delete" and body["item_id"] == "p-1"


@pytest.mark.parametrize("base", ["https://api.example.com/v1", "https://shop.example.com/back/office/v1"])
@pytest.mark.parametrize(
    ("request_event", "path"),
    [
        (put(), "/items/products/p-1"),
        (put(item_id="a~b"), "/items/products/a~b"),
        (delete(), "/items/products/p-1"),
        (post(), "/items/products"),
        (post("k"), "/items/products"),
        (post(collection="profiles"), "/items/profiles"),
    ],
)
def test_the_location_leads_to_the_status_behind_any_base_path(
    service: WriteService, request_event: Any, path: str, base: str
) -> None:
    _, body, headers = service(request_event)
    collection = path.split("/")[2]
    status_url = f"{base}/items/{collection}/{body['item_id']}/changes/{body['change_id']}"
    assert urljoin(base + path, headers["Location"]) == status_url


def test_a_post_makes_a_new_id_unless_its_idempotency_key_repeats(service: WriteService) -> None:
    plain = [service(post())[1]["item_id"] for _ in range(2)]
    keyed = [service(post("order 4711"))[1] for _ in range(2)]
    assert plain[0] != plain[1]
    assert keyed[0] == keyed[1]
    others = {
        service(post("order 4712"))[1]["item_id"],
        service(post("order 4711", claims={"sub": BOB}))[1]["item_id"],
        service(post("order 4711", collection="orders"))[1]["item_id"],
    }
    assert len(others | {keyed[0]["item_id"]}) == 4


def test_every_caller_may_write_their_own_items_to_an_owner_collection(service: WriteService) -> None:
    status, _, _ = service(put(collection="profiles", claims={"cognito:groups": "", "sub": BOB}))
    assert status == 202 and json.loads(service.log.appended[0])["owner"] == BOB


def test_the_change_exceeds_every_named_version_whatever_the_clock(
    service: WriteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    named, ahead = stamp(NOW_MS, b"n" * 10), stamp(NOW_MS + MAX_AHEAD_MS, b"\xff" * 10)
    for request_event in (
        put(query={"min_version": f"{named},{ahead}"}),
        post(query={"min_version": ahead}),
        delete(query={"min_version": ahead}),
    ):
        _, body, _ = service(request_event)
        assert body["change_id"] > ahead


def test_a_version_more_than_five_seconds_ahead_is_refused(
    service: WriteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the write would outrank everybody else's later writes until the named time has come."""
    monkeypatch.setattr("time.time_ns", lambda: NOW_MS * 1_000_000)
    status, body, _ = service(put(query={"min_version": stamp(NOW_MS + 5_001, bytes(10))}))
    assert (status, body["parameter"]) == (400, "min_version") and service.log.appended == []
    assert service(put(query={"min_version": stamp(NOW_MS + 5_000, bytes(10))}))[0] == 202


def test_a_body_may_arrive_as_base64(service: WriteService) -> None:
    encoded = put("eyJuYW1lIjoiw6QifQ==") | {"isBase64Encoded": True}
    assert service(encoded)[0] == 202
    assert json.loads(service.log.appended[0])["data"] == {"name": "ä"}
    for broken in ("***", "eyJuYW1lIjoiw6QifQ", "ä==="):
        assert service(put(broken) | {"isBase64Encoded": True})[0] == 400


FAR = stamp(4_000_000_000_000, bytes(10))


@pytest.mark.parametrize(
    ("request_event", "status", "members"),
    [
        (put("{"), 400, {"pointer": "", "code": "not_json"}),
        (put('{"name":7}'), 400, {"pointer": "/name", "code": "type"}),
        (put('{"name":"\ud800"}'), 400, {"pointer": "", "code": "not_utf8"}),
        (put(None), 400, {"pointer": "", "code": "empty_body"}),
        (put("x" * (256 * 1024 + 1)), 413, {}),
        (put(headers={"Content-Type": "text/plain"}), 415, {"parameter": "Content-Type"}),
        (put(item_id="../x"), 400, {"parameter": "item_id"}),
        (put(item_id="%2F"), 400, {"parameter": "item_id"}),
        (put(item_id="a\0"), 400, {"parameter": "item_id"}),
        (put(query={"min_version": "yesterday"}), 400, {"parameter": "min_version"}),
        (put(query={"min_version": "\xa0"}), 400, {"parameter": "min_version"}),
        (put(query={"min_version": FAR}), 400, {"parameter": "min_version"}),
        (put(query={"min_version": ",".join([FAR] * 21)}), 400, {"parameter": "min_version"}),
        (put(query={"minVersion": FAR}), 400, {"parameter": "minVersion"}),
        (post(query={"limit": "1"}), 400, {"parameter": "limit"}),
        (delete(query={"force": "true"}), 400, {"parameter": "force"}),
        (post(""), 400, {"parameter": "Idempotency-Key"}),
        (post("x" * 256), 400, {"parameter": "Idempotency-Key"}),
        (post("ü"), 400, {"parameter": "Idempotency-Key"}),
        (post("k", query={"min_version": stamp(1, bytes(10))}), 400, {"parameter": "min_version"}),
        (post("k", query={"min_version": ""}), 400, {"parameter": "min_version"}),
        (put(claims={"cognito:groups": "auditors"}), 403, {}),
        (put(claims={"client_id": "another"}), 403, {}),
        (put(claims={"token_use": "id"}), 403, {}),
        (put(collection="nowhere"), 404, {}),
    ],
)
def test_refusals_are_problem_documents(
    service: WriteService, request_event: Any, status: int, members: dict[str, str]
) -> None:
    response_status, body, headers = service(request_event)
    assert response_status == status == body["status"]
    assert headers["Content-Type"] == "application/problem+json" and headers["Cache-Control"] == "no-store"
    standard = {"type", "title", "status", "detail", "errors", "request_id"}
    assert {name: body[name] for name in body.keys() - standard} == members
    assert body["request_id"] == "EXAMPLEoFiAFYNA="
    assert service.log.appended == []


@pytest.mark.parametrize(("refused", "outcome"), [(True, "not_accepted"), (False, "unknown")])
def test_the_response_to_an_unconfirmed_write_says_whether_it_may_be_stored(
    service: WriteService, refused: bool, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.log.failure = NotAppendedError(refused=refused, cause="ServiceUnavailableException")
    status, body, headers = service(put())
    assert status == 503 and headers["Retry-After"] == "2" and body["outcome"] == outcome
    logged = json.loads(capsys.readouterr().out.splitlines()[0])
    assert logged["change_id"] == body["change_id"] and logged["ChangesUnconfirmed"] == 1


def test_an_accepted_write_is_one_log_line_with_its_metric(
    service: WriteService, capsys: pytest.CaptureFixture[str]
) -> None:
    _, body, _ = service(put())
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert logged["change_id"] == body["change_id"] and logged["request_id"] == "EXAMPLEoFiAFYNA="
    (metric,) = logged["_aws"]["CloudWatchMetrics"]
    assert metric == {
        "Namespace": "Readplane",
        "Dimensions": [["Stack"], ["Stack", "Collection"]],
        "Metrics": [{"Name": "ChangesAccepted", "Unit": "Count"}],
    }
    assert (logged["Stack"], logged["Collection"], logged["ChangesAccepted"]) == ("demo", "products", 1)
    assert "Kettle" not in line and "abc.def" not in line
