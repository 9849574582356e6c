"""Checks of requests and builders of responses, for all references. The checks are no stricter than Readplane's."""

import json
import os
import re
import time
from datetime import UTC, datetime
from typing import Any

CLIENT_ID = "4h5j6k7l8m9n0p1q2r3s4t5u6v"
WRITE_GROUPS = frozenset({"editors"})
CACHE_CONTROL = "public, max-age=0"

_ITEM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,255}")
_BETWEEN_GROUPS = re.compile(r"[\s,\[\]]+")
_TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    415: "Unsupported Media Type",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}

PlainResponse = tuple[int, str, dict[str, str]]
"""The status, the body and the headers of a response. Each reference turns them into a response of its framework."""


def is_item_id(text: str) -> bool:
    """Return whether the text is a valid item id."""
    return _ITEM_ID.fullmatch(text) is not None


def problem(status: int, detail: str) -> PlainResponse:
    """Return an error response whose body is a problem document (RFC 9457)."""
    document = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    return status, json.dumps(document), {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}


def bad_item_id() -> PlainResponse:
    """Return the error response to a request with an invalid item id."""
    return problem(400, "item_id must be 1-256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit.")


def key_of(item_id: str) -> str:
    """Return the key of an item of the collection ``products`` in the items table."""
    return f"item/products/{item_id}"


def item_response(record: dict[str, Any] | None, if_none_match: str | None) -> PlainResponse:
    """Return the response to a GET of an item.

    :param record: the item's record in DynamoDB, with strings as values; ``None`` if there is no such record.
    :param if_none_match: the request's ``If-None-Match`` header; ``None`` if the request has none.
    """
    if record is None or "data" not in record:
        return problem(404, "There is no such item.")
    version = record["version"]
    etag = f'"{version}"'
    headers = {"ETag": etag, "Cache-Control": CACHE_CONTROL}
    if if_none_match and etag in [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]:
        return 304, "", headers
    text = (
        f'{{"id":{json.dumps(record["item_id"])},"collection":{json.dumps(record["collection"])},'
        f'"version":"{version}","as_of":"{record["as_of"]}","data":{record["data"]}}}'
    )
    return 200, text, {**headers, "Content-Type": "application/json", "Readplane-Version": version}


def plain(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """Turn a record like ``{"a": {"S": "b"}}`` into ``{"a": "b"}``. All attributes of the record must be strings."""
    return None if record is None else {name: value["S"] for name, value in record.items()}


def refusal(claims: dict[str, Any]) -> PlainResponse | None:
    """Return the error response to a caller who isn't allowed to write, or ``None`` if the caller is.

    :param claims: the claims in the caller's access token.
    """
    if claims.get("token_use") != "access" or claims.get("client_id") != CLIENT_ID or not claims.get("sub"):
        return problem(403, "An access token of one of this API's clients is needed.")
    groups = claims.get("cognito:groups") or ""
    names = _BETWEEN_GROUPS.split(groups) if isinstance(groups, str) else groups
    if WRITE_GROUPS.isdisjoint(names):
        return problem(403, "Only members of its write groups may write to products.")
    return None


def change_of(item_id: str, body: str, sub: str) -> tuple[str, bytes]:
    """Make a change that puts an item; return the ``change_id`` (UUIDv7) and the line for the write log.

    :param sub: the id of the caller, who becomes the actor of the change.
    """
    now = time.time_ns() // 1_000_000
    bits = int.from_bytes(os.urandom(10), "big")
    value = (now << 80) | (0x7 << 76) | ((bits >> 68) << 64) | (0b10 << 62) | (bits & ((1 << 62) - 1))
    text = f"{value:032x}"
    change_id = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    accepted_at = datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {
        "change_id": change_id,
        "collection": "products",
        "item_id": item_id,
        "op": "put",
        "actor": sub,
        "source": "api",
        "accepted_at": accepted_at,
    }
    line = json.dumps(head, separators=(",", ":"))[:-1] + ',"data":' + body.strip().replace("\n", " ") + "}\n"
    return change_id, line.encode()


def accepted_response(item_id: str, change_id: str) -> PlainResponse:
    """Return the 202 response to a write whose change Firehose has accepted."""
    text = json.dumps({"change_id": change_id, "item_id": item_id, "status": "accepted"})
    location = f"{item_id}/changes/{change_id}"
    return 202, text, {"Content-Type": "application/json", "Cache-Control": "no-store", "Location": location}


def log_accepted(change_id: str, request_id: str) -> None:
    """Print the log line that Readplane prints for an accepted write. The line contains CloudWatch metrics."""
    units = [{"Name": "ChangesAccepted", "Unit": "Count"}]
    metrics = {"Namespace": "Readplane", "Dimensions": [["Stack"], ["Stack", "Collection"]], "Metrics": units}
    line = {
        "level": "INFO",
        "event": "write_accepted",
        "message": "A write is durable.",
        "function": "write",
        "request_id": request_id,
        "change_id": change_id,
        "Collection": "products",
        "Stack": "demo",
        "ChangesAccepted": 1,
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metrics]},
    }
    print(json.dumps(line, separators=(",", ":")))


def proxy(response: PlainResponse) -> dict[str, Any]:
    """Return a response in the form of API Gateway's proxy integration. References without a web framework need it."""
    status, text, headers = response
    return {"statusCode": status, "headers": headers, "body": text, "isBase64Encoded": False}


def header(event: dict[str, Any], name: str) -> str | None:
    """Return the value of a header in API Gateway's event; ``None`` if the request doesn't have this header.

    :param name: the header's name in lower case. The name in the event may have any case.
    """
    return next((value for key, value in (event.get("headers") or {}).items() if key.lower() == name), None)
