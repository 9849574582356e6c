"""Test how `up` brings a local run up: it starts over once after a conflict, and cleans up after a failure."""

import dataclasses

import pytest

from ops.console import CommandError, Progress
from ops.local import back_office, emulator, session, stack, stores, up
from ops.local.edge_control import EdgeControl
from tests.unit.ops.local.support import APPLIED, ZIPS

pytestmark = pytest.mark.usefixtures("runs_in_tmp_path")


class Servers:
    """A stand-in for the stores of a run."""

    def __init__(self, *, alive: bool = True) -> None:
        self.alive, self.revived = alive, 0

    def revive(self) -> None:
        self.revived += 1

    def describe(self) -> str:
        return "The stores are up"


class FakeRuns:
    """A stand-in for the emulator, the back office and Terraform.

    It stands in for the stores and for `feed`, too. Each `terraform apply` takes the next entry of ``errors``. It
    raises the entry, or succeeds if this is ``None``.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *errors: Exception | None) -> None:
        self.errors, self.steps = list(errors), list[str]()
        self.offices, self.offices_stopped = 0, 0
        self.stores: Servers | None = None
        self.commands = list[tuple[str, object]]()
        self.overrides: list[object] = []
        monkeypatch.setattr(up, "terraform", lambda: "terraform")
        monkeypatch.setattr(up, "build", lambda target: (ZIPS, False))
        monkeypatch.setattr(emulator, "start", self.start)
        monkeypatch.setattr(emulator, "stop", lambda name: self.steps.append("stop"))
        monkeypatch.setattr(back_office, "start", self.start_office)
        monkeypatch.setattr(back_office, "stop", self.stop_office)
        monkeypatch.setattr(stack, "apply", self.apply)
        monkeypatch.setattr(stores, "load", lambda name: self.stores)
        monkeypatch.setattr(stores, "start", self.start_stores)
        monkeypatch.setattr(stores, "stop", self.stop_stores)
        monkeypatch.setattr(session, "feed", self.feed)
        monkeypatch.setattr(session, "use", lambda endpoint: None)
        monkeypatch.setattr(session, "make_managed_keys", lambda regions: None)

    def start(self, name: str, port: int) -> emulator.Emulator:
        self.steps.append("start")
        return emulator.Emulator(name, 1, 4566)

    def start_office(self, name: str, rows: int | None) -> back_office.BackOffice:
        self.offices += 1
        return back_office.BackOffice(name, 1, 8000 + self.offices, 1)

    def stop_office(self, name: str) -> None:
        self.offices_stopped = self.offices

    def start_stores(self, name: str) -> "Servers":
        self.stores = Servers()
        return self.stores

    def stop_stores(self, name: str) -> None:
        self.stores = None

    def feed(self, outputs: stack.Outputs, region: str, event: object) -> dict[str, list[str]]:
        self.commands.append((region, event))
        return {"steps": []}

    def apply(self, *arguments: object) -> stack.Stack:
        self.steps.append("apply")
        assert arguments[-3:-1] == (f"http://localhost:{8000 + self.offices}", self.stores)
        assert self.stores is not None
        self.overrides.append(arguments[-1])
        if error := self.errors.pop(0):
            raise error
        return APPLIED


@pytest.mark.parametrize("client", ["", "botocore", "Boto3"])
def test_an_unknown_client_is_refused_before_the_first_step(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = FakeRuns(monkeypatch)
    monkeypatch.setenv("READPLANE_CLIENT", client)
    with pytest.raises(CommandError, match="set it to slim or boto3"):
        up.up("x", 4566, Progress())
    assert runs.steps == []


def test_a_conflict_is_worth_one_fresh_start(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = FakeRuns(monkeypatch, stack.ConflictError("there already"), None)
    assert up.up("x", 4566, Progress()) == APPLIED
    assert runs.steps == ["start", "apply", "stop", "start", "apply"]
    assert (runs.offices, runs.offices_stopped) == (2, 1), "the new stack has a new back office"
    assert runs.overrides == [{}, {}]
    runs = FakeRuns(monkeypatch, stack.ConflictError("there already"), stack.ConflictError("there again"))
    with pytest.raises(CommandError, match="there again"):
        up.up("x", 4566, Progress())


def test_a_failed_apply_stops_the_emulator_and_the_back_office(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = FakeRuns(monkeypatch, CommandError("bad"))
    with pytest.raises(CommandError, match="bad"):
        up.up("x", 4566, Progress())
    assert runs.steps == ["start", "apply", "stop"]
    assert runs.stores is None
    assert (runs.offices, runs.offices_stopped) == (1, 1)


@pytest.mark.parametrize(("edge_id", "edge_port", "chosen"), [("E1", 8080, ["E1"]), (None, 8080, []), ("E1", 0, [])])
def test_the_distribution_answers_at_the_emulators_second_port(
    edge_id: str | None, edge_port: int, chosen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The port serves the distribution after every apply, if the stack has one and the emulator has the port."""
    seen: list[str] = []
    FakeRuns(monkeypatch, None)
    applied = dataclasses.replace(APPLIED, outputs=dataclasses.replace(APPLIED.outputs, edge_id=edge_id))
    monkeypatch.setattr(stack, "apply", lambda *arguments: applied)
    running = emulator.Emulator("x", 1, 4566, edge_port)
    monkeypatch.setattr(emulator, "running", lambda name: running)
    monkeypatch.setattr(back_office, "running", lambda name: None)
    monkeypatch.setattr(EdgeControl, "choose", lambda control, distribution: seen.append(distribution))
    up.up("x", 4566, Progress())
    assert seen == chosen


def test_the_databases_of_both_regions_are_migrated_after_the_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = FakeRuns(monkeypatch, None)
    up.up("x", 4566, Progress(), overrides={"edge": None})
    assert runs.overrides == [{"edge": None}]
    assert runs.commands == [("x", {"command": "migrate"})] * 2, "the outputs name both Regions x"


@pytest.mark.parametrize(("alive", "revived"), [(True, 1), (False, 0)])
def test_a_second_run_revives_the_stores_of_the_first(
    alive: bool, revived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = FakeRuns(monkeypatch, None)
    runs.stores = servers = Servers(alive=alive)
    monkeypatch.setattr(emulator, "running", lambda name: emulator.Emulator(name, 1, 4566))
    monkeypatch.setattr(back_office, "running", lambda name: None)
    monkeypatch.setattr(EdgeControl, "choose", lambda control, distribution: None)
    up.up("x", 4566, Progress())
    assert runs.steps == ["apply"]
    assert servers.revived == revived
    assert (runs.stores is servers) == alive, "stores that have all ended are started anew"
