"""Check that null means the default, in every variable of the stack and in every attribute."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ops.console import ROOT
from ops.terraform import environment, init, terraform
from ops.variables import Attribute, Variable, read_concerns

SETTINGS = ROOT / "terraform/modules/settings"

REQUIRED: dict[str, Any] = {
    "region": "eu-central-1",
    "collections": {"products": {"read": "public"}},
}
"""A value for each variable that has no default."""

ZIPS = ("hot_zip", "functions_zip", "layer_zip", "poll_layer_zip", "edge_auth_zip", "database_layer_zip")
"""The variables that name a file."""

ALTERNATIVES = ("cache", "relational")
"""The variables of which exactly one attribute must be set, so that they can't be an empty object."""

ELEMENTS: dict[str, dict[str, Any]] = {
    "collections": {"read": "public"},
    "backends": {"url": "https://crm.example.com"},
    "sources": {
        "mode": "snapshot",
        "collection": "products",
        "schedule": "rate(5 minutes)",
        "staleness_budget": 900,
        "url": "https://crm.example.com",
        "expect": "products != null",
    },
}
"""For each variable that is a map of objects, an object with the attributes that have no default or that a rule
demands."""


def test_null_means_the_default_in_every_variable(tmp_path: Path) -> None:
    zips = dict.fromkeys(ZIPS, str(tmp_path / "a.zip"))
    (tmp_path / "a.zip").touch()
    variables = [variable for concern in read_concerns() for variable in concern.variables]
    assert len(variables) > 30
    optional = [variable for variable in variables if variable.default is not None and variable.name not in zips]
    without = evaluate(tmp_path / "without", zips | REQUIRED)
    with_null = evaluate(tmp_path / "with", zips | REQUIRED | {variable.name: None for variable in optional})
    assert without == with_null


def test_null_means_the_default_in_every_attribute(tmp_path: Path) -> None:
    zips = dict.fromkeys(ZIPS, str(tmp_path / "a.zip"))
    (tmp_path / "a.zip").touch()
    variables = [variable for concern in read_concerns() for variable in concern.variables if variable.attributes]
    assert len(variables) > 8
    minimal: dict[str, Any] = {}
    nulls: dict[str, Any] = {}
    for variable in variables:
        element = ELEMENTS.get(variable.name, {})
        top = dict.fromkeys(_optional(variable)) | element
        if variable.type.startswith("map"):
            minimal[variable.name], nulls[variable.name] = {"products": element}, {"products": top}
        elif variable.name not in ALTERNATIVES and not any(attribute.default is None for attribute in _top(variable)):
            minimal[variable.name], nulls[variable.name] = {}, top
    assert minimal.keys() > ELEMENTS.keys()
    assert evaluate(tmp_path / "without", zips | REQUIRED | minimal) == evaluate(
        tmp_path / "with", zips | REQUIRED | nulls
    )


def _top(variable: Variable) -> list[Attribute]:
    return [attribute for attribute in variable.attributes if "." not in attribute.name]


def _optional(variable: Variable) -> list[str]:
    return [attribute.name for attribute in _top(variable) if attribute.default is not None]


def evaluate(folder: Path, variables: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of modules/settings for some variables.

    :param folder: an empty place for the module's copy
    """
    shutil.copytree(SETTINGS, folder)
    (folder / "values.tfvars.json").write_text(json.dumps(variables))
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}"]
    plan = [*command, "plan", "-input=false", "-no-color", "-var-file=values.tfvars.json", "-out=plan"]
    process = subprocess.run(plan, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    shown = subprocess.run([*command, "show", "-json", "plan"], env=env, capture_output=True, text=True, check=True)
    outputs: dict[str, Any] = json.loads(shown.stdout)["planned_values"]["outputs"]
    return {name: output.get("value") for name, output in outputs.items()}
