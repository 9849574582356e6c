"""Test that every command that changes something leaves an audit object, and no other does."""

import json
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from click.testing import CliRunner

from ops.audit import audit_changes, leaf_commands
from ops.cli.main import main
from ops.cli.target import Chosen
from ops.console import CommandError
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.ops.cli.support import OUTPUTS, objects


@click.group()
@click.pass_context
def tool(context: click.Context) -> None:
    """Stand in for the operators' command line."""
    context.obj = Chosen(None, Path(context.meta["outputs"]))


@tool.command()
@click.argument("outcome")
@click.option("--dry-run", is_flag=True)
@click.pass_obj
def change(chosen: Chosen, outcome: str, dry_run: bool) -> None:
    """End in the way that the command line names."""
    if outcome != "lost":
        assert chosen.target.name
    if dry_run:
        return
    errors: dict[str, Exception] = {
        "fail": CommandError("broken"),
        "differ": click.exceptions.Exit(1),
        "exit": click.exceptions.Exit(0),
        "refuse": click.UsageError("no"),
        "abort": click.Abort(),
    }
    if outcome in errors:
        raise errors[outcome]


@tool.command()
@click.option("--repair", is_flag=True)
@click.pass_context
def check(context: click.Context, repair: bool) -> None:
    """Change something only with --repair."""
    assert context.obj.target.name
    context.exit(0)


@tool.command()
def show() -> None:
    """Change nothing."""


audit_changes(tool)


@pytest.fixture
def outputs(aws: Aws, tmp_path: Path) -> Path:
    """Return the outputs of a test stack with a log bucket in moto."""
    make: Any = boto3.client
    make("s3").create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in OUTPUTS.items()}))
    return file


def audits(outputs: Path, *words: str) -> list[dict[str, Any]]:
    """Run a command of the stand-in, and return all audit objects."""

    @click.command()
    @click.pass_context
    def run(context: click.Context) -> None:
        context.meta["outputs"] = outputs
        with tool.make_context("tool", list(words), parent=context) as inner:
            tool.invoke(inner)

    CliRunner().invoke(run)
    make: Any = boto3.client
    keys = objects("config/audit/")
    return [json.loads(make("s3").get_object(Bucket="log", Key=key)["Body"].read()) for key in keys]


@pytest.mark.parametrize(
    ("word", "outcome"), [("succeed", "done"), ("exit", "done"), ("fail", "failed"), ("differ", "failed")]
)
def test_a_command_that_may_change_something_is_audited_with_its_outcome(
    outputs: Path, word: str, outcome: str
) -> None:
    (audit,) = audits(outputs, "change", word)
    assert audit["operator"].startswith("arn:aws:")
    assert (audit["command"], audit["outcome"]) == ("change", outcome)
    assert audit["arguments"] == {"outcome": word, "dry_run": False}


@pytest.mark.parametrize(
    "words", ["change succeed --dry-run", "change lost", "change refuse", "change abort", "check", "show", "change"]
)
def test_a_command_that_changes_nothing_leaves_no_audit_object(outputs: Path, words: str) -> None:
    assert audits(outputs, *words.split()) == []


def test_a_repair_is_audited(outputs: Path) -> None:
    assert [audit["command"] for audit in audits(outputs, "check", "--repair")] == ["check"]


def test_a_command_that_cannot_be_audited_says_so(outputs: Path) -> None:
    make: Any = boto3.client
    make("s3").delete_bucket(Bucket="log")
    result = CliRunner().invoke(main, ["--outputs", str(outputs), "quarantine", "redrive", "--all"])
    assert "The audit object couldn't be written (NoSuchBucket)" in result.stderr


def test_every_command_that_can_change_something_is_a_job_or_audited() -> None:
    audited, silent = set(), set()
    for command, name in leaf_commands(main):
        options = {word for option in command.params for word in option.opts}
        code: Any = getattr(command.callback, "__code__", None)
        if "--take-over" in options or code.co_filename.endswith("ops/audit.py"):
            audited.add(name)
        elif options & {"--dry-run", "--yes", "--repair"}:
            silent.add(name)
    assert silent == set()
    assert audited >= {"sources pause", "checkpoint rewind", "collections purge", "quarantine redrive", "replay"}
