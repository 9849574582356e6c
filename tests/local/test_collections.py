"""Tests of the commands `collections` against the applied stack: a purge, and a move after a change of `read`.

Each test gives the functions of both Regions a collection of its own, as `terraform apply` would do.
"""

import base64
import dataclasses
import gzip
import json
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from ops.cli import collections
from ops.cli.main import main
from readplane.config import VARIABLE
from readplane.model.change import Change
from tests.local.pipeline import items, new_change, notify, now_ms, put_object
from tests.local.support import Local, eventually

WITHIN = 90.0
"""How many seconds each wait may take. The functions start again, because their settings change."""

REGIONS = (False, True)
"""The primary Region and the replica Region, as values of the parameter `replica`."""


@pytest.fixture(scope="module", autouse=True)
def needs_replica(stack: Local) -> None:
    assert stack.outputs.replica_region, "local.tfvars must declare a replica Region"


@contextmanager
def collection(stack: Local, name: str, read: str, functions: tuple[str, ...]) -> Iterator[None]:
    """Let the live versions of some functions know one more collection, in both Regions, until the block ends."""
    live = [
        LiveFunction(stack.root(replica=replica).client("lambda"), f"{stack.outputs.name}-{function}")
        for replica in REGIONS
        for function in functions
    ]
    # Change all functions at the same time, because each change takes a second or two.
    with ThreadPoolExecutor(len(live)) as pool:
        try:
            list(pool.map(lambda function: function.declare(name, read), live))
            yield
        finally:
            list(pool.map(LiveFunction.restore, live))


class LiveFunction:
    """A function of the stack in one Region, whose live version a test replaces."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        configuration = client.get_function_configuration(FunctionName=name)
        self._variables: Mapping[str, str] = configuration["Environment"]["Variables"]
        self._version = client.get_alias(FunctionName=name, Name="live")["FunctionVersion"]

    def declare(self, collection: str, read: str) -> None:
        """Make a version that knows one more collection, and let it go live."""
        settings = json.loads(zlib.decompress(base64.b64decode(self._variables[VARIABLE]), 31))
        settings["collections"][collection] = {"read": read}
        text = base64.b64encode(gzip.compress(json.dumps(settings).encode())).decode()
        self._change_variables({**self._variables, VARIABLE: text})
        published = self._client.publish_version(FunctionName=self._name)["Version"]
        self._client.update_alias(FunctionName=self._name, Name="live", FunctionVersion=published)

    def restore(self) -> None:
        """Let the former version go live again."""
        self._client.update_alias(FunctionName=self._name, Name="live", FunctionVersion=self._version)
        self._change_variables(self._variables)

    def _change_variables(self, variables: Mapping[str, str]) -> None:
        """Replace the environment variables of the function's unpublished version."""
        self._client.update_function_configuration(FunctionName=self._name, Environment={"Variables": dict(variables)})
        self._client.get_waiter("function_updated_v2").wait(
            FunctionName=self._name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 300}
        )


def documents(stack: Local, name: str, *, replica: bool) -> dict[str, str]:
    """Return the version of each document of a collection in one Region, by the document's key."""
    s3 = stack.root(replica=replica).client("s3")
    bucket = str(stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket)
    found: dict[str, str] = {}
    for visibility in ("public", "authenticated", "owner"):
        for entry in s3.list_objects_v2(Bucket=bucket, Prefix=f"{visibility}/documents/{name}/").get("Contents", []):
            try:
                head = s3.head_object(Bucket=bucket, Key=entry["Key"])
            except ClientError as error:
                if error.response["Error"]["Code"] != "404":
                    raise
                continue  # `publish` has removed the document since the list was made
            found[entry["Key"]] = head["Metadata"].get("readplane-version", "")
    return found


def put_document(stack: Local, key: str, *, replica: bool) -> None:
    """Put a document that no item stands behind, such as a snapshot."""
    bucket = str(stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket)
    stack.root(replica=replica).client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")


def put_items(stack: Local, name: str, read: str, changes: list[Change]) -> str:
    """Send changes through the write log, and wait for their documents in both Regions. Return the log object's key."""
    key = put_object(stack, [change.line() for change in changes])
    newest = {f"{read}/documents/{name}/{c.item_id}": c.version for c in changes if c.data is not None}
    for replica in REGIONS:
        eventually(lambda: documents(stack, name, replica=replica).items() >= newest.items(), within=WITHIN)
    return key


def in_process(stack: Local, *words: str) -> Result:
    """Run the operators' command line in this process, so that a test can interrupt it.

    The command gets the stack's outputs in a file, because running Terraform for them takes seconds.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({name: {"value": value} for name, value in dataclasses.asdict(stack.outputs).items()}, file)
        file.flush()
        return CliRunner().invoke(main, ["--outputs", file.name, *words])


def test_a_purge_leaves_no_item_and_no_document_and_a_replay_brings_none_back(
    stack: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"scrapped-{now_ms()}"
    with collection(stack, name, "public", ("apply", "publish")):
        changes = [new_change(f"i-{number}", collection=name) for number in range(5)]
        object_key = put_items(stack, name, "public", changes)
        deleted, by_hand = changes[0], changes[1]
        put_object(stack, [new_change(deleted.item_id, None, collection=name).line()])
        # An item that somebody deletes by hand comes back, because `publish` takes that for a lost write.
        dynamodb = stack.root().client("dynamodb")
        dynamodb.delete_item(TableName=stack.outputs.items_table, Key={"pk": {"S": by_hand.key}})
        eventually(lambda: items(stack).get_item(by_hand.key) == by_hand, within=WITHIN)
        for replica in REGIONS:
            eventually(
                lambda: f"public/documents/{name}/i-0" not in documents(stack, name, replica=replica), within=WITHIN
            )
            put_document(stack, f"public/documents/{name}/snapshot", replica=replica)
            put_document(stack, f"authenticated/documents/{name}/i-2", replica=replica)

        dry_run = in_process(stack, "collections", "purge", name)
        assert dry_run.exit_code == 0 and "Nothing was changed" in dry_run.output, dry_run.output
        for region in (stack.outputs.region, stack.outputs.replica_region):
            assert f"{region}: 4 items and 6 documents of {name}." in dry_run.output
        rows = [json.loads(line) for line in in_process(stack, "collections", "list", "--json").output.splitlines()]
        (row,) = (row for row in rows if (row["collection"], row["region"]) == (name, stack.outputs.region))
        assert (row["state"], row["items"], row["unfit_documents"]) == ("retired", 4, 1)

        # Interrupt the purge after three of the four items, then run it again.
        monkeypatch.setattr(collections, "DELETES", 3)
        put_lines, calls = collections.__dict__["put_lines"], []

        def put_once(*arguments: Any) -> Any:
            calls.append(arguments)
            if len(calls) > 1:
                raise KeyboardInterrupt
            return put_lines(*arguments)

        monkeypatch.setattr(collections, "put_lines", put_once)
        assert in_process(stack, "collections", "purge", name, "--yes").exit_code != 0
        assert len([change for change in changes if is_living(stack, change)]) == 1
        monkeypatch.setattr(collections, "put_lines", put_lines)
        purge = in_process(stack, "collections", "purge", name, "--yes")
        assert purge.exit_code == 0 and "1 items were deleted" in purge.output, purge.output
        since_ms = now_ms()
        for replica in REGIONS:
            assert not documents(stack, name, replica=replica)
            assert not any(is_living(stack, change, replica=replica) for change in changes)
        notify(stack, [object_key])
        eventually(lambda: stack.events("apply", "changes_applied", since_ms=since_ms, key=object_key), within=WITHIN)
        assert not any(is_living(stack, change) for change in changes), "tombstones are newer than what is replayed"
    refused = in_process(stack, "collections", "purge", name, "--yes")
    assert refused.exit_code == 1 and "isn't declared" in str(refused.exception)


def is_living(stack: Local, change: Change, *, replica: bool = False) -> bool:
    """Whether a change's item exists in one Region and isn't deleted."""
    stored = items(stack, replica=replica).get_item(change.key, consistent=True)
    return stored is not None and stored.data is not None


def test_after_a_move_nothing_is_left_under_the_former_prefix(stack: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    # A unit test checks this wait, which takes half a minute.
    monkeypatch.setattr(collections, "_wait_for_former_publish", lambda target, regional: None)
    name = f"moving-{now_ms()}"
    functions = ("apply", "publish", "read")
    changes = [new_change(f"i-{number}", collection=name) for number in range(4)]
    with collection(stack, name, "public", functions):
        put_items(stack, name, "public", changes)
    with collection(stack, name, "authenticated", functions):
        newer = new_change("i-1", '{"title":"newer"}', collection=name)
        put_items(stack, name, "authenticated", [newer])
        for replica in REGIONS:
            put_document(stack, f"public/documents/{name}/i-9", replica=replica)  # what an old delete left
        dry_run = in_process(stack, "collections", "move", name)
        assert dry_run.exit_code == 0 and "Nothing was changed" in dry_run.output, dry_run.output
        assert (
            dry_run.output.count(f"4 items to publish under authenticated/documents/{name}/, 5 documents to delete")
            == 2
        )

        result = in_process(stack, "collections", "move", name, "--yes")
        assert result.exit_code == 0, (result.output, result.exception)
        expected = {f"authenticated/documents/{name}/{c.item_id}": c.version for c in (*changes, newer)}
        for replica in REGIONS:
            assert documents(stack, name, replica=replica) == expected
        again = in_process(stack, "collections", "move", name)
        assert again.output.count("0 items to publish") == 2 and again.output.count("0 documents to delete") == 2

        # Somebody deletes a document by hand. The next move writes it again.
        bucket, key = stack.outputs.documents_bucket, f"authenticated/documents/{name}/i-2"
        stack.root().client("s3").delete_object(Bucket=bucket, Key=key)
        assert in_process(stack, "collections", "move", name, "--yes").exit_code == 0
        assert documents(stack, name, replica=False) == expected

        # Leave nothing behind for the other tests.
        put_object(stack, [new_change(c.item_id, None, collection=name).line() for c in changes])
        for replica in REGIONS:
            eventually(lambda: not documents(stack, name, replica=replica), within=WITHIN)
