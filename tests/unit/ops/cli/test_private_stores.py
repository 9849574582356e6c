"""Test the commands `cache` and `relational`, with stand-ins for `feed` and for the functions' settings."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from ops.cli import private_stores, relational
from ops.cli.collection_stores import LiveFunction
from ops.cli.invoke import FunctionError
from ops.cli.main import main
from ops.cli.target import RegionalStack, Target
from ops.console import ROOT
from ops.jobs import Job
from ops.queue_room import QueueRoom
from readplane.feed.commands import parse_command
from readplane.stores.key_queue import parse_keys
from tests.fakes.moto_aws import REGION
from tests.unit.ops.cli.support import OUTPUTS, Run

REPLICA = "eu-west-1"
CACHE = {"engine": "valkey", "generation": 3, "fresh_seconds": 30, "stale_seconds": 300, "collections": ["products"]}
SETUP: dict[str, Any] = {
    "cluster_arn": "arn:cluster",
    "secret_arn": "arn:secret",
    "database": "readplane",
    "sql": "DO $$ … $$",
    "data_api": True,
}
UNREACHABLE = FunctionError("shop-feed:live", "StoreFaultError", "UnreachableError: OperationalError")


class Stack:
    """A stand-in for the stack's functions.

    settings: the settings of `feed` in every Region
    queues: `feeds` in the settings of `publish`
    answers: what `feed` answers to each command, in order; an exception is raised
    events: the Region and the event of each invocation of `feed`
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings: dict[str, Any] = {"cache": CACHE, "database": {"host": "db"}}
        self.queues: dict[str, Any] = {}
        self.answers: list[Any] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(private_stores, "live_function", self.live_function)
        monkeypatch.setattr(private_stores, "call", self.call)
        monkeypatch.setattr(private_stores, "THROTTLE_SECONDS", 0)
        monkeypatch.setattr(relational, "RESUME_SECONDS", 0)

    def live_function(self, target: Target, stack: RegionalStack, function: str) -> LiveFunction:
        return LiveFunction(self.settings if function == "feed" else {"feeds": self.queues}, 0, 60)

    def call(self, target: Target, function: str, event: dict[str, Any], region: str) -> dict[str, Any]:
        assert function == "shop-feed:live"
        parse_command(event)  # `feed` serves the command
        self.events.append((region, event))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)


@pytest.fixture
def stack(run: Run, monkeypatch: pytest.MonkeyPatch) -> Stack:
    stand_in = Stack(monkeypatch)
    make: Any = boto3.client
    for store in ("cache", "database"):
        url = make("sqs").create_queue(QueueName=f"shop-{store}")["QueueUrl"]
        stand_in.queues[store] = {"queue_url": url, "collections": ["products"]}
    return stand_in


@pytest.fixture
def two_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = {
        "replica_region": REPLICA,
        "replica_write_log_bucket": "log-2",
        "replica_documents_bucket": "documents-2",
    }
    for name, value in replica.items():
        monkeypatch.setitem(OUTPUTS, name, value)


def page(compared: int = 0, cursor: str | None = None, **kinds: list[str]) -> dict[str, Any]:
    return {"store": "database", "compared": compared, "cursor": cursor} | {
        kind: kinds.get(kind, []) for kind in private_stores.KINDS
    }


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Invoke")


def put_items(*keys: str) -> None:
    make: Any = boto3.client
    for key in keys:
        make("dynamodb").put_item(TableName="items", Item={"pk": {"S": key}})


def sent_keys(store: str) -> list[str]:
    make: Any = boto3.client
    sqs, keys = make("sqs"), list[str]()
    url = sqs.get_queue_url(QueueName=f"shop-{store}")["QueueUrl"]
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            parsed = parse_keys(message["Body"])
            assert parsed.store == store
            keys += parsed.keys
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return keys


def test_a_migration_prints_its_statements_in_every_region(two_regions: None, run: Run, stack: Stack) -> None:
    stack.answers = [
        {"steps": ["CREATE SCHEMA readplane", "CREATE TABLE …"], "done": True},
        {"steps": [], "done": True},
    ]
    result = run("relational", "migrate")
    assert result.exit_code == 0, result.output
    assert "CREATE TABLE …" in result.output and f"{REPLICA}: ran 0 statements" in result.output
    assert "ALTER ROLE" not in result.output, "the migration made no role"
    assert stack.events == [(each, {"command": "migrate", "dry_run": False}) for each in (REGION, REPLICA)]


def test_a_dry_run_changes_nothing_and_one_region_can_be_chosen(two_regions: None, run: Run, stack: Stack) -> None:
    stack.answers = [{"steps": ["CREATE SCHEMA readplane"], "done": False}]
    result = run("relational", "migrate", "--dry-run", "--region", REPLICA)
    assert f"{REPLICA}: would run 1 statements" in result.output
    assert stack.events == [(REPLICA, {"command": "migrate", "dry_run": True})]
    result = run("relational", "migrate", "--region", "us-west-2")
    assert result.exit_code == 1 and f"It is in {REGION}, {REPLICA}." in str(result.exception)


class DataApi:
    """A stand-in for the Data API. It raises the errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), list[dict[str, str]]()

    def execute_statement(self, **arguments: str) -> None:
        self.calls.append(arguments)
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture
def data_api(monkeypatch: pytest.MonkeyPatch) -> DataApi:
    stand_in = DataApi()
    client = Target.client
    monkeypatch.setattr(
        Target, "client", lambda self, name, region=None: stand_in if name == "rds-data" else client(self, name, region)
    )
    monkeypatch.setitem(OUTPUTS, "database_setup", {REGION: SETUP})
    return stand_in


def test_on_aws_the_owner_of_the_tables_is_made_first(data_api: DataApi, run: Run, stack: Stack) -> None:
    data_api.errors = [error("DatabaseResumingException")] * 2
    stack.answers = [{"steps": [], "done": True}]
    assert run("relational", "migrate").exit_code == 0
    words = {"resourceArn": "arn:cluster", "secretArn": "arn:secret", "database": "readplane", "sql": SETUP["sql"]}
    assert data_api.calls == [words] * 3


def test_a_dry_run_on_aws_only_prints_the_owners_statement(data_api: DataApi, run: Run, stack: Stack) -> None:
    stack.answers = [{"steps": [], "done": False}]
    assert SETUP["sql"] in run("relational", "migrate", "--dry-run").output
    assert data_api.calls == []


@pytest.fixture
def no_data_api(monkeypatch: pytest.MonkeyPatch, data_api: DataApi) -> DataApi:
    monkeypatch.setitem(OUTPUTS, "database_setup", {REGION: SETUP | {"data_api": False}})
    return data_api


def test_without_a_data_api_a_person_runs_the_owners_statement(no_data_api: DataApi, run: Run, stack: Stack) -> None:
    stack.answers = [UNREACHABLE, {"steps": ["CREATE SCHEMA readplane"], "done": True}]
    failed = run("relational", "migrate")
    assert failed.exit_code == 1 and no_data_api.calls == []
    assert "has no Data API" in str(failed.exception) and SETUP["sql"] in str(failed.exception)
    assert "the database readplane" in str(failed.exception) and "arn:secret" in str(failed.exception)
    result = run("relational", "migrate")
    assert (result.exit_code, no_data_api.calls) == (0, []) and SETUP["sql"] not in result.output


def test_if_the_owner_of_an_external_database_is_missing_the_page_is_named(run: Run, stack: Stack) -> None:
    stack.answers = [UNREACHABLE]
    failed = run("relational", "migrate")
    assert failed.exit_code == 1 and "UnreachableError" in str(failed.exception)
    assert '"An external database" in docs/lifecycle.md' in str(failed.exception)
    assert "**An external database.**" in (ROOT / "docs/lifecycle.md").read_text()


def test_roles_that_a_migration_made_need_passwords_only_outside_aws(run: Run, stack: Stack) -> None:
    stack.answers = [{"steps": ["CREATE ROLE feed LOGIN"], "done": True}]
    assert relational.PASSWORDS in run("relational", "migrate").output


def test_roles_that_a_migration_made_on_aws_need_no_passwords(data_api: DataApi, run: Run, stack: Stack) -> None:
    stack.answers = [{"steps": ["CREATE ROLE feed LOGIN"], "done": True}]
    assert "ALTER ROLE" not in run("relational", "migrate").output


def test_a_dry_run_before_the_first_migration_says_that_there_is_no_role(
    data_api: DataApi, run: Run, stack: Stack
) -> None:
    stack.answers = [UNREACHABLE] * 2
    assert "no role with which" in str(run("relational", "migrate", "--dry-run").exception)
    failure = str(run("relational", "migrate").exception)
    assert "no role with which" not in failure and "functions.feed.timeout_seconds" in failure


def test_if_the_data_api_refuses_the_command_names_what_it_needs(data_api: DataApi, run: Run, stack: Stack) -> None:
    data_api.errors = [error("AccessDeniedException")]
    result = run("relational", "migrate")
    assert result.exit_code == 1 and "AccessDeniedException" in str(result.exception)
    assert "rds-data:ExecuteStatement" in str(result.exception) and SETUP["sql"] in str(result.exception)
    assert stack.events == []


@pytest.mark.parametrize(("group", "store"), [("cache", "cache"), ("relational", "database")])
def test_verify_reads_every_page_and_prints_what_differs(group: str, store: str, run: Run, stack: Stack) -> None:
    stack.answers = [
        page(1000, cursor="c1", older=["item/products/p-1"]),
        page(20, cursor="c2"),
        page(3, extra=["item/products/p-2"]),
    ]
    result = run(group, "verify")
    assert result.exit_code == 1
    assert [event["cursor"] for _, event in stack.events] == [None, "c1", "c2"]
    assert {event["store"] for _, event in stack.events} == {store}
    assert f"{REGION}: 1023 items of the {store} compared: 1 older, 1 extra." in result.output
    assert "older    item/products/p-1" in result.output and "extra    item/products/p-2" in result.output
    assert sent_keys(store) == [], "verify only reads"


@pytest.mark.parametrize(("group", "remedy"), [("cache", "cache.generation"), ("relational", "rebuild relational")])
def test_verify_says_what_mends_an_entry_that_is_newer_than_its_item(
    group: str, remedy: str, run: Run, stack: Stack
) -> None:
    stack.answers = [page(1, older=["item/products/p-1"]), page(1, newer=["item/products/p-1"])]
    assert "restored" not in run(group, "verify").output
    output = run(group, "verify").output
    assert "the items table was restored to an earlier time" in output and remedy in output


def test_verify_succeeds_without_a_difference(run: Run, stack: Stack) -> None:
    stack.answers = [page(7)]
    result = run("relational", "verify")
    assert (result.exit_code, result.output) == (0, f"{REGION}: 7 items of the database compared: no difference.\n")


def test_verify_prints_json_and_at_most_20_lines_of_text(run: Run, stack: Stack) -> None:
    keys = [f"item/products/p-{number}" for number in range(25)]
    stack.answers = [page(25, missing=keys)]
    assert "… and 5 more" in run("relational", "verify").output
    stack.answers = [page(25, missing=keys)]
    lines = [json.loads(line) for line in run("relational", "verify", "--json").output.splitlines()]
    assert lines == [{"region": REGION, "kind": "missing", "key": key} for key in keys]


def test_verify_says_if_the_queue_is_not_empty(run: Run, stack: Stack) -> None:
    make: Any = boto3.client
    make("sqs").send_message(QueueUrl=stack.queues["database"]["queue_url"], MessageBody="{}")
    stack.answers = [page(1, older=["item/products/p-1"])]
    assert "1 messages wait in the queue of the database" in run("relational", "verify").output


def test_a_repair_sends_the_keys_that_differ(run: Run, stack: Stack) -> None:
    stack.answers = [page(5, older=["item/products/p-1"], extra=["item/products/p-9"])]
    result = run("relational", "verify", "--repair")
    assert result.exit_code == 1 and "sent the keys of 2 items" in result.output
    assert sorted(sent_keys("database")) == ["item/products/p-1", "item/products/p-9"]


@pytest.mark.parametrize(("group", "store"), [("cache", "cache"), ("relational", "database")])
def test_a_rebuild_sends_every_key_of_the_stores_collections(group: str, store: str, run: Run, stack: Stack) -> None:
    keys = [f"item/products/p-{number}" for number in range(120)]
    put_items(*keys, "item/products-2/p-1", "item/others/o-1", "key/products/x")
    result = run("rebuild", group)
    assert result.exit_code == 0 and f"{REGION}: 120 items, deleted ones" in result.output
    assert "--yes" in result.output and sent_keys(store) == []
    assert json.loads(run("rebuild", group, "--json").output)["parts"] == [{"region": REGION, "items": 120}]
    result = run("rebuild", group, "--yes")
    assert result.exit_code == 0 and f"rebuild {group}: done. items 120." in result.output
    assert sorted(sent_keys(store)) == sorted(keys)


def test_a_rebuild_that_is_interrupted_goes_on_with_the_next_page(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"item/products/p-{number}" for number in range(12)]
    put_items(*keys)
    monkeypatch.setattr("ops.walk.PAGE", 5)
    sent = 0

    def stop_at_the_third(job: Job, steps: int) -> None:
        nonlocal sent
        sent += steps
        if sent == 12:
            job.stop()
            job.wait(1)

    with monkeypatch.context() as patch:
        patch.setattr(Job, "pace", stop_at_the_third)
        result = run("rebuild", "relational", "--yes")
        assert "run the same command again" in str(result.exception)
    first = sent_keys("database")
    assert len(first) == 10
    assert "began this rebuild" in run("rebuild", "relational").output
    assert "items 12" in run("rebuild", "relational", "--yes").output
    assert sorted(first + sent_keys("database")) == sorted(keys)


def test_a_rebuild_waits_while_its_messages_are_in_the_queue(
    run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_items(*(f"item/products/p-{number}" for number in range(30)))
    monkeypatch.setattr("ops.walk.PAGE", 2)
    now, sizes = [0.0], list[int]()
    monkeypatch.setattr(QueueRoom.__init__, "__defaults__", (lambda: now[0],))

    def wait(_job: Job, seconds: float) -> None:
        now[0] += seconds
        if now[0] % 10 == 0:
            sizes.append(len(sent_keys("database")))

    monkeypatch.setattr(Job, "wait", wait)
    assert run("rebuild", "relational", "--in-flight", "10", "--yes").exit_code == 0
    assert sizes == [20], "ten messages of two keys, then nothing more until the queue is empty"
    assert len(sent_keys("database")) == 10


def test_a_rebuild_of_a_collection_that_the_store_does_not_hold_is_refused(run: Run, stack: Stack) -> None:
    result = run("rebuild", "relational", "--collection", "others", "--yes")
    assert result.exit_code == 1 and "It holds: products." in str(result.exception)


@pytest.mark.parametrize("store", ["cache", "relational"])
@pytest.mark.parametrize("command", ["{} status", "{} verify", "rebuild {}"])
def test_a_stack_without_the_store_is_told_so(store: str, command: str, run: Run, stack: Stack) -> None:
    stack.settings, stack.queues = {"cache": None}, {}
    result = run(*command.format(store).split())
    assert result.exit_code == 1 and "This stack has no" in str(result.exception)


def test_a_stack_without_feed_has_no_private_store(run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> LiveFunction:
        raise error("ResourceNotFoundException")

    monkeypatch.setattr(private_stores, "live_function", missing)
    assert "no relational database" in str(run("relational", "migrate").exception)
    assert "or it is DAX" in str(run("cache", "flush").exception)


def test_the_status_of_a_store_that_is_down_fails(run: Run, stack: Stack) -> None:
    stack.answers = [{"cache": {"reachable": True, "collections": ["products"]}, "database": {"reachable": False}}] * 2
    result = run("cache", "status")
    assert result.exit_code == 0
    assert json.loads(result.output) == {
        "region": REGION,
        "reachable": True,
        "collections": ["products"],
        "waiting_messages": 0,
    }
    assert run("relational", "status").exit_code == 1


def test_the_status_of_a_region_shows_if_feed_fails_in_the_other(two_regions: None, run: Run, stack: Stack) -> None:
    stack.answers = [UNREACHABLE, {"database": {"reachable": True}}]
    make: Any = boto3.client
    make("sqs", region_name=REPLICA).create_queue(QueueName="shop-database")
    result = run("relational", "status")
    assert result.exit_code == 1
    first, second = (json.loads(text + "}") for text in result.output.split("}\n")[:2])
    assert (first["region"], first["reachable"]) == (REGION, False) and "UnreachableError" in first["fault"]
    assert (second["region"], second["reachable"]) == (REPLICA, True)


def test_verify_shows_how_far_it_is_on_a_terminal_only(run: Run, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.answers = [page(1000, cursor="c1"), page(20)] * 2
    assert run("relational", "verify").stderr == ""
    shown: list[int] = []
    monkeypatch.setattr(private_stores, "_show_count", lambda stack, count, done: shown.append(count))
    run("relational", "verify")
    assert shown == [1000, 1020]


def test_with_json_a_repair_prints_nothing_else_on_the_standard_output(run: Run, stack: Stack) -> None:
    stack.answers = [page(5, older=["item/products/p-1"])]
    result = run("relational", "verify", "--json", "--repair")
    assert [json.loads(line)["key"] for line in result.stdout.splitlines()] == ["item/products/p-1"]
    assert "sent the keys of 1 items" in result.stderr and sent_keys("database") == ["item/products/p-1"]


def test_a_flush_prints_the_next_generation_and_calls_nothing(run: Run, stack: Stack) -> None:
    result = run("cache", "flush")
    assert result.exit_code == 0 and stack.events == []
    assert "cache = { …, generation = 4 }" in result.output and "gone in 330 s" in result.output


def test_only_faults_of_a_store_and_wrong_commands_show_their_text(run: Run, stack: Stack) -> None:
    stack.answers = [FunctionError("shop-feed:live", "StoreFaultError", "UnreachableError: 08001")]
    assert "UnreachableError: 08001" in str(run("relational", "verify").exception)
    stack.answers = [FunctionError("shop-feed:live", "ValueError", "the data of an item")]
    assert str(run("relational", "verify").exception) == "shop-feed:live failed (ValueError). Its log says where."


def test_a_throttled_invocation_is_repeated_and_another_error_is_not(run: Run, stack: Stack) -> None:
    stack.answers = [error("TooManyRequestsException"), {"steps": [], "done": True}]
    assert run("relational", "migrate").exit_code == 0
    stack.answers = [error("AccessDeniedException")]
    assert "can't be invoked" in str(run("relational", "migrate").exception)
    stack.answers = [error("TooManyRequestsException")] * private_stores.MAX_THROTTLES
    assert "can't be invoked" in str(run("relational", "migrate").exception)


@pytest.mark.parametrize("words", [(), ("migrate",), ("verify",), ("status",)])
def test_help_needs_no_stack(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["relational", *words, "--help"]).exit_code == 0
    assert CliRunner().invoke(main, ["rebuild", "relational", "--help"]).exit_code == 0
