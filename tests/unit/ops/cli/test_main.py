"""Test the operators' command line as a whole."""

from click.testing import CliRunner

from ops.cli.main import main


def test_help_needs_no_stack() -> None:
    for words in (
        [],
        ["sources"],
        ["checkpoint"],
        ["quarantine"],
        ["dead-letters"],
        ["collections"],
        ["sources", "run"],
    ):
        result = CliRunner().invoke(main, [*words, "--help"])
        assert result.exit_code == 0 and "Usage:" in result.output
