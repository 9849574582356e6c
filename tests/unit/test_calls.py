"""The functions as Lambda makes them, from their environment: how many network calls a request costs."""

import hashlib
import importlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from readplane.config import VARIABLE, BadSettings
from tests.unit.support import CLIENT_ID, api_event, change, event, settings_text
from tests.unit.test_stores import new_bucket, new_table

COLLECTIONS = {"products": {"read": "public", "write_groups": ["editors"], "cache_ttl": 60}}
SCHEMAS = json.dumps({"products": {"type": "object"}}).encode()
SETTINGS: dict[str, Any] = {
    "name": "demo",
    "client_ids": [CLIENT_ID],
    "cors_origins": [],
    "delivery_stream": "log",
    "schemas": {"bucket": "bucket", "key": "schemas.json", "sha256": hashlib.sha256(SCHEMAS).hexdigest()},
    "items_table": "items-0",
    "items_index": "by_collection",
    "documents_bucket": "bucket",
    "pending_seconds": 900,
    "horizon_days": 30,
    "queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/demo-apply",
    "log_bucket": "bucket",
    "quarantine_prefix": "quarantine/",
    "collections": COLLECTIONS,
}


class Calls(list[str]):
    """Every AWS request of this process, as service.operation."""

    def during(self, work: Callable[[], Any]) -> tuple[Any, list[str]]:
        self.clear()
        return work(), list(self)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv(VARIABLE, settings_text(SETTINGS))
    with mock_aws():
        boto3.setup_default_session()
        seen = Calls()

        def note(event_name: str, **_: Any) -> None:
            seen.append(event_name.removeprefix("before-send."))

        assert boto3.DEFAULT_SESSION
        boto3.DEFAULT_SESSION.events.register_first("before-send", note)
        s3 = new_bucket()
        s3.put_object(Bucket="bucket", Key="schemas.json", Body=SCHEMAS)
        s3.put_object(Bucket="bucket", Key="public/products/p-1.json", Body=b"{}", ContentType="application/json")
        boto3.client("firehose").create_delivery_stream(
            DeliveryStreamName="log",
            ExtendedS3DestinationConfiguration={
                "RoleARN": "arn:aws:iam::123456789012:role/r",
                "BucketARN": "arn:aws:s3:::bucket",
            },
        )
        new_table()[0].apply(change())
        yield seen


def handler_of(name: str) -> Callable[[Any, Any], Any]:
    module = importlib.import_module(f"readplane.handlers.{name}")
    module.function.cache_clear()
    module.function()
    made: Callable[[Any, Any], Any] = module.handler
    return made


def test_an_accepted_write_is_one_call(calls: Calls) -> None:
    write = handler_of("write")
    put = event("api") | {"body": "{}"}
    answered, made = calls.during(lambda: write(put, None))
    assert answered["statusCode"] == 202 and made == ["firehose.PutRecord"]
    answered, made = calls.during(lambda: write(put | {"body": "["}, None))
    assert answered["statusCode"] == 400 and made == []


@pytest.mark.parametrize(
    ("resource", "operation"),
    [
        ("/items/products/{item_id}", "dynamodb.GetItem"),
        ("/documents/products/{item_id}", "s3.GetObject"),
        ("/items/products/{item_id}/changes/{change_id}", "dynamodb.BatchGetItem"),
    ],
)
def test_a_read_is_one_call(calls: Calls, resource: str, operation: str) -> None:
    read = handler_of("read")
    get = api_event("GET", resource, {"item_id": "p-1", "change_id": change().change_id})
    answered, made = calls.during(lambda: read(get, None))
    assert answered["statusCode"] == 200 and made == [operation]


def test_a_list_queries_until_its_page_is_full(calls: Calls) -> None:
    read = handler_of("read")
    answered, made = calls.during(lambda: read(api_event("GET", "/items/products", query={"limit": "1"}), None))
    body = json.loads(answered["body"])
    assert len(body["items"]) == 1 and set(made) == {"dynamodb.Query"}
    following = api_event("GET", "/items/products", query={"limit": "1"})
    queried = len(made)
    # the one item's partition is found once; nothing behind it is asked for
    _, made = calls.during(lambda: read(following, None))
    assert len(made) == queried <= 8


@pytest.mark.parametrize("name", ["write", "read", "apply", "publish"])
def test_every_function_starts_from_its_settings_and_says_what_is_wrong_with_them(
    calls: Calls, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(handler_of(name))
    monkeypatch.setenv(VARIABLE, settings_text({}))
    with pytest.raises(BadSettings, match="name must be"):
        handler_of(name)


def test_a_collection_without_a_schema_takes_any_object(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    more = SETTINGS | {"collections": COLLECTIONS | {"orders": {"read": "public", "write_groups": ["editors"]}}}
    monkeypatch.setenv(VARIABLE, settings_text(more))
    put = event("api") | {"resource": "/items/orders/{item_id}", "body": '{"any": [1, {}]}'}
    assert handler_of("write")(put, None)["statusCode"] == 202
    assert handler_of("write")(put | {"body": "[]"}, None)["statusCode"] == 400
