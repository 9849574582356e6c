"""Test every command with bad input: an unknown stack, Region, collection or source, and with no permissions at all.

A command must end with one clear sentence and an exit code, and must change nothing. A command without a row in ROWS
fails the first test.
"""

import base64
import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ops.audit import AUDIT, leaf_commands
from ops.cli.main import main
from ops.console import failures
from readplane.config import VARIABLE
from tests.fakes.moto_aws import REGION
from tests.unit.ops.cli.support import OUTPUTS
from tests.unit.support import ALICE

NOWHERE = "nowhere"
"""The name of a stack, collection or source that doesn't exist."""

MARS = "mars-1"
"""The name of a Region that doesn't exist."""

READS = ("AdminGet", "BatchGet", "Describe", "Get", "Head", "List", "Query", "Scan")
"""How the names of operations begin that change nothing."""


class Row(NamedTuple):
    """How a command is called.

    words: the words of a call that is right, and would change something if AWS allowed it
    unknown: further calls, each with something that doesn't exist
    asks: whether the command asks AWS about the stack; if not, it is only called with what doesn't exist
    shows: whether the command shows what AWS refuses line by line instead of a sentence
    """

    words: str = ""
    unknown: tuple[str, ...] = ()
    asks: bool = True
    shows: bool = False


ROWS = {
    "status": Row(shows=True),
    "doctor": Row(unknown=("--var-file nowhere.tfvars",), asks=False),
    "sources list": Row(),
    "sources run": Row("products", ("nowhere",)),
    "sources pause": Row("products", ("nowhere",)),
    "sources resume": Row("products", ("nowhere",)),
    "sources reset": Row("products --yes", ("nowhere --yes",)),
    "sources move": Row("--to eu-west-1 --source products --yes", ("--to eu-west-1 --source nowhere --yes",)),
    "sources check": Row(unknown=("--var-file nowhere.tfvars",), asks=False),
    "sources try": Row(unknown=("nowhere --var-file nowhere.tfvars",), asks=False),
    "checkpoint show": Row("products", ("nowhere",)),
    "checkpoint rewind": Row("products --to 2026-01-31T12:00:00Z", ("nowhere --to 2026-01-31T12:00:00Z",)),
    "collections list": Row(),
    "collections purge": Row("products --yes", ("nowhere --yes",)),
    "collections copy": Row("products --yes", ("nowhere --yes",)),
    "collections move": Row("products --yes", ("nowhere --yes",)),
    "cache status": Row(),
    "cache verify": Row("--repair"),
    "cache flush": Row(),
    "relational migrate": Row(),
    "relational status": Row(),
    "relational verify": Row("--repair"),
    "quarantine list": Row(),
    "quarantine show": Row("quarantine/expired/a.json"),
    "quarantine redrive": Row("--all"),
    "dead-letters list": Row(),
    "dead-letters redrive": Row(unknown=("--queue nowhere",)),
    "replay": Row("--from 2026-01-31T12:00:00Z --yes"),
    "rebuild documents": Row("--yes"),
    "rebuild cache": Row("--yes"),
    "rebuild relational": Row("--yes"),
    "rebuild items begin": Row("--yes"),
    "rebuild items fill": Row("--yes"),
    "rebuild items verify": Row("--yes"),
    "rebuild items switch": Row("--yes"),
    "rebuild items back": Row("--yes"),
    "rebuild items end": Row("--yes"),
    "api compare": Row(),
    "edge probe": Row(),
    "edge leftovers": Row("--yes"),
    "edge logs": Row(),
    "drill failover": Row("--fault refuse --seconds 60 --token-file {token} --body {file}"),
    "compare-regions": Row(),
    "cost": Row(unknown=("--profile nowhere.json",), asks=False),
    "deploy": Row("--yes"),
    "flush-cache": Row("--yes"),
    "import": Row("{file} --collection products --yes", ("nowhere.jsonl --collection products",)),
    "erase begin": Row(f"--owner {ALICE} --yes"),
    "erase finish": Row(f"--owner {ALICE} --yes"),
    "user add": Row("a@example.com --yes"),
    "user remove": Row("a@example.com --yes"),
    "verify": Row("--scan"),
}

COMMANDS = {name: command for command, name in leaf_commands(main)}


class Aws:
    """A stand-in for AWS, which refuses every call.

    settings: the settings of every function; if they are set, they are the only thing that can be read
    calls: the names of the operations, without those that write the command's audit object
    """

    def __init__(self) -> None:
        self.settings: dict[str, Any] | None = None
        self.calls: list[str] = []

    def call(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if not str(parameters.get("Key")).startswith(AUDIT):
            self.calls.append(operation)
        if operation == "GetFunctionConfiguration" and self.settings is not None:
            variables = {VARIABLE: base64.b64encode(gzip.compress(json.dumps(self.settings).encode())).decode()}
            modified = "2026-01-31T12:00:00.000+0000"
            return {"Environment": {"Variables": variables}, "LastModified": modified, "Timeout": 60}
        answer: Any = {
            "Error": {"Code": "AccessDenied", "Message": "secret"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }
        raise ClientError(answer, operation)


@pytest.fixture
def aws_refuses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """Replace AWS by a stand-in that refuses every call, and refuse every other connection."""
    refusing = Aws()
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda *arguments: refusing.call(*arguments))

    def refuse(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    yield refusing


def outputs(folder: Path) -> str:
    """Write the outputs of a stack with two Regions and all that a command may need. Return the file's name."""
    queue = {"url": "https://sqs.test/1/feed", "dead_letter_url": "https://sqs.test/1/feed-dead-letters"}
    values = OUTPUTS | {
        "replica_region": "eu-west-1",
        "replica_write_log_bucket": "replica-log",
        "replica_documents_bucket": "replica-documents",
        "replica_checkpoints_table": "checkpoints",
        "replica_poll_function": "shop-poll",
        "user_pool_id": "pool",
        "web_client_id": "web",
        "delivery_stream": "shop-write-log",
        "feed_queues": {"primary": {"cache": queue}, "replica": {"cache": queue}},
        "api_url": "https://api.test/v1",
        "edge_id": "E1",
        "edge_url": "https://edge.test",
        "deployments": {REGION: {"application": "shop", "functions": {}}},
    }
    file = folder / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
    return str(file)


def writes(calls: list[str]) -> list[str]:
    """Return the operations that change something."""
    return [operation for operation in calls if not operation.startswith(READS)]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command line. Return its exit code, and what it has printed to the standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended, failures():
        main(words, prog_name="readplane")
    code = ended.value.code
    assert isinstance(code, int)
    return code, capsys.readouterr().err


def assert_one_sentence(code: int, text: str) -> None:
    """Check that a command has failed with one sentence, or with click's three lines about a wrong command line."""
    lines = [line for line in text.splitlines() if line]
    assert code in (1, 2), text
    assert "Traceback" not in text and "secret" not in text
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1 and errors[0] == lines[-1], text


def line_of(name: str, words: str, folder: Path) -> list[str]:
    """Return the words of a command line."""
    rows = folder / "rows.jsonl"
    rows.write_text('{"id": "p-1", "data": {}}\n')
    claims = base64.urlsafe_b64encode(json.dumps({"sub": ALICE}).encode()).decode().rstrip("=")
    token = folder / "token"
    token.write_text(f"x.{claims}.x")
    return [*name.split(), *words.format(file=rows, token=token).split()]


def test_every_command_has_a_row() -> None:
    assert COMMANDS.keys() == ROWS.keys()


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.asks])
def test_an_unknown_stack_is_refused(
    name: str, tmp_path: Path, aws_refuses: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(["--stack", NOWHERE, *line_of(name, ROWS[name].words, tmp_path)], capsys)
    assert_one_sentence(code, text)
    assert NOWHERE in text and not aws_refuses.calls


def unknown_calls() -> Iterator[tuple[str, str, str]]:
    """Yield each command's calls with something that doesn't exist, and its name."""
    for name, command in COMMANDS.items():
        row, options = ROWS[name], {word for option in command.params for word in option.opts}
        for words in row.unknown:
            yield name, words, NOWHERE
        if "--region" in options:
            yield name, f"{row.words} --region {MARS}", MARS
        if "--collection" in options:
            yield name, f"{row.words} --collection {NOWHERE}", NOWHERE


@pytest.mark.parametrize(("name", "words", "unknown"), list(unknown_calls()))
def test_what_does_not_exist_is_named(
    name: str, words: str, unknown: str, tmp_path: Path, aws_refuses: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    collections = {"products": {"read": "public"}}
    feeds = {"cache": {"queue_url": "u", "collections": ["products"]}}
    feeds["database"] = feeds["cache"]
    aws_refuses.settings = {"collections": collections, "feeds": feeds, "cache": {}, "database": {}}
    code, text = run(["--outputs", outputs(tmp_path), *line_of(name, words, tmp_path)], capsys)
    assert_one_sentence(code, text)
    assert unknown in text
    assert not writes(aws_refuses.calls)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.asks])
def test_missing_permissions_are_one_sentence(
    name: str, tmp_path: Path, aws_refuses: Aws, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = run(["--outputs", outputs(tmp_path), *line_of(name, ROWS[name].words, tmp_path)], capsys)
    if ROWS[name].shows:
        assert code == 1 and "Traceback" not in text
    else:
        assert_one_sentence(code, text)
    assert not writes(aws_refuses.calls[1:]), "after the first refusal, a command changes nothing"
