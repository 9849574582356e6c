"""Tests that Terraform's rules about the collections' JSON Schemas agree with the validator of `write` and `poll`."""

import json
import re
from pathlib import Path

import pytest

from readplane.model.schema import DRAFTS, compile_usable_schemas

TERRAFORM = Path(__file__).parents[3] / "terraform"
SETTINGS = TERRAFORM / "modules/settings"


def words(path: str, name: str) -> list[str]:
    """Return the texts in the list that a file assigns to a local."""
    found = re.search(rf"^  {name} = \[(.*?)\]", (SETTINGS / path).read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return re.findall(r'"([^"]*)"', found[1])


def test_terraform_knows_the_drafts_that_the_validator_knows() -> None:
    assert words("variables_collections.tf", "schema_drafts") == list(DRAFTS)


def test_terraform_knows_the_types_that_the_validator_knows() -> None:
    types = words("schema_level/main.tf", "types")
    _, problems = compile_usable_schemas({word: {"type": word} for word in [*types, "strng", "any", "file"]})
    assert list(problems) == ["strng", "any", "file"]


def declared_schemas(run: str) -> dict[str, str]:
    """Return the schemas of a run of schemas.tftest.hcl."""
    text = (TERRAFORM / "tests/schemas.tftest.hcl").read_text()
    body = re.search(rf'run "{run}" \{{\n(.*?)\n\}}\n', text, re.DOTALL)
    assert body
    schemas = {}
    for name, heredoc, quoted in re.findall(
        r'(\S+) += \{[^{}]*?schema += (?:<<-JSON\n(.*?)\n +JSON\n|"((?:[^"\\]|\\.)*)")', body[1], re.DOTALL
    ):
        schemas[name] = heredoc or json.loads(f'"{quoted}"')
    return schemas


def test_what_terraform_accepts_the_validator_accepts() -> None:
    schemas = declared_schemas("schemas_without_a_mistake")
    assert {"empty", "draft-4", "booleans", "data", "names", "references", "beside"} <= schemas.keys()
    _, problems = compile_usable_schemas({name: json.loads(text) for name, text in schemas.items()})
    assert problems == {}


@pytest.mark.parametrize(
    "run",
    [
        "a_newer_draft",
        "a_draft_that_is_no_text",
        "a_type_that_does_not_exist",
        "a_type_that_does_not_exist_deep_inside",
        "a_type_that_is_no_text",
        "a_reference_to_another_host",
        "a_reference_to_a_file",
    ],
)
def test_what_terraform_refuses_the_validator_refuses(run: str) -> None:
    schemas = declared_schemas(run)
    _, problems = compile_usable_schemas({name: json.loads(text) for name, text in schemas.items()})
    assert problems.keys() == schemas.keys() == {"products"}
