"""Tests of how many network calls a request costs. As in Lambda, each function reads its settings from the
environment."""

import base64
import hashlib
import importlib
import json
import os
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from readplane.aws.client import make_client
from readplane.config import VARIABLE, SettingsError
from readplane.model.freshness import Freshness
from readplane.model.timestamp import rfc3339
from readplane.poll.checkpoint import Position
from readplane.poll.sourced_items import DynamoSourcedItems
from tests.fakes.moto_aws import Aws
from tests.unit.stores.support import new_bucket, new_table
from tests.unit.support import CLIENT_ID, NOW_MS, api_event, change, event, kinesis_event, settings_text

RELATIONAL = {"fields": {"price": {"type": "number", "pointer": "/price"}}, "sort": ["price"]}
COLLECTIONS = {"products": {"read": "public", "write_groups": ["editors"], "cache_ttl": 60, "relational": RELATIONAL}}
SCHEMAS = json.dumps({"products": {"type": "object"}}).encode()
SETTINGS: dict[str, Any] = {
    "name": "demo",
    "client_ids": [CLIENT_ID],
    "cors_origins": [],
    "delivery_stream": "log",
    "schemas": {
        "bucket": "bucket",
        "key": "schemas.json",
        "version_id": "null",
        "sha256": hashlib.sha256(SCHEMAS).hexdigest(),
    },
    "items_table": "items",
    "items_index": "by_collection",
    "documents_bucket": "bucket",
    "pending_seconds": 900,
    "horizon_days": 30,
    "queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/demo-apply",
    "log_bucket": "bucket",
    "quarantine_prefix": "quarantine/",
    "collections": COLLECTIONS,
    "database": {"host": "127.0.0.1", "port": 1, "name": "readplane", "user": "query", "tls": False},
}


pytestmark = pytest.mark.usefixtures("either_client")


@pytest.fixture
def calls(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    items, table = new_table()
    items.apply(change())
    monkeypatch.setenv(VARIABLE, settings_text(SETTINGS | {"items_table": table}))
    s3 = new_bucket()
    s3.put_object(Bucket="bucket", Key="schemas.json", Body=SCHEMAS)
    s3.put_object(Bucket="bucket", Key="public/documents/products/p-1", Body=b"{}", ContentType="application/json")
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="log",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/r",
            "BucketARN": "arn:aws:s3:::bucket",
        },
    )
    return aws


def handler_of(name: str) -> Callable[[Any, Any], Any]:
    module = importlib.import_module(f"readplane.{name}.handler")
    module.handler.start()
    handler: Callable[[Any, Any], Any] = module.handler
    return handler


def test_an_accepted_write_is_one_call(calls: Aws) -> None:
    write = handler_of("write")
    put = event("api") | {"body": "{}"}
    response, requests = calls.during(lambda: write(put, None))
    assert response["statusCode"] == 202 and requests == ["PutRecord"]
    response, requests = calls.during(lambda: write(put | {"body": "["}, None))
    assert response["statusCode"] == 400 and requests == []


@pytest.mark.parametrize(
    ("resource", "operation"),
    [
        ("/items/products/{item_id}", "GetItem"),
        ("/documents/products/{item_id}", "GET /bucket/public/documents/products/p-1"),
        ("/items/products/{item_id}/changes/{change_id}", "BatchGetItem"),
    ],
)
def test_a_read_is_one_call(calls: Aws, resource: str, operation: str) -> None:
    read = handler_of("read")
    get = api_event("GET", resource, {"item_id": "p-1", "change_id": change().change_id})
    response, requests = calls.during(lambda: read(get, None))
    assert response["statusCode"] == 200 and requests == [operation]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_that_names_a_version_is_one_call(calls: Aws, method: str) -> None:
    read = handler_of("read")
    query = {"min_version": change().change_id}
    get = api_event(method, "/items/products/{item_id}", {"item_id": "p%2D1"}, query=query)
    response, requests = calls.during(lambda: read(get, None))
    assert response["statusCode"] == 200 and requests == ["GetItem"]


@pytest.mark.parametrize("name", ["read", "query"])
def test_a_list_queries_until_its_page_is_full(calls: Aws, name: str) -> None:
    read = handler_of(name)
    response, requests = calls.during(lambda: read(api_event("GET", "/items/products", query={"limit": "1"}), None))
    body = json.loads(response["body"])
    assert len(body["items"]) == 1 and set(requests) == {"Query"}
    first_queries = len(requests)
    # The limit of 1 makes the page full as soon as it holds the item. So each request stops at the item's partition,
    # and the second request makes as many queries as the first.
    _, requests = calls.during(lambda: read(api_event("GET", "/items/products", query={"limit": "1"}), None))
    assert len(requests) == first_queries <= 8


def test_a_read_of_a_sourced_collection_is_one_call_and_one_more_every_five_seconds(
    calls: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = {"shop": {"collection": "products", "staleness_budget": 300}}
    table = json.loads(zlib.decompress(base64.b64decode(os.environ[VARIABLE]), 31))["items_table"]
    monkeypatch.setenv(VARIABLE, settings_text(SETTINGS | {"items_table": table, "sources": sources}))
    fresh = Freshness(rfc3339(NOW_MS), "closed", rfc3339(NOW_MS))
    DynamoSourcedItems(make_client("dynamodb"), table, horizon_ms=1).put_freshness(
        "shop", fresh, Position(None, None, None)
    )
    boto3.client("s3").put_object(Bucket="bucket", Key="public/documents/sources/shop", Body=b"{}")
    time_ms = NOW_MS
    monkeypatch.setattr("readplane.api.staleness.now_ms", lambda: time_ms)
    read = handler_of("read")
    get = api_event("GET", "/items/products/{item_id}", {"item_id": "p-1"})
    response, requests = calls.during(lambda: read(get, None))
    assert requests == ["GetItem"] * 2 and "Readplane-Stale" not in response["headers"]
    for _ in range(3):
        response, requests = calls.during(lambda: read(get, None))
        assert response["statusCode"] == 200 and requests == ["GetItem"]
    time_ms += 4_999
    assert calls.during(lambda: read(api_event("GET", "/items/products"), None))[1] == ["Query"] * 8
    time_ms += 300_001
    response, requests = calls.during(lambda: read(get, None))
    assert requests == ["GetItem"] * 2 and response["headers"]["Readplane-Stale"] == "true"
    assert calls.during(lambda: read(api_event("GET", "/sources/shop"), None))[1] == ["GetItem"]
    response, requests = calls.during(lambda: read(api_event("GET", "/documents/sources/shop"), None))
    assert response["statusCode"] == 200 and requests == ["GET /bucket/public/documents/sources/shop"]


def test_a_record_of_the_change_stream_is_one_call(calls: Aws) -> None:
    apply = handler_of("apply")
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 30_000)
    # Send only two records, so that `apply` writes each with a PutItem. It writes more than two changes in bulk.
    lines = [change(f"s-{number}", source="shop").line() for number in range(2)]
    response, requests = calls.during(lambda: apply(kinesis_event(lines), context))
    assert response == {"batchItemFailures": []} and requests == ["PutItem"] * 2
    response, requests = calls.during(lambda: apply(kinesis_event([b"poison"]), context))
    assert response == {"batchItemFailures": []}
    (call,) = requests
    assert call.startswith("PUT /bucket/quarantine/unparsable/")


def test_a_list_of_the_database_makes_no_call_to_aws(calls: Aws) -> None:
    query = handler_of("query")
    get = api_event("GET", "/items/products", query={"sort": "price"})
    response, requests = calls.during(lambda: query(get, None))
    assert response["statusCode"] == 503 and requests == [], "there is no database here"


@pytest.mark.parametrize("name", ["write", "read", "query", "apply", "publish"])
def test_every_function_starts_from_its_settings_or_says_what_is_wrong_with_them(
    calls: Aws, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(handler_of(name))
    monkeypatch.setenv(VARIABLE, settings_text({}))
    with pytest.raises(SettingsError, match="name must be"):
        handler_of(name)


def test_a_collection_without_a_schema_takes_any_object(calls: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS | {"collections": COLLECTIONS | {"orders": {"read": "public", "write_groups": ["editors"]}}}
    monkeypatch.setenv(VARIABLE, settings_text(settings))
    put = event("api") | {"resource": "/items/orders/{item_id}", "body": '{"any": [1, {}]}'}
    assert handler_of("write")(put, None)["statusCode"] == 202
    assert handler_of("write")(put | {"body": "[]"}, None)["statusCode"] == 400
