"""Test how a command of the operators' command line finds the stack that it works on."""

from pathlib import Path

from click.testing import CliRunner

from ops.cli.main import main


def test_a_file_without_the_outputs_of_a_stack_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    for text, message in (
        ("[]", "isn't what"),
        ('{"name": {"value": "x"}}', "region, items_table, documents_bucket, write_log_bucket"),
    ):
        file.write_text(text)
        result = CliRunner().invoke(main, ["--outputs", str(file), "sources", "list"])
        assert result.exit_code == 1 and message in str(result.exception)
