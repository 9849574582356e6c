"""Tests that a client generated from the stack's OpenAPI document calls every route of the stack."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients import tools
from tests.clients.recorder import Recorder, recording
from tests.local.support import Local
from tests.local.test_backends import fresh_key, key_of

METHODS = ("get", "head", "put", "post", "delete", "patch")

BROWSERS_ONLY = ("/items/bulletins", "/documents/bulletins")
"""The paths of the collection that only the tests in Chromium call (test_browser.py)."""

NEVER_2XX = {"readTariffsItem", "readTariffsDocument", "readTariffsChange", "readCurrenciesItem"}
"""The operations that get only 404s on the local stack: nobody writes tariffs, and a snapshot has no items."""


def run_typescript(project: Path, env: dict[str, str]) -> str:
    return tools.node("build/every_route.js", cwd=project, env=env)


def run_python(project: Path, env: dict[str, str]) -> str:
    return tools.run(tools.PYTHON, "every_route.py", cwd=project, env=env)


@pytest.mark.parametrize(
    ("language", "program"), [("typescript", run_typescript), ("python", run_python)], ids=["typescript", "python"]
)
def test_a_generated_client_calls_every_route(
    polled_stack: Local,
    contract: Path,
    language: str,
    program: Callable[[Path, dict[str, str]], str],
    request: pytest.FixtureRequest,
) -> None:
    project: Path = request.getfixturevalue(language)
    refused = ("PUT", "/items/countries/XU")
    with recording(f"{polled_stack.outputs.api_url}/v1", refuse_once=refused) as recorder:
        output = program(project, settings(polled_stack, recorder))
    print(output)

    statuses = statuses_by_operation(json.loads(contract.read_text()), recorder)
    assert [name for name, of_operation in statuses.items() if not of_operation] == [], "operations not called"
    unsuccessful = {name for name, of_operation in statuses.items() if not any(200 <= s < 300 for s in of_operation)}
    assert unsuccessful == NEVER_2XX
    assert {401, 403, 404, 422, 501} <= set.union(*statuses.values())
    # The client repeated the request that the proxy refused.
    puts = [call.status for call in recorder.calls if call[:2] == refused]
    assert puts[:2] == [503, 202]


def settings(stack: Local, recorder: Recorder) -> dict[str, str]:
    """Return the environment variables of a program: the API's address and what two users need to call it."""
    return {
        "READPLANE_URL": recorder.url,
        "USER_TOKEN": stack.alice.access_token,
        "EDITOR_TOKEN": stack.eve.access_token,
        "BACKOFFICE_KEY": key_of(stack, "backoffice"),
        "STAFF_KEY": fresh_key(stack, "staff"),
    }


def statuses_by_operation(contract: dict[str, Any], recorder: Recorder) -> dict[str, set[int]]:
    """Return the statuses of each operation's responses, by operation id. Check that the contract lists each status.

    A call belongs to the operation with the most specific path: `/documents/sources/x` before `/documents/{id}`.
    """
    operations = {
        (method.upper(), path): item[method]
        for path, item in contract["paths"].items()
        for method in METHODS
        if method in item and not path.startswith(BROWSERS_ONLY)
    }
    statuses: dict[str, set[int]] = defaultdict(set)
    for operation in operations.values():
        assert statuses[operation["operationId"]] == set(), "an operation id occurs twice"
    for call in recorder.calls:
        fitting = [path for method, path in operations if method == call.method and fits(path, call.path)]
        assert fitting, f"{call} is no operation of the contract"
        operation = operations[call.method, min(fitting, key=lambda path: path.count("{"))]
        assert str(call.status) in operation["responses"] or "default" in operation["responses"], call
        statuses[operation["operationId"]].add(call.status)
    return dict(statuses)


def fits(template: str, path: str) -> bool:
    """Return whether a path matches a path template such as `/items/products/{item_id}`."""
    return re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path) is not None
