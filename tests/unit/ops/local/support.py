"""Helpers for tests of local runs: a test stack with its Terraform outputs, and made-up paths of zips."""

import dataclasses
import json
from pathlib import Path

from ops.build.targets import Zips
from ops.local import stack

OUTPUTS = json.dumps({field.name: {"value": "x"} for field in dataclasses.fields(stack.Outputs)})
"""The test stack's outputs as `terraform output -json` would print them. Each output has the value x."""

ZIPS = Zips(*(Path(f"{name}.zip") for name in ("h", "f", "l", "p", "e", "d", "x")))

APPLIED = stack.Stack(
    "x",
    "http://localhost:4566",
    stack.Outputs(**{**{name: entry["value"] for name, entry in json.loads(OUTPUTS).items()}, "sources": {"s": {}}}),
    "slim",
)
