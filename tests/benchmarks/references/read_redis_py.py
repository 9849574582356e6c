"""`read` with redis-py and the usual cache-aside code: get the JSON and parse it; on a miss, ask DynamoDB."""

import json
import os
from typing import Any

import boto3
import redis

from .rules import bad_item_id, header, is_item_id, item_response, key_of, plain, proxy

FRESH_SECONDS = 3600

client: Any = boto3.client("dynamodb")
cache = redis.Redis(
    os.environ["CACHE_HOST"], int(os.environ["CACHE_PORT"]), ssl=True, protocol=2, ssl_ca_certs=os.environ["CACHE_CA"]
)
TABLE = os.environ["TABLE"]


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    item_id = event["pathParameters"]["item_id"]
    if not is_item_id(item_id):
        return proxy(bad_item_id())
    key = f"redis-py/{key_of(item_id)}"
    stored: Any = cache.get(key)
    if stored is None:
        record = plain(
            client.get_item(TableName=TABLE, Key={"pk": {"S": key_of(item_id)}}, ConsistentRead=True).get("Item")
        )
        cache.set(key, json.dumps(record), ex=FRESH_SECONDS)
    else:
        record = json.loads(stored)
    return proxy(item_response(record, header(event, "if-none-match")))
