"""Tests of a POST with ``Idempotency-Key``.

A retry must be the same change as the first POST, and it must never outrank a PUT or a DELETE. Another body under the
same key must be refused if the first one is applied.
"""

import json

import pytest

from readplane.aws.faults import AwsError, RefusedError, UnansweredError
from readplane.model.change import Change, is_expired, parse_line
from readplane.model.version import is_minimal, time_ms
from readplane.write.log import NotAppendedError
from tests.unit.support import ALICE, BOB, COLLECTIONS, NOW_MS, version_at
from tests.unit.write.support import WriteService, delete, post, put

DAY_MS = 86_400_000
HORIZON_MS = 30 * DAY_MS


@pytest.fixture
def service() -> WriteService:
    return WriteService()


def set_time(monkeypatch: pytest.MonkeyPatch, now_ms: int) -> None:
    monkeypatch.setattr("time.time_ns", lambda: now_ms * 1_000_000)


def appended_change(service: WriteService) -> Change:
    """Return the change in the only line of the write log."""
    (line,) = service.log.appended
    return parse_line(line, COLLECTIONS)


def test_a_retry_is_the_same_change_in_every_region_and_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    first_region, second_region = WriteService(), WriteService()
    set_time(monkeypatch, NOW_MS)
    first = first_region(post("k"))[1]
    set_time(monkeypatch, NOW_MS + 20 * DAY_MS)
    assert second_region(post("k"))[1] == first
    change, retry = appended_change(first_region), appended_change(second_region)
    assert change == retry._replace(accepted_at=change.accepted_at)


def test_every_put_and_delete_of_the_item_outranks_the_post(service: WriteService) -> None:
    created = service(post("k"))[1]
    assert is_minimal(created["change_id"]) and time_ms(created["change_id"]) == 0
    for request_event in (put(item_id=created["item_id"]), delete(item_id=created["item_id"])):
        assert service(request_event)[1]["change_id"] > created["change_id"]


def test_the_version_depends_on_caller_collection_key_and_body(service: WriteService) -> None:
    events = (
        post("k"),
        post("k", claims={"sub": BOB}),
        post("k", "orders"),
        post("l"),
        post("k", body='{"name":"y"}'),
        post("k", body='{"name": "x"}'),
    )
    assert len({service(request_event)[1]["change_id"] for request_event in events}) == len(events)


def test_the_age_of_the_change_counts_from_its_acceptance(
    service: WriteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_time(monkeypatch, NOW_MS)
    service(post("k"))
    change = appended_change(service)
    assert change.age_starts_ms == NOW_MS and change.as_of == change.accepted_at
    assert not is_expired(change, NOW_MS + HORIZON_MS, HORIZON_MS)
    assert is_expired(change, NOW_MS + HORIZON_MS + 1, HORIZON_MS)


def test_another_body_under_the_same_key_is_refused_once_the_first_is_applied(service: WriteService) -> None:
    first = service(post("k"))[1]
    service.versions.by_key[f"item/products/{first['item_id']}"] = first["change_id"]
    status, body, headers = service(post("k", body='{"name":"y"}'))
    assert (status, body["status"], body["parameter"]) == (422, 422, "Idempotency-Key")
    assert headers["Content-Type"] == "application/problem+json" and len(service.log.appended) == 1


def test_a_retry_is_appended_again_even_if_the_first_is_applied(service: WriteService) -> None:
    first = service(post("k"))[1]
    service.versions.by_key[f"item/products/{first['item_id']}"] = first["change_id"]
    assert service(post("k"))[:2] == (202, first) and len(service.log.appended) == 2


@pytest.mark.parametrize("body", ['{"name":"x"}', '{"name":"y"}'])
def test_after_a_put_or_delete_the_post_is_accepted_because_it_is_superseded(service: WriteService, body: str) -> None:
    item_id = service(post("k"))[1]["item_id"]
    service.versions.by_key[f"item/products/{item_id}"] = version_at(NOW_MS)
    status, accepted, _ = service(post("k", body=body))
    assert status == 202 and accepted["change_id"] < version_at(NOW_MS) and len(service.log.appended) == 2


def test_the_item_of_an_owner_collection_is_read_under_its_owner(service: WriteService) -> None:
    item_id = service(post("k", "profiles"))[1]["item_id"]
    assert service.versions.reads == [f"item/profiles/{ALICE}/{item_id}"]


@pytest.mark.parametrize(
    "request_event", [post(), put(), delete(), put(headers={"Idempotency-Key": "k"}), post("k", body="[")]
)
def test_no_other_request_reads_an_item(service: WriteService, request_event: dict[str, object]) -> None:
    service(request_event)
    assert service.versions.reads == []


@pytest.mark.parametrize(
    "failure",
    [
        UnansweredError("ReadTimeoutError", sent=True),
        UnansweredError("ConnectTimeoutError", sent=False),
        RefusedError("AccessDeniedException", 400),
        RefusedError("InternalServerError", 500),
    ],
)
def test_the_write_goes_on_if_the_item_cannot_be_read(
    service: WriteService, failure: AwsError, capsys: pytest.CaptureFixture[str]
) -> None:
    service.versions.failure = failure
    status, body, _ = service(post("k"))
    assert status == 202 and len(service.log.appended) == 1
    warning, accepted = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (warning["event"], warning["level"], warning["cause"]) == ("key_not_checked", "WARN", failure.code)
    assert warning["change_id"] == body["change_id"] and accepted["event"] == "write_accepted"


def test_an_unconfirmed_post_keeps_its_change_id(service: WriteService) -> None:
    service.log.failure = NotAppendedError(refused=False, cause="ReadTimeoutError")
    unconfirmed = service(post("k"))[1]
    service.log.failure = None
    assert unconfirmed["outcome"] == "unknown" and service(post("k"))[1]["change_id"] == unconfirmed["change_id"]
