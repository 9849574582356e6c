"""Test the commands of `sources`: `list`, `run`, `pause`, `resume`, `reset` and `check`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ops.cli.main import main
from tests.unit.ops.cli.support import SOURCE, Polls, Run, checkpoints, save_checkpoint


def test_a_source_is_listed_with_its_state(run: Run) -> None:
    assert "never polled" in run("sources", "list").output
    save_checkpoint(fresh_as_of_ms=1_767_225_600_000, watermark_ms=1)
    result = run("sources", "list", "--json")
    line = json.loads(result.output)
    assert line["state"] == "fine" and line["fresh_as_of"] == "2026-01-01T00:00:00.000Z"
    assert line["staleness"] > 0 and line["staleness_budget"] == 600 and line["schedule"] == "rate(1 minute)"
    assert "2026-01-01T00:00:00.000Z" in run("sources", "list").output


def test_a_source_is_paused_and_resumed_and_a_dry_run_does_neither(run: Run) -> None:
    assert run("sources", "pause", "products", "--dry-run").exit_code == 0
    assert checkpoints().get_checkpoint("products") is None
    assert "is paused" in run("sources", "pause", "products").output
    assert (saved := checkpoints().get_checkpoint("products")) and saved.paused
    assert "paused" in run("sources", "list").output
    run("sources", "resume", "products")
    assert (saved := checkpoints().get_checkpoint("products")) and not saved.paused
    refused = run("sources", "pause", "prodcts")
    assert refused.exit_code == 1 and "Declared are: products" in str(refused.exception)


def test_a_source_is_polled_until_nothing_is_left_to_read(run: Run, polls: Polls) -> None:
    events, responses = polls
    assert run("sources", "run", "products", "--dry-run").exit_code == 0
    assert events == []
    responses += [
        {"outcome": "running", "sweeping": False},
        {"outcome": "unfinished", "sweeping": False},
        {"outcome": "completed", "sweeping": True},
        {"outcome": "completed", "sweeping": False, "pages": 2},
    ]
    result = run("sources", "run", "products", "--sweep", "--until-done")
    assert result.exit_code == 0 and "sweeping False, pages 2" in result.output
    assert [event["sweep"] for event in events] == [True, True, False, False]
    assert events[0]["source"] == SOURCE


@pytest.mark.parametrize("outcome", ["failed", "open", "paused", "running"])
def test_a_poll_that_leaves_the_source_no_fresher_is_a_failure(run: Run, polls: Polls, outcome: str) -> None:
    polls[1].append({"outcome": outcome})
    result = run("sources", "run", "products")
    assert result.exit_code == 1 and outcome in str(result.exception)


def test_a_reset_asks_first_and_forgets_the_checkpoint(run: Run) -> None:
    save_checkpoint(watermark_ms=5)
    assert run("sources", "reset", "products", "--dry-run").exit_code == 0
    assert run("sources", "reset", "products", stdin="n\n").exit_code == 1
    assert (saved := checkpoints().get_checkpoint("products")) and saved.watermark_ms == 5
    assert run("sources", "reset", "products", "--yes").exit_code == 0
    assert (saved := checkpoints().get_checkpoint("products")) and saved.watermark_ms is None


def test_settings_are_checked_without_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.terraform.SOURCE", tmp_path)
    (tmp_path / "variables.tf").write_text('variable "sources" {\n  type    = any\n  default = {}\n}\n')
    good, bad = tmp_path / "good.tfvars.json", tmp_path / "bad.tfvars.json"
    settings = {key: value for key, value in SOURCE.items() if key != "name"}
    good.write_text(json.dumps({"sources": {"products": settings}}))
    bad.write_text(json.dumps({"sources": {"products": {**settings, "id": "[", "translation": "{"}}}))
    accepted = CliRunner().invoke(main, ["sources", "check", "--var-file", str(good)])
    assert accepted.exit_code == 0 and "products" in accepted.output
    refused = CliRunner().invoke(main, ["sources", "check", "--var-file", str(bad)])
    assert refused.exit_code == 1
    assert "sources.products.id" in str(refused.exception) and "sources.products.translation" in str(refused.exception)
