"""Test the commands of `sources`: `list`, `run`, `pause`, `resume`, `reset` and `check`."""

import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner, Result

from ops.cli.main import main
from ops.cli.planned_sources import plan_sources
from ops.terraform import SOURCE as SOURCE_FOLDER
from readplane.poll.source.rules import parse_source
from readplane.poll.source.settings import (
    ClientAuthentication,
    Grant,
    Method,
    PagingStyle,
    PayloadFormat,
    Source,
    SourceMode,
)
from readplane.poll.source.times import TIME_FORMATS
from tests.fakes.moto_aws import REGION
from tests.fakes.source_settings import add_defaults
from tests.unit.ops.cli.support import Polls, Run, checkpoints, save_checkpoint


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
    assert events[0] == {"source": "products", "sweep": True}


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


WORDS = {
    "source_modes": get_args(SourceMode),
    "request_methods": get_args(Method),
    "payload_formats": get_args(PayloadFormat),
    "paging_styles": get_args(PagingStyle),
    "time_formats": TIME_FORMATS,
    "grants": get_args(Grant),
    "client_authentications": get_args(ClientAuthentication),
}
"""The locals of variables_sources.tf that list the words of a setting, and the words that `poll` knows."""
COLLECTIONS = {"products": {"read": "public"}, "rates": {"read": "public"}}
SECRET = {"arn": f"arn:aws:secretsmanager:{REGION}:111122223333:secret:erp-AbCdEf", "header": "Authorization"}
MINIMAL = {
    "mode": "changes",
    "collection": "products",
    "url": "https://erp.example.com/products?since={cursor}",
    "records": "rows",
    "id": "sku",
    "version": {"expression": "updated", "format": "rfc3339"},
    "translation": "{name: title}",
    "schedule": "rate(1 minute)",
    "staleness_budget": 600,
}
SNAPSHOT = {
    "mode": "snapshot",
    "collection": "rates",
    "url": "https://erp.example.com/rates",
    "expect": "rates != null",
    "schedule": "rate(1 hour)",
    "staleness_budget": 7200,
}


def variables(folder: Path, collections: Mapping[str, Any] | None = None, /, **sources: Mapping[str, Any]) -> Path:
    """Write a variable file that declares these sources and collections, and return its path."""
    path = folder / "sources.tfvars.json"
    declared = {"region": REGION, "collections": {**COLLECTIONS, **(collections or {})}, "sources": sources}
    path.write_text(json.dumps(declared))
    return path


def check(path: Path) -> Result:
    return CliRunner().invoke(main, ["sources", "check", "--var-file", str(path)])


def test_settings_are_checked_without_aws_and_without_a_build(tmp_path: Path) -> None:
    key = f"arn:aws:kms:{REGION}:111122223333:key/11111111-2222-3333-4444-555555555555"
    full = {**MINIMAL, "secret": {**SECRET, "kms_key_arn": key}, "sweep": {"schedule": "rate(1 day)"}}
    result = check(variables(tmp_path, products=full, rates=SNAPSHOT))
    assert result.exit_code == 0, result.exception
    assert "2 sources have no problems: products, rates." in result.output
    assert "0 sources have no problems: none are declared." in check(variables(tmp_path)).output


def test_a_check_reports_every_expression_that_does_not_compile(tmp_path: Path) -> None:
    result = check(variables(tmp_path, products={**MINIMAL, "id": "[", "translation": "{"}, rates=SNAPSHOT))
    assert result.exit_code == 1
    assert "sources.products.id" in str(result.exception)
    assert "sources.products.translation" in str(result.exception)


def test_a_check_reports_a_schema_that_does_not_compile(tmp_path: Path) -> None:
    schemas = {"products": {"read": "public", "schema": '{"properties": {"name": {"pattern": "a(?=b)"}}}'}}
    result = check(variables(tmp_path, schemas, products=MINIMAL, rates=SNAPSHOT))
    assert result.exit_code == 1
    assert "sources.products.collection: its schema can't be used" in str(result.exception)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"lag_seconds": -1}, "Set lag_seconds to 0 to 604800"),
        ({"paging": {"style": "page", "parameter": "page", "first": -1}}, "Set paging.first to a whole number"),
    ],
    ids=["validation", "precondition"],
)
def test_a_check_applies_the_rules_of_terraform(tmp_path: Path, broken: dict[str, Any], message: str) -> None:
    result = check(variables(tmp_path, products=MINIMAL | broken, rates=SNAPSHOT))
    assert result.exit_code == 1 and message in str(result.exception)


@pytest.mark.parametrize(
    "declared",
    [
        MINIMAL,
        SNAPSHOT,
        {**MINIMAL, "secret": SECRET, "sweep": {"schedule": "rate(1 day)"}, "cursor": {}},
        {**SNAPSHOT, "secret": {"arn": SECRET["arn"], "query": "api_key"}},
        {**MINIMAL, "paging": {"style": "link"}, "breaker": {"failures": 2}, "headers": {"X-Tenant": "7"}},
        {
            **MINIMAL,
            "request": {"body": "{}", "method": "POST"},
            "payload": {},
            "oauth2": {
                "token_url": "https://login.example.com/token",
                "client_id": "readplane",
                "secret": {"arn": SECRET["arn"]},
            },
            "tls": {"client_certificate": {"arn": SECRET["arn"], "field": "pem"}},
            "sweep": {"schedule": "rate(1 day)", "url": "https://erp.example.com/all", "request": {}},
            "deletes": {
                "url": "https://erp.example.com/deleted",
                "request": {},
                "records": "rows",
                "id": "sku",
                "version": {"expression": "deleted", "format": "unix_us"},
            },
        },
    ],
    ids=[
        "minimal",
        "snapshot",
        "secret and sweep",
        "secret in the query",
        "paging and breaker",
        "requests, deletes and certificates",
    ],
)
def test_terraform_sends_every_field_of_the_settings_classes_and_adds_the_defaults_of_the_tests(
    tmp_path: Path, declared: dict[str, Any]
) -> None:
    """`poll` has no defaults. The tests of `poll` add these defaults, so they must be those of Terraform."""
    settings = plan_sources((variables(tmp_path, one=declared),)).settings["one"]
    assert settings.keys() == {field.name for field in fields(Source)}
    assert without_nulls(settings) == without_nulls(add_defaults({"name": "one", **declared}))
    parse_source(settings)


def test_terraform_allows_the_words_that_poll_knows() -> None:
    text = (SOURCE_FOLDER / "modules/settings/variables_sources.tf").read_text()
    for name, choices in WORDS.items():
        (words,) = re.findall(rf"^  {name} += (\[.*\])$", text, re.MULTILINE)
        assert json.loads(words) == list(choices)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(member) for name, member in value.items() if member is not None}
    return value
