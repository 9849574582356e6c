import json
from types import SimpleNamespace
from typing import Any

import pytest

from readplane import entrypoint
from readplane.aws.faults import AwsError, RefusedError
from readplane.entrypoint import CHECK, Entrypoint, Event, Function

LAMBDA = "AWS_LAMBDA_FUNCTION_NAME"
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 15_000)
DENIED = RefusedError("AccessDenied", 403)


class Maker:
    """Makes a new function at each call and counts the calls.

    Each function that it makes returns its number, the event and the context. So a test sees which function was called.
    The first calls raise ``errors``, one each.
    """

    def __init__(self, *errors: Exception) -> None:
        self.count = 0
        self._errors = list(errors)

    def __call__(self) -> Function:
        self.count += 1
        number = self.count
        if self._errors:
            raise self._errors.pop(0)

        def function(event: Event, context: Any) -> dict[str, Any]:
            return {"number": number, "event": event, "context": context}

        return function


class Clock:
    """Stands for the module ``time``. Sleeping takes no time and moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(entrypoint, "time", clock)
    return clock


@pytest.fixture
def in_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LAMBDA, "demo-read")


def test_in_lambda_the_function_is_made_at_import(in_lambda: None) -> None:
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


def test_an_error_in_init_is_logged_and_the_next_event_makes_the_function(
    in_lambda: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """If init failed, SnapStart would give up the version for good."""
    handler = Entrypoint(Maker(ValueError("settings"), ValueError("settings")))
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"], line["function"]) == ("init_failed", "ERROR", "demo-read")
    with pytest.raises(ValueError, match="settings"):
        handler({}, None)
    assert handler({}, None)["number"] == 3


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "NoSuchKey", "NoSuchVersion"])
@pytest.mark.parametrize(("kind", "seconds"), [("on-demand", 5), ("snap-start", 60)])
def test_init_retries_what_a_new_stack_may_refuse_at_first(
    code: str, kind: str, seconds: int, in_lambda: None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", kind)
    handler = Entrypoint(Maker(*[RefusedError(code, 403)] * 4))
    assert handler({}, None)["number"] == 5
    assert 0 < clock.now < 5
    clock.now = 0
    maker = Maker(*[RefusedError(code, 403)] * 1_000)
    Entrypoint(maker)
    assert seconds / 2 < clock.now <= seconds
    assert maker.count < 25


@pytest.mark.parametrize(
    "error", [ValueError("settings"), AwsError("ReadTimeoutError"), RefusedError("NoSuchBucket", 404)]
)
def test_init_retries_nothing_else(error: Exception, in_lambda: None, clock: Clock) -> None:
    maker = Maker(error)
    Entrypoint(maker)
    assert (maker.count, clock.now) == (1, 0)


def test_a_request_waits_for_no_retry(in_lambda: None, clock: Clock) -> None:
    handler = Entrypoint(Maker(*[DENIED] * 1_000))
    clock.now = 0
    with pytest.raises(RefusedError):
        handler({"httpMethod": "GET"}, CONTEXT)
    assert clock.now == 0


def test_a_check_lists_the_problems_and_calls_no_function(in_lambda: None) -> None:
    checks: list[str] = []

    def check() -> list[str]:
        checks.append("called")
        return ["a problem", "another"]

    def make() -> Function:
        def function(event: Event, context: Any) -> dict[str, Any]:
            assert event != CHECK
            return {}

        return function

    handler = Entrypoint(make, check)
    assert handler({"httpMethod": "GET"}, CONTEXT) == {} and checks == []
    assert handler(json.loads('{"check": true}'), CONTEXT) == {"problems": ["a problem", "another"]}
    assert Entrypoint(make)(CHECK, CONTEXT) == {"problems": []}


@pytest.mark.parametrize(
    "event",
    [{"check": True, "httpMethod": "GET"}, {"check": False}, {"check": "true"}, {"Records": []}, {}],
    ids=["a-request", "false", "a-text", "a-batch", "nothing"],
)
def test_no_other_event_is_a_check(event: Event, in_lambda: None) -> None:
    """An event of API Gateway has members of its own beside those that a client could choose."""
    assert Entrypoint(Maker(), lambda: ["a problem"])(event, None)["event"] == event


def test_a_check_retries_until_half_of_its_time_is_over(in_lambda: None, clock: Clock) -> None:
    handler = Entrypoint(Maker(*[DENIED] * 6, ValueError("init")))
    clock.now = 0
    with pytest.raises(ValueError, match="init"):
        handler(CHECK, CONTEXT)
    assert handler(CHECK, CONTEXT) == {"problems": []}
    handler = Entrypoint(Maker(*[DENIED] * 1_000))
    clock.now = 0
    with pytest.raises(RefusedError):
        handler(CHECK, CONTEXT)
    assert 3 < clock.now <= 7.5


def test_a_check_of_a_function_that_cannot_start_fails_with_its_error(in_lambda: None) -> None:
    handler = Entrypoint(Maker(*[ValueError("READPLANE_SETTINGS: name must be a text")] * 2))
    with pytest.raises(ValueError, match="name must be a text"):
        handler(CHECK, CONTEXT)
