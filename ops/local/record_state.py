"""Record the Terraform state of this release, so that a test can plan every later version from it.

The program applies terraform/ to an emulator of its own, once with local.tfvars and once with prod.tfvars, and writes
both states into tests/unit/terraform/states/. It takes about ten minutes. Run it at the commit of a release and commit
what it writes.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ops import terraform
from ops.build.targets import TARGETS, Zips
from ops.build.zips import build
from ops.console import ROOT, Progress, failures, run_tool
from ops.local import emulator, session, stack

STATES = ROOT / "tests/unit/terraform/states"

SHAPES: Mapping[str, tuple[str, ...]] = {
    "local": ("environments/local.tfvars",),
    "prod": ("environments/prod.tfvars", "tests/cost/source.tfvars", "tests/upgrade/emulator.tfvars"),
}
"""The kinds of stacks whose states are recorded -> their variable files in terraform/. Later files win."""

REGIONS = {"local": ("us-east-1", "eu-west-1"), "prod": ("eu-central-1", "eu-west-1")}
"""The primary Region and the replica Region of each kind of stack."""

NAME = "readplane"
"""The name of every recorded stack."""

ZIPS = {f"{name}_zip": f"{name}.zip" for name in Zips._fields}
"""Terraform's variable for each zip -> the name of the zip in Terraform's folder."""


def copy_root(folder: Path) -> None:
    """Copy terraform/ into a new folder, and the files of the web client beside it."""
    ignored = shutil.ignore_patterns("backend.tf", "backend_override.tf", ".terraform", "terraform.tfstate*")
    shutil.copytree(terraform.SOURCE, folder, ignore=ignored)
    shutil.copytree(ROOT / "web", folder.parent / "web")


def without_traces(state: dict[str, Any], endpoint: str) -> dict[str, Any]:
    """Return what a plan needs of a state, without what names the machine or the run.

    Data sources, outputs and the provider's private data are left out. A plan reads data sources again.

    :param endpoint: the URL of the emulator that holds the stack
    """
    managed = [resource for resource in state["resources"] if resource["mode"] == "managed"]
    keys = [each["attributes"]["arn"] for each in instances(managed, "aws_kms_key")]
    for replica in instances(managed, "aws_dynamodb_table_replica"):
        # The emulator says that the replica has the key of the table, which is a key of the other Region.
        region = replica["attributes"]["arn"].split(":")[3]
        replica["attributes"]["kms_key_arn"] = next((key for key in keys if key.split(":")[3] == region), None)
    for resource in managed:
        for instance in resource["instances"]:
            instance.pop("private", None)
    recorded = {
        "version": state["version"],
        "terraform_version": state["terraform_version"],
        "serial": 1,
        "lineage": "00000000-0000-0000-0000-000000000000",
        "outputs": {},
        "resources": managed,
    }
    text = json.dumps(recorded).replace(endpoint, "http://localhost:4566")
    # Only the zips have paths of the machine, and only where Terraform's folder isn't the working directory.
    text = re.sub(r'"/[^"]*/([a-z_-]+\.zip)"', r'"\1"', text)
    cleaned: dict[str, Any] = json.loads(text)
    return cleaned


def instances(resources: Iterable[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return all instances of the resources of one type."""
    return [instance for resource in resources if resource["type"] == kind for instance in resource["instances"]]


def read_state(path: Path) -> dict[str, Any]:
    """Return a recorded state."""
    state: dict[str, Any] = json.loads(lzma.decompress(path.read_bytes()))
    return state


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a recorded state."""
    path.write_bytes(lzma.compress(json.dumps(state, separators=(",", ":")).encode(), preset=9))


def record(release: str, shape: str, progress: Progress) -> Path:
    """Apply terraform/ to a new emulator and write the state. Return its path.

    :param shape: a key of SHAPES
    :raises CommandError: if the apply fails
    """
    name = f"record-{shape}"
    zips, _ = build(TARGETS["local"])
    folder = emulator.folder(name) / "terraform"
    shutil.rmtree(emulator.folder(name), ignore_errors=True)
    copy_root(folder)
    for path, copy in zip(zips, ZIPS.values(), strict=True):
        shutil.copy(path, folder / copy)
    started = emulator.start(name)
    try:
        session.use(started.endpoint)
        session.make_managed_keys(REGIONS[shape])
        env = terraform.environment() | stack.environment(started.endpoint)
        terraform.init(folder, env)
        progress.say(f"terraform apply with {', '.join(SHAPES[shape])} …")
        values = ZIPS | {"name": NAME, "api_base_url": f"{started.endpoint}/_aws/execute-api/{{api_id}}"}
        options = [f"-var-file={file}" for file in SHAPES[shape]] + [f"-var={key}={values[key]}" for key in values]
        command = [terraform.terraform(), f"-chdir={folder}", "apply", "-auto-approve", "-input=false", "-no-color"]
        run_tool([*command, "-parallelism=30", *options], env=env)
    finally:
        emulator.stop(name)
    state = json.loads((folder / "terraform.tfstate").read_text())
    path = STATES / f"{release}-{shape}.json.xz"
    write_state(path, without_traces(state, started.endpoint))
    shutil.rmtree(emulator.folder(name))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Record the states of one release. Return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ops.local.record_state",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("release", help="the release's version, such as 0.2.0; it becomes part of the files' names")
    options = parser.parse_args(arguments)
    progress = Progress()
    for shape in SHAPES:
        progress.say(f"Recorded {record(options.release, shape, progress).relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
