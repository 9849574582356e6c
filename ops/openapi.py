"""Write docs/openapi.yaml: the public contract of the demo, without an emulator and without a stack.

python -m ops.openapi
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import yaml

from ops import terraform
from ops.console import ROOT, CommandError, failures
from ops.local.stack import VARIABLES

TARGET = ROOT / "docs/openapi.yaml"

CONTRACT = 'module.readplane.module.published.aws_s3_object.this["openapi.json"]'
"""The address of the S3 object that holds a stack's contract."""

HEADING = """\
# The public contract of the demo: every route of environments/local.tfvars, with the collections' JSON Schemas.
# `make openapi` writes this file. Each stack has its own contract: `terraform output -raw openapi_uri` says where.
"""

SERVERS = [
    {
        "url": "http://localhost:4566/_aws/execute-api/{api_id}/v1",
        "description": "The demo. Terraform's output `api_url` has its URL up to /v1.",
        "variables": {"api_id": {"default": "a1b2c3d4e5", "description": "The id of the demo's API."}},
    }
]
"""The servers in docs/openapi.yaml. A stack's own contract has the URLs of its API, which differ between stacks."""

DOCUMENT = ("openapi", "info", "servers", "tags", "paths", "components", "title", "version", "url", "name", "in")
OPERATION = ("get", "head", "put", "post", "patch", "delete", "operationId", "summary", "type", "format", "description")
DETAILS = ("security", "parameters", "requestBody", "responses", "required", "headers", "content")
ORDER = (*DOCUMENT, *OPERATION, *DETAILS)
"""The members that come first in an object of the document, in this order. The others follow in alphabetical order."""

PATHS = ("health", "items", "documents", "sources", "backends")
"""The first segments of all paths, in the order in which the paths stand in the document."""


class _Dumper(yaml.SafeDumper):
    """Writes block style without aliases. Texts keep their line breaks, and lists are indented below their name."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 (PyYAML's name)
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (PyYAML's name)
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def contract_of_demo() -> dict[str, Any]:
    """Return the contract that Terraform plans for the demo, with SERVERS as its servers.

    :raises CommandError: if the plan fails
    """
    env = terraform.environment(ROOT / ".local/terraform-test")
    terraform.init(terraform.SOURCE, env)
    command = [terraform.terraform(), f"-chdir={terraform.SOURCE}", "test", "-test-directory=tests/openapi"]
    command += ["-json", "-verbose", f"-var-file={VARIABLES}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        errors = [message["@message"] for message in messages if message["@level"] == "error"]
        raise CommandError("\n".join(["Terraform can't plan the demo:", *errors, done.stderr]).rstrip())
    (plan,) = [message["test_plan"] for message in messages if message["type"] == "test_plan"]
    (after,) = [change["change"]["after"] for change in plan["resource_changes"] if change["address"] == CONTRACT]
    contract: dict[str, Any] = json.loads(after["content"])
    return contract | {"servers": SERVERS}


def to_yaml(contract: dict[str, Any]) -> str:
    """Return a contract as YAML for people: in block style, and in the same order every time."""
    text: str = yaml.dump(_sorted(contract), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {name: _sorted(value[name]) for name in sorted(value, key=_place)}


def _place(name: str) -> tuple[int, str]:
    """Return the key by which the members of an object are sorted, for the name of a member."""
    if name.startswith("/"):
        return PATHS.index(name.split("/")[1]), name
    return ORDER.index(name) if name in ORDER else len(ORDER), name


def main(arguments: list[str] | None = None) -> int:
    """Write docs/openapi.yaml. Return 0."""
    argparse.ArgumentParser(prog="python -m ops.openapi", description=(__doc__ or "").split("\n\n")[0]).parse_args(
        arguments
    )
    TARGET.write_text(HEADING + to_yaml(contract_of_demo()))
    print(f"Wrote {TARGET.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
