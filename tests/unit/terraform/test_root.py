"""Check what the root module passes on. The lint target checks that its variables are those of modules/settings."""

import re
from pathlib import Path

from ops.console import ROOT

TERRAFORM = ROOT / "terraform"
STACK = TERRAFORM / "modules/readplane"
SETTINGS = TERRAFORM / "modules/settings"


def blocks(text: str, kind: str) -> dict[str, str]:
    """Return the bodies of all blocks of one kind by their names, such as the variables of a file."""
    return dict(re.findall(rf'^{kind} "(\w+)" \{{$\n(.*?)^\}}$', text, re.M | re.S))


def argument(body: str, name: str) -> str | None:
    """Return the first line of an argument's value; None if the block hasn't the argument."""
    match = re.search(rf"^  {name} *= (.*)$", body, re.M)
    return match[1].partition(" #")[0] if match else None


def module(folder: Path, kind: str, files: str = "*.tf") -> dict[str, str]:
    """Return the bodies of a module's blocks of one kind, from all files whose names match a pattern."""
    return blocks("\n".join(path.read_text() for path in sorted(folder.glob(files))), kind)


def test_a_variable_that_is_null_gets_its_default() -> None:
    variables = module(SETTINGS, "variable", "variables_*.tf")
    assert len(variables) > 30
    for name, body in variables.items():
        nullable = argument(body, "default") == "null"
        assert argument(body, "nullable") == (None if nullable else "false"), name


LONG_OUTPUTS = {"openapi", "api_documents", "policies", "edge_behaviours"}
"""Outputs of up to 100 KB, which Terraform would print at the end of every apply if the root had them."""


def test_the_root_has_every_output_of_the_module_but_the_long_ones() -> None:
    root, stack = blocks((TERRAFORM / "outputs.tf").read_text(), "output"), module(STACK, "output")
    assert len(stack) > 20 and root.keys() == stack.keys() - LONG_OUTPUTS and stack.keys() > LONG_OUTPUTS
    for name, body in root.items():
        assert argument(body, "value") == f"module.readplane.{name}", name
        assert argument(body, "sensitive") == argument(stack[name], "sensitive"), name


def test_the_output_client_ids_names_the_clients_whose_tokens_the_functions_accept() -> None:
    """`erase` waits until the tokens of these clients have expired."""
    accepted = re.findall(r"\bclient_ids += (.*)", (STACK / "main.tf").read_text())
    assert accepted == [argument(module(STACK, "output")["client_ids"], "value")] == ["module.identity.client_ids"]


def test_the_tag_stack_is_the_stacks_name() -> None:
    default = argument(module(SETTINGS, "variable")["name"], "default")
    assert f"Stack = coalesce(var.name, {default})" in (TERRAFORM / "providers.tf").read_text()


def test_everything_waits_until_terraform_has_written_what_the_apply_begins() -> None:
    """Module `record` gives the stack's name to everything else, and only after it has written that."""
    names = {
        path.name: re.findall(r"\bmodule\.settings\.name\b", path.read_text()) for path in sorted(STACK.glob("*.tf"))
    }
    assert {name for name, found in names.items() if found} == {"record.tf"} and len(names["record.tf"]) == 1
    calls = {name: argument(body, "name") for name, body in module(STACK, "module").items()}
    assert list(calls.values()).count("module.record.name") > 20
    output = module(TERRAFORM / "modules/record", "output")["name"]
    assert argument(output, "depends_on") == "[aws_ssm_parameter.begun]"
