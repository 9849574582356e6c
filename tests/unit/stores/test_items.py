"""The stores with either client, against moto's server and a network that misbehaves; the items also against their
model in memory."""

import gzip
import hashlib
import io
import json
import socket
import threading
import uuid
import zlib
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readplane.apply.objects import S3LogObjects
from readplane.aws.boto import BotoClient
from readplane.aws.client import Client, client
from readplane.aws.faults import RefusedError, UnansweredError
from readplane.model.change import Change, PoisonError
from readplane.model.freshness import Freshness
from readplane.poll.sourced_items import DynamoSourcedItems
from readplane.read.page import ListPosition, partitions
from readplane.stores.documents import S3Documents
from readplane.stores.items import DynamoItems, Items, change_of, image_of
from readplane.stores.schemas import read_schemas
from readplane.write.log import ATTEMPTS, FirehoseWriteLog, NotAppendedError
from tests.fakes.dynamodb import FakeDynamo
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.aws.slim.server import Received, Server, raw
from tests.unit.support import ALICE, COLLECTIONS, NOW_MS, MemoryItems, MemorySourcedItems, change, version_at

HORIZON_MS = 30 * 86_400_000

pytestmark = pytest.mark.usefixtures("aws", "either_client")


def new_table() -> tuple[DynamoItems, str]:
    dynamodb = boto3.client("dynamodb")
    name = f"items-{uuid.uuid4()}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "list_key", "item_id")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_collection",
                "KeySchema": [
                    {"AttributeName": "list_key", "KeyType": "HASH"},
                    {"AttributeName": "item_id", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return DynamoItems(client("dynamodb"), name, "by_collection", horizon_ms=HORIZON_MS), name


def records(table: str) -> Any:
    return boto3.client("dynamodb").scan(TableName=table)["Items"]


@pytest.fixture(params=["dynamodb", "memory"])
def items(request: pytest.FixtureRequest) -> Items:
    return new_table()[0] if request.param == "dynamodb" else MemoryItems()


def test_the_newest_change_wins_and_every_outcome_is_told(items: Items) -> None:
    old, new = change(ms=NOW_MS), change(ms=NOW_MS + 1, data=None)
    assert items.get(old.key) is None
    assert [items.apply(entry) for entry in (old, old, new, old, new)] == [
        "applied",
        "duplicate",
        "applied",
        "superseded",
        "duplicate",
    ]
    assert items.get(old.key) == new


def test_the_status_of_a_change(items: Items) -> None:
    first, second = change(ms=NOW_MS), change(ms=NOW_MS + 1)
    assert items.status(first.key, first.change_id) == (None, None)
    items.apply(first)
    items.mark_quarantined(second, "too_large", NOW_MS)
    assert items.status(first.key, first.change_id) == (first.version, None)
    assert items.status(first.key, second.change_id) == (first.version, "too_large")
    other = change("p-2")
    assert items.status(other.key, second.change_id) == (None, None)


def test_a_list_holds_the_living_items_of_its_collection_or_owner(items: Items) -> None:
    for number in range(30):
        items.apply(change(f"p-{number}"))
    items.apply(change("p-7", ms=NOW_MS + 1, data=None))
    items.apply(change("mine", collection="profiles", owner=ALICE))
    items.mark_quarantined(change("p-99"), "too_large", NOW_MS)
    seen: list[str] = []
    place: ListPosition | None = ListPosition(0, None)
    while place is not None:
        page, place = items.page(partitions(COLLECTIONS["products"], None), place, 4, 60)
        assert len(page) <= 4
        seen += [item.item_id for item in page]
    assert sorted(seen) == sorted(f"p-{number}" for number in range(30) if number != 7)
    owned, _ = items.page(partitions(COLLECTIONS["profiles"], ALICE), ListPosition(0, None), 10, 60)
    assert [item.item_id for item in owned] == ["mine"]
    assert items.page(partitions(COLLECTIONS["profiles"], "somebody"), ListPosition(0, None), 10, 60) == ([], None)


@settings(
    max_examples=settings().max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.booleans()), max_size=15))
def test_the_table_does_what_its_model_does(history: list[tuple[int, int, bool]]) -> None:
    table, _ = new_table()
    model = MemoryItems()
    for item, tick, gone in history:
        data = None if gone else f'{{"t": {tick}.10}}'
        entry = change(f"i{item}", ms=NOW_MS + tick * 2 + gone, data=data)
        assert table.apply(entry) == model.apply(entry)
        assert table.get(entry.key) == model.get(entry.key)
    spread = partitions(COLLECTIONS["products"], None)
    assert table.page(spread, ListPosition(0, None), 50, 60)[0] == model.page(spread, ListPosition(0, None), 50, 60)[0]


def test_each_read_is_one_call_and_a_list_queries_until_its_page_is_full(aws: Aws) -> None:
    items, _ = new_table()
    for number in range(40):
        items.apply(change(f"p-{number}"))
    assert aws.during(lambda: items.get(change().key))[1] == ["GetItem"]
    assert aws.during(lambda: items.status(change().key, change().change_id))[1] == ["BatchGetItem"]
    spread = partitions(COLLECTIONS["products"], None)
    (page, _), made = aws.during(lambda: items.page(spread, ListPosition(0, None), 2, 60))
    assert len(page) == 2 and made == ["Query"]
    (page, _), made = aws.during(lambda: items.page(spread, ListPosition(0, None), 40, 60))
    assert len(page) == 40 and made == ["Query"] * 8


def test_a_page_ends_at_a_mebibyte() -> None:
    items, _ = new_table()
    for number in range(12):
        items.apply(change(f"p-{number}", data='{"a":"' + "x" * 200_000 + '"}'))
    page, place = items.page(partitions(COLLECTIONS["products"], None), ListPosition(0, None), 200, 60)
    assert len(page) == 6 and place is not None


def test_a_slow_table_makes_a_short_page_not_a_late_one(aws: Aws) -> None:
    items, _ = new_table()
    for number in range(40):
        items.apply(change(f"p-{number}"))
    spread = partitions(COLLECTIONS["products"], None)
    (page, place), made = aws.during(lambda: items.page(spread, ListPosition(0, None), 40, 0))
    assert made == ["Query"] and 0 < len(page) < 40 and place == ListPosition(1, None)


def test_keys_that_stay_unprocessed_end_in_a_fault() -> None:
    class Throttled:
        calls = 0

        def call(self, operation: str, /, **parameters: Any) -> Any:
            self.calls += 1
            return {"Responses": {}, "UnprocessedKeys": parameters["RequestItems"]}

    throttled = Throttled()
    with pytest.raises(UnansweredError):
        DynamoItems(throttled, "t", horizon_ms=HORIZON_MS).status("k", change().change_id)
    assert throttled.calls == 3


def test_a_tombstone_carries_no_index_key_and_a_time_to_live() -> None:
    items, table = new_table()
    gone = change(data=None)
    items.apply(gone)
    (record,) = records(table)
    assert "list_key" not in record and "data" not in record
    assert record["expires_at"] == {"N": str((NOW_MS + HORIZON_MS) // 1000 + 86_400)}
    items.apply(change(ms=NOW_MS + 1))
    (record,) = records(table)
    assert "list_key" in record and "expires_at" not in record
    assert image_of(record) == change_of(record) == change(ms=NOW_MS + 1)


def test_a_quarantine_marker_is_no_item() -> None:
    items, table = new_table()
    items.mark_quarantined(change(ms=NOW_MS - 2 * HORIZON_MS), "expired", NOW_MS)
    (record,) = records(table)
    assert image_of(record) is None
    assert record["expires_at"] == {"N": str((NOW_MS + HORIZON_MS) // 1000)}, "a marker of an expired change must last"
    assert image_of(None) is None


def test_other_faults_of_the_table_are_raised() -> None:
    missing = DynamoItems(client("dynamodb"), "nowhere", horizon_ms=HORIZON_MS)
    with pytest.raises(RefusedError) as caught:
        missing.apply(change())
    assert caught.value.code == "ResourceNotFoundException"


# what sources ask


@pytest.fixture(params=["dynamodb", "memory"])
def sourced(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return MemorySourcedItems()
    _, table = new_table()
    return DynamoSourcedItems(client("dynamodb"), table, "by_collection", horizon_ms=HORIZON_MS)


def test_versions_of_many_items_tombstones_included(sourced: Any) -> None:
    items = [change(f"p-{number}", data=None if number % 50 == 7 else "{}") for number in range(120)]
    for item in items:
        sourced.apply(item)
    keys = [item.key for item in items]
    assert sourced.versions([*keys, *keys, "item/products/unknown"]) == {item.key: item.version for item in items}
    assert sourced.versions([]) == {}


def test_living_items_come_once_each_with_their_versions(sourced: Any) -> None:
    for number in range(30):
        sourced.apply(change(f"p-{number}", data="{}" if number % 3 else None))
    sourced.apply(change("o-1", collection="orders"))
    sourced.put_freshness("shop", FRESH)
    found = list(sourced.living(partitions(COLLECTIONS["products"], None)))
    assert sorted(found) == sorted((f"p-{number}", change().version) for number in range(30) if number % 3)


FRESH = Freshness("2026-11-21T08:00:00.123Z", "closed", "2026-11-21T08:00:01.000Z")
NEVER_READ = Freshness(None, "open", FRESH.checked_at)


@pytest.mark.parametrize("told", [FRESH, FRESH._replace(fresh_as_of="2026-11-21T07:59:59.999Z"), NEVER_READ])
def test_freshness_is_told_back_and_is_no_item(sourced: Any, told: Freshness) -> None:
    assert sourced.freshness("shop") is None
    assert sourced.put_freshness("shop", FRESH) == FRESH
    # Not less fresh than before: a poll that tells late may have been overtaken.
    assert sourced.put_freshness("shop", told) == sourced.freshness("shop") == told._replace(fresh_as_of=FRESH[0])
    assert sourced.freshness("other") is None and sourced.get("item/products/shop") is None


def test_freshness_is_ignored_by_publish_and_keeps_for_ever() -> None:
    items, table = new_table()
    DynamoSourcedItems(client("dynamodb"), table, horizon_ms=HORIZON_MS).put_freshness("shop", FRESH)
    (record,) = records(table)
    assert image_of(record) is None and not {"expires_at", "list_key", "item_id"} & record.keys()
    assert items.freshness("shop") == FRESH


def test_versions_and_living_items_are_read_in_few_calls_to_the_last_page(aws: Aws) -> None:
    items, table = new_table()
    sourced = DynamoSourcedItems(client("dynamodb"), table, "by_collection", horizon_ms=HORIZON_MS)
    large = '{"a":"' + "x" * 200_000 + '"}'
    for number in range(14):
        items.apply(change(f"p-{number}", collection="profiles", owner=ALICE, data=large))
    found, made = aws.during(lambda: list(sourced.living([f"profiles/{ALICE}"])))
    assert len(found) == 14 and 3 <= len(made) <= 4 and set(made) == {"Query"}  # a page of a query ends at 1 MB
    keys = [change(f"p-{number}").key for number in range(201)]
    assert aws.during(lambda: sourced.versions(keys))[1] == ["BatchGetItem"] * 3


def test_versions_are_read_consistently_and_asked_again_for_what_was_left() -> None:
    table = FakeDynamo()
    sourced = DynamoSourcedItems(table, "items", horizon_ms=HORIZON_MS)
    table.stale = lambda pk: True
    for tick in range(2):
        for number in range(3):
            sourced.apply(change(f"p-{number}", ms=NOW_MS + tick))
    table.leave = lambda pk: pk.endswith("2") and table.calls["BatchGetItem"] < 3
    keys = [change(f"p-{number}").key for number in range(3)]
    assert sourced.versions(keys) == dict.fromkeys(keys, version_at(NOW_MS + 1))
    assert table.calls["BatchGetItem"] == 3


# documents


def new_bucket(name: str = "bucket") -> Any:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return s3


def test_a_document_is_published_read_revalidated_and_removed() -> None:
    new_bucket()
    documents = S3Documents(client("s3"), "bucket")
    publisher = S3Documents(BotoClient("s3"), "bucket")  # `publish` is off the hot path
    version = version_at(NOW_MS)
    assert documents.get("public/c/a.json", None) is None
    publisher.put("public/c/a.json", '{"n":1.10}', version, "public, max-age=60")
    found = documents.get("public/c/a.json", None)
    assert found is not None and found.body == b'{"n":1.10}'
    assert found.headers == {
        "Content-Type": "application/json",
        "ETag": f'"{hashlib.md5(found.body).hexdigest()}"',
        "Cache-Control": "public, max-age=60",
        "Readplane-Version": version,
    }
    again = documents.get("public/c/a.json", found.headers["ETag"])
    assert again is not None and again.body is None and again.headers == {"ETag": found.headers["ETag"]}
    publisher.remove("public/c/a.json")
    publisher.remove("public/c/a.json")
    assert documents.get("public/c/a.json", None) is None


def test_a_document_store_that_fails_is_no_missing_document() -> None:
    with pytest.raises(RefusedError, match="InternalError"):
        S3Documents(Failing("InternalError", 500), "bucket").get("k", None)
    for code in ("InvalidAccessKeyId", "RequestTimeTooSkewed", "SignatureDoesNotMatch"):
        with pytest.raises(RefusedError, match=code):
            S3Documents(Failing(code, 403), "bucket").get("k", None)
    assert S3Documents(Failing("AccessDenied", 403), "bucket").get("k", None) is None


@pytest.mark.parametrize("condition", ['"\u00a0"', '"\ud800"', '"a\tb"', '"a"\r\nx-amz-acl: public-read'])
def test_a_condition_that_no_header_can_be_is_met_by_no_document(condition: str) -> None:
    new_bucket().put_object(Bucket="bucket", Key="k", Body=b"{}")
    found = S3Documents(client("s3"), "bucket").get("k", condition)
    assert found is not None and found.body == b"{}"


class Failing:
    """A client whose every call is answered with one error."""

    def __init__(self, code: str, status: int) -> None:
        self.error = RefusedError(code, status)
        self.calls = 0

    def call(self, operation: str, /, **parameters: Any) -> Any:
        self.calls += 1
        raise self.error


# the write log's objects and the quarantine


def log_of(content: bytes) -> S3LogObjects:
    new_bucket().put_object(Bucket="bucket", Key="log/a.gz", Body=content)
    return S3LogObjects(client("s3"), "bucket", "quarantine/")


@pytest.mark.parametrize("pack", [gzip.compress, bytes, lambda text: gzip.compress(text[:7]) + gzip.compress(text[7:])])
def test_lines_come_from_gzip_plain_or_joined_members(pack: Any) -> None:
    text = b'{"a":1}\n\n{"b":"\xc3\xa4"}\n{"c":3}'
    assert [line.strip() for line in log_of(pack(text)).lines("log/a.gz")] == [
        b'{"a":1}',
        b'{"b":"\xc3\xa4"}',
        b'{"c":3}',
    ]


@pytest.mark.parametrize("count", [10, 2000])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_damaged_object_gives_what_it_can_and_then_says_so(count: int, kept: float) -> None:
    packed = gzip.compress(b"".join(change(f"i{number}").line() for number in range(count)))
    cut = packed[: int(len(packed) * kept)]
    whole = [line for line in zlib.decompressobj(31).decompress(cut).splitlines(True) if line.endswith(b"\n")]
    given: list[bytes] = []
    with pytest.raises(PoisonError) as caught:
        given.extend(log_of(cut).lines("log/a.gz"))
    assert caught.value.reason == "unparsable"
    assert given == whole and (count == 10 or len(whole) > 400), "every line before the damage"


def test_an_empty_object_has_no_lines() -> None:
    assert list(log_of(b"").lines("log/a.gz")) == []


def test_poison_is_kept_whole_and_once() -> None:
    log = log_of(b"")
    line = b'{"half": "\xff'
    for _ in range(2):
        log.quarantine(line + b"\n", PoisonError("unparsable", "told why"), "log/a.gz:7")
    log.quarantine(b"text", PoisonError("expired", "old"), "log/a.gz:8")
    listed = boto3.client("s3").list_objects_v2(Bucket="bucket", Prefix="quarantine/")["Contents"]
    assert [entry["Key"].split("/")[1] for entry in listed] == ["expired", "unparsable"]
    kept = [json.load(boto3.client("s3").get_object(Bucket="bucket", Key=entry["Key"])["Body"]) for entry in listed]
    assert kept[0] == {"reason": "expired", "detail": "old", "origin": "log/a.gz:8", "line": "text"}
    assert kept[1]["line_base64"] == "eyJoYWxmIjogIv8=" and kept[1]["detail"] == "told why"


def test_schemas_are_read_and_must_be_what_was_deployed() -> None:
    s3 = new_bucket()
    content = json.dumps({"products": {"type": "object"}}).encode()
    s3.put_object(Bucket="bucket", Key="s", Body=content)
    digest = hashlib.sha256(content).hexdigest()
    assert read_schemas(client("s3"), "bucket", "s", digest) == {"products": {"type": "object"}}
    with pytest.raises(ValueError, match="apply again"):
        read_schemas(client("s3"), "bucket", "s", "0" * 64)


# the write log


@pytest.mark.parametrize(
    ("code", "status", "refused", "calls"),
    [
        ("ServiceUnavailableException", 503, True, ATTEMPTS),
        ("ThrottlingException", 400, True, ATTEMPTS),
        ("ResourceNotFoundException", 400, True, 1),
        ("AccessDeniedException", 400, True, 1),
        ("InternalFailure", 500, False, ATTEMPTS),
    ],
)
def test_what_firehose_answers_tells_refused_from_unknown(code: str, status: int, refused: bool, calls: int) -> None:
    failing = Failing(code, status)
    with pytest.raises(NotAppendedError) as caught:
        FirehoseWriteLog(failing, "stream").append(b"line\n")
    assert (caught.value.refused, caught.value.cause, failing.calls) == (refused, code, calls)


def test_a_refusal_after_a_time_out_is_still_unknown() -> None:
    errors = iter(
        [
            Failing("InternalFailure", 500).error,
            Failing("ServiceUnavailableException", 503).error,
            Failing("X", 400).error,
        ]
    )

    class Changing:
        def call(self, operation: str, /, **parameters: Any) -> Any:
            raise next(errors)

    with pytest.raises(NotAppendedError) as caught:
        FirehoseWriteLog(Changing(), "stream").append(b"line\n")
    assert caught.value.refused is False


def test_a_passing_refusal_is_survived() -> None:
    answers = iter([Failing("ServiceUnavailableException", 503).error, None])
    sent: list[bytes] = []

    class Recovering:
        def call(self, operation: str, /, **parameters: Any) -> Any:
            error = next(answers)
            if error:
                raise error
            sent.append(parameters["Record"]["Data"])

    FirehoseWriteLog(Recovering(), "stream").append(b"line\n")
    assert sent == [b"line\n"]


def firehose_at(port: int, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    return client("firehose", attempts=1, read_timeout=0.2)


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: accept_all(server, held), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def accept_all(server: socket.socket, held: list[socket.socket]) -> None:
    while True:
        try:
            held.append(server.accept()[0])
        except OSError:
            return


def test_a_stream_that_breaks_off_is_a_fault_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True)])
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    for size in (-1, 9):
        body = client("s3").call("GetObject", Bucket="bucket", Key="k")["Body"]
        with pytest.raises(UnansweredError) as unanswered:
            while body.read(size):
                pass
        assert unanswered.value.sent
        body.close()
    server.stop()


def test_a_try_that_could_not_be_sent_takes_none_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def last(connection: socket.socket, request: Received) -> bool:
        server.stop()
        return False

    server = Server([last])
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with pytest.raises(UnansweredError, match="EndpointConnectionError") as unanswered:
        client("dynamodb", attempts=2).call("GetItem", TableName="t", Key={"pk": {"S": "k"}})
    assert unanswered.value.sent


def test_silence_is_unknown_and_a_closed_door_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAppendedError) as silent:
        FirehoseWriteLog(firehose_at(port, monkeypatch), "stream").append(b"line\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        unused = closed.getsockname()[1]
    with pytest.raises(NotAppendedError) as shut:
        FirehoseWriteLog(firehose_at(unused, monkeypatch), "stream").append(b"line\n")
    assert silent.value.refused is False and shut.value.refused is True


def test_lines_are_read_as_a_stream() -> None:
    """Memory doesn't grow with the object: a line is given before the rest of the object is read."""

    class Body(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Body.taken += len(data)
            return data

    content = b"".join(Change.line(change(f"i{number}", data='{"x":"' + "y" * 1000 + '"}')) for number in range(1000))

    class OneObject:
        def call(self, operation: str, /, **parameters: Any) -> Any:
            return {"Body": Body(content)}

    first = next(S3LogObjects(OneObject(), "bucket", "quarantine/").lines("log/a"))
    assert first == content.split(b"\n")[0] + b"\n" and Body.taken < len(content) / 10
