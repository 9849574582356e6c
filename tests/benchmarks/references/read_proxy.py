"""A straightforward proxy: each read asks the back office, through a session that keeps its connections."""

import json
import os
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tests.benchmarks.references.rules import CACHE_CONTROL, bad_item_id, is_item_id, problem, proxy

BACK_OFFICE = os.environ["BACK_OFFICE"]
TIMEOUT = 5
"""Seconds: longer than any stall, so that none of them is an error."""

session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=100))


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Lambda entry point."""
    item_id = event["pathParameters"]["item_id"]
    if not is_item_id(item_id):
        return proxy(bad_item_id())
    try:
        found = session.get(f"{BACK_OFFICE}/products/{item_id}", timeout=TIMEOUT)
        if found.status_code == 404:
            return proxy(problem(404, "There is no such item."))
        found.raise_for_status()
        row = found.json()
    except requests.Timeout:
        return proxy(problem(504, "The back office didn't answer in time."))
    except requests.RequestException:
        return proxy(problem(502, "The back office can't be reached."))
    data = json.dumps({"name": row["title"], "price": row["price"], "description": row["text"]})
    text = f'{{"id":{json.dumps(item_id)},"collection":"products","data":{data}}}'
    return proxy((200, text, {"Content-Type": "application/json", "Cache-Control": CACHE_CONTROL}))
