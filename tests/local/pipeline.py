"""Helpers that send log objects and notifications to `apply` without the API, and that read the outcome of changes."""

import gzip
import json
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from readplane.model.change import Change
from readplane.model.version import stamp
from readplane.read.status import Status, status_of
from readplane.stores.items import DynamoItems
from tests.local.support import Local

HORIZON_MS = 30 * 86_400_000


def now_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def new_change(
    item_id: str,
    data: str | None = '{"title":"x"}',
    *,
    ms: int | None = None,
    collection: str = "notices",
    owner: str | None = None,
) -> Change:
    """Return a change with a new version, as `write` would make it from a client's request.

    :param data: the item's JSON text; ``None`` for a delete.
    :param ms: the time when the change is accepted, in Unix milliseconds; ``None`` for now.
    """
    stamped_ms = ms if ms is not None else now_ms()
    return Change(
        change_id=stamp(stamped_ms, uuid.uuid4().bytes[:10]),
        collection=collection,
        item_id=item_id,
        data=data,
        actor="test",
        source="api",
        accepted_at=datetime.fromtimestamp(stamped_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        owner=owner,
    )


def new_key() -> str:
    """Return a new S3 key for an object of the write log, in the folder of this hour.

    `apply` takes an object in the folder of an hour long ago for one that an operator has rewritten.
    """
    return f"log/{datetime.now(UTC):year=%Y/month=%m/day=%d/hour=%H}/by-hand-{uuid.uuid4()}.gz"


def put_object(stack: Local, lines: Iterable[bytes], *, key: str | None = None, packed: bool = True) -> str:
    """Put an object into the write log, as Firehose does; return its key. S3 then notifies `apply` of the object.

    :param key: the object's S3 key; ``None`` for a new one.
    :param packed: whether to compress the object with GZIP.
    """
    content = b"".join(lines)
    key = key or new_key()
    body = gzip.compress(content) if packed else content
    stack.root().client("s3").put_object(Bucket=stack.outputs.write_log_bucket, Key=key, Body=body)
    return key


def put_records(stack: Local, lines: Iterable[bytes]) -> None:
    """Put one record for each line on the change stream, as `poll` does. Lambda then passes them to `apply-stream`."""
    records: Any = [{"Data": line, "PartitionKey": "one"} for line in lines]
    stream = stack.outputs.change_stream
    assert stream, "the local settings declare sources"
    stack.root().client("kinesis").put_records(StreamName=stream, Records=records)


def lines_of(stack: Local, key: str, s3: Any = None, *, replica: bool = False) -> list[bytes]:
    """Return the lines of an object in the write log, whether or not the object is compressed.

    Firehose on AWS compresses the objects. The emulator's Firehose doesn't.

    :param replica: whether the object is in the write log of the replica Region instead of the primary Region.
    """
    s3 = s3 or stack.root(replica=replica).client("s3")
    content = s3.get_object(Bucket=_write_log(stack, replica), Key=key)["Body"].read()
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).splitlines()


def notify(stack: Local, keys: Iterable[str], *, replay: bool = False) -> list[str]:
    """Send `apply` a notification for each of these log objects, as S3 does; return the ids of the SQS messages.

    :param replay: whether to mark the notifications as part of a replay, as an operator does.
    """
    sqs = stack.root().client("sqs")
    sent = []
    for key in keys:
        notification = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventTime": datetime.now(UTC).isoformat(),
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": stack.outputs.write_log_bucket}, "object": {"key": key}},
        }
        body = json.dumps({"Records": [notification], **({"replay": True} if replay else {})})
        sent.append(sqs.send_message(QueueUrl=stack.outputs.apply_queue_url, MessageBody=body)["MessageId"])
    return sent


def log_keys(stack: Local, *, replica: bool = False) -> list[str]:
    """Return the S3 keys of all objects in the write log.

    :param replica: whether to list the write log of the replica Region instead of the primary Region.
    """
    pages = stack.root(replica=replica).client("s3").get_paginator("list_objects_v2")
    listing = pages.paginate(Bucket=_write_log(stack, replica), Prefix="log/")
    return [entry["Key"] for page in listing for entry in page.get("Contents", [])]


def _write_log(stack: Local, replica: bool) -> str:
    bucket = stack.outputs.replica_write_log_bucket if replica else stack.outputs.write_log_bucket
    assert bucket, "the local settings declare no replica Region"
    return bucket


def quarantined(stack: Local) -> list[dict[str, Any]]:
    """Return all entries in quarantine. In each entry, the member ``key`` is the entry's S3 key."""
    s3 = stack.root().client("s3")
    bucket = stack.outputs.write_log_bucket
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="quarantine/")
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return [{"key": key, **json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])} for key in keys]


def items(stack: Local, *, replica: bool = False) -> DynamoItems:
    """Return the items store of one Region. It calls DynamoDB with the root user's credentials."""
    client = stack.client("dynamodb", replica=replica)
    return DynamoItems(client, stack.outputs.items_table, "by_collection", horizon_ms=HORIZON_MS)


def status(store: DynamoItems, change: Change) -> Status | None:
    """Return the status of a change that the API would report; ``None`` if the API would respond 404.

    :param store: the items store of the Region whose API would report the status.
    """
    return status_of(change.change_id, *store.get_change_status(change.key, change.change_id), now_ms(), 900_000)
