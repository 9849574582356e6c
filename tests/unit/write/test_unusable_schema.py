"""Tests of a schema that can't be compiled: it closes its own collection for writes, and no other.

As in Lambda, `write` reads its settings from the environment.
"""

import hashlib
import json
from typing import Any

import boto3
import pytest

from readplane.config import VARIABLE
from readplane.entrypoint import CHECK
from readplane.write.handler import handler
from tests.fakes.moto_aws import Aws
from tests.unit.stores.support import new_bucket
from tests.unit.support import CLIENT_ID, api_event, settings_text
from tests.unit.write.support import delete, post, put

pytestmark = pytest.mark.usefixtures("either_client")

READER: dict[str, object] = {"cognito:groups": "readers"}
UNUSABLE = {
    "newer": {"$schema": "https://json-schema.org/draft/2020-12/schema"},
    "misspelt": {"type": "strng"},
    "remote": {"$ref": "https://example.com/schema.json"},
    "pattern": {"pattern": "(?<!a)b"},
}
SCHEMAS = UNUSABLE | {"products": {"type": "object", "required": ["name"]}}


@pytest.fixture(autouse=True)
def stack(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps(SCHEMAS).encode()
    settings = {
        "name": "demo",
        "client_ids": [CLIENT_ID],
        "cors_origins": [],
        "delivery_stream": "log",
        "items_table": "items",
        "schemas": {
            "bucket": "bucket",
            "key": "schemas.json",
            "version_id": "null",
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        "collections": {name: {"read": "public", "write_groups": ["editors"]} for name in [*SCHEMAS, "anything"]},
    }
    monkeypatch.setenv(VARIABLE, settings_text(settings))
    new_bucket().put_object(Bucket="bucket", Key="schemas.json", Body=content)
    boto3.client("firehose").create_delivery_stream(
        DeliveryStreamName="log",
        ExtendedS3DestinationConfiguration={
            "RoleARN": "arn:aws:iam::123456789012:role/r",
            "BucketARN": "arn:aws:s3:::bucket",
        },
    )
    handler.start()


def lines(capsys: pytest.CaptureFixture[str]) -> list[Any]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("collection", UNUSABLE)
def test_an_unusable_schema_closes_its_own_collection(collection: str, capsys: pytest.CaptureFixture[str]) -> None:
    for request in (put(collection=collection), delete(collection=collection), post(collection=collection)):
        capsys.readouterr()
        response = handler(request, None)
        problem = json.loads(response["body"])
        assert (response["statusCode"], problem["code"], problem["status"]) == (503, "schema_unusable", 503)
        assert response["headers"]["Retry-After"] == "60"
        (event,) = [line for line in lines(capsys) if line["event"] == "schema_unusable"]
        assert (event["level"], event["Collection"], event["SchemasUnusable"]) == ("ERROR", collection, 1)
        (metrics,) = event["_aws"]["CloudWatchMetrics"]
        assert metrics["Dimensions"] == [["Stack"], ["Stack", "Collection"]]


def test_all_other_collections_go_on() -> None:
    for name in ("products", "anything"):
        assert handler(put(collection=name), None)["statusCode"] == 202
    assert handler(put("{}", collection="products"), None)["statusCode"] == 400


def test_who_may_not_write_learns_nothing_about_the_schema() -> None:
    request = api_event("PUT", "/items/newer/{item_id}", {"item_id": "a"}, body="{}", claims=READER)
    assert handler(request, None)["statusCode"] == 403


def test_each_start_reports_every_closed_collection(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    handler.start()
    found = lines(capsys)
    assert [(line["event"], line["level"], line["Collection"]) for line in found] == [
        ("schema_unusable", "ERROR", name) for name in UNUSABLE
    ]
    # The version may never go live, so only a refused write counts for the alarm.
    assert not any("SchemasUnusable" in line for line in found)


def test_the_check_of_a_new_version_lists_every_unusable_schema() -> None:
    problems = handler(CHECK, None)["problems"]
    assert len(problems) == len(UNUSABLE)
    for name, word in {"newer": "draft-07", "misspelt": "strng", "remote": "example.com", "pattern": "regex"}.items():
        (problem,) = [problem for problem in problems if f"collection {name} " in problem]
        assert word in problem
