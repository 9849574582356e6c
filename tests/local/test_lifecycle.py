"""Tests of changes of a live stack: what Terraform would do, or refuse to do, from the state of the applied stack.

Each test plans the stack with changed settings and looks at every action of the plan: nothing of the primary Region is
destroyed, and nothing that holds data is replaced. No test changes the stack, because the other tests use it. The guard
and the record refuse for real in a small stack of their own (lifecycle.tf). docs/lifecycle.md says what each change
does to the data.
"""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.console import ROOT
from ops.local import stack as local_stack
from tests.local.support import Local

pytestmark = pytest.mark.early

HOLDS_DATA = {
    "aws_cognito_user_group",
    "aws_cognito_user_pool",
    "aws_dynamodb_table",
    "aws_kinesis_firehose_delivery_stream",
    "aws_kinesis_stream",
    "aws_kms_key",
    "aws_s3_bucket",
    "aws_sqs_queue",
}
"""The types of resources whose deletion or replacement loses data, users or changes on their way."""

EMULATOR_FORGETS = {
    "aws_api_gateway_usage_plan",
    "aws_cloudfront_response_headers_policy",
    "aws_cloudwatch_metric_alarm",
    "aws_kinesis_firehose_delivery_stream",
    "aws_kinesis_stream",
    "aws_lambda_event_source_mapping",
}
"""The types of resources of which the emulator doesn't store every setting, so that each plan sets these again."""

COMPOSITE = "aws_cloudwatch_composite_alarm"
REPLICA_PROVIDER = re.compile(r"hashicorp/aws\"?\]?\.replica$")


@dataclasses.dataclass(frozen=True)
class Action:
    """What a plan does to one resource.

    kinds: Terraform's words, such as ("update",) or ("delete", "create").
    after: the planned attributes that are known; empty if the resource is destroyed.
    """

    address: str
    type: str
    kinds: tuple[str, ...]
    after: dict[str, Any]


class Plans:
    """Plans from a copy of the stack's Terraform folder, which includes its state."""

    def __init__(self, stack: Local, folder: Path) -> None:
        self._terraform = stack.terraform
        self._folder = folder / "terraform"
        shutil.copytree(stack.stack.home / "terraform", self._folder, symlinks=True)
        shutil.copytree(ROOT / "web", folder / "web")

    def state(self) -> list[dict[str, Any]]:
        """Return the managed resources of the state, as Terraform stores them."""
        resources = json.loads((self._folder / "terraform.tfstate").read_text())["resources"]
        return [resource for resource in resources if resource["mode"] == "managed"]

    def actions(self, settings: str = "", *, refresh: bool = False, **variables: object) -> list[Action]:
        """Plan the stack with changed settings. Return what the plan does. The test fails if the plan is refused.

        :param settings: arguments in HCL that replace those of the root's call of modules/readplane.
        :param refresh: whether Terraform reads every resource from AWS first. Without it, a plan compares the settings
            with the state. The record is read in either case.
        :param variables: values of the root's variables.
        """
        done = self._plan(settings, refresh, variables)
        assert done.returncode == 0, done.stdout[-4000:]
        shown = self._run("show", "-json", "plan")
        return [
            Action(
                change["address"], change["type"], tuple(change["change"]["actions"]), change["change"]["after"] or {}
            )
            for change in json.loads(shown.stdout)["resource_changes"]
            if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
        ]

    def refusals(self, settings: str = "", **variables: object) -> str:
        """Plan the stack with changed settings. Return the errors, on one line. The test fails if there is no error."""
        done = self._plan(settings, False, variables)
        assert done.returncode != 0, "the plan isn't refused"
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        details = [line["diagnostic"]["detail"] for line in lines if line["type"] == "diagnostic"]
        return " ".join(" ".join(details).split())

    def _plan(self, settings: str, refresh: bool, variables: dict[str, object]) -> subprocess.CompletedProcess[str]:
        (self._folder / "changes_override.tf").write_text(f'module "readplane" {{\n{settings}\n}}\n')
        (self._folder / "changes.tfvars.json").write_text(json.dumps(variables))
        files = [f"-var-file={name}" for name in (local_stack.VARIABLES, "run.tfvars.json", "changes.tfvars.json")]
        words = ["-json", "-input=false", "-parallelism=30", "-out=plan", f"-refresh={json.dumps(refresh)}"]
        return self._run("plan", *words, *files)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._terraform.run(self._folder, *words)


def destroyed(actions: list[Action]) -> dict[str, str]:
    """Return the type of each resource that is destroyed or replaced, by its address.

    An `aws_lambda_invocation` doesn't count. Terraform replaces it to call a new version of a function, and destroying
    it does nothing. A composite alarm doesn't count either. The emulator leaves out attributes of alarms in what it
    tells Terraform, for example whether the actions are on, and Terraform replaces a composite alarm for that.
    """
    gone = {action.address: action.type for action in actions if "delete" in action.kinds}
    return {address: kind for address, kind in gone.items() if kind not in ("aws_lambda_invocation", COMPOSITE)}


def config_address(resource: dict[str, Any]) -> str:
    """Return the address of a resource of the state, without the keys of its instances and modules."""
    module = re.sub(r"\[[^]]*\]", "", resource.get("module", ""))
    return ".".join(filter(None, (module, resource["type"], resource["name"])))


def guarded(state: list[dict[str, Any]], guard: str) -> set[str]:
    """Return the addresses of everything that Terraform destroys only after a guard is gone."""
    address = f"module.readplane.module.{guard}.terraform_data.this"
    (resource,) = (resource for resource in state if config_address(resource) == address)
    return {address, *(name for instance in resource["instances"] for name in instance["dependencies"])}


def test_terraform_destroys_the_guards_first(stack: Local, tmp_path: Path) -> None:
    """Terraform destroys a resource before those on which it depends, by the dependencies in the state."""
    state = Plans(stack, tmp_path).state()
    assert not {config_address(resource) for resource in state} - guarded(state, "guard")

    replica = {config_address(each) for each in state if REPLICA_PROVIDER.search(each["provider"])}
    assert replica and not replica - guarded(state, "replica_guard")

    parts = ("module.readplane.module.change_stream.", "module.readplane.module.poll.")
    polling = {address for address in map(config_address, state) if address.startswith(parts)}
    assert polling and not polling - guarded(state, "change_stream_guard")


def test_changes_that_lose_data_are_refused(stack: Local, tmp_path: Path) -> None:
    """A collection vanishes, two change their visibility, and a key is switched on beside a replica."""
    text = Plans(stack, tmp_path).refusals(
        """
        collections = merge({ for name, each in var.collections : name => each if name != "tariffs" }, {
          countries = merge(var.collections.countries, { read = "authenticated" })
          profiles  = merge(var.collections.profiles, { read = "authenticated", read_changes = 1 })
        })
        customer_managed_key = true
        """
    )
    assert "Declare these collections again, with retired = true: tariffs." in text
    assert "Set collections.countries.read_changes = 1, because read has changed." in text
    assert "Set read back to what it was in these collections: profiles." in text
    assert "Remove the replica before you change the keys" in text


def test_a_replica_whose_region_is_gone_is_refused(stack: Local, tmp_path: Path) -> None:
    refusals = Plans(stack, tmp_path).refusals(replica=None)
    assert f'Set replica.region to "{stack.outputs.replica_region}"' in refusals


def test_a_second_plan_changes_nothing(stack: Local, tmp_path: Path) -> None:
    actions = Plans(stack, tmp_path).actions()
    assert {action.kinds for action in actions if action.type != COMPOSITE} <= {("update",)}
    assert {action.type for action in actions} <= {*EMULATOR_FORGETS, COMPOSITE}


def test_removing_the_replica_destroys_nothing_of_the_primary(stack: Local, tmp_path: Path) -> None:
    """Remove the replica, and switch a key on, which becomes possible with it."""
    plans = Plans(stack, tmp_path)
    state = plans.state()
    replica = {config_address(resource) for resource in state if REPLICA_PROVIDER.search(resource["provider"])}
    actions = plans.actions(
        replica={"region": stack.outputs.replica_region, "enabled": False}, customer_managed_key=True
    )

    gone = destroyed(actions)
    assert 'module.readplane.module.items_replica["1"].aws_dynamodb_table_replica.this' in gone
    # The heartbeat of the primary Region measures the replication to the replica.
    of_the_replica = re.compile(r"module\.readplane\.module\.(heartbeat|replica|replica_\w+)\[0\]\.")
    for address in gone:
        assert re.sub(r"\[[^]]*\]", "", address) in replica or of_the_replica.match(address), address

    keyed = {action.address: action for action in actions}
    table = keyed['module.readplane.module.items["1"].aws_dynamodb_table.this']
    assert table.kinds == ("update",)
    assert keyed["module.readplane.aws_kms_key.primary[0]"].kinds == ("create",)
    for bucket in ("documents", "write_log"):
        address = f"module.readplane.module.primary.module.{bucket}.module.bucket"
        rule = keyed[f"{address}.aws_s3_bucket_server_side_encryption_configuration.this"]
        assert rule.kinds == ("update",), rule


def test_changes_of_collections_lose_nothing(stack: Local, tmp_path: Path) -> None:
    """Retire a collection, change the visibility of another, add a third, and let no collection name two groups."""
    actions = Plans(stack, tmp_path).actions(
        """
        groups = concat(var.groups, ["pricing"])
        collections = merge(var.collections, {
          tariffs   = merge(var.collections.tariffs, { retired = true })
          countries = merge(var.collections.countries, { read = "authenticated", read_changes = 1, write_groups = [] })
          notices   = merge(var.collections.notices, { write_groups = ["pricing"] })
          prices    = { read = "owner" }
        })
        """,
        refresh=True,
    )
    lost = {address: kind for address, kind in destroyed(actions).items() if kind in HOLDS_DATA}
    assert not lost, lost

    # A retired collection leaves nothing but its routes, and a group stays although no collection names it.
    gone = {address for address, kind in destroyed(actions).items() if not kind.startswith("aws_api_gateway_")}
    assert not gone, gone
    (group,) = (action for action in actions if action.type == "aws_cognito_user_group")
    assert group.kinds == ("create",) and group.after["name"] == "pricing"

    (record,) = (action for action in actions if action.address == "module.readplane.aws_ssm_parameter.record")
    recorded = json.loads(record.after["insecure_value"])["collections"]
    assert recorded["tariffs"] == {"read": "public", "read_changes": 0, "retired": True}
    assert recorded["countries"] == {"read": "authenticated", "read_changes": 1, "retired": False}


def test_removing_the_last_source_leaves_the_collections(stack: Local, tmp_path: Path) -> None:
    actions = Plans(stack, tmp_path).actions("sources = {}")
    gone = destroyed(actions)
    of_polling = re.compile(r"module\.readplane\.module\.(change_stream|change_stream_guard|poll)\[0\]\.")
    lost = {name for name, kind in gone.items() if kind in HOLDS_DATA and not of_polling.match(name)}
    assert "module.readplane.module.change_stream[0].aws_kinesis_stream.this" in gone
    assert not lost, lost


class SmallStack:
    """A stack that consists of a record, a guard and a topic (lifecycle.tf), with a Terraform state of its own."""

    def __init__(self, stack: Local, folder: Path) -> None:
        self._terraform = stack.terraform
        self._folder = folder
        for module in ("record", "guard"):
            shutil.copytree(ROOT / "terraform/modules" / module, folder / module)
        shutil.copy(Path(__file__).with_name("lifecycle.tf"), folder / "main.tf")
        self._terraform.init(folder)

    def run(self, *words: str, **variables: object) -> subprocess.CompletedProcess[str]:
        values = [f"-var={name}={json.dumps(value)}" for name, value in variables.items()]
        return self._terraform.run(self._folder, *words, *values)

    def apply(self, **variables: object) -> None:
        done = self.run("apply", "-auto-approve", "-input=false", "-no-color", **variables)
        assert done.returncode == 0, done.stdout + done.stderr

    def refused(self, *words: str, **variables: object) -> str:
        """Run a command that must fail. Return what it prints, on one line."""
        done = self.run(*words, "-input=false", "-no-color", **variables)
        assert done.returncode != 0, done.stdout
        return " ".join((done.stdout + done.stderr).replace("│", " ").split())

    def addresses(self) -> set[str]:
        return set(self.run("state", "list").stdout.split())


def test_a_protected_stack_refuses_to_be_destroyed_before_anything_is_gone(stack: Local, tmp_path: Path) -> None:
    small = SmallStack(stack, tmp_path)
    small.apply(protected=True)
    before = small.addresses()
    assert "aws_sns_topic.this" in before

    assert "This stack refuses to be destroyed." in small.refused("destroy", "-auto-approve", protected=True)
    # The guard asks what the last apply said, not what the settings say now.
    assert "This stack refuses to be destroyed." in small.refused("destroy", "-auto-approve", protected=False)
    assert small.addresses() == before

    another = small.refused("plan", name="another", protected=True)
    assert "This Terraform state holds the stack lifecycle in us-east-1" in another
    assert "with retired = true: notes" in small.refused("plan", collections={}, protected=True)

    small.apply(protected=False)
    done = small.run("destroy", "-auto-approve", "-input=false", "-no-color", protected=False)
    assert done.returncode == 0 and not small.addresses(), done.stdout + done.stderr
