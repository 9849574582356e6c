import json
from typing import Any

import pytest

from readplane.api.request import answer
from readplane.model.change import parse_line
from readplane.model.schema import compile_schemas
from readplane.model.version import is_version, stamp, time_ms
from readplane.telemetry import Telemetry
from readplane.write.handler import SchemasObject, Write, WriteSettings
from readplane.write.log import NotAppendedError
from tests.unit.support import ALICE, BOB, CLIENT_ID, COLLECTIONS, MemoryLog, api_event, event

SETTINGS = WriteSettings(
    name="demo",
    client_ids=frozenset({CLIENT_ID}),
    cors_origins=("https://app.example.com", "https://admin.example.com"),
    delivery_stream="demo",
    schemas=SchemasObject("b", "k", "0"),
    collections=COLLECTIONS,
)
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


class Service:
    def __init__(self) -> None:
        self.log = MemoryLog()
        validators = compile_schemas(dict.fromkeys(COLLECTIONS, SCHEMA))
        self.write = Write(SETTINGS, validators, self.log, Telemetry("write", "demo"))

    def __call__(self, event: Any) -> tuple[int, Any, dict[str, str]]:
        answered = answer(event, SETTINGS.cors_origins, self.write.telemetry, self.write)
        return answered["statusCode"], json.loads(answered["body"]), answered["headers"]


@pytest.fixture
def service() -> Service:
    return Service()


def put(body: str | None = '{"name":"x"}', item_id: str = "p-1", collection: str = "products", **more: Any) -> Any:
    return api_event("PUT", f"/items/{collection}/{{item_id}}", {"item_id": item_id}, body=body, **more)


def post(key: str | None = None, collection: str = "products", **more: Any) -> Any:
    headers = {"Idempotency-Key": key} if key is not None else {}
    return api_event("POST", f"/items/{collection}", body='{"name":"x"}', headers=headers, **more)


def test_the_recorded_put_is_accepted_once_durable(service: Service) -> None:
    status, body, headers = service(event("api"))
    change_id = body["change_id"]
    assert status == 202 and body == {"change_id": change_id, "item_id": "p-1", "status": "accepted"}
    assert headers["Location"] == f"/v1/items/products/p-1/changes/{change_id}"
    assert headers["Cache-Control"] == "no-store" and is_version(change_id)
    (line,) = service.log.appended
    change = parse_line(line, COLLECTIONS)
    assert (change.change_id, change.item_id, change.actor, change.source) == (change_id, "p-1", ALICE, "api")
    assert change.data == '{"name": "Kettle", "price": 19.90}' and change.owner is None
    assert change.accepted_at.endswith("Z") and len(change.accepted_at) == 24


def test_a_delete_needs_no_body(service: Service) -> None:
    status, body, _ = service(api_event("DELETE", "/items/products/{item_id}", {"item_id": "p-1"}))
    assert status == 202 and json.loads(service.log.appended[0])["op"] == "delete" and body["item_id"] == "p-1"


def test_post_makes_an_id_and_an_idempotency_key_the_same_one_again(service: Service) -> None:
    plain = [service(post())[1]["item_id"] for _ in range(2)]
    keyed = [service(post("order 4711"))[1] for _ in range(2)]
    assert plain[0] != plain[1]
    assert keyed[0]["item_id"] == keyed[1]["item_id"] and keyed[0]["change_id"] != keyed[1]["change_id"]
    others = {
        service(post("order 4712"))[1]["item_id"],
        service(post("order 4711", claims={"sub": BOB}))[1]["item_id"],
        service(post("order 4711", collection="orders"))[1]["item_id"],
    }
    assert len(others | {keyed[0]["item_id"]}) == 4


def test_owner_collections_are_written_by_anybody_for_themselves(service: Service) -> None:
    status, _, _ = service(put(collection="profiles", claims={"cognito:groups": "", "sub": BOB}))
    assert status == 202 and json.loads(service.log.appended[0])["owner"] == BOB


def test_a_named_version_is_exceeded_whatever_the_clock(service: Service) -> None:
    named = json.loads(json.dumps(service(event("api"))[1]))["change_id"]
    ahead = stamp(time_ms(named) + 200_000, b"\xff" * 10)
    _, body, _ = service(put(headers={"Readplane-Min-Version": f"{named}, {ahead}"}))
    assert body["change_id"] > ahead


def test_bodies_may_arrive_as_base64(service: Service) -> None:
    encoded = put("eyJuYW1lIjoiw6QifQ==") | {"isBase64Encoded": True}
    assert service(encoded)[0] == 202
    assert json.loads(service.log.appended[0])["data"] == {"name": "ä"}
    for broken in ("***", "eyJuYW1lIjoiw6QifQ", "ä==="):
        assert service(put(broken) | {"isBase64Encoded": True})[0] == 400


FAR = stamp(4_000_000_000_000, bytes(10))


@pytest.mark.parametrize(
    ("request_event", "status", "members"),
    [
        (put("{"), 400, {"pointer": ""}),
        (put('{"name":7}'), 400, {"pointer": "/name"}),
        (put('{"name":"\ud800"}'), 400, {"pointer": ""}),
        (put(None), 400, {"pointer": ""}),
        (put("x" * (256 * 1024 + 1)), 413, {}),
        (put(headers={"Content-Type": "text/plain"}), 415, {"parameter": "Content-Type"}),
        (put(item_id="../x"), 400, {"parameter": "item_id"}),
        (put(item_id="%2F"), 400, {"parameter": "item_id"}),
        (put(item_id="a\0"), 400, {"parameter": "item_id"}),
        (put(headers={"Readplane-Min-Version": "yesterday"}), 400, {"parameter": "Readplane-Min-Version"}),
        (put(headers={"Readplane-Min-Version": "\xa0"}), 400, {"parameter": "Readplane-Min-Version"}),
        (put(headers={"Readplane-Min-Version": FAR}), 400, {"parameter": "Readplane-Min-Version"}),
        (put(headers={"Readplane-Min-Version": ",".join([FAR] * 21)}), 400, {"parameter": "Readplane-Min-Version"}),
        (post(""), 400, {"parameter": "Idempotency-Key"}),
        (post("x" * 256), 400, {"parameter": "Idempotency-Key"}),
        (post("ü"), 400, {"parameter": "Idempotency-Key"}),
        (put(claims={"cognito:groups": "auditors"}), 403, {}),
        (put(claims={"client_id": "another"}), 401, {}),
        (put(claims={"token_use": "id"}), 401, {}),
        (put(collection="nowhere"), 404, {}),
    ],
)
def test_refusals_are_problem_documents(
    service: Service, request_event: Any, status: int, members: dict[str, str]
) -> None:
    answered, body, headers = service(request_event)
    assert answered == status == body["status"]
    assert headers["Content-Type"] == "application/problem+json" and headers["Cache-Control"] == "no-store"
    standard = {"type", "title", "status", "detail", "request_id"}
    assert {name: body[name] for name in body.keys() - standard} == members
    assert body["request_id"] == "0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"
    assert service.log.appended == []


@pytest.mark.parametrize(("refused", "outcome"), [(True, "not_accepted"), (False, "unknown")])
def test_an_unconfirmed_write_says_what_is_known_of_it(
    service: Service, refused: bool, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.log.failure = NotAppendedError(refused=refused, cause="ServiceUnavailableException")
    status, body, headers = service(put())
    assert status == 503 and headers["Retry-After"] == "2" and body["outcome"] == outcome
    logged = json.loads(capsys.readouterr().out.splitlines()[0])
    assert logged["change_id"] == body["change_id"] and logged["ChangesUnconfirmed"] == 1


def test_a_bug_shows_in_the_log_by_kind_and_place_but_not_by_text(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.log.failure = RuntimeError("token=abc")
    status, body, headers = service(put())
    out = capsys.readouterr().out
    assert status == 503 and headers["Retry-After"] == "1"
    assert "abc" not in json.dumps(body) and "abc" not in out
    logged = json.loads(out.splitlines()[0])
    assert logged["error"] == ["RuntimeError"] and any("support.py" in place for place in logged["place"])


@pytest.mark.parametrize(
    ("origin", "allowed"), [("https://app.example.com", True), ("https://evil.example.com", False), (None, False)]
)
def test_cors_names_the_callers_origin_if_it_is_listed(service: Service, origin: str | None, allowed: bool) -> None:
    _, _, headers = service(put(headers={"Origin": origin} if origin else {}))
    assert headers["Vary"] == "Origin"
    assert headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_with_one_origin_every_answer_is_the_same(service: Service) -> None:
    """So it may be cached without the caller's origin in its key."""
    only = ("https://app.example.com",)
    answers = [
        answer(put(headers=headers), only, service.write.telemetry, service.write)["headers"]
        for headers in ({}, {"Origin": only[0]}, {"Origin": "https://evil.example.com"})
    ]
    for headers in answers:
        assert headers["Access-Control-Allow-Origin"] == only[0] and "Vary" not in headers
    plain = answer(put(headers={"Origin": only[0]}), (), service.write.telemetry, service.write)["headers"]
    assert not [name for name in plain if name.startswith("Access-Control")]


def test_a_refusal_is_logged_without_what_the_caller_made_up(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service(put('{"name": 7, "s3cret-name": 1, "s3cret-name": 2}'))
    service(put(item_id="s3cret/name"))
    out = capsys.readouterr().out
    assert "s3cret" not in out
    first, second = map(json.loads, out.splitlines())
    assert (first["status"], first["resource"]) == (400, "items/products/{item_id}")
    assert second["parameter"] == "item_id"


def test_an_accepted_write_is_one_log_line_with_its_metric(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    _, body, _ = service(put())
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert logged["change_id"] == body["change_id"] and logged["request_id"] == "0d1e2f30-4152-6374-8596-a7b8c9d0e1f2"
    (metric,) = logged["_aws"]["CloudWatchMetrics"]
    assert metric == {
        "Namespace": "Readplane",
        "Dimensions": [["Stack"], ["Stack", "Collection"]],
        "Metrics": [{"Name": "ChangesAccepted", "Unit": "Count"}],
    }
    assert (logged["Stack"], logged["Collection"], logged["ChangesAccepted"]) == ("demo", "products", 1)
    assert "Kettle" not in line and "abc.def" not in line
