"""Check that the root module passes on every variable and output of modules/readplane, and adds nothing to them."""

import re

from ops.console import ROOT

TERRAFORM = ROOT / "terraform"
MODULE = TERRAFORM / "modules/readplane"
ONLY_ROOT = {"tags", "emulator_provider"}
"""The variables for the AWS provider, which the module gets from its caller."""


def blocks(text: str, kind: str) -> dict[str, str]:
    """Return the bodies of all blocks of one kind by their names, such as the variables of a file."""
    return dict(re.findall(rf'^{kind} "(\w+)" \{{$\n(.*?)^\}}$', text, re.M | re.S))


def argument(body: str, name: str) -> str | None:
    """Return the first line of an argument's value; None if the block hasn't the argument."""
    match = re.search(rf"^  {name} *= (.*)$", body, re.M)
    return match[1].partition(" #")[0] if match else None


def module(kind: str) -> dict[str, str]:
    """Return the bodies of the module's blocks of one kind, from all of its files."""
    return blocks("\n".join(path.read_text() for path in sorted(MODULE.glob("*.tf"))), kind)


def test_the_root_has_every_variable_of_the_module_and_passes_it_on() -> None:
    root, stack = blocks((TERRAFORM / "variables.tf").read_text(), "variable"), module("variable")
    assert len(stack) > 30 and root.keys() - ONLY_ROOT == stack.keys()
    passed = dict(re.findall(r"^  (\w+) += var\.(\w+)$", (TERRAFORM / "main.tf").read_text(), re.M))
    assert passed == {name: name for name in stack}


def test_types_defaults_and_rules_stand_in_the_module_alone() -> None:
    root = blocks((TERRAFORM / "variables.tf").read_text(), "variable")
    for name, body in module("variable").items():
        scalar = argument(body, "type") in ("string", "number", "bool")
        assert argument(root[name], "type") == (argument(body, "type") if scalar else "any"), name
        assert argument(root[name], "sensitive") == argument(body, "sensitive"), name
        required = argument(body, "default") is None
        # The paths of the zips go on beginning with ../dist, because a new path would make new versions of the layers.
        default = None if required else '"../dist"' if name == "dist" else "null"
        assert argument(root[name], "default") == default, name
        assert "validation" not in root[name] and "nullable" not in root[name], name
        assert f"docs/variables.md#{name}." in str(argument(root[name], "description")), name


def test_a_variable_of_the_module_that_is_null_gets_its_default() -> None:
    for name, body in module("variable").items():
        nullable = argument(body, "default") == "null"
        assert argument(body, "nullable") == (None if nullable else "false"), name


def test_the_root_has_every_output_of_the_module() -> None:
    root, stack = blocks((TERRAFORM / "outputs.tf").read_text(), "output"), module("output")
    assert len(stack) > 20 and root.keys() == stack.keys()
    for name, body in root.items():
        assert argument(body, "value") == f"module.readplane.{name}", name
        assert argument(body, "sensitive") == argument(stack[name], "sensitive"), name


def test_the_tag_stack_is_the_stacks_name() -> None:
    default = argument(module("variable")["name"], "default")
    assert f"Stack = coalesce(var.name, {default})" in (TERRAFORM / "providers.tf").read_text()


def test_the_rules_are_tested_with_all_files_that_declare_variables() -> None:
    links = {path.name: path.resolve() for path in (TERRAFORM / "tests/rules").glob("*.tf")}
    assert links == {path.name: path for path in MODULE.glob("variables_*.tf")}
