"""Tests that three common tools find no error in the OpenAPI documents."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.console import ROOT
from tests.clients import tools

TOOLS = pytest.mark.parametrize("tool", [tools.redocly, tools.spectral, tools.validate], ids=lambda tool: tool.__name__)


@TOOLS
def test_a_tool_finds_no_error_in_the_contract_of_the_demo(tool: Callable[[Path], str]) -> None:
    tool(ROOT / "docs/openapi.yaml")


@TOOLS
def test_a_tool_finds_no_error_in_the_contract_of_the_stack(contract: Path, tool: Callable[[Path], str]) -> None:
    tool(contract)


@TOOLS
def test_a_tool_finds_an_error(tmp_path: Path, tool: Callable[[Path], str]) -> None:
    """Check that the tests above can fail. Each tool must refuse a document with an unknown field."""
    text = (ROOT / "docs/openapi.yaml").read_text()
    wrong = tmp_path / "openapi.yaml"
    wrong.write_text(text.replace("\npaths:\n", "\nunknown: true\npaths:\n", 1))
    assert wrong.read_text() != text
    with pytest.raises(AssertionError, match="exited with 1"):
        tool(wrong)


def test_the_page_about_clients_names_the_tested_versions_and_options() -> None:
    page = (ROOT / "docs/clients.md").read_text()
    lock = (ROOT / "requirements/clients.in").read_text().splitlines()
    (generator,) = [line for line in lock if line.startswith("openapi-generator-cli")]
    assert f"pip install '{generator}'" in page
    for name, options in tools.OPTIONS.items():
        assert f"-g {name} " in page
        assert "--additional-properties=" + ",".join(f"{key}={value}" for key, value in options.items()) + "\n" in page
