"""Test that every command with the options of a job prints JSON with --json, also without --yes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ops.audit import leaf_commands
from ops.cli import erase, flush_cache, import_, rebuild, rebuild_items
from ops.cli.collection_stores import Declared
from ops.cli.items_generations import Generations
from ops.cli.main import main
from ops.cli.private_stores import StoreQueue
from ops.cli.users import Pool, PoolUser
from tests.fakes.moto_aws import REGION
from tests.unit.ops.cli.support import OUTPUTS, Run
from tests.unit.support import ALICE

NAME = "clerk@example.com"

CALLS = {
    "import": "rows.jsonl --collection products",
    "erase begin": f"--owner {ALICE}",
    "erase finish": f"--owner {ALICE}",
    "flush-cache": "",
    "user add": f"{NAME} --group editors",
    "user remove": f"{NAME} --leave-groups",
    "replay": "--from 2026-01-31T12:00:00Z",
    "rebuild documents": "",
    "rebuild cache": "",
    "rebuild relational": "",
    "rebuild items fill": "",
    "rebuild items verify": "",
    "rebuild items switch": "",
    "rebuild items back": "",
}
"""The words of a call of each command with the options of a job."""


@pytest.fixture
def call(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Run:
    """Replace what the commands ask AWS about the stack. Return a function that runs a command line."""
    for name, value in {"user_pool_id": "pool", "edge_id": "E1"}.items():
        monkeypatch.setitem(OUTPUTS, name, value)
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps({name: {"value": value} for name, value in OUTPUTS.items()}))
    (tmp_path / "rows.jsonl").write_text('{"id": "p-1", "data": {}}\n')
    monkeypatch.chdir(tmp_path)

    def answer(place: Any, **answers: Any) -> None:
        for name, value in answers.items():
            monkeypatch.setattr(place, name, lambda *_, value=value, **__: value)

    stage = flush_cache.StageCache(REGION, "one", "0.5")
    answer(flush_cache, _stage_caches=([stage], [f"{REGION}: API Gateway doesn't show the stage."]))
    answer(Pool, find=PoolUser("sub", True, "CONFIRMED", frozenset({"readers"})), groups=frozenset({"editors"}))
    answer(import_, _check_collection="public", _schema={})
    answer(erase, _users=[], _wait_seconds=0.0, _check_ready=0.0, _check_notifications=None)
    answer(erase, owner_sources=frozenset(), document_versions=iter(()))
    queue = StoreQueue("cache", "https://sqs.test/1/feed", ("products",))
    answer(rebuild, declared_collections={"products": Declared("public", retired=False)}, store_queue=queue)
    second = SimpleNamespace(name="items-2", id="0123")
    direction = Generations(2, None, 1) if "back" in request.node.name else Generations(1, 2, None)
    answer(rebuild_items, require_second=(direction, second), require_begun=SimpleNamespace(restored=False))
    answer(rebuild_items, require_functions=[], refuse_unfinished_erase=None, declared_collections={})
    answer(rebuild_items, _apply_settings=SimpleNamespace(collections={}, horizon_ms=1), read_record={})
    answer(rebuild_items, describe_table={"ItemCount": 1}, _require_verified=None)
    return run


def test_every_command_with_a_job_has_a_call() -> None:
    commands = {
        name
        for command, name in leaf_commands(main)
        if {"take_over", "as_json"} <= {parameter.name for parameter in command.params}
    }
    assert commands - {"deploy"} == CALLS.keys(), "`deploy` has options of its own, and test_deploy.py reads its JSON"


@pytest.mark.parametrize("command", CALLS)
def test_the_plan_of_a_command_is_json(call: Run, command: str) -> None:
    plain = call(*command.split(), *CALLS[command].split())
    assert plain.exit_code == 0 and plain.stdout, plain.exception
    result = call(*command.split(), *CALLS[command].split(), "--json")
    assert result.exit_code == 0, result.exception
    plan = json.loads(result.stdout)
    if "step" in plan:  # of `rebuild items`, which also says what to set before the next step
        assert not plan["done"] and plan["next"]
        return
    assert (plan["command"], plan["outcome"]) == (command, "planned")
    if command in ("flush-cache", "user add", "user remove"):
        assert plan["steps"] == plain.stdout.splitlines()[:-1]


@pytest.mark.parametrize("yes", [(), ("--yes",)], ids=["without yes", "with yes"])
def test_nothing_to_do_is_json_too(call: Run, yes: tuple[str, ...]) -> None:
    words = ("user", "add", NAME, *yes)
    assert call(*words).stdout == "Nothing to do: the user may sign in, and is in these groups.\n"
    assert json.loads(call(*words, "--json").stdout) == {"command": "user add", "outcome": "done", "counts": {}}
