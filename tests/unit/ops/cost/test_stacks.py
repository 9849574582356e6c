"""Test that stacks.json, from which README.md's tables are written, is what Terraform plans."""

from ops.cost.stacks import read_stacks, usage_of_stacks


def test_the_stacks_are_what_terraform_plans() -> None:
    """If this fails, run `make docs`."""
    assert usage_of_stacks() == read_stacks()
