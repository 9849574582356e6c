"""Every statement of every role is needed: without it, something that the stack promises stops working.

The emulator doesn't enforce all of IAM. What it can't show is listed in ``UNENFORCED``; those statements are asserted
one by one, resource and condition included, in terraform/tests/. Both lists together must be every statement there is.
"""

import copy
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ops.build import TARGETS
from ops.console import ROOT
from readplane.domain.version import is_version
from tests.local.pipeline import items, made, now_ms, put_object, quarantined
from tests.local.support import Local, eventually

PATIENCE = 5.0
"""Seconds after which what works within one counts as not working."""


def soon(check: Callable[[], object]) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + PATIENCE
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


def quarantines_poison(stack: Local) -> bool:
    line = f"poison {name('line')}"
    put_object(stack, [line.encode()])
    return soon(lambda: [entry for entry in quarantined(stack) if entry.get("line") == line])


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


def starts_with_its_schemas(stack: Local) -> bool:
    """Schemas are read at init: a function made like `write`, with its role, has to start."""
    functions = stack.root().client("lambda")
    write = functions.get_function(FunctionName=function_name(stack, "write"))["Configuration"]
    code = (ROOT / "dist" / TARGETS["local"].functions_zip).read_bytes()
    probe = name("start")
    functions.create_function(
        FunctionName=probe,
        Role=write["Role"],
        Runtime="python3.13",
        Handler=write["Handler"],
        Code={"ZipFile": code},
        Layers=[layer["Arn"] for layer in write.get("Layers", [])],
        Environment={"Variables": write["Environment"]["Variables"]},
        Timeout=15,
    )
    try:
        event = {"httpMethod": "PUT", "resource": "/items/nowhere/{item_id}", "requestContext": {"requestId": "x"}}
        answer = functions.invoke(FunctionName=probe, Payload=json.dumps(event).encode())
        return "FunctionError" not in answer and json.load(answer["Payload"])["statusCode"] == 404
    finally:
        functions.delete_function(FunctionName=probe)


def reads_items(stack: Local) -> bool:
    return stack.api()("GET", f"/items/countries/{name('none')}").status_code == 404


def lists_items(stack: Local) -> bool:
    return stack.api()("GET", "/items/countries").status_code == 200


def reads_documents(stack: Local) -> bool:
    s3 = stack.root().client("s3")
    key = f"public/countries/{name('doc')}.json"
    s3.put_object(Bucket=stack.outputs.documents_bucket, Key=key, Body=b"{}", ContentType="application/json")
    path = "/documents/countries/" + key.rpartition("/")[2].removesuffix(".json")
    return stack.api()("GET", path).status_code == 200


ENFORCED: dict[tuple[str, str], Callable[[Local], bool]] = {
    ("write", "PutChanges"): accepts_writes,
    ("write", "ReadSchemas"): starts_with_its_schemas,
    ("apply", "ReadLogObjects"): applies_changes,
    ("apply", "QuarantineChanges"): quarantines_poison,
    ("apply", "FoldItems"): applies_changes,
    ("publish", "MendItems"): mends_regressions,
    ("publish", "PublishDocuments"): publishes_documents,
    ("read", "ReadItems"): reads_items,
    ("read", "ListItems"): lists_items,
    ("read", "ReadDocuments"): reads_documents,
}

UNENFORCED: dict[tuple[str, str], Callable[[Local], bool] | None] = {
    # Log and X-Ray writes happen inside the emulator, or not at all.
    **{
        (function, sid): None
        for function in ("write", "apply", "publish", "read")
        for sid in ("WriteOwnLog", "SendTraces")
    },
    # Event sources are polled by the emulator itself, without the function's role.
    ("apply", "ReceiveNotifications"): applies_changes,
    ("publish", "ReadStream"): publishes_documents,
    ("publish", "ListStreams"): publishes_documents,
    # No on-failure destination there.
    ("publish", "KeepFailedBatches"): None,
    ("publish", "FindFailedBatches"): None,
    # Firehose writes within the emulator.
    ("firehose", "WriteLogObjects"): delivers_log_objects,
    ("firehose", "FindLogBucket"): delivers_log_objects,
    ("firehose", "ReportDeliveryErrors"): None,
    # API Gateway's S3 integration is missing there; tests/localstack/ shows it.
    **{(f"documents-{visibility}", "ReadDocuments"): None for visibility in ("public", "authenticated", "owner")},
}


def function_name(stack: Local, function: str) -> str:
    return f"{stack.outputs.name}-{function}"


def statements(stack: Local, *, replica: bool = False) -> dict[tuple[str, str], tuple[str, str]]:
    """(role without its prefix, Sid) -> (role, policy) of one Region's roles."""
    iam = stack.root().client("iam")
    prefix = f"{stack.outputs.name}-{stack.outputs.replica_region if replica else stack.outputs.region}-"
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for role in iam.list_roles()["Roles"]:
        full = role["RoleName"]
        if full.startswith(prefix):
            for policy in iam.list_role_policies(RoleName=full)["PolicyNames"]:
                document: Any = iam.get_role_policy(RoleName=full, PolicyName=policy)["PolicyDocument"]
                for statement in document["Statement"]:
                    found[full.removeprefix(prefix), statement["Sid"]] = (full, policy)
    return found


@contextmanager
def without(stack: Local, role: str, sid: str) -> Iterator[None]:
    """The stack as it would be without one statement, in both Regions: each mends for the other."""
    iam = stack.root().client("iam")
    whole: list[tuple[str, str, Any]] = []
    for replica in (False, True):
        full, policy = statements(stack, replica=replica)[role, sid]
        document: Any = iam.get_role_policy(RoleName=full, PolicyName=policy)["PolicyDocument"]
        whole.append((full, policy, document))
    try:
        for full, policy, document in whole:
            less = copy.deepcopy(document)
            less["Statement"] = [statement for statement in document["Statement"] if statement["Sid"] != sid]
            assert less["Statement"], "a policy without statements can't be put"
            iam.put_role_policy(RoleName=full, PolicyName=policy, PolicyDocument=json.dumps(less))
        yield
    finally:
        for full, policy, document in whole:
            iam.put_role_policy(RoleName=full, PolicyName=policy, PolicyDocument=json.dumps(document))


def test_every_statement_is_accounted_for(stack: Local) -> None:
    for replica in (False, True):
        assert set(statements(stack, replica=replica)) == set(ENFORCED) | set(UNENFORCED)


@pytest.mark.parametrize(("role", "sid"), ENFORCED, ids=str)
def test_without_the_statement_it_fails(stack: Local, role: str, sid: str) -> None:
    works = ENFORCED[role, sid]
    with without(stack, role, sid):
        assert not works(stack), f"{works.__name__} without {sid}: the statement is not needed"
    assert works(stack), f"{works.__name__} with {sid} put back"


def test_a_write_that_the_log_refuses_says_so(stack: Local) -> None:
    with without(stack, "write", "PutChanges"):
        answer = stack.api(stack.eve)("PUT", f"/items/notices/{name('refused')}", {"title": "x"})
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "2"
    document = answer.json()
    assert document["outcome"] == "not_accepted" and is_version(document["change_id"])


def test_documents_are_removed(stack: Local) -> None:
    assert removes_documents(stack)


@pytest.mark.parametrize(("role", "sid"), [key for key, works in UNENFORCED.items() if works is not None], ids=str)
def test_the_emulator_still_does_not_enforce(stack: Local, role: str, sid: str) -> None:
    """When this fails, an upgrade of the emulator enforces more: move the statement to ENFORCED."""
    works = UNENFORCED[role, sid]
    assert works is not None
    with without(stack, role, sid):
        assert works(stack)
