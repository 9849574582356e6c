"""Test the command `verify` on a test stack in moto, with a stand-in for the function `feed`."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.cli import collection_stores, store_differences, verify
from ops.cli.collection_stores import Declared, LiveFunction
from ops.cli.main import main
from ops.cli.store_differences import NO_VERSION, StoreDifference, Verification, Verifier, difference_kind
from ops.cli.target import RegionalStack, Target
from readplane.aws.boto import BotoClient
from readplane.model.change import Change
from readplane.model.keys import document_key
from readplane.stores.documents import VERSION_METADATA
from readplane.stores.items import DynamoItems
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, Run
from tests.unit.support import ALICE, NOW_MS, change, version_at

DECLARED = {
    "products": Declared("public", retired=False),
    "profiles": Declared("owner", retired=False),
    "prices": Declared("public", retired=False),
}
SOURCES = {"prices": {"mode": "snapshot", "collection": "prices"}}


class Stack:
    """A stack of one Region in moto.

    during_wait: called while `verify` waits before its second look
    pages: what `feed` answers, by store and cursor
    asked: the events of `feed`
    """

    def __init__(self, run: Run) -> None:
        make: Any = boto3.client
        self.run = run
        self.s3 = make("s3")
        self.s3.create_bucket(Bucket="documents", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.waits: list[float] = []
        self.during_wait: Callable[[], object] = lambda: None
        self.feeds: dict[str, Any] = {}
        self.pages: dict[tuple[str, str | None], dict[str, Any]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.texts: list[str] = []

    def put(self, new: Change, document: str | None = "same") -> Change:
        """Store an item, and a document with its version or another one; None for no document."""
        DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=10**12).apply(new)
        if document is not None:
            self.put_document(new, new.version if document == "same" else document)
        return new

    def put_document(self, new: Change, version: str) -> None:
        key = document_key(DECLARED[new.collection].read, new.collection, new.item_id, new.owner)
        metadata = {} if version == NO_VERSION else {VERSION_METADATA: version}
        self.s3.put_object(Bucket="documents", Key=key, Body=b"{}", Metadata=metadata)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.during_wait()

    def verify(self, sample: int | None = None, collection: str | None = None) -> Verification:
        target = Target({**OUTPUTS, "sources": SOURCES})
        stack = target.regional(replica=False)
        return Verifier(
            target, stack, DECLARED, progress=self.texts.append, collection=collection, sleep=self.sleep
        ).verify(sample)

    def live_function(self, target: Target, stack: RegionalStack, function: str) -> LiveFunction:
        assert function == "publish"
        return LiveFunction({"feeds": self.feeds}, 0, 60)

    def feed(self, target: Target, stack: RegionalStack, event: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((event["store"], event["cursor"]))
        page = {"compared": 2, "missing": [], "older": [], "newer": [], "extra": [], "cursor": None}
        return page | self.pages[event["store"], event["cursor"]]


@pytest.fixture
def stack(run: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack(run)
    monkeypatch.setattr(store_differences, "live_function", stack.live_function)
    monkeypatch.setattr(store_differences, "feed", stack.feed)
    return stack


def difference(store: Any, kind: str, item: Change, version: str | None = None) -> StoreDifference:
    return StoreDifference(REGION, store, kind, item.key, item.version if version is None else version)


def test_a_stack_without_differences_agrees(stack: Stack) -> None:
    stack.put(change("a"))
    stack.put(change("me", collection="profiles", owner=ALICE))
    stack.put(change("gone", data=None), None)
    result = stack.verify()
    assert (result.items, result.documents, result.changing, result.differences) == (3, 3, 0, [])
    assert stack.waits == []


def test_each_kind_of_difference_is_found(stack: Stack) -> None:
    older, newer = version_at(NOW_MS - 1), version_at(NOW_MS + 1)
    expected = [
        difference("documents", "missing", stack.put(change("missing"), None)),
        difference("documents", "older", stack.put(change("older"), older)),
        difference("documents", "newer", stack.put(change("newer"), newer)),
        difference("documents", "older", stack.put(change("no-version"), NO_VERSION)),
        difference("documents", "extra", stack.put(change("deleted", data=None), older)),
        difference("documents", "missing", stack.put(change("x", collection="profiles", owner=ALICE), None)),
    ]
    assert stack.verify().differences == sorted(expected)
    assert stack.verify(sample=100).differences == sorted(expected)
    assert stack.verify(collection="profiles").differences == expected[-1:]
    assert stack.waits == [store_differences.CONFIRM_SECONDS] * 3


def test_a_scan_finds_documents_without_an_item(stack: Stack) -> None:
    lost = change("lost")
    stack.put_document(lost, lost.version)
    stack.put_document(change("snapshot", collection="prices"), NO_VERSION)
    assert stack.verify().differences == [difference("documents", "extra", lost, "")]
    assert stack.verify(sample=10).differences == []


def test_a_difference_that_goes_away_does_not_count(stack: Stack) -> None:
    item = stack.put(change("a"), None)
    stack.during_wait = lambda: stack.put_document(item, item.version)
    result = stack.verify()
    assert (result.differences, result.changing, result.documents) == ([], 1, 1)


def test_a_difference_of_an_item_that_changes_does_not_count(stack: Stack) -> None:
    stack.put(change("a"), None)
    stack.during_wait = lambda: stack.put(change("a", ms=NOW_MS + 5), None)
    result = stack.verify()
    assert (result.differences, result.changing) == ([], 1)


def test_a_difference_of_another_kind_at_the_second_look_does_not_count(stack: Stack) -> None:
    item = stack.put(change("a"), None)
    stack.during_wait = lambda: stack.put_document(item, version_at(NOW_MS - 1))
    assert stack.verify().differences == []


def test_private_stores_are_compared_by_feed_and_the_pages_with_differences_twice(stack: Stack) -> None:
    stack.feeds = {"cache": {"collections": ["products"]}, "database": {"collections": ["products", "profiles"]}}
    a, b = stack.put(change("a")), stack.put(change("b"))
    stack.pages = {
        ("cache", None): {"older": [a.key]},
        ("database", None): {"cursor": "2"},
        ("database", "2"): {"missing": [b.key], "extra": ["item/products/none"], "cursor": "3"},
        ("database", "3"): {"cursor": None},
    }

    def mend() -> None:
        stack.pages["cache", None] = {}

    stack.during_wait = mend
    result = stack.verify()
    assert result.differences == [
        difference("database", "extra", change("none"), ""),
        difference("database", "missing", b),
    ]
    assert (result.entries, result.changing) == ({"cache": 2, "database": 6}, 1)
    assert stack.asked[4:] == [("cache", None), ("database", "2")]


def test_a_sample_ends_after_so_many_entries(stack: Stack) -> None:
    stack.feeds = {"database": {"collections": ["products"]}}
    stack.pages = {("database", None): {"cursor": "2"}, ("database", "2"): {"cursor": "3"}}
    assert stack.verify(sample=3).entries == {"database": 4}
    assert stack.verify(sample=3, collection="profiles").entries == {}


def test_of_one_collection_there_is_no_sample_of_a_store(stack: Stack) -> None:
    stack.feeds = {"database": {"collections": ["products"]}}
    stack.pages = {("database", None): {"cursor": "2"}, ("database", "2"): {}}
    assert stack.verify(sample=1, collection="products").entries == {"database": 4}


def test_rows_that_are_not_compared_are_counted_apart(stack: Stack) -> None:
    make: Any = boto3.client
    make("dynamodb").put_item(TableName="items", Item={"pk": {"S": "item/products/bad"}})
    items = DynamoItems(BotoClient("dynamodb"), "items", horizon_ms=10**12)
    items.apply(change("x", collection="removed"))
    items.apply(change("y", collection="removed"))
    items.apply(change("z", owner=ALICE))
    stack.put(change("a"))
    result = stack.verify()
    assert (result.items, result.malformed, result.undeclared, result.unfit) == (1, 1, {"removed": 2}, 1)
    assert result.differences == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["", "1", "2"]), st.sampled_from([None, NO_VERSION, "1", "2"]))
def test_only_equal_versions_and_absent_documents_of_absent_items_agree(version: str, document: str | None) -> None:
    agree = (version == document) or (version == "" and document is None)
    assert (difference_kind(version, document) is None) == agree


def run_verify(stack: Stack, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.setattr(verify, "declared_collections", lambda target, stacks: DECLARED)
    monkeypatch.setattr("ops.cli.verify.time.sleep", stack.sleep)
    return stack.run("verify", *words)


def test_the_exit_code_says_whether_everything_agrees(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.put(change("a"))
    result = run_verify(stack, monkeypatch)
    assert (result.exit_code, "1 items, 1 documents compared. Differences: none." in result.output) == (0, True)
    item = stack.put(change("b"), version_at(NOW_MS + 1))
    result = run_verify(stack, monkeypatch, "--scan")
    assert result.exit_code == 1
    assert "readplane rebuild documents --yes" in result.output
    result = run_verify(stack, monkeypatch, "--json", "--confirm", "20")
    assert (result.exit_code, stack.waits[-1]) == (1, 20)
    assert json.loads(result.stdout) == difference("documents", "newer", item)._asdict()


def test_wrong_words_are_refused(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no collection x." in str(run_verify(stack, monkeypatch, "--collection", "x").exception)
    assert "The stack isn't in mars-1." in str(run_verify(stack, monkeypatch, "--region", "mars-1").exception)
    assert run_verify(stack, monkeypatch, "--confirm", "1").exit_code == 2


@pytest.mark.parametrize("command", [["verify"], ["rebuild", "documents", "--json"]])
def test_a_region_is_looked_at_without_the_lost_one(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    replica = "eu-west-1"
    make: Any = boto3.client
    make("s3", region_name=replica).create_bucket(
        Bucket="documents-2", CreateBucketConfiguration={"LocationConstraint": replica}
    )
    make("dynamodb", region_name=replica).create_table(
        TableName="items",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    outputs = OUTPUTS | {
        "replica_region": replica,
        "replica_write_log_bucket": "log-2",
        "replica_documents_bucket": "documents-2",
    }
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
    usual, asked = Target.client, []

    def client(target: Target, service: str, region: str | None = None) -> Any:
        if region in (None, REGION):
            raise EndpointConnectionError(endpoint_url="https://lost")
        return usual(target, service, region)

    def live_function(target: Target, stack: RegionalStack, function: str) -> LiveFunction:
        client(target, "lambda", stack.region)
        asked.append(function)
        return LiveFunction({"collections": {"products": {"read": "public"}}}, 0, 60)

    monkeypatch.setattr(Target, "client", client)
    monkeypatch.setattr(collection_stores, "live_function", live_function)
    monkeypatch.setattr(store_differences, "live_function", live_function)
    result = CliRunner().invoke(main, ["--outputs", str(file), *command, "--region", replica])
    assert result.exit_code == 0, (result.output, result.exception)
    assert replica in result.output and {"publish", "apply", "read"} <= set(asked)


def test_a_missing_right_is_one_sentence(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(target: Target, stacks: Sequence[RegionalStack]) -> dict[str, Declared]:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "secret"}}, "GetFunction")

    monkeypatch.setattr(verify, "declared_collections", refuse)
    result = stack.run("verify")
    assert result.exit_code == 1
    assert str(result.exception) == (
        "AWS refused GetFunction: AccessDeniedException. Does this operator have the permission (docs/operate.md)?"
    )
