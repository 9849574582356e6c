"""Test the command `sources try`: its options, its secrets and its exit code."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner, Result

from ops.cli.main import main
from ops.cli.planned_sources import PlannedSources, plan_sources
from tests.fakes.moto_aws import REGION, Aws
from tests.unit.poll.upstream.http_server import HttpServer, says

SECRET = {"arn": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:erp-AbCdEf", "header": "X-Api-Key"}
TEXT = "k3y-of-the-office"
ROWS = b'{"rows": [{"id": "a", "at": 1700000000, "n": 1}]}'


pytestmark = pytest.mark.slow  # because Terraform evaluates the variables


@cache
def _planned(texts: tuple[str, ...], files: tuple[Path, ...]) -> PlannedSources:
    return plan_sources(files)


@pytest.fixture(autouse=True)
def _one_plan_for_each_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Terraform evaluate each variable file once."""
    monkeypatch.setattr(
        "ops.cli.try_source.plan_sources", lambda files: _planned(tuple(file.read_text() for file in files), files)
    )


@pytest.fixture
def office() -> Iterator[HttpServer]:
    server = HttpServer()
    server.will(says(body=ROWS))
    yield server
    server.close()


def variables(folder: Path, office: HttpServer, schema: str | None = None, **settings: Any) -> Path:
    """Write a variable file that declares the source `rows`, and return its path."""
    declared = {
        "mode": "changes",
        "collection": "things",
        "schedule": "rate(1 minute)",
        "staleness_budget": 600,
        "url": office.url.replace("127.0.0.1", "localhost") + "/rows?since={cursor}",
        "records": "rows",
        "id": "id",
        "version": {"expression": "at", "format": "unix_s"},
        "translation": "{n: n}",
        "sweep": {"schedule": "rate(1 day)"},
        **settings,
    }
    collections = {"things": {"read": "public"} | ({"schema": schema} if schema else {})}
    path = folder / "sources.tfvars.json"
    path.write_text(json.dumps({"region": REGION, "collections": collections, "sources": {"rows": declared}}))
    return path


def run(path: Path, *words: str, name: str = "rows") -> Result:
    return CliRunner().invoke(main, ["sources", "try", "--var-file", str(path), name, *words])


def test_a_source_is_tried_without_aws(office: HttpServer, tmp_path: Path) -> None:
    result = run(variables(tmp_path, office))
    assert result.exit_code == 0, result.output
    assert "End of the list: one_page, certain" in result.output and '{"n":1}' in result.output
    assert "The next pass asks: GET" in result.output and len(office.requests) == 2


def test_a_problem_gives_exit_code_1_and_the_report_as_json(office: HttpServer, tmp_path: Path) -> None:
    result = run(variables(tmp_path, office, '{"required": ["m"]}'), "--json")
    assert result.exit_code == 1 and "rows has 1 problem." in str(result.exception)
    report = json.loads(result.stdout)
    assert report["refusals"][0]["reason"] == "invalid" and report["item_count"] == 0


def test_a_wrong_command_line_gives_exit_code_2(office: HttpServer, tmp_path: Path) -> None:
    path = variables(tmp_path, office)
    assert run(path, name="other").exit_code == 2
    assert run(path, "--list", "deletes").exit_code == 2
    assert run(path, "--list", "sweep", "--since", "2026-01-31T12:00:00Z").exit_code == 2
    assert "time with its zone" in run(path, "--since", "2026-01-31").output
    assert run(path, "--pages", "0").exit_code == 2
    assert office.requests == []


def test_changes_since_a_time_are_asked_for(office: HttpServer, tmp_path: Path) -> None:
    run(variables(tmp_path, office), "--since", "2023-01-01T00:00:00Z")
    assert office.targets[0] == "/rows?since=1672531200"


def test_settings_that_poll_refuses_are_not_tried(office: HttpServer, tmp_path: Path) -> None:
    result = run(variables(tmp_path, office, translation="{"))
    assert result.exit_code == 1 and "sources.rows.translation" in str(result.exception)
    assert office.requests == []


def test_a_snapshot_has_one_list(office: HttpServer, tmp_path: Path) -> None:
    none = dict.fromkeys(("records", "id", "version", "translation", "sweep"))
    url = office.url.replace("127.0.0.1", "localhost")
    path = variables(tmp_path, office, mode="snapshot", url=url, expect="rows != null", **none)
    assert run(path, "--list", "sweep").exit_code == 2
    assert "Document: " in run(path).output


def test_a_secret_comes_from_a_file_or_the_environment(
    office: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = variables(tmp_path, office, secret=SECRET)
    result = run(path)
    assert result.exit_code == 2 and "READPLANE_SECRET" in result.output and office.requests == []
    (tmp_path / "secret").write_text(TEXT + "\n")
    result = run(path, "--secret-file", str(tmp_path / "secret"))
    assert result.exit_code == 0 and office.header("X-Api-Key") == TEXT
    monkeypatch.setenv("READPLANE_SECRET", "another")
    assert run(path).exit_code == 0 and office.header("X-Api-Key") == "another"
    assert TEXT not in result.output


def test_a_secret_is_asked_for_at_a_terminal(
    office: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = variables(tmp_path, office, secret=SECRET)
    monkeypatch.setattr("ops.cli.try_source.is_terminal", lambda: True)
    result = CliRunner().invoke(main, ["sources", "try", "--var-file", str(path), "rows"], input=TEXT + "\n")
    assert result.exit_code == 0 and office.header("X-Api-Key") == TEXT and TEXT not in result.output


def test_a_secret_comes_from_aws(office: HttpServer, tmp_path: Path, aws: Aws) -> None:
    make: Any = boto3.client
    arn = make("secretsmanager").create_secret(Name="erp", SecretString=json.dumps({"key": TEXT}))["ARN"]
    path = variables(tmp_path, office, secret={"arn": arn, "header": "X-Api-Key", "field": "key"})
    assert run(path, "--aws").exit_code == 0 and office.header("X-Api-Key") == TEXT


def test_an_access_token_is_requested_with_the_secret_of_the_client(office: HttpServer, tmp_path: Path) -> None:
    url = office.url.replace("127.0.0.1", "localhost")
    token = b'{"access_token": "t0ken-of-the-office", "token_type": "Bearer", "expires_in": 3600}'
    office.will(says(body=token), says(body=ROWS))
    oauth2 = {"token_url": f"{url}/token", "client_id": "me", "secret": {"arn": SECRET["arn"]}}
    (tmp_path / "secret").write_text(TEXT)
    result = run(variables(tmp_path, office, oauth2=oauth2), "--oauth2-secret-file", str(tmp_path / "secret"), "--json")
    assert result.exit_code == 0, result.output
    assert office.header("Authorization") == "Bearer t0ken-of-the-office"
    assert "t0ken" not in result.output and TEXT not in result.output


def test_the_planned_sources_have_the_schemas_of_their_collections(office: HttpServer, tmp_path: Path) -> None:
    planned = plan_sources((variables(tmp_path, office, '{"properties": {"n": {"minimum": 0.10}}}'),))
    assert planned.schemas == {"things": '{"properties": {"n": {"minimum": 0.10}}}'}
    assert planned.declared().load("rows").collection.read == "public"
