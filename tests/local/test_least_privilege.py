"""Every action of every role is needed: without it, something that the stack promises stops working.

The emulator doesn't enforce all of IAM. What it can't show is listed in ``UNENFORCED``; those statements are asserted
one by one, resource and condition included, in terraform/tests/. Both lists together must be every action there is.
"""

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ops.build.zips import TARGETS
from ops.console import ROOT, CommandError
from ops.local import session
from readplane.model.version import is_version
from tests.local.back_offices import Feed, source_of
from tests.local.permissions import BOTH, actions, without
from tests.local.pipeline import items, made, new_key, notify, now_ms, put_object, quarantined, shown
from tests.local.support import Local, eventually

BROKEN = 3.5
"""Seconds after which what works within one, or two at a retry, counts as not working."""

_patience = 20.0  # for what must work, however busy the machine is


@contextmanager
def expecting_nothing() -> Iterator[None]:
    """Wait only so long that what works would have shown."""
    global _patience
    usual, _patience = _patience, BROKEN
    try:
        yield
    finally:
        _patience = usual


def soon(check: Callable[[], object]) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + _patience
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return False


def name(prefix: str) -> str:
    return f"privilege-{prefix}-{uuid.uuid4()}"


def accepts_writes(stack: Local) -> bool:
    return stack.api(stack.eve)("PUT", f"/items/notices/{name('put')}", {"title": "x"}).status_code == 202


def delivers_log_objects(stack: Local) -> bool:
    item = name("delivered")
    stack.api(stack.eve)("PUT", f"/items/notices/{item}", {"title": "x"})
    return soon(lambda: items(stack).get(f"item/notices/{item}"))


def applies_changes(stack: Local) -> bool:
    change = made(name("applied"))
    put_object(stack, [change.line()])
    return soon(lambda: items(stack).get(change.key) == change)


def inserts_in_bulk(stack: Local) -> bool:
    """From three changes on, an object is read and written in batches."""
    changes = [made(name("inserted")) for _ in range(3)]
    put_object(stack, [change.line() for change in changes])
    return soon(lambda: all(items(stack).get(change.key) == change for change in changes))


def replaces_in_bulk(stack: Local) -> bool:
    old = [made(name("replaced"), ms=now_ms() - 1000) for _ in range(3)]
    for change in old:
        items(stack).apply(change)
    new = [made(change.item_id) for change in old]
    put_object(stack, [change.line() for change in new])
    return soon(lambda: all(items(stack).get(change.key) == change for change in new))


def quarantines_poison(stack: Local) -> bool:
    line = f"poison {name('line')}"
    put_object(stack, [line.encode()])
    return soon(lambda: [entry for entry in quarantined(stack) if entry.get("line") == line])


def refuses_expired_changes(stack: Local) -> bool:
    """Whether a change is settled already is looked up before it is called expired."""
    change = made(name("expired"), ms=now_ms() - 31 * 86_400_000)
    put_object(stack, [change.line()])
    return soon(lambda: items(stack).status(change.key, change.change_id) == (None, "expired"))


def brings_failed_objects_back_soon(stack: Local) -> bool:
    """An object that isn't there fails: twice in seconds, though a message is invisible for minutes."""
    key = new_key()
    (message,) = notify(stack, [key])
    try:
        return soon(lambda: shown(stack) and len(stack.events("apply", "object_failed", message_id=message)) >= 2)
    finally:
        put_object(stack, [], key=key)


def publishes_documents(stack: Local) -> bool:
    change = made(name("published"))
    put_object(stack, [change.line()])
    return soon(lambda: stack.api(stack.alice)("GET", f"/documents/notices/{change.item_id}").status_code == 200)


def removes_documents(stack: Local) -> bool:
    put = made(name("removed"), ms=now_ms() - 1000)
    path = f"/documents/notices/{put.item_id}"
    put_object(stack, [put.line()])
    eventually(lambda: stack.api(stack.alice)("GET", path).status_code == 200)
    put_object(stack, [made(put.item_id, None).line()])
    return soon(lambda: stack.api(stack.alice)("GET", path).status_code == 404)


def mends_regressions(stack: Local) -> bool:
    old = made(name("mended"), ms=now_ms() - 1000)
    new = made(old.item_id)
    store = items(stack)
    store.apply(new)
    stack.root().client("dynamodb").put_item(TableName=stack.outputs.items_table, Item=store._record(old))
    return soon(lambda: store.get(new.key) == new)


def write_starts_with_its_schemas(stack: Local) -> bool:
    event = {"httpMethod": "PUT", "resource": "/items/nowhere/{item_id}", "requestContext": {"requestId": "x"}}
    answer = started(stack, "write", event)
    return bool(answer and answer["statusCode"] == 404)


def poll_starts_with_its_schemas(stack: Local) -> bool:
    return bool(started(stack, "poll", {"validate": []}) == {"problems": []})


def started(stack: Local, function: str, event: object) -> Any:
    """What a function made like one of the stack's, with its role, answers; None if it doesn't start.

    Schemas are read at init, which the stack's own functions have behind them.
    """
    functions = stack.root().client("lambda")
    like = functions.get_function(FunctionName=function_name(stack, function))["Configuration"]
    code = (ROOT / "dist" / TARGETS["local"].functions_zip).read_bytes()
    probe = name("start")
    functions.create_function(
        FunctionName=probe,
        Role=like["Role"],
        Runtime="python3.13",
        Handler=like["Handler"],
        Code={"ZipFile": code},
        Layers=[layer["Arn"] for layer in like.get("Layers", [])],
        Environment={"Variables": like["Environment"]["Variables"]},
        Timeout=15,
    )
    try:
        answer = functions.invoke(FunctionName=probe, Payload=json.dumps(event).encode())
        return None if "FunctionError" in answer else json.load(answer["Payload"])
    finally:
        functions.delete_function(FunctionName=probe)


def reads_items(stack: Local) -> bool:
    return stack.api()("GET", f"/items/countries/{name('none')}").status_code == 404


def tells_statuses(stack: Local) -> bool:
    change = made("any")
    path = f"/items/countries/{change.item_id}/changes/{change.change_id}"
    return stack.api()("GET", path).status_code == 200


def lists_items(stack: Local) -> bool:
    return stack.api()("GET", "/items/countries").status_code == 200


def reads_documents(stack: Local) -> bool:
    s3 = stack.root().client("s3")
    key = f"public/countries/{name('doc')}.json"
    s3.put_object(Bucket=stack.outputs.documents_bucket, Key=key, Body=b"{}", ContentType="application/json")
    path = "/documents/countries/" + key.rpartition("/")[2].removesuffix(".json")
    return stack.api()("GET", path).status_code == 200


def polls_changes(stack: Local) -> bool:
    feed = Feed(stack)
    feed.put(1)
    try:
        told = feed.poll()
    except CommandError:  # without a checkpoint there is no poll that could fail
        return False
    return told["outcome"] == "completed" and soon(lambda: feed.names(2)[1])


def records_freshness(stack: Local) -> bool:
    feed = Feed(stack)
    feed.poll()
    key = {"pk": {"S": f"source/{feed.name}"}}
    table = stack.outputs.items_table
    return "Item" in stack.root().client("dynamodb").get_item(TableName=table, Key=key)


def publishes_freshness(stack: Local) -> bool:
    feed = Feed(stack)
    feed.poll()
    s3 = stack.root().client("s3")
    listed = s3.list_objects_v2(Bucket=stack.outputs.documents_bucket, Prefix=f"public/sources/{feed.name}.json")
    return listed["KeyCount"] == 1


def tells_staleness(stack: Local) -> bool:
    feed = Feed(stack)
    feed.poll()
    try:
        told = session.poll(stack.outputs, {"freshness": [{"name": feed.name, "staleness_budget": 60}]})
    except CommandError:
        return False
    return feed.name in told["staleness"]


def lists_it_all(stack: Local) -> bool:
    """Without a version each poll is a full listing, which is compared with the items, and looked through for deletes.

    (It would delete nothing: nearly all of the collection isn't in its table.)
    """
    feed = Feed(stack, version=None)
    feed.source["url"] = feed.source["url"].partition("&modified__gte")[0]
    feed.put(1)
    return bool(feed.poll()["outcome"] == "completed")


def takes_snapshots(stack: Local) -> bool:
    """The second replaces the first, on condition."""
    source = source_of(stack, "currencies") | {"name": Feed.fresh_name(), "attempts": 1}
    outcomes = []
    for size in (1, 2):
        url = f"{stack.office.url}/backoffice/currencies.json?_shape=array&_size={size}"
        event = {"source": {**source, "url": url, "document": source["name"]}, "sweep": False}
        outcomes.append(session.poll(stack.outputs, event)["outcome"])
    return outcomes == ["completed", "completed"]


def archives_changes(stack: Local) -> bool:
    feed = Feed(stack)
    feed.put(1)
    feed.poll()
    return soon(feed.archived)


def quarantines_records(stack: Local) -> bool:
    feed = Feed(stack)
    feed.put(1, None)
    return feed.poll()["quarantined"] == 1 and len(feed.quarantine()) == 1


def redrives_records(stack: Local) -> bool:
    feed = Feed(stack)
    feed.put(1, None)
    feed.poll()
    try:
        told = feed.redrive([entry["key"] for entry in feed.quarantine()], translation=feed.FIXED)
    except CommandError:
        return False
    return told["redriven"] == 1 and feed.quarantine() == []


Probe = Callable[[Local], bool]

ENFORCED: dict[tuple[str, str, str], Probe] = {
    ("write", "PutChanges", "firehose:PutRecord"): accepts_writes,
    ("write", "ReadSchemas", "s3:GetObject"): write_starts_with_its_schemas,
    ("apply", "ReceiveNotifications", "sqs:ChangeMessageVisibility"): brings_failed_objects_back_soon,
    ("apply", "ReadLogObjects", "s3:GetObject"): applies_changes,
    ("apply", "QuarantineChanges", "s3:PutObject"): quarantines_poison,
    ("apply", "FoldItems", "dynamodb:GetItem"): refuses_expired_changes,
    ("apply", "FoldItems", "dynamodb:PutItem"): applies_changes,
    ("apply", "FoldItems", "dynamodb:BatchGetItem"): inserts_in_bulk,
    ("apply", "FoldItems", "dynamodb:PartiQLInsert"): inserts_in_bulk,
    ("apply", "FoldItems", "dynamodb:PartiQLUpdate"): replaces_in_bulk,
    ("publish", "MendItems", "dynamodb:PutItem"): mends_regressions,
    ("publish", "PublishDocuments", "s3:PutObject"): publishes_documents,
    ("publish", "PublishDocuments", "s3:DeleteObject"): removes_documents,
    ("read", "ReadItems", "dynamodb:GetItem"): reads_items,
    ("read", "ReadItems", "dynamodb:BatchGetItem"): tells_statuses,
    ("read", "ListItems", "dynamodb:Query"): lists_items,
    ("read", "ReadDocuments", "s3:GetObject"): reads_documents,
    ("poll", "PutChanges", "kinesis:PutRecords"): polls_changes,
    ("poll", "KeepCheckpoints", "dynamodb:UpdateItem"): polls_changes,
    ("poll", "KeepCheckpoints", "dynamodb:GetItem"): tells_staleness,
    ("poll", "KeepCheckpoints", "dynamodb:PutItem"): lists_it_all,
    ("poll", "KeepCheckpoints", "dynamodb:BatchGetItem"): lists_it_all,
    ("poll", "ReadItems", "dynamodb:BatchGetItem"): lists_it_all,
    ("poll", "ListItems", "dynamodb:Query"): lists_it_all,
    ("poll", "RecordFreshness", "dynamodb:PutItem"): records_freshness,
    ("poll", "ReadSchemas", "s3:GetObject"): poll_starts_with_its_schemas,
    ("poll", "KeepQuarantine", "s3:PutObject"): quarantines_records,
    ("poll", "KeepQuarantine", "s3:GetObject"): redrives_records,
    ("poll", "KeepQuarantine", "s3:DeleteObject"): redrives_records,
    ("poll", "PublishDocuments", "s3:PutObject"): publishes_freshness,
    ("poll", "PublishDocuments", "s3:GetObject"): takes_snapshots,
}

UNENFORCED: dict[tuple[str, str], tuple[set[str], Probe | None]] = {
    # Log and X-Ray writes happen inside the emulator, or not at all.
    **{
        (function, sid): (taken, None)
        for function in ("write", "apply", "publish", "read", "poll", "backend_auth")
        for sid, taken in (
            ("WriteOwnLog", {"logs:CreateLogStream", "logs:PutLogEvents"}),
            ("SendTraces", {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}),
        )
    },
    # Event sources are polled by the emulator itself, without the function's role.
    ("apply", "ReceiveNotifications"): (
        {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        applies_changes,
    ),
    ("publish", "ReadStream"): (
        {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
        publishes_documents,
    ),
    ("publish", "ListStreams"): ({"dynamodb:ListStreams"}, publishes_documents),
    ("apply", "ReadChangeStream"): (
        {
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
        },
        polls_changes,
    ),
    ("apply", "ListChangeStreams"): ({"kinesis:ListStreams"}, polls_changes),
    # No on-failure destination there.
    **{
        (function, sid): ({action}, None)
        for function in ("publish", "apply")
        for sid, action in (("KeepFailedBatches", "s3:PutObject"), ("FindFailedBatches", "s3:ListBucket"))
    },
    # The scheduler invokes within the emulator.
    ("scheduler", "InvokePoll"): ({"lambda:InvokeFunction"}, None),
    # Firehose writes within the emulator.
    ("firehose", "WriteLogObjects"): ({"s3:PutObject", "s3:AbortMultipartUpload"}, delivers_log_objects),
    ("firehose", "FindLogBucket"): (
        {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
        delivers_log_objects,
    ),
    ("firehose", "ReportDeliveryErrors"): ({"logs:PutLogEvents"}, None),
    ("archive", "ReadChanges"): (
        {"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"},
        archives_changes,
    ),
    ("archive", "WriteArchive"): ({"s3:PutObject", "s3:AbortMultipartUpload"}, archives_changes),
    ("archive", "FindLogBucket"): (
        {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
        archives_changes,
    ),
    ("archive", "ReportDeliveryErrors"): ({"logs:PutLogEvents"}, None),
    # API Gateway's S3 integration is missing there; tests/localstack/ shows it.
    **{
        (f"documents-{visibility}", "ReadDocuments"): ({"s3:GetObject"}, None)
        for visibility in ("public", "authenticated", "owner")
    },
}


# Back offices are polled in the primary Region alone.
PRIMARY_ROLES = ("poll", "scheduler", "archive")
PRIMARY_SIDS = (
    *(("apply", "ReadChangeStream"), ("apply", "ListChangeStreams")),
    *(("apply", "KeepFailedBatches"), ("apply", "FindFailedBatches")),
)


def regions(role: str, sid: str) -> Collection[bool]:
    """Where a statement stands: in the primary Region (False), and in the replica (True)."""
    return (False,) if role in PRIMARY_ROLES or (role, sid) in PRIMARY_SIDS else BOTH


def function_name(stack: Local, function: str) -> str:
    return f"{stack.outputs.name}-{function}"


def test_every_action_is_accounted_for(stack: Local) -> None:
    unenforced = {(*statement, action) for statement, (taken, _) in UNENFORCED.items() for action in taken}
    assert not unenforced & set(ENFORCED)
    for replica in BOTH:
        there = {entry for entry in set(ENFORCED) | unenforced if replica in regions(entry[0], entry[1])}
        assert set(actions(stack, replica=replica)) == there


@pytest.mark.parametrize(("role", "sid", "action"), ENFORCED, ids=str)
def test_without_the_action_it_fails(stack: Local, role: str, sid: str, action: str) -> None:
    works = ENFORCED[role, sid, action]
    with without(stack, role, sid, [action], replicas=regions(role, sid)), expecting_nothing():
        assert not works(stack), f"{works.__name__} without {action} of {sid}: the action is not needed"
    assert works(stack), f"{works.__name__} with {action} of {sid} put back"


def test_a_write_that_the_log_refuses_says_so(stack: Local) -> None:
    with without(stack, "write", "PutChanges", ["firehose:PutRecord"]):
        answer = stack.api(stack.eve)("PUT", f"/items/notices/{name('refused')}", {"title": "x"})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "2"
    document = answer.json()
    assert document["outcome"] == "not_accepted" and is_version(document["change_id"])


@pytest.mark.parametrize(("role", "sid"), [key for key, (_, works) in UNENFORCED.items() if works], ids=str)
def test_the_emulator_still_does_not_enforce(stack: Local, role: str, sid: str) -> None:
    """When this fails, an upgrade of the emulator enforces more: move the actions to ENFORCED."""
    if not stack.ministack:
        pytest.skip("a fact of MiniStack")
    taken, works = UNENFORCED[role, sid]
    assert works is not None
    with without(stack, role, sid, taken, replicas=regions(role, sid)):
        assert works(stack)
