"""Tests that every IAM action of every role is needed: without the action, some function of the stack stops working.

``ENFORCED`` lists the actions that the emulator enforces, and ``UNENFORCED`` lists the others. Together they must name
every action of the stack's roles. These tests can't show that an unenforced action is needed. For such an action, the
tests in terraform/tests/ check its statement, resource and condition.
"""

import json
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.build.targets import TARGETS
from ops.console import ROOT, CommandError
from ops.local import session
from readplane.model.version import is_version
from tests.local.back_offices import PolledTable, source_of
from tests.local.mobile_credentials import credentials, mobile_user, s3_client
from tests.local.permissions import BOTH, actions, without
from tests.local.pipeline import items, new_change, new_key, notify, now_ms, put_object, put_records, quarantined
from tests.local.poll_copies import copies_of
from tests.local.support import Local, eventually

BROKEN = 3.5
"""How many seconds a check may take after an IAM action has been removed. After this time it counts as failed.

If no action has been removed, a check takes at most one second, or two seconds if a function retries a call.
"""

_patience = 20.0
"""How many seconds :func:`soon` waits at most. The default is long, so that checks succeed on a busy machine too."""


@contextmanager
def expecting_nothing() -> Iterator[None]:
    """Let :func:`soon` wait only :data:`BROKEN` seconds until the ``with`` block ends.

    The checks in the block are expected to fail, so a longer wait would only slow the tests down.
    """
    global _patience
    usual, _patience = _patience, BROKEN
    try:
        yield
    finally:
        _patience = usual


def soon(check: Callable[[], object]) -> bool:
    """Return whether ``check`` returns a true value within :data:`_patience` seconds."""
    deadline = time.monotonic() + _patience
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return False


def name(prefix: str) -> str:
    """Return a unique name that begins with ``privilege-`` and a prefix."""
    return f"privilege-{prefix}-{uuid.uuid4()}"


def accepts_writes(stack: Local) -> bool:
    return stack.api(stack.eve)("PUT", f"/items/notices/{name('put')}", {"title": "x"}).status_code == 202


def refuses_another_body_under_a_key(stack: Local) -> bool:
    """Return whether `write` refuses a POST whose Idempotency-Key an earlier POST with another body has used."""
    api, headers = stack.api(stack.eve), {"Idempotency-Key": name("key")}
    first = api("POST", "/items/notices", {"title": "first"}, headers=headers).json()
    soon(lambda: items(stack).get_item(f"item/notices/{first['item_id']}"))
    return api("POST", "/items/notices", {"title": "second"}, headers=headers).status_code == 422


def delivers_log_objects(stack: Local) -> bool:
    item = name("delivered")
    stack.api(stack.eve)("PUT", f"/items/notices/{item}", {"title": "x"})
    return soon(lambda: items(stack).get_item(f"item/notices/{item}"))


Send = Callable[[Local, Iterable[bytes]], object]
"""Sends lines of changes to `apply` (:func:`put_object`) or to `apply-stream` (:func:`put_records`)."""


def applies_changes(stack: Local, send: Send = put_object) -> bool:
    change = new_change(name("applied"))
    send(stack, [change.line()])
    return soon(lambda: items(stack).get_item(change.key) == change)


def inserts_in_bulk(stack: Local, send: Send = put_object) -> bool:
    """Return whether `apply` inserts new items in bulk. It does so for three changes or more."""
    changes = [new_change(name("inserted")) for _ in range(3)]
    send(stack, [change.line() for change in changes])
    return soon(lambda: all(items(stack).get_item(change.key) == change for change in changes))


def replaces_in_bulk(stack: Local) -> bool:
    old = [new_change(name("replaced"), ms=now_ms() - 1000) for _ in range(3)]
    for change in old:
        items(stack).apply(change)
    new = [new_change(change.item_id) for change in old]
    put_object(stack, [change.line() for change in new])
    return soon(lambda: all(items(stack).get_item(change.key) == change for change in new))


def quarantines_bad_lines(stack: Local, send: Send = put_object) -> bool:
    line = f"no change {name('line')}"
    send(stack, [line.encode()])
    return soon(lambda: [entry for entry in quarantined(stack) if entry.get("line") == line])


def refuses_expired_changes(stack: Local, send: Send = put_object) -> bool:
    """Return whether `apply` quarantines an expired change.

    For this, `apply` needs the permission to read the item. It reads the item to see whether it has already applied the
    change, because it doesn't quarantine such a change.
    """
    change = new_change(name("expired"), ms=now_ms() - 31 * 86_400_000)
    send(stack, [change.line()])
    return soon(lambda: items(stack).get_change_status(change.key, change.change_id) == (None, "expired"))


def retries_failed_objects_soon(stack: Local) -> bool:
    """Return whether `apply` soon retries a log object that it failed to read.

    The check notifies `apply` of an object that doesn't exist, so `apply` must fail twice within seconds. If `apply`
    can't change the visibility timeout of the SQS message, SQS redelivers the message only after minutes.
    """
    key = new_key()
    (message,) = notify(stack, [key])
    try:
        return soon(lambda: len(stack.events("apply", "object_failed", message_id=message)) >= 2)
    finally:
        put_object(stack, [], key=key)


def publishes_documents(stack: Local) -> bool:
    change = new_change(name("published"))
    put_object(stack, [change.line()])
    return soon(lambda: stack.api(stack.alice)("GET", f"/documents/notices/{change.item_id}").status_code == 200)


def removes_documents(stack: Local) -> bool:
    put = new_change(name("removed"), ms=now_ms() - 1000)
    path = f"/documents/notices/{put.item_id}"
    put_object(stack, [put.line()])
    eventually(lambda: stack.api(stack.alice)("GET", path).status_code == 200)
    put_object(stack, [new_change(put.item_id, None).line()])
    return soon(lambda: stack.api(stack.alice)("GET", path).status_code == 404)


def opens_own_documents_in_s3(stack: Local) -> bool:
    """Return whether the credentials of the identity pool open a document of their user."""
    item = name("mobile")
    assert stack.api(stack.alice)("PUT", f"/items/profiles/{item}", {"display_name": "x"}).status_code == 202
    path = f"/documents/profiles/{item}"
    assert eventually(lambda: stack.api(stack.alice)("GET", path).status_code == 200)
    s3 = s3_client(stack, credentials(stack, mobile_user(stack, stack.alice).id_token))
    key = f"owner/documents/profiles/{stack.alice.sub}/{item}"
    try:
        return bool(s3.get_object(Bucket=stack.outputs.documents_bucket, Key=key)["Body"].read())
    except ClientError:
        return False


def mends_regressions(stack: Local) -> bool:
    old = new_change(name("mended"), ms=now_ms() - 1000)
    new = new_change(old.item_id)
    store = items(stack)
    store.apply(new)
    stack.root().client("dynamodb").put_item(TableName=stack.outputs.items_table, Item=store._record(old))
    return soon(lambda: store.get_item(new.key) == new)


def quarantines_malformed_rows(stack: Local) -> bool:
    item = name("malformed")
    row = {"pk": {"S": f"item/notices/{item}"}, "version": {"S": new_change(item).version}}
    stack.root().client("dynamodb").put_item(TableName=stack.outputs.items_table, Item=row)
    return soon(lambda: [entry for entry in quarantined(stack) if entry.get("row") == row])


def write_starts_with_its_schemas(stack: Local) -> bool:
    event = {"httpMethod": "PUT", "resource": "/items/nowhere/{item_id}", "requestContext": {"requestId": "x"}}
    response = started(stack, "write", event)
    return bool(response and response["statusCode"] == 404)


def poll_starts_with_its_sources(stack: Local) -> bool:
    return bool(started(stack, "poll", {"check": True}) == {"problems": []})


def started(stack: Local, function: str, event: object) -> Any:
    """Invoke a new copy of one of the stack's functions; return its response, or ``None`` if the invocation fails.

    The copy has the function's role. A check needs the copy, because a function reads the collections' JSON
    Schemas only when it starts, and the stack's own functions have already started.

    :param event: the event of the invocation.
    """
    functions = stack.root().client("lambda")
    original = functions.get_function(FunctionName=function_name(stack, function))["Configuration"]
    code = (ROOT / "dist" / TARGETS["local"].zip_paths.functions).read_bytes()
    probe = name("start")
    functions.create_function(
        FunctionName=probe,
        Role=original["Role"],
        Runtime="python3.13",
        Handler=original["Handler"],
        Code={"ZipFile": code},
        Layers=[layer["Arn"] for layer in original.get("Layers", [])],
        Environment={"Variables": original["Environment"]["Variables"]},
        Timeout=15,
    )
    try:
        response = functions.invoke(FunctionName=probe, Payload=json.dumps(event).encode())
        return None if "FunctionError" in response else json.load(response["Payload"])
    finally:
        functions.delete_function(FunctionName=probe)


def reads_items(stack: Local) -> bool:
    return stack.api()("GET", f"/items/countries/{name('none')}").status_code == 404


def reports_statuses(stack: Local) -> bool:
    change = new_change("any")
    path = f"/items/countries/{change.item_id}/changes/{change.change_id}"
    return stack.api()("GET", path).status_code == 200


def lists_items(stack: Local) -> bool:
    # The function `query` lists relational collections, such as the countries.
    return stack.api()("GET", "/items/subdivisions").status_code == 200


def lists_relational_items(stack: Local) -> bool:
    return stack.api()("GET", "/items/countries").status_code == 200


def feeds_the_database(stack: Local) -> bool:
    country = {"alpha_2": "ZZ", "alpha_3": "ZZZ", "name": name("fed"), "numeric": "000"}
    assert stack.api(stack.eve)("PUT", f"/items/countries/{country['name']}", country).status_code == 202
    listed = f"/items/countries?filter=name:eq:{country['name']}"
    return soon(lambda: stack.api()("GET", listed).json()["items"])


def verifies_the_database(stack: Local) -> bool:
    try:
        page = session.feed(stack.outputs, stack.outputs.region, {"command": "verify", "store": "database"})
    except CommandError:  # the invocation fails if `feed` can't read the items table
        return False
    return "compared" in page


def reads_documents(stack: Local) -> bool:
    s3 = stack.root().client("s3")
    path = f"/documents/subdivisions/{name('doc')}"  # not of a collection that the cache holds
    s3.put_object(
        Bucket=stack.outputs.documents_bucket, Key=f"public{path}", Body=b"{}", ContentType="application/json"
    )
    return stack.api()("GET", path).status_code == 200


def polls_changes(stack: Local) -> bool:
    table = PolledTable(stack)
    table.put(1)
    try:
        report = table.poll()
    except CommandError:  # the invocation fails if `poll` can't read or write its checkpoint
        return False
    return report["outcome"] == "completed" and soon(lambda: table.names(2)[1])


def records_freshness(stack: Local) -> bool:
    table = PolledTable(stack)
    table.poll()
    key = {"pk": {"S": f"source/{table.name}"}}
    response = stack.root().client("dynamodb").get_item(TableName=stack.outputs.items_table, Key=key)
    return "Item" in response


def publishes_freshness(stack: Local) -> bool:
    table = PolledTable(stack)
    table.poll()
    s3 = stack.root().client("s3")
    listed = s3.list_objects_v2(Bucket=stack.outputs.documents_bucket, Prefix=f"public/documents/sources/{table.name}")
    return bool(listed["KeyCount"] == 1)


def reports_staleness(stack: Local) -> bool:
    table = PolledTable(stack)
    table.poll()
    try:
        return table.name in table.measure_staleness()
    except CommandError:
        return False


def polls_full_listings(stack: Local) -> bool:
    """Return whether `poll` can read a source without versions.

    For such a source, `poll` reads a full listing, compares it with the items, and finds items whose rows are missing.
    In this check, nearly all items of the collection have no row in the table. `poll` deletes none of these items,
    because it refuses to delete so many items at once.
    """
    table = PolledTable(stack, version=None)
    table.source["url"] = table.source["url"].partition("&modified__gte")[0]
    table.put(1)
    return bool(table.poll()["outcome"] == "completed")


def takes_snapshots(stack: Local) -> bool:
    """Return whether `poll` can publish a snapshot document and then replace it by a conditional write."""
    source = source_of(stack, "currencies") | {"name": PolledTable.fresh_name(), "attempts": 1}
    outcomes = []
    for size in (1, 2):
        url = f"{stack.office.url}/backoffice/currencies.json?_shape=array&_size={size}"
        changed = {**source, "url": url, "document": source["name"]}
        event = {"source": source["name"], "sweep": False}
        outcomes.append(copies_of(stack).invoke([changed], event)["outcome"])
    return outcomes == ["completed", "completed"]


def archives_changes(stack: Local) -> bool:
    table = PolledTable(stack)
    table.put(1)
    table.poll()
    return soon(table.archived)


def quarantines_records(stack: Local) -> bool:
    table = PolledTable(stack)
    table.put(1, None)
    return table.poll()["quarantined"] == 1 and len(table.quarantine()) == 1


def redrives_records(stack: Local) -> bool:
    table = PolledTable(stack)
    table.put(1, None)
    table.poll()
    try:
        report = table.redrive([entry["key"] for entry in table.quarantine()], translation=table.FIXED)
    except CommandError:
        return False
    return report["redriven"] == 1 and table.quarantine() == []


Probe = Callable[[Local], bool]


def of_the_stream(probe: Callable[[Local, Send], bool]) -> Probe:
    """Return the same check for `apply-stream`, which gets its changes from the change stream."""

    def check(stack: Local) -> bool:
        return probe(stack, put_records)

    check.__name__ = f"{probe.__name__}_of_the_stream"
    return check


ENFORCED: dict[tuple[str, str, str], Probe] = {
    ("write", "PutChanges", "firehose:PutRecord"): accepts_writes,
    ("write", "ReadSchemas", "s3:GetObjectVersion"): write_starts_with_its_schemas,
    ("write", "ReadItems", "dynamodb:GetItem"): refuses_another_body_under_a_key,
    ("apply", "ReceiveNotifications", "sqs:ChangeMessageVisibility"): retries_failed_objects_soon,
    ("apply", "ReadLogObjects", "s3:GetObject"): applies_changes,
    ("apply", "QuarantineChanges", "s3:PutObject"): quarantines_bad_lines,
    ("apply", "FoldItems", "dynamodb:GetItem"): refuses_expired_changes,
    ("apply", "FoldItems", "dynamodb:PutItem"): applies_changes,
    ("apply", "FoldItems", "dynamodb:BatchGetItem"): inserts_in_bulk,
    ("apply", "FoldItems", "dynamodb:PartiQLInsert"): inserts_in_bulk,
    ("apply", "FoldItems", "dynamodb:PartiQLUpdate"): replaces_in_bulk,
    ("apply-stream", "QuarantineChanges", "s3:PutObject"): of_the_stream(quarantines_bad_lines),
    ("apply-stream", "FoldItems", "dynamodb:GetItem"): of_the_stream(refuses_expired_changes),
    ("apply-stream", "FoldItems", "dynamodb:PutItem"): of_the_stream(applies_changes),
    ("publish", "MendItems", "dynamodb:PutItem"): mends_regressions,
    ("publish", "PublishDocuments", "s3:PutObject"): publishes_documents,
    ("publish", "PublishDocuments", "s3:DeleteObject"): removes_documents,
    ("publish", "QuarantineRows", "s3:PutObject"): quarantines_malformed_rows,
    ("identity-pool", "ReadOwnDocuments", "s3:GetObject"): opens_own_documents_in_s3,
    ("read", "ReadItems", "dynamodb:GetItem"): reads_items,
    ("read", "ReadItems", "dynamodb:BatchGetItem"): reports_statuses,
    ("read", "ListItems", "dynamodb:Query"): lists_items,
    ("read", "ReadDocuments", "s3:GetObject"): reads_documents,
    ("publish", "SendKeys", "sqs:SendMessage"): feeds_the_database,
    ("feed", "ReadItems", "dynamodb:BatchGetItem"): feeds_the_database,
    ("feed", "ReadItems", "dynamodb:Scan"): verifies_the_database,
    ("query", "ListItems", "dynamodb:Query"): lists_relational_items,
    ("poll", "PutChanges", "kinesis:PutRecords"): polls_changes,
    ("poll", "KeepCheckpoints", "dynamodb:UpdateItem"): polls_changes,
    ("poll", "KeepCheckpoints", "dynamodb:GetItem"): reports_staleness,
    ("poll", "KeepCheckpoints", "dynamodb:PutItem"): polls_full_listings,
    ("poll", "KeepCheckpoints", "dynamodb:BatchGetItem"): polls_full_listings,
    ("poll", "ReadItems", "dynamodb:BatchGetItem"): polls_full_listings,
    ("poll", "ListItems", "dynamodb:Query"): polls_full_listings,
    ("poll", "RecordFreshness", "dynamodb:PutItem"): records_freshness,
    ("poll", "ReadSources", "s3:GetObjectVersion"): poll_starts_with_its_sources,
    ("poll", "KeepQuarantine", "s3:PutObject"): quarantines_records,
    ("poll", "KeepQuarantine", "s3:GetObject"): redrives_records,
    ("poll", "KeepQuarantine", "s3:DeleteObject"): redrives_records,
    ("poll", "PublishDocuments", "s3:PutObject"): publishes_freshness,
    ("poll", "PublishDocuments", "s3:GetObject"): takes_snapshots,
}

# The IAM actions that the emulator doesn't enforce, by role and Sid. Each value holds the actions and a check that
# succeeds on the emulator without these actions. The check is None if the tests can't observe what the actions do.
UNENFORCED: dict[tuple[str, str], tuple[set[str], Probe | None]] = {
    # These actions write logs and traces. The emulator writes the functions' logs itself and stores no traces.
    **{
        (function, sid): (named, None)
        for function in (
            *("write", "apply", "apply-stream", "publish", "read"),
            *("query", "feed", "poll", "backend_auth", "probe"),
        )
        for sid, named in (
            ("WriteOwnLog", {"logs:CreateLogStream", "logs:PutLogEvents"}),
            ("SendTraces", {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}),
        )
    },
    # With these actions, Lambda polls a function's event sources. The emulator polls them without the function's role.
    ("feed", "ReceiveKeys"): (
        {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        feeds_the_database,
    ),
    ("apply", "ReceiveNotifications"): (
        {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        applies_changes,
    ),
    ("publish", "ReadStream"): (
        {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"},
        publishes_documents,
    ),
    ("publish", "ListStreams"): ({"dynamodb:ListStreams"}, publishes_documents),
    ("apply-stream", "ReadChangeStream"): (
        {
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
        },
        polls_changes,
    ),
    ("apply-stream", "ListChangeStreams"): ({"kinesis:ListStreams"}, polls_changes),
    # If DynamoDB refuses a batch of changes, `apply-stream` writes each change alone. So it works without these
    # actions, which the emulator does enforce, but slowly.
    ("apply-stream", "FoldItems"): (
        {"dynamodb:BatchGetItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"},
        of_the_stream(inserts_in_bulk),
    ),
    # If a function keeps failing on a batch, Lambda stores the batch in an S3 bucket, the function's on-failure
    # destination. AWS requires both actions for this. The emulator has no on-failure destinations.
    **{
        (function, sid): ({action}, None)
        for function in ("publish", "apply-stream")
        for sid, action in (("KeepFailedBatches", "s3:PutObject"), ("FindFailedBatches", "s3:ListBucket"))
    },
    # With this action, versions of `write` read their schemas that an earlier release of Readplane has published. A new
    # stack has no such version.
    ("write", "ReadOlderSchemas"): ({"s3:GetObject"}, write_starts_with_its_schemas),
    # Only a version of `poll` from before its sources stood in S3 uses this action.
    ("poll", "ReadOlderSchemas"): ({"s3:GetObject"}, None),
    # With these actions, the scheduler invokes functions. The emulator's scheduler invokes them without a role.
    ("scheduler", "InvokePoll"): ({"lambda:InvokeFunction"}, None),
    ("daily", "CallFunctions"): ({"lambda:InvokeFunction"}, None),
    ("probe-schedule", "CallProbe"): ({"lambda:InvokeFunction"}, None),
    # With this action, the scheduler writes the heartbeat. The emulator's scheduler can't call DynamoDB.
    ("heartbeat", "WriteHeartbeat"): ({"dynamodb:PutItem"}, None),
    # With these actions, Firehose writes to S3. The emulator's Firehose writes without a role.
    ("firehose", "WriteObjects"): ({"s3:PutObject", "s3:AbortMultipartUpload"}, delivers_log_objects),
    ("firehose", "FindBucket"): (
        {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
        delivers_log_objects,
    ),
    ("firehose", "ReportDeliveryErrors"): ({"logs:PutLogEvents"}, None),
    ("archive", "ReadStream"): (
        {"kinesis:DescribeStream", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards"},
        archives_changes,
    ),
    ("archive", "WriteObjects"): ({"s3:PutObject", "s3:AbortMultipartUpload"}, archives_changes),
    ("archive", "FindBucket"): (
        {"s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"},
        archives_changes,
    ),
    ("archive", "ReportDeliveryErrors"): ({"logs:PutLogEvents"}, None),
    # The process of `edge_auth` has read its settings and keeps the last good ones, so it would miss this action only
    # when it starts. Nothing restarts it for a test. The stand-in for CloudFront keeps the function's log.
    ("edge-auth", "ReadSettings"): ({"ssm:GetParameter"}, None),
    ("edge-auth", "WriteOwnLog"): (
        {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
        None,
    ),
    # With these roles, API Gateway reads documents from S3. The emulator's API Gateway has no S3 integration. The tests
    # in tests/localstack/ use these roles.
    **{
        (f"documents-{visibility}", "ReadDocuments"): ({"s3:GetObject"}, None)
        for visibility in ("public", "authenticated", "owner")
    },
}


# Roles that exist only once: those that poll back offices, that of the identity pool, which opens the documents of both
# Regions, and that of the edge. Its name has the Region us-east-1, which is the primary Region of this stack.
PRIMARY_ROLES = ("apply-stream", "poll", "scheduler", "archive", "identity-pool", "edge-auth")


def regions(role: str) -> Collection[bool]:
    """Return the Regions in which a role exists.

    :returns: ``False`` stands for the primary Region, ``True`` for the replica Region.
    """
    return (False,) if role in PRIMARY_ROLES else BOTH


def function_name(stack: Local, function: str) -> str:
    return f"{stack.outputs.name}-{function}"


def test_the_two_lists_name_every_action(stack: Local) -> None:
    unenforced = {(*statement, action) for statement, (named, _) in UNENFORCED.items() for action in named}
    assert not unenforced & set(ENFORCED)
    for replica in BOTH:
        expected = {entry for entry in set(ENFORCED) | unenforced if replica in regions(entry[0])}
        assert set(actions(stack, replica=replica)) == expected


@pytest.mark.parametrize(("role", "sid", "action"), ENFORCED, ids=str)
def test_without_an_action_its_promise_breaks(stack: Local, role: str, sid: str, action: str) -> None:
    works = ENFORCED[role, sid, action]
    with without(stack, role, sid, [action], replicas=regions(role)), expecting_nothing():
        assert not works(stack), f"{works.__name__} holds without {action} of {sid}, so the action is not needed"
    assert works(stack), f"{works.__name__} must hold again with {action} of {sid}"


def test_a_write_that_the_write_log_refuses_is_a_503(stack: Local) -> None:
    with without(stack, "write", "PutChanges", ["firehose:PutRecord"]):
        response = stack.api(stack.eve)("PUT", f"/items/notices/{name('refused')}", {"title": "x"})
    assert response.status_code == 503 and response.headers["Retry-After"] == "2"
    document = response.json()
    assert document["outcome"] == "not_accepted" and is_version(document["change_id"])


@pytest.mark.parametrize(("role", "sid"), [key for key, (_, works) in UNENFORCED.items() if works], ids=str)
def test_the_emulator_does_not_enforce_these_actions(stack: Local, role: str, sid: str) -> None:
    """Check that the stack still works on the emulator without the actions in UNENFORCED.

    If this test fails, a new version of the emulator enforces more actions. Then move those actions to ENFORCED.
    """
    if not stack.ministack:
        pytest.skip("this is a gap of MiniStack")
    removed, works = UNENFORCED[role, sid]
    assert works is not None
    with without(stack, role, sid, removed, replicas=regions(role)):
        assert works(stack)
