"""Plan this version from the states of older releases, and look at every action.

ops/local/record_state.py recorded the states on the emulator. Terraform compares them with the settings and asks AWS
nothing but what data sources read. An emulator without a stack answers that.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest

from ops import terraform
from ops.local import emulator, stack
from ops.local.record_state import NAME, REGIONS, SHAPES, STATES, ZIPS, copy_root, read_state

RECORDED = sorted(path.name.removesuffix(".json.xz") for path in STATES.glob("*.json.xz"))
"""The recorded states: a release or a commit, and the kind of the stack."""

STORES = {
    "aws_cognito_user_group",
    "aws_cognito_user_pool",
    "aws_cognito_user_pool_client",
    "aws_cognito_user_pool_domain",
    "aws_dynamodb_table",
    "aws_dynamodb_table_replica",
    "aws_kinesis_firehose_delivery_stream",
    "aws_kinesis_stream",
    "aws_kms_alias",
    "aws_kms_key",
    "aws_s3_bucket",
    "aws_sqs_queue",
}
"""The types of resources that hold data, users or changes on their way, or that clients name."""

NEW_STORES = (
    "module.edge.",
    "module.feed.",
    "module.firewall.",
    "module.replica_feed.",
    "module.replica_site.",
    "module.site.",
)
"""The modules that older releases lack, and whose stores an upgrade creates."""

LASTING = STORES | {
    "aws_api_gateway_rest_api",
    "aws_api_gateway_stage",
    "aws_lambda_alias",
    "aws_lambda_event_source_mapping",
    "aws_lambda_function",
    "aws_sns_topic",
}
"""The types of resources that an upgrade changes in place, because a replacement loses data or interrupts clients."""

REPLACED = {
    "aws_api_gateway_rest_api_put": "an import leaves nothing that a destruction could delete",
    "aws_api_gateway_deployment": "the stage moves to the new deployment before the old one goes",
    "aws_lambda_layer_version": "the functions move to the new layer before the old one goes",
    "aws_lambda_permission": "API Gateway gets the new permission before the old one goes",
}
"""Types of resources that an upgrade may replace, and why that is safe if Terraform creates the new one first."""

FORGOTTEN = re.compile(
    r"module\.(primary|replica)\.module\.api\.aws_api_gateway_(?!rest_api\.|stage\.|deployment\.)"
    r"|module\.(primary|replica)\.module\.api\.aws_iam_role\w*\.logging"
    r"|module\.(primary|replica)\.aws_s3_object\.former_schemas"
    r"|module\.poll\.(aws_s3_object\.schemas|aws_lambda_invocation\.validate)"
)
"""What Terraform may forget: the parts of the API that its document describes now, API Gateway's logging role, and
objects that older versions of the functions read."""

UNRECORDED = {
    "module.sync": "no state from before 0.1.0 is recorded",
    "module.notification_alarms": "no release has had this module",
    "aws_sns_topic_subscription.email": "no recorded stack notifies anybody",
    "aws_sns_topic_subscription.phone": "no recorded stack notifies anybody",
}
"""What `moved` and `removed` blocks name, but no recorded state has, and why."""


@dataclasses.dataclass(frozen=True)
class Action:
    """What a plan does to one resource.

    kinds: Terraform's words, such as ("update",) or ("create", "delete"), in their order.
    before, after: the attributes in the state, and those of the plan that are known.
    """

    address: str
    type: str
    kinds: tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def configuration(self) -> str:
        """The address below modules/readplane, without the keys of instances and modules."""
        return re.sub(r"\[[^]]*\]", "", self.address).removeprefix("module.readplane.")


@pytest.fixture(scope="module")
def plans(planned_upgrades: dict[str, list[dict[str, Any]]]) -> dict[str, list[Action]]:
    """Return the actions of the plan from each recorded state."""
    return {
        name: [
            Action(
                address=each["address"],
                type=each["type"],
                kinds=tuple(each["change"]["actions"]),
                before=each["change"]["before"] or {},
                after=each["change"]["after"] or {},
            )
            for each in changes
            if each["mode"] == "managed"
        ]
        for name, changes in planned_upgrades.items()
    }


def plan_upgrades(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Plan this version from every recorded state. Return the changes of each plan, as Terraform shows them.

    :param folder: an empty folder
    """
    folder = folder / "terraform"
    copy_root(folder)
    for name in ZIPS.values():
        (folder / name).touch()
    emulated = f"upgrade-{os.getpid()}"
    running = emulator.start(emulated)
    try:
        env = terraform.environment() | stack.environment(running.endpoint)
        streams = [_make_table(running.endpoint, region) for region in {replica for _, replica in REGIONS.values()}]
        terraform.init(folder, env)
        for name in RECORDED:
            write_recorded_state(folder / f"{name}.tfstate", name, streams)
        with ThreadPoolExecutor(2) as pool:
            return dict(zip(RECORDED, pool.map(lambda name: plan(folder, name, env), RECORDED), strict=True))
    finally:
        emulator.stop(emulated)
        shutil.rmtree(emulator.folder(emulated))


def _make_table(endpoint: str, region: str) -> str:
    """Make the items table of the replica Region, of which a data source reads the stream. Return the stream's ARN."""
    session = boto3.session.Session(
        emulator.CREDENTIALS["AWS_ACCESS_KEY_ID"], emulator.CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name=region
    )
    table = session.client("dynamodb", endpoint_url=endpoint).create_table(
        TableName=f"{NAME}-items",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return table["TableDescription"]["LatestStreamArn"]


def write_recorded_state(path: Path, name: str, streams: list[str]) -> None:
    """Write a recorded state as Terraform reads it, with the streams that the replica's table has now.

    :param streams: the ARN of the replica's stream, for each Region that a replica is in
    """
    text = json.dumps(read_state(STATES / f"{name}.json.xz"))
    for stream in streams:
        prefix = stream.rpartition("/")[0]
        text = re.sub(rf'{re.escape(prefix)}/[^"\\]+', stream, text)
    path.write_text(text)


def plan(folder: Path, name: str, env: Mapping[str, str]) -> list[dict[str, Any]]:
    """Plan from a recorded state with the settings of its kind of stack. Return the changes.

    :param folder: a copy of terraform/ that is initialised and holds the state
    """
    files = [f"-var-file={file}" for file in SHAPES[name.rpartition("-")[2]]]
    values = [f"-var={key}={value}" for key, value in (ZIPS | {"name": NAME}).items()]
    command = [terraform.terraform(), f"-chdir={folder}"]
    words = ["plan", "-refresh=false", "-lock=false", "-input=false", "-no-color", "-parallelism=30"]
    options = [f"-state={name}.tfstate", f"-out={name}.tfplan", *files, *values]
    done = subprocess.run([*command, *words, *options], env=dict(env), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    shown = subprocess.run(
        [*command, "show", "-json", f"{name}.tfplan"], env=dict(env), capture_output=True, text=True, check=True
    )
    changes: list[dict[str, Any]] = json.loads(shown.stdout)["resource_changes"]
    return changes


def instances(name: str, types: set[str]) -> set[tuple[str, str]]:
    """Return the type and the id of each resource of some types in a recorded state."""
    return {
        (resource["type"], instance["attributes"]["id"])
        for resource in read_state(STATES / f"{name}.json.xz")["resources"]
        for instance in resource["instances"]
        if resource["type"] in types
    }


@pytest.mark.parametrize("name", RECORDED)
def test_an_upgrade_changes_what_lasts_in_place(plans: dict[str, list[Action]], name: str) -> None:
    """Stores, the API, functions and mappings stay, whatever their new address is, and no store is made beside them."""
    lasting = [action for action in plans[name] if action.type in LASTING]
    in_place = {(each.type, each.before["id"]) for each in lasting if each.kinds in (("no-op",), ("update",))}
    assert len(in_place) > 30 and in_place == instances(name, LASTING)

    created = {each.configuration for each in lasting if each.kinds == ("create",) and each.type in STORES}
    assert not {address for address in created if not address.startswith(NEW_STORES)}


@pytest.mark.parametrize("name", RECORDED)
def test_an_upgrade_destroys_only_what_it_has_replaced(plans: dict[str, list[Action]], name: str) -> None:
    gone = [action for action in plans[name] if "delete" in action.kinds]
    assert not {action.address for action in gone if action.type not in REPLACED}
    assert not {action.address for action in gone if action.kinds != ("create", "delete")}

    # Lambda refuses a second permission with the same statement_id, so the new one couldn't be made first.
    permissions = [action for action in gone if action.type == "aws_lambda_permission"]
    assert not {each.address for each in permissions if each.after["statement_id"] == each.before["statement_id"]}


@pytest.mark.parametrize("name", RECORDED)
def test_an_upgrade_forgets_only_what_others_still_use(plans: dict[str, list[Action]], name: str) -> None:
    forgotten = {action.configuration for action in plans[name] if "forget" in action.kinds}
    assert not {address for address in forgotten if not FORGOTTEN.match(address)}


@pytest.mark.parametrize("name", RECORDED)
def test_an_upgrade_reads_streams_on_from_where_it_is(plans: dict[str, list[Action]], name: str) -> None:
    """Lambda keeps a mapping's position in its stream if the mapping only gets another function.

    The mappings of `feed` are new, and read queues.
    """
    found = [action for action in plans[name] if action.type == "aws_lambda_event_source_mapping"]
    mappings = [each for each in found if each.kinds != ("create",)]
    assert {each.configuration for each in found if each not in mappings} <= {
        "module.feed.aws_lambda_event_source_mapping.this",
        "module.replica_feed.aws_lambda_event_source_mapping.this",
    }
    streams = [each for each in mappings if each.before["starting_position"]]
    assert {each.configuration.rpartition(".")[2] for each in streams} == {"apply", "publish"}
    for each in mappings:
        for attribute in ("uuid", "event_source_arn", "starting_position"):
            assert each.after[attribute] == each.before[attribute], each.address


@pytest.mark.parametrize("name", RECORDED)
def test_an_upgrade_begins_to_protect_the_stack(plans: dict[str, list[Action]], name: str) -> None:
    """The record and the guards exist from now on, in releases that had none."""
    addresses = {action.configuration for action in plans[name] if action.kinds != ("delete",)}
    assert {"aws_ssm_parameter.record", "module.record.terraform_data.identity"} <= addresses
    assert {"module.guard.terraform_data.this", "module.replica_guard.terraform_data.this"} <= addresses


def addresses_of(name: str) -> set[str]:
    """Return the addresses in a recorded state, without the keys of instances and modules."""
    return {
        re.sub(r"\[[^]]*\]", "", ".".join(filter(None, (each.get("module"), each["type"], each["name"]))))
        for each in read_state(STATES / f"{name}.json.xz")["resources"]
    }


BLOCK = re.compile(r"^(?:moved|removed) \{\n  from += (\S+)$", re.M)


def test_every_moved_and_removed_block_is_for_a_recorded_state() -> None:
    """If a block is deleted, the plans above destroy the resource that it names. So one of the states must have it."""
    recorded = "\n".join(sorted(set().union(*map(addresses_of, RECORDED))))
    files = [path for path in terraform.SOURCE.rglob("*.tf") if ".terraform" not in path.parts]
    texts = {path: path.read_text() for path in files}
    chained = set(re.findall(r"^  to   = (\S+)\n\}\n\nremoved \{\n  from = \1$", "\n".join(texts.values()), re.M))
    unrecorded, count = set(), 0
    for path, text in texts.items():
        # An address in the root is a whole one, and one in a module begins below the module.
        start = "^" if path.parent == terraform.SOURCE else r"(^|\.)"
        for source in {re.sub(r"\[[^]]*\]", "", source) for source in BLOCK.findall(text)} - chained:
            count += 1
            if not re.search(rf"{start}{re.escape(source)}\b", recorded, re.M):
                unrecorded.add(source)
    assert count > 60
    assert unrecorded == UNRECORDED.keys()


def test_a_recorded_state_names_no_machine() -> None:
    for name in RECORDED:
        text = json.dumps(read_state(STATES / f"{name}.json.xz"))
        assert not re.findall(r'"(?:/[^"]*/[^"]*\.zip|/home/[^"]*|/Users/[^"]*|/tmp/[^"]*)"', text), name
        assert set(re.findall(r"localhost:(\d+)", text)) <= {"4566", "8080", "8765"}, name
        assert "eyJ" not in text, f"{name} holds a token or private data of the provider"
