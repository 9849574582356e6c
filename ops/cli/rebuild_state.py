"""How far a rebuild of the items table is: what Terraform has applied, what the live functions know, and what is done.

`rebuild items begin` records when the live functions began to write to the building table, and `fill` records its end.
Both records are objects below `config/jobs/` in the write-log bucket of the primary Region. They name the id of the
table, so that they don't count for a later table with the same name. `verify` stores its result as an SSM parameter,
which Terraform reads before it lets a table go live.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import click
from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.collection_stores import live_function
from ops.cli.invoke import LIVE
from ops.cli.items_generations import Generations, generations, second_table, table_name
from ops.cli.target import RegionalStack, Target
from ops.console import CommandError
from ops.jobs import JOBS, age_of, job_states, plain_errors
from readplane.aws.faults import AwsError
from readplane.clock import now_ms
from readplane.model.timestamp import rfc3339

Step = Literal["begun", "filled"]

SECOND_WRITERS = ("apply", "apply-stream", "publish")
"""The functions that know the second table."""

OTHERS = ("write", "read", "poll", "feed", "query")
"""The functions that use the live table alone."""

OPTIONAL = ("apply-stream", "poll", "feed", "query")
"""The functions of both lists that a Region may lack."""

BACKUP_SECONDS = 36 * 86_400.0
"""How old a point in time may be that DynamoDB restores a table from: 35 days, and one for clocks and time zones."""


class Record(NamedTuple):
    """A step that is done.

    table_id: DynamoDB's id of the table
    age: how long ago the step was done, in seconds, by S3's clock
    written_at: when the step was done, by S3's clock; it tells the record from an earlier one
    restored: whether the table was restored from a backup
    """

    table_id: str
    age: float
    written_at: str = ""
    restored: bool = False


class Verified(NamedTuple):
    """The result of `verify`.

    generation: the generation of the table that `verify` has found complete
    age: how long ago that was, in seconds
    """

    generation: int
    age: float


class Erased(NamedTuple):
    """A user who is erased.

    owner_sha256: the SHA-256 of the user's `sub`
    ended_at: about when `erase finish` ended, RFC 3339 in UTC
    """

    owner_sha256: str
    ended_at: str


class SecondTable(NamedTuple):
    """The building or the former table, as DynamoDB describes it in the primary Region.

    name: the table's name
    id: what tells it from an earlier table with the same name
    """

    name: str
    id: str


def describe_table(target: Target, stack: RegionalStack, name: str) -> Mapping[str, Any] | None:
    """Return what DynamoDB says of a table in one Region; None if there is no such table."""
    try:
        described: Mapping[str, Any] = target.client("dynamodb", stack.region).describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    return described


@contextmanager
def _in_region(target: Target, stack: RegionalStack, *, needs_all: bool) -> Iterator[None]:
    """Name the Region in an error of AWS inside a `with` block.

    :param needs_all: whether the error ends the command, even if it isn't one of the primary Region
    :raises CommandError: if it does; otherwise say that the command goes on without this Region
    """
    try:
        with plain_errors():
            yield
    except CommandError as error:
        if not isinstance(error.__cause__, ClientError | BotoCoreError | AwsError):
            raise
        text = f"In {stack.region}: {error}"
        if needs_all or stack.region == target.region:
            raise CommandError(text) from error
        click.echo(f"{text} Goes on without {stack.region}.", err=True)


def require_second(target: Target, *, needs_all: bool = True) -> tuple[Generations, SecondTable]:
    """Return the generations and the second table.

    :param needs_all: whether every Region must respond; otherwise only the primary one
    :raises CommandError: if there is no second table, or a Region doesn't have it yet
    """
    state = generations(target)
    if state.second is None:
        building = Generations(state.live, state.live + 1, None)
        raise CommandError(
            f"There is no second items table. Set {building.describe()} and run terraform apply, then "
            "`ops/readplane rebuild items begin --yes`."
        )
    name = table_name(target, state.second)
    found: list[Mapping[str, Any]] = []
    for stack in target.regions():
        with _in_region(target, stack, needs_all=needs_all):
            described = describe_table(target, stack, name)
            if described is None or described["TableStatus"] not in ("ACTIVE", "UPDATING"):
                status = "isn't there" if described is None else f"is {described['TableStatus']}"
                raise CommandError(f"{name} {status} in {stack.region}. Run terraform apply until it is complete.")
            found.append(described)
    return state, SecondTable(name, str(found[0].get("TableId") or found[0]["CreationDateTime"]))


def require_functions(target: Target, state: Generations, *, needs_all: bool = True) -> list[str]:
    """Check that the functions of every Region use the tables of these generations. Return the Regions.

    :param needs_all: whether every Region must respond; otherwise only the primary one
    :raises CommandError: if a function uses others, because then `terraform apply` isn't complete
    """
    problems: list[str] = []
    regions: list[str] = []
    for stack in target.regions():
        with _in_region(target, stack, needs_all=needs_all):
            problems += _problems(target, stack, state)
            regions.append(stack.region)
    if problems:
        raise CommandError(
            f"{'; '.join(problems[:3])}{' …' if len(problems) > 3 else ''}. Run terraform apply until it is complete. "
            "With deploy.canary, complete the deployment too: `ops/readplane deploy`."
        )
    return regions


def _problems(target: Target, stack: RegionalStack, state: Generations) -> Iterator[str]:
    live = target.outputs["items_table"]
    second = None if state.second is None else table_name(target, state.second)
    for function in (*SECOND_WRITERS, *OTHERS):
        for alias in _aliases(target, stack, function):
            try:
                settings = live_function(target, stack, function, alias).settings
            except ClientError as error:
                is_missing = error.response["Error"]["Code"] == "ResourceNotFoundException"
                if not is_missing or function not in OPTIONAL:
                    raise
                continue
            if settings.get("items_table") != live:
                yield f"{function} in {stack.region} doesn't use {live} yet"
            elif function in SECOND_WRITERS and settings.get("second_table") != second:
                yield f"{function} in {stack.region} " + (
                    f"doesn't know {second}" if second else "still knows two tables"
                )
            elif function == "publish" and bool(settings.get("follows_second")) != (state.former is not None):
                yield f"publish in {stack.region} doesn't know yet whether {second} was live"


def _aliases(target: Target, stack: RegionalStack, function: str) -> Iterator[str]:
    """Yield the aliases of a function: that of the newest version, and that which clients call, if it is another."""
    yield LIVE
    deployments: Mapping[str, Any] = target.outputs.get("deployments") or {}
    entry = (deployments.get(stack.region) or {}).get("functions", {}).get(function)
    if entry:
        yield entry["alias"]


def record_key(step: Step, table: str) -> str:
    """Return the S3 key of the record of a step."""
    return f"{JOBS}rebuild-items-{step}-{table}.json"


def read_record(target: Target, step: Step, table: SecondTable) -> Record | None:
    """Return the record of a step; None if the step isn't done for this table."""
    try:
        response = target.client("s3").get_object(
            Bucket=target.regional(False).log_bucket, Key=record_key(step, table.name)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return None
    body = json.loads(response["Body"].read())
    written_at = response["LastModified"].isoformat()
    record = Record(str(body.get("table_id")), age_of(response), written_at, bool(body.get("restored")))
    return record if record.table_id == table.id else None


def write_record(target: Target, step: Step, table: SecondTable, *, restored: bool = False) -> None:
    """Record that a step is done now.

    :param restored: whether the table was restored from a backup
    """
    target.client("s3").put_object(
        Bucket=target.regional(False).log_bucket,
        Key=record_key(step, table.name),
        Body=json.dumps({"table_id": table.id, "restored": restored}).encode(),
        ContentType="application/json",
    )


def remove_record(target: Target, step: Step, table: SecondTable) -> None:
    """Delete the record of a step, because the step begins anew."""
    target.client("s3").delete_object(Bucket=target.regional(False).log_bucket, Key=record_key(step, table.name))


def require_begun(target: Target, table: SecondTable) -> Record:
    """Return the record of `begin`.

    :raises CommandError: if it isn't done for this table
    """
    record = read_record(target, "begun", table)
    if record is None:
        raise CommandError(f"{table.name} isn't begun. Run `ops/readplane rebuild items begin --yes` first.")
    return record


def refuse_unfinished_erase(target: Target) -> None:
    """Refuse a step while a user is being erased. The fill would bring back what is erased only in one table or log.

    :raises CommandError: if an `erase begin` or an `erase finish` isn't done
    """
    for command in ("erase begin", "erase finish"):
        for key, state in job_states(target, command):
            if state["outcome"] != "done":
                remedy = "Run it again until it is done"
                if second_table(target):
                    remedy = "Give the rebuild up (`rebuild items end` says how), and run it again until it is done"
                raise CommandError(
                    f"An `{command}` isn't done ({state['operator']}, begun {state['started_at']}), so the fill might "
                    f"bring erased items back. {remedy}. If nobody shall go on with it, delete its state: "
                    f"s3://{target.regional(False).log_bucket}/{key}"
                )


def erased_users(target: Target) -> Iterator[Erased]:
    """Yield the users whose items a backup may still hold, because `erase finish` ended after its time."""
    for _, state in job_states(target, "erase finish"):
        if state["outcome"] == "done" and state["age"] <= BACKUP_SECONDS:
            ended_ms = now_ms() - int(state["age"] * 1000)
            yield Erased(str(state["arguments"].get("owner_sha256")), rfc3339(ended_ms))


def remove_records(target: Target) -> int:
    """Delete the records of all tables. Return how many there were."""
    s3, bucket = target.client("s3"), target.regional(False).log_bucket
    steps: tuple[Step, ...] = ("begun", "filled")
    keys = [
        entry["Key"]
        for step in steps
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=record_key(step, f"{target.name}-items").removesuffix(".json")
        )
        for entry in page.get("Contents", [])
    ]
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    return len(keys)


def parameter_name(target: Target) -> str:
    """Return the name of the SSM parameter with the result of `verify`."""
    return f"/readplane/{target.name}/rebuild"


def read_verified(target: Target) -> Verified | None:
    """Return the result of `verify`; None if there is none."""
    try:
        response = target.client("ssm").get_parameter(Name=parameter_name(target))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        return None
    parameter = response["Parameter"]
    try:
        value = json.loads(parameter["Value"])
    except ValueError:
        return None
    generation = value.get("verified") if isinstance(value, dict) else None
    if not isinstance(generation, int):
        return None
    return Verified(generation, age_of(response | {"LastModified": parameter["LastModifiedDate"]}))


def verified_generation(target: Target) -> int | None:
    """Return the generation that `verify` has found complete; None if there is none."""
    verified = read_verified(target)
    return verified and verified.generation


def store_verified(target: Target, generation: int) -> None:
    """Store that `verify` has found a generation complete."""
    target.client("ssm").put_parameter(
        Name=parameter_name(target),
        Value=json.dumps({"verified": generation}),
        Type="String",
        Description="The items table that `rebuild items verify` has found complete. Terraform reads it.",
        Overwrite=True,
    )


def remove_verified(target: Target) -> bool:
    """Delete the result of `verify`. Return whether there was one."""
    try:
        target.client("ssm").delete_parameter(Name=parameter_name(target))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        return False
    return True
