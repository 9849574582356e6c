import json
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.aws.boto import BotoClient
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.keys import item_key
from readplane.stores.key_queue import (
    MAX_CALL_BYTES,
    KeyMessageError,
    SqsKeyQueue,
    StoreName,
    parse_keys,
    print_message,
)
from readplane.stores.table import MAX_ATTEMPTS

LONGEST = "a" * 200


class SqsClient:
    """A client of one SQS queue. ``answers`` holds what the next calls say about their messages.

    An answer names the code with which SQS doesn't accept a message, by the message's place in the call. If it begins
    with ``!``, the message is to blame.
    """

    def __init__(self, *answers: dict[int, str]) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []
        self.bodies: list[str] = []

    def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        assert operation == "SendMessageBatch" and parameters["QueueUrl"] == "q"
        entries = parameters["Entries"]
        assert 0 < len(entries) <= 10 and len({entry["Id"] for entry in entries}) == len(entries)
        assert sum(len(entry["MessageBody"].encode()) for entry in entries) <= 256 * 1024
        self.calls.append([entry["MessageBody"] for entry in entries])
        answer = self.answers.pop(0) if self.answers else {}
        failed = [
            {"Id": entries[place]["Id"], "Code": code.lstrip("!"), "SenderFault": code[0] == "!"}
            for place, code in answer.items()
        ]
        self.bodies += [entry["MessageBody"] for place, entry in enumerate(entries) if place not in answer]
        return {"Failed": failed} if failed else {}

    def keys(self) -> list[str]:
        return [key for body in self.bodies for key in parse_keys(body).keys]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def keys(number: int, item_id: str = "p") -> list[str]:
    return [item_key("products", f"{item_id}-{place}", None) for place in range(number)]


def test_a_batch_of_the_items_stream_is_one_message() -> None:
    client = SqsClient()
    SqsKeyQueue(client, "q", "cache").send(keys(100))
    assert client.calls == [[print_message("cache", keys(100))]]
    assert json.loads(client.bodies[0]) == {"v": 1, "store": "cache", "keys": keys(100)}


@pytest.mark.parametrize(
    ("number", "messages", "calls"), [(0, 0, 0), (1, 1, 1), (101, 2, 1), (1_000, 10, 1), (1_001, 11, 2)]
)
def test_many_keys_take_as_few_calls_as_possible(number: int, messages: int, calls: int) -> None:
    client = SqsClient()
    SqsKeyQueue(client, "q", "database").send(keys(number))
    assert (len(client.bodies), len(client.calls)) == (messages, calls)
    assert client.keys() == keys(number)


def test_a_call_stays_within_the_limit_of_its_bytes() -> None:
    client = SqsClient()
    longest = [item_key("c" * 60, f"{LONGEST}-{place}", "o" * 128) for place in range(1_000)]
    SqsKeyQueue(client, "q", "cache").send(longest)
    assert len(client.calls) > 1 and client.keys() == longest
    assert all(sum(map(len, bodies)) <= MAX_CALL_BYTES for bodies in client.calls)


def test_only_the_messages_that_sqs_did_not_accept_are_sent_again() -> None:
    client = SqsClient({0: "InternalError", 2: "ServiceUnavailable"}, {1: "InternalError"})
    SqsKeyQueue(client, "q", "cache").send(keys(300))
    assert [len(bodies) for bodies in client.calls] == [3, 2, 1]
    assert sorted(client.keys()) == sorted(keys(300))


def test_it_gives_up_after_some_attempts() -> None:
    client = SqsClient(*[{0: "InternalError"}] * 99)
    with pytest.raises(UnansweredError):
        SqsKeyQueue(client, "q", "cache").send(keys(1))
    assert len(client.calls) == MAX_ATTEMPTS


def test_a_message_that_is_to_blame_is_not_sent_again() -> None:
    client = SqsClient({0: "!InvalidMessageContents"})
    with pytest.raises(RefusedError, match="InvalidMessageContents"):
        SqsKeyQueue(client, "q", "cache").send(keys(1))
    assert len(client.calls) == 1


@pytest.mark.usefixtures("aws")
def test_an_sqs_queue_holds_the_messages() -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="demo-feed-cache")["QueueUrl"]
    SqsKeyQueue(BotoClient("sqs"), url, "cache").send(keys(250))
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    received = [parse_keys(message["Body"]) for message in messages]
    assert {message.store for message in received} == {"cache"}
    assert sorted(key for message in received for key in message.keys) == sorted(keys(250))


@given(
    st.sampled_from(["cache", "database"]),
    st.lists(st.from_regex(r"item/[a-z-]{1,9}(/[a-z0-9-]{1,9})?/[A-Za-z0-9._~-]{1,60}", fullmatch=True), min_size=1),
)
def test_a_message_is_parsed_as_it_was_printed(store: StoreName, words: list[str]) -> None:
    assert parse_keys(print_message(store, words[:100])) == (store, tuple(words[:100]))


GOOD: dict[str, Any] = {"v": 1, "store": "cache", "keys": keys(1)}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "must be JSON"),
        ("{", "must be JSON"),
        ("[" * 100_000, "must be JSON"),
        ("[]", "member v is 1"),
        ("null", "member v is 1"),
        (json.dumps(GOOD | {"v": 2}), "member v is 1"),
        (json.dumps(GOOD | {"store": "documents"}), "store must be one of cache, database"),
        (json.dumps(GOOD | {"store": None}), "store must be one of"),
        (json.dumps(GOOD | {"store": ["cache"]}), "store must be one of"),
        (json.dumps(GOOD | {"keys": []}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": keys(101)}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": "item/products/p"}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": [None]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["source/shop"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item/products"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item/products/"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item//p"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item/products/me/p/x"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item/products/\ud800"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item/products/p\n"]}), "1 to 100 keys"),
        (json.dumps(GOOD | {"keys": ["item/products/" + "a" * 2044]}), "1 to 100 keys"),
        (json.dumps({"Records": [{"s3": {}}]}), "member v is 1"),
    ],
)
def test_a_body_that_no_queue_sends_is_refused(body: str, problem: str) -> None:
    with pytest.raises(KeyMessageError, match=problem):
        parse_keys(body)
