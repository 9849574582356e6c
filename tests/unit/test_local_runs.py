"""Test which of the local tests a run with boto3 leaves out, and that these tests can't call the stack's functions."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from readplane.aws.client import CLIENTS, VARIABLE
from tests.local.conftest import pytest_collection_modifyitems
from tests.local.early import EarlyTests
from tests.local.support import Local

STACK = Local(*cast(Any, ("stack", "alice", "bob", "eve", "terraform")))


def item(name: str, *markers: str, body: Any = None) -> Any:
    found = Mock(spec=pytest.Function, nodeid=name, obj=body)
    found.name = name
    found.get_closest_marker = lambda marker: marker if marker in markers else None
    return found


@pytest.mark.parametrize("client", [None, *CLIENTS])
def test_a_run_with_boto3_leaves_out_the_early_tests_and_no_others(
    client: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if client:
        monkeypatch.setenv(VARIABLE, client)
    deselected: list[Any] = []
    config: Any = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items)))
    items = [item("last", "runs_last"), item("quiet", "quiet"), item("early", "early"), item("plain")]
    pytest_collection_modifyitems(config, items)
    early = [] if client == "boto3" else ["early"]
    assert [entry.nodeid for entry in items] == ["plain", *early, "quiet", "last"]
    assert [entry.nodeid for entry in deselected] == (["early"] if client == "boto3" else [])


def run_early(body: Any, folder: Path) -> None:
    test = item("early", "early", body=body)
    tests = EarlyTests([test], STACK, lambda _name: folder)
    try:
        tests.wait_for(test)
    finally:
        tests.stop()


@pytest.mark.parametrize(
    "call",
    [
        lambda stack: stack.api(stack.eve),
        lambda stack: stack.client("dynamodb"),
        lambda stack: stack.events("write", "change_accepted"),
    ],
)
def test_an_early_test_cannot_call_the_functions_of_the_stack(call: Any, tmp_path: Path) -> None:
    def body(stack: Local, tmp_path: Path) -> None:
        call(stack)

    with pytest.raises(AssertionError, match="the run with boto3 leaves this test out"):
        run_early(body, tmp_path)


def test_an_early_test_gets_the_rest_of_the_stack_and_a_folder(tmp_path: Path) -> None:
    calls: list[Any] = []

    def body(stack: Local, tmp_path: Path) -> None:
        calls.append((stack.stack, stack.terraform, stack.seen is STACK.seen, tmp_path))

    run_early(body, tmp_path)
    assert calls == [("stack", "terraform", True, tmp_path)]
