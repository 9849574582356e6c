"""Readplane's own `read`, whose items come through redis-py and the usual cache-aside code.

On a hit, the code parses the item's JSON. On a miss, it reads DynamoDB and stores the item's JSON.
"""

import json
import os
from typing import Any

import redis

from readplane.entrypoint import Entrypoint
from readplane.model.change import Change
from readplane.read import handler as read
from readplane.stores.items import DynamoItems

FRESH_SECONDS = 3600

cache: Any = redis.Redis(
    os.environ["CACHE_HOST"],
    int(os.environ["CACHE_PORT"]),
    ssl=True,
    protocol=2,
    ssl_ca_certs=os.environ["CACHE_CA"],
)


class CacheAsideItems(DynamoItems):
    """The items in DynamoDB, behind a cache."""

    def get_item(self, key: str, *, consistent: bool = False) -> Change | None:
        stored = cache.get(f"over-redis-py/{key}")
        if stored is not None:
            return Change(*json.loads(stored))
        change = super().get_item(key, consistent=True)
        if change is not None:
            cache.set(f"over-redis-py/{key}", json.dumps(change), ex=FRESH_SECONDS)
        return change


patched: Any = read
patched.DynamoItems = CacheAsideItems
handler = Entrypoint(read.make_read)
