from typing import Any

import pytest

from readplane.entrypoint import Entrypoint, Event, Function

LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"


class Maker:
    """Makes a new function at each call and counts the calls.

    Each function that it makes returns its number, the event and the context. So a test sees which function was called.
    """

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> Function:
        self.count += 1
        number = self.count

        def function(event: Event, context: Any) -> dict[str, Any]:
            return {"number": number, "event": event, "context": context}

        return function


def test_in_lambda_the_function_is_made_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAMBDA, "demo-read")
    maker = Maker()
    handler = Entrypoint(maker)
    assert maker.count == 1
    assert handler({"a": 1}, "context") == {"number": 1, "event": {"a": 1}, "context": "context"}
    assert maker.count == 1


def test_elsewhere_the_function_is_made_once_for_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAMBDA, raising=False)
    maker = Maker()
    handler = Entrypoint(maker)
    assert maker.count == 0
    assert [handler({}, None)["number"] for _ in range(3)] == [1, 1, 1]


def test_start_makes_the_function_anew() -> None:
    handler = Entrypoint(Maker())
    handler.start()
    handler.start()
    assert handler({}, None)["number"] == 2


def test_bad_settings_stop_the_import_in_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Function:
        raise ValueError("settings")

    monkeypatch.setenv(LAMBDA, "demo-read")
    with pytest.raises(ValueError, match="settings"):
        Entrypoint(fail)
