"""The test data of the benchmarks: API Gateway events, the schemas, an item, and objects of the write log."""

import gzip
import json
import random
import time
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from readplane.config import DAY_MS
from readplane.model.collection import Collection
from tests.benchmarks.schema import SCHEMA

TABLE, BUILDING = "items-0", "items-1"
"""The live items table, and the one that a rebuild fills."""
CHECKPOINTS = "checkpoints"
COLLECTIONS = {"products": Collection("products", "public", ("editors",))}
"""The collections that the settings of the measured functions declare."""

HORIZON_MS = 30 * DAY_MS
SOURCE = "backoffice"
KEY_SET_PATH = "/pool/.well-known/jwks.json"
KEY_SET_FILE, PARAMETER_FILE = "jwks.json", "parameter.json"
"""The files of the fake AWS server with the key set of a user pool, and with the SSM parameter of `edge_auth`."""

RECORD_BYTES = 1024
"""The length in bytes of every line that :func:`write_log` writes."""

CLIENT_ID = "4h5j6k7l8m9n0p1q2r3s4t5u6v"
VERSION = "019a9f3e-7c00-7abc-8def-0123456789ab"
AS_OF = "2025-11-20T08:00:00.000Z"
SUB = "3f1a8a52-4031-70b5-6a1e-0d6f2b1f0c11"
LOG_KEY = "changes-%d.gz"
PRODUCT = {
    "name": "Kettle",
    "price": 19.90,
    "currency": "EUR",
    "description": "Boils a litre and a half in under three minutes and switches itself off. " * 4,
    "tags": ["kitchen", "electric", "steel"],
}

_EVENT = Path(__file__).parents[1] / "unit" / "events" / "api.json"
_WORDS = ("slow", "fast", "item", "owner", "change", "read", "write", "plane", "steel", "kettle", "copper", "spoon")


class Log(NamedTuple):
    """An object of the write log, and what the items table must hold after `apply` has applied this object.

    key: the S3 key of the object.
    records: the number of lines in the object.
    winners: the number of items that the table must hold.
    sum: the checksum that the table must have. It is the sum of :func:`mark` over all items.
    """

    key: str
    records: int
    winners: int
    sum: int


def mark(key: str, version: str) -> int:
    """Return what one item adds to the checksum of the items table: a hash of the item's key and version."""
    return int.from_bytes(blake2b(f"{key} {version}".encode(), digest_size=6).digest(), "big")


def write_state(folder: Path) -> str:
    """Write the files with the item and the schemas that the fake AWS server serves; return the schemas as JSON."""
    (folder / "s3").mkdir(parents=True)
    texts = {
        "pk": "item/products/p-1",
        "collection": "products",
        "item_id": "p-1",
        "version": VERSION,
        "as_of": AS_OF,
        "actor": SUB,
        "source": "api",
        "data": json.dumps(PRODUCT),
        "list_key": "products/7",
    }
    item = {name: {"S": text} for name, text in texts.items()}
    (folder / "items.json").write_text(json.dumps({texts["pk"]: item}))
    schemas = json.dumps({"products": SCHEMA})
    (folder / "s3" / "schemas.json").write_text(schemas)
    return schemas


def request(method: str, item_id: str = "p-1", *, body: str | None = None, **headers: str) -> dict[str, Any]:
    """Return API Gateway's event for a request to one item of the collection ``products``.

    :param headers: the values of additional request headers by name, with ``_`` in place of each ``-``.
    """
    event: dict[str, Any] = json.loads(_EVENT.read_text())
    event |= {"httpMethod": method, "path": f"/items/products/{item_id}", "body": body}
    event["pathParameters"] = {"item_id": item_id}
    event["requestContext"] |= {"httpMethod": method, "path": f"/v1/items/products/{item_id}"}
    added = {name.replace("_", "-"): value for name, value in headers.items()}
    event["headers"] |= added
    event["multiValueHeaders"] = {name: [value] for name, value in event["headers"].items()}
    return event


def get() -> dict[str, Any]:
    """Return API Gateway's event for a GET of the only item that the fake AWS server holds."""
    return request("GET")


def put() -> dict[str, Any]:
    """Return API Gateway's event for a PUT with a valid body of about 400 bytes."""
    return request("PUT", body=json.dumps(PRODUCT))


def with_claims(event: dict[str, Any], **claims: str) -> dict[str, Any]:
    """Change an API Gateway event so that the caller's access token has other claims; return the event.

    :param claims: the claims to replace or add, by name. The name ``cognito_groups`` stands for ``cognito:groups``.
    """
    event["requestContext"]["authorizer"]["claims"] |= {
        name.replace("_groups", ":groups"): claims[name] for name in claims
    }
    return event


def notification(log: Log) -> dict[str, Any]:
    """Return the SQS event that notifies `apply` of a new object of the write log."""
    s3 = {"bucket": {"name": "bucket"}, "object": {"key": log.key}}
    body = json.dumps({"Records": [{"eventTime": "2025-11-21T08:00:00.000Z", "s3": s3}]})
    record = {"messageId": "m-1", "receiptHandle": "r-1", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
    return {"Records": [record]}


def write_log(folder: Path, records: int) -> Log:
    """Write an object of the write log with lines of 1 KB. Every tenth line repeats a random earlier line."""
    chance = random.Random(records)
    pool = "".join(f"{chance.choice(_WORDS)}-{chance.randrange(10_000)} " for _ in range(20_000))
    start_ms = int(time.time() * 1000) - 60_000
    total = winners = 0
    key = LOG_KEY % records
    with gzip.open(folder / "s3" / key, "wb", compresslevel=1) as file:
        for number in range(records):
            if number % 10 == 9:
                file.write(_line(chance.randrange(winners), start_ms, pool)[1])
                continue
            change_id, line = _line(winners, start_ms, pool)
            total += mark(f"item/products/p-{winners:07}", change_id)
            winners += 1
            file.write(line)
    return Log(key, records, winners, total)


def _line(number: int, start_ms: int, pool: str) -> tuple[str, bytes]:
    # Compute the whole line from its number. So write_log() can repeat any earlier line without keeping all lines.
    spread = zlib.crc32(number.to_bytes(4, "big"))
    stamp = f"{start_ms + number // 100:012x}"
    change_id = f"{stamp[:8]}-{stamp[8:]}-7{number % 4096:03x}-8{spread % 4096:03x}-{number:012x}"
    head = (
        f'{{"change_id":"{change_id}","collection":"products","item_id":"p-{number:07}","op":"put","actor":"{SUB}",'
        f'"source":"api","accepted_at":"{AS_OF}","data":{{"name":"Product {number}","price":{spread % 10_000 / 100},'
        '"description":"'
    )
    end = '"}}\n'
    filler = RECORD_BYTES - len(head) - len(end)
    start = spread % (len(pool) - RECORD_BYTES)
    return change_id, f"{head}{pool[start : start + filler]}{end}".encode()
