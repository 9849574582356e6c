"""A plain proxy, with which the outage benchmark compares Readplane. Each read sends a request to the back office.

The proxy keeps its connections to the back office open between reads. It has no cache and no retries.
"""

import json
import os
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from .rules import CACHE_CONTROL, bad_item_id, is_item_id, problem, proxy

BACK_OFFICE = os.environ["BACK_OFFICE"]
TIMEOUT = 5
"""How long the proxy waits for a response of the back office, in seconds. No stalled response takes this long, so the
proxy returns stalled responses late but without an error."""

session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=100))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    item_id = event["pathParameters"]["item_id"]
    if not is_item_id(item_id):
        return proxy(bad_item_id())
    try:
        response = session.get(f"{BACK_OFFICE}/products/{item_id}", timeout=TIMEOUT)
        if response.status_code == 404:
            return proxy(problem(404, "There is no such item."))
        response.raise_for_status()
        row = response.json()
    except requests.Timeout:
        return proxy(problem(504, "The back office didn't respond in time."))
    except requests.RequestException:
        return proxy(problem(502, "The back office can't be reached."))
    data = json.dumps({"name": row["title"], "price": row["price"], "description": row["text"]})
    text = f'{{"id":{json.dumps(item_id)},"collection":"products","data":{data}}}'
    return proxy((200, text, {"Content-Type": "application/json", "Cache-Control": CACHE_CONTROL}))
