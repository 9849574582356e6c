"""Tests of POST with the header Idempotency-Key: a retry is the same change, and never outranks a later write."""

import uuid
from typing import Any

import pytest
import requests

from ops.local.session import Api
from readplane.model.version import time_ms
from tests.local.calls import VALID, is_problem, put, read, writer
from tests.local.permissions import without
from tests.local.pipeline import lines_of, log_keys
from tests.local.support import Local, eventually


class WriteLogs:
    """The objects that Firehose puts into the write logs of both Regions during a test."""

    def __init__(self, stack: Local) -> None:
        self._stack = stack
        self._before = {replica: set(log_keys(stack, replica=replica)) for replica in (False, True)}

    def wait_until_handled(self, change_id: str, times: int) -> None:
        """Wait until the write logs hold a change this many times and `apply` has handled each of these log objects."""

        def all_handled() -> bool:
            objects = [(key, replica) for replica in (False, True) for key in self._keys(change_id, replica)]
            handled = [self._stack.events("apply", "object_handled", key=key, replica=of) for key, of in objects]
            return len(objects) >= times and all(handled)

        eventually(all_handled)

    def _keys(self, change_id: str, replica: bool) -> list[str]:
        new = set(log_keys(self._stack, replica=replica)) - self._before[replica]
        return [key for key in new if change_id.encode() in b"".join(lines_of(self._stack, key, replica=replica))]


@pytest.fixture
def logs(stack: Local) -> WriteLogs:
    return WriteLogs(stack)


def post(api: Api, collection: str, key: str, body: object) -> requests.Response:
    return api("POST", f"/items/{collection}", body, headers={"Idempotency-Key": key})


def accepted(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    document: dict[str, Any] = response.json()
    return document


def outcome(api: Api, item: str, change_id: str) -> str:
    return str(api("GET", f"{item}/changes/{change_id}").json()["status"])


@pytest.mark.parametrize("collection", VALID)
def test_a_retry_is_the_same_change(stack: Local, collection: str) -> None:
    api, key = writer(stack, collection), uuid.uuid4().hex
    first = accepted(post(api, collection, key, VALID[collection]))
    assert accepted(post(api, collection, key, VALID[collection])) == first
    item = f"/items/{collection}/{first['item_id']}"
    assert read(api, item, first["change_id"]).json()["data"] == VALID[collection]
    assert accepted(post(api, collection, key, VALID[collection])) == first, "the change is applied by now"
    assert outcome(api, item, first["change_id"]) == "applied"


def test_a_put_outranks_the_retry_of_the_post_before_it(stack: Local, logs: WriteLogs) -> None:
    api, key = stack.api(stack.eve), uuid.uuid4().hex
    first = accepted(post(api, "notices", key, {"title": "John"}))
    item = f"/items/notices/{first['item_id']}"
    read(api, item, first["change_id"])
    newer = put(api, item, {"title": "Bob"})
    read(api, item, newer)
    assert accepted(post(api, "notices", key, {"title": "John"})) == first
    logs.wait_until_handled(first["change_id"], times=2)
    assert api("GET", item).json()["data"] == {"title": "Bob"}
    assert outcome(api, item, first["change_id"]) == "superseded"


def test_a_retry_does_not_resurrect_a_deleted_item(stack: Local, logs: WriteLogs) -> None:
    api, key = stack.api(stack.eve), uuid.uuid4().hex
    first = accepted(post(api, "notices", key, {"title": "John"}))
    item = f"/items/notices/{first['item_id']}"
    read(api, item, first["change_id"])
    deleted = accepted(api("DELETE", item))["change_id"]
    assert read(api, item, deleted).status_code == 404
    assert accepted(post(api, "notices", key, {"title": "John"})) == first
    logs.wait_until_handled(first["change_id"], times=2)
    assert api("GET", item).status_code == 404
    assert outcome(api, item, first["change_id"]) == "superseded"


@pytest.mark.parametrize("replica", [False, True], ids=["same-region", "other-region"])
def test_another_body_under_the_same_key_is_refused(stack: Local, replica: bool) -> None:
    api, key = stack.api(stack.eve), uuid.uuid4().hex
    first = accepted(post(api, "notices", key, {"title": "John"}))
    item = f"/items/notices/{first['item_id']}"
    other = stack.api(stack.eve, replica=replica)
    read(other, item, first["change_id"])
    is_problem(post(other, "notices", key, {"title": "Bob"}), 422, parameter="Idempotency-Key")
    assert api("GET", item).json()["data"] == {"title": "John"}


def test_a_retry_in_the_other_region_is_the_same_change(stack: Local, logs: WriteLogs) -> None:
    key = uuid.uuid4().hex
    apis = [stack.api(stack.eve, replica=replica) for replica in (False, True)]
    first, second = (accepted(post(api, "notices", key, {"title": "x"})) for api in apis)
    assert first == second
    item = f"/items/notices/{first['item_id']}"
    newer = put(apis[0], item, {"title": "newer"})
    for api in apis:
        assert read(api, item, newer).json()["data"] == {"title": "newer"}
    assert accepted(post(apis[1], "notices", key, {"title": "x"})) == first
    logs.wait_until_handled(first["change_id"], times=3)
    for api in apis:
        assert api("GET", item).json()["version"] == newer


def test_keys_of_other_users_and_collections_are_other_keys(stack: Local) -> None:
    key = uuid.uuid4().hex
    users = [stack.api(stack.alice), stack.api(stack.bob)]
    item_ids = {accepted(post(api, "profiles", key, VALID["profiles"]))["item_id"] for api in users}
    item_ids |= {accepted(post(stack.api(stack.eve), name, key, VALID[name]))["item_id"] for name in VALID}
    assert len(item_ids) == 5
    first = accepted(stack.api(stack.eve)("POST", "/items/notices", {"title": "x"}))
    assert first["item_id"] not in item_ids and time_ms(first["change_id"]) > 0, "without a key, each POST is new"


def test_the_version_of_a_keyed_post_holds_no_time(stack: Local) -> None:
    first = accepted(post(stack.api(stack.eve), "notices", uuid.uuid4().hex, {"title": "x"}))
    assert time_ms(first["change_id"]) == 0


def test_the_status_of_a_keyed_post_is_pending_until_it_is_applied(stack: Local) -> None:
    api = stack.api(stack.eve)
    change_id = accepted(post(api, "notices", uuid.uuid4().hex, {"title": "x"}))["change_id"]
    assert outcome(api, "/items/notices/another-item", change_id) == "pending", "its id doesn't say how old it is"


def test_a_keyed_post_is_accepted_although_the_item_cannot_be_read(stack: Local) -> None:
    api, key = stack.api(stack.eve), uuid.uuid4().hex
    with without(stack, "write", "ReadItems", ["dynamodb:GetItem"]):
        first = accepted(post(api, "notices", key, {"title": "x"}))
    eventually(lambda: stack.events("write", "key_not_checked", change_id=first["change_id"], level="WARN"))
    assert accepted(post(api, "notices", key, {"title": "x"})) == first


def test_a_keyed_post_takes_no_version_and_no_malformed_key(stack: Local) -> None:
    api = stack.api(stack.eve)
    version = put(api, "/items/notices/named", {"title": "x"})
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    response = api("POST", f"/items/notices?min_version={version}", {"title": "x"}, headers=headers)
    is_problem(response, 400, parameter="min_version")
    for key in ("x" * 256, ""):
        is_problem(post(api, "notices", key, {"title": "x"}), 400, parameter="Idempotency-Key")
    # The key has no meaning for a PUT or a DELETE, because both are idempotent anyway.
    assert put(api, "/items/notices/named", {"title": "y"}, headers={"Idempotency-Key": "x" * 256}) > version
