"""Test the command `cost`: what it prints, its options, and what it says about bad input."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from ops.cli.main import main
from ops.console import CommandError
from ops.cost.profile import EXAMPLE_FILE
from tests.unit.ops.cost.plans import plan_of

STAGE = ("aws_api_gateway_stage", {"cache_cluster_enabled": True, "cache_cluster_size": "0.5"})


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["cost", *map(str, words)], catch_exceptions=False)


def printed(*words: str | Path) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan_of(("aws_api_gateway_rest_api", {}), STAGE, ("aws_kms_key", {}))))
    return path


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "month.toml"
    path.write_text("[reads]\nstage_cache = 10e6\n")
    return path


def test_the_example_is_a_profile(tmp_path: Path) -> None:
    assert printed("--example") == EXAMPLE_FILE.read_text()
    text = printed("--profile", EXAMPLE_FILE)
    assert "API Gateway" in text and "a million reads, as the profile mixes them" in text
    assert "idle, at list price" not in text


def test_a_plan_and_a_profile(plan: Path, profile: Path) -> None:
    """14.60 for the cache and 1.00 for the key; API 35.00, log 3.25, traces 14.983, transfer 1.53."""
    text = " ".join(printed("--plan", plan, "--profile", profile).split())
    assert "together 70.36 $" in text
    assert "the idle stack 1 15.60" in text
    assert 'cache_size = "0.5" 14.60 14.60' in text
    assert "aws_kms_key 1 1.00 $" in text
    assert "From 36.5 million reads a month, API cache hit costs less than API and S3 document." in text
    assert "us-east-1" in text and "without the free tier" in text


def test_json_has_what_the_text_has(plan: Path, profile: Path) -> None:
    values: dict[str, Any] = json.loads(printed("--plan", plan, "--profile", profile, "--json", "--free-tier"))
    # 10 $ less: the key 1.00 stays; 5 GB of logs 2.50, 100,000 traces 0.50 and 17 GB of transfer 1.53 are free
    assert values["total_usd"] == pytest.approx(70.363 - 1.625 * 2 + 0.75 - 0.50 - 1.53, abs=0.001)
    assert values["free_tier"] is True
    assert sum(values["services"].values()) == pytest.approx(values["total_usd"])
    assert {row["title"]: row["times"] for row in values["rows"]}["reads from the stage cache"] == 10e6
    # All but the idle stack, for ten million
    assert values["usd_per_million_reads"] == pytest.approx((values["total_usd"] - 15.60) / 10, abs=0.001)
    assert values["resources"]["aws_kms_key"]["resources"] == 1


def test_another_price(plan: Path) -> None:
    text = printed("--plan", plan, "--price", "kms_key=13", "--price", "api_cache_0.5=0")
    assert "together 13.00 $" in " ".join(text.split())
    with pytest.raises(CommandError, match="--price kms=13"):
        run("--plan", plan, "--price", "kms=13")


def test_the_edge_has_flat_rate_plans_beside(tmp_path: Path) -> None:
    profile = tmp_path / "month.json"
    profile.write_text(json.dumps({"reads": {"edge_public": 10_000_000}}))
    text = " ".join(printed("--profile", profile).split())
    assert "Free (too small) 0.00 11.45" in text or "Free (too small) 0.00 11.44" in text
    assert "Pro 15.00 11.4" in text


def test_a_chart_is_written(tmp_path: Path) -> None:
    text = printed("--chart", tmp_path / "costs.svg")
    assert "From 36.5 million reads a month, " in text and "service" not in text
    assert (tmp_path / "costs.svg").read_text().startswith("<svg ")
    with pytest.raises(CommandError, match="Can't write"):
        run("--chart", tmp_path / "no/costs.svg")


def test_variable_files_are_planned_in_their_order(
    tmp_path: Path, profile: Path, monkeypatch: pytest.MonkeyPatch, plan: Path
) -> None:
    files = [tmp_path / "a.tfvars", tmp_path / "b.tfvars"]
    for file in files:
        file.touch()
    planned: list[tuple[Path, ...]] = []

    def plan_variables(given: tuple[Path, ...]) -> Any:
        planned.append(given)
        return json.loads(plan.read_text())

    monkeypatch.setattr("ops.cli.cost.plan_variables", plan_variables)
    text = printed("--var-file", files[0], "--var-file", files[1], "--profile", profile)
    assert text == printed("--plan", plan, "--profile", profile)
    assert planned == [tuple(files)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Give --profile, --var-file, --plan or --chart."),
        (("--plan", "PLAN", "--var-file", "PLAN"), "Give either --var-file or --plan."),
        (("--plan", "missing.json"), "does not exist"),
        (("--region", "eu-central-1"), "No such option"),
    ],
)
def test_a_wrong_command_line_has_exit_code_2(plan: Path, words: tuple[str, ...], message: str) -> None:
    result = run(*(plan if word == "PLAN" else word for word in words))
    assert result.exit_code == 2 and message in click.unstyle(result.stderr)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\0binary", "isn't JSON"),
        ("[" * 100_000, "isn't JSON"),
        ("null", "This is no plan"),
        ("[]", "This is no plan"),
        ("{}", "This is no plan"),
        ('{"resource_changes": [{}]}', "This is no plan"),
    ],
)
def test_a_file_that_is_no_plan_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plan.out"
    path.write_text(text)
    with pytest.raises(CommandError, match=message):
        run("--plan", path)


def test_a_root_module_of_your_own_may_have_other_resources(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan_of(("random_password", {}), ("aws_instance", {}), ("aws_kms_key", {}))))
    lines = [" ".join(line.split()) for line in printed("--plan", path).splitlines()]
    assert "together 1.00 $" in lines
    others = lines.index("not priced, because Readplane makes no such resources")
    assert lines[others + 1 : others + 3] == ["aws_instance 1", "random_password 1"]
    values = json.loads(printed("--plan", path, "--json"))
    assert values["total_usd"] == 1 and values["not_priced"] == ["aws_instance", "random_password"]


def test_reads_on_a_path_that_the_plan_lacks_are_an_error(plan: Path, tmp_path: Path) -> None:
    profile = tmp_path / "month.toml"
    profile.write_text("[reads]\nedge_public = 1\n")
    with pytest.raises(CommandError, match=r"reads\.edge_public, and this plan has no `edge`"):
        run("--plan", plan, "--profile", profile)
