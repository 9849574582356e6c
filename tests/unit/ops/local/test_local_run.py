"""The local run's own promises: never an AWS account, plain words for what is in the way, nothing left half done."""

import dataclasses
import io
import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops import terraform
from ops.build.zips import Zips
from ops.console import ROOT, CommandError, Progress
from ops.local import back_office, down, emulator, poll_demo, session, stack, up
from readplane.aws.client import CLIENTS

OUTPUTS = json.dumps({field.name: {"value": "x"} for field in dataclasses.fields(stack.Outputs)})
ZIPS = Zips(Path("h.zip"), Path("f.zip"), Path("l.zip"), Path("p.zip"))


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(emulator, "folder", lambda name: tmp_path / name)


@pytest.mark.parametrize(
    "endpoint",
    ["https://s3.eu-central-1.amazonaws.com", "https://sts.amazonaws.com.cn", "https://x.api.aws", "aws"],
)
def test_an_endpoint_at_aws_is_refused(endpoint: str) -> None:
    with pytest.raises(CommandError, match="needs the URL of an emulator"):
        stack.environment(endpoint)


def test_terraform_gets_none_of_the_caller_s_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    env = terraform.environment() | stack.environment("http://localhost:4566")
    assert {key: value for key, value in env.items() if key.startswith("AWS_")} == {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": "http://localhost:4566",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_a_busy_port_names_its_holder_and_what_to_do() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(CommandError, match=rf"Port {port} is in use by .+make demo PORT={port + 1}"):
            emulator.start("busy", port)


def test_without_terraform_the_failure_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match=r"Terraform 1\.11 or newer is needed[\s\S]*developer\.hashicorp\.com"):
        terraform.terraform()
    old = tmp_path / "terraform"
    old.write_text('#!/bin/sh\necho \'{"terraform_version": "1.9.8"}\'\n')
    old.chmod(0o755)
    with pytest.raises(CommandError, match=r"is 1\.9\.8"):
        terraform.terraform()


def test_without_a_python_the_failure_says_how_to_get_it(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["/bin/sh", ROOT / "ops/find-python", "3.99"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "uv python install 3.99" in done.stderr


def test_a_mirror_is_found_four_levels_down_and_not_inside_a_terraform_folder(tmp_path: Path) -> None:
    (tmp_path / "a/.terraform/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    (tmp_path / "a/b/c/d/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    assert list(terraform._mirrors(tmp_path, 4)) == []
    (tmp_path / "a/b/c/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    assert list(terraform._mirrors(tmp_path, 4)) == [tmp_path / "a/b/c"]


def test_the_client_of_the_hot_path_is_what_the_functions_themselves_would_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("READPLANE_CLIENT", raising=False)
    assert stack.aws_client() == "slim"
    for client in CLIENTS:
        monkeypatch.setenv("READPLANE_CLIENT", client)
        assert stack.aws_client() == client


@pytest.mark.parametrize("client", ["", "botocore", "Boto3"])
def test_a_client_that_there_is_not_is_refused_before_anything_is_done(
    client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(monkeypatch)
    monkeypatch.setenv("READPLANE_CLIENT", client)
    with pytest.raises(CommandError, match="set it to slim or boto3"):
        up.up("x", 4566, Progress())
    assert runs.done == []


def test_an_apply_is_given_the_artefacts_and_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("READPLANE_CLIENT", "boto3")
    monkeypatch.setattr(stack, "_copy", lambda name, back_office: tmp_path)
    monkeypatch.setattr(terraform, "init", lambda folder, env: "nowhere")
    monkeypatch.setattr(terraform, "terraform", lambda: "terraform")
    monkeypatch.setattr(stack, "_run_apply", lambda *_: None)
    monkeypatch.setattr(stack, "run_tool", lambda *_, **__: OUTPUTS)
    built = Zips(*(tmp_path / "dist" / path for path in ZIPS))
    built.hot.parent.mkdir()
    for path in built:
        path.write_text(path.name)
    applied = stack.apply(".", "http://localhost:4566", built, Progress())
    for path in built:  # somebody else's build may come while Terraform works
        path.unlink()
    assert json.loads((tmp_path / "run.tfvars.json").read_text()) == {
        "hot_zip": str(tmp_path / "h.zip"),
        "functions_zip": str(tmp_path / "f.zip"),
        "layer_zip": str(tmp_path / "l.zip"),
        "poll_layer_zip": str(tmp_path / "p.zip"),
        "aws_client": "boto3",
        "api_base_url": "http://localhost:4566/_aws/execute-api/{api_id}",
    }
    assert [(tmp_path / path).read_text() for path in ZIPS] == [str(path) for path in ZIPS]
    monkeypatch.setattr(emulator, "healthy", lambda endpoint: True)
    assert stack.load(".") == applied and applied.aws_client == "boto3"


class Runs:
    """Stands in for the emulator and Terraform: each apply fails as told, or succeeds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *fates: Exception | None) -> None:
        self.fates, self.done = list(fates), list[str]()
        self.offices, self.offices_stopped = 0, 0
        monkeypatch.setattr(up, "terraform", lambda: "terraform")
        monkeypatch.setattr(up, "build", lambda target: (ZIPS, False))
        monkeypatch.setattr(emulator, "start", self.start)
        monkeypatch.setattr(emulator, "stop", lambda name: self.done.append("stop"))
        monkeypatch.setattr(back_office, "start", self.start_office)
        monkeypatch.setattr(back_office, "stop", self.stop_office)
        monkeypatch.setattr(stack, "apply", self.apply)
        monkeypatch.setattr(session, "use", lambda endpoint: None)
        monkeypatch.setattr(session, "make_managed_keys", lambda regions: None)

    def start(self, name: str, port: int) -> emulator.Emulator:
        self.done.append("start")
        return emulator.Emulator(name, 1, 4566)

    def start_office(self, name: str, rows: int | None) -> back_office.BackOffice:
        self.offices += 1
        return back_office.BackOffice(name, 1, 8000 + self.offices, 1)

    def stop_office(self, name: str) -> None:
        self.offices_stopped = self.offices

    def apply(self, *given: object) -> str:
        self.done.append("apply")
        assert given[-1] == f"http://localhost:{8000 + self.offices}"
        if fate := self.fates.pop(0):
            raise fate
        return "applied"


def test_a_lost_answer_is_worth_one_fresh_start(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, stack.Conflict("there already"), None)
    assert up.up("x", 4566, Progress()) == "applied"  # type: ignore[comparison-overlap]
    assert runs.done == ["start", "apply", "stop", "start", "apply"]
    assert (runs.offices, runs.offices_stopped) == (2, 1), "the new stack has a new back office"
    runs = Runs(monkeypatch, stack.Conflict("there already"), stack.Conflict("there again"))
    with pytest.raises(CommandError, match="there again"):
        up.up("x", 4566, Progress())


def test_a_failed_apply_leaves_no_half_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(monkeypatch, CommandError("bad"))
    with pytest.raises(CommandError, match="bad"):
        up.up("x", 4566, Progress())
    assert runs.done == ["start", "apply", "stop"]
    assert (runs.offices, runs.offices_stopped) == (1, 1)


def test_the_copied_settings_name_the_run_s_own_back_office() -> None:
    """The port in the local settings may be somebody else's; the settings themselves stay as they are."""
    named = (terraform.SOURCE / stack.VARIABLES).read_text()
    assert stack.BACK_OFFICE in named
    copied = (stack._copy("x", "http://localhost:50123") / stack.VARIABLES).read_text()
    assert stack.BACK_OFFICE not in copied
    assert copied.count("http://localhost:50123") == named.count(stack.BACK_OFFICE)
    assert (terraform.SOURCE / stack.VARIABLES).read_text() == named


def test_the_copy_leaves_nothing_out_but_the_settings_of_a_backend_and_the_tests(tmp_path: Path) -> None:
    kept = {path.relative_to(terraform.SOURCE) for path in terraform.SOURCE.rglob("*") if path.is_file()}
    kept = {path for path in kept if not {"tests", ".terraform"} & set(path.parts)}
    kept -= {path for path in kept if path.name == "backend.tf" or path.name.startswith("terraform.tfstate")}
    folder = stack._copy("x", stack.BACK_OFFICE)
    assert {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} == kept


APPLIED = stack.Stack(
    "x",
    "http://localhost:4566",
    stack.Outputs(**{**{n: e["value"] for n, e in json.loads(OUTPUTS).items()}, "sources": {"s": '{"source":{}}'}}),
    "slim",
)


def test_a_catch_up_is_polled_to_its_end_and_counted_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        {"outcome": "running"},  # the schedule was faster
        {"outcome": "unfinished", "records": 3, "changes": 2},
        {"outcome": "completed", "records": 4, "changes": 4},
    ]
    monkeypatch.setattr(poll_demo, "poll", lambda outputs, event: told.pop(0))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert poll_demo._poll(APPLIED, "s") == {"outcome": "completed", "records": 7, "changes": 6}


def test_a_source_that_never_gets_there_ends_the_demo_with_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll_demo, "poll", lambda outputs, event: {"outcome": "open"})
    monkeypatch.setattr(poll_demo, "PATIENCE", 0.0)
    with pytest.raises(CommandError, match="'outcome': 'open'"):
        poll_demo._poll(APPLIED, "s")


def test_stale_reads_are_told() -> None:
    seconds = [0.01] * 98 + [0.2] * 2
    assert str(poll_demo.Reads(seconds, 0)) == "100 reads, all 200, median 10 ms, p99 200 ms"
    assert str(poll_demo.Reads(seconds, 7)).endswith(", 7 of them with Readplane-Stale")


def test_a_poll_that_raises_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [
        {"Payload": io.BytesIO(b'{"outcome":"completed"}')},
        {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage":"no such collection"}')},
    ]
    asked: list[Any] = []

    class Functions:
        def client(self, service: str, config: object) -> "Functions":
            return self

        def invoke(self, **given: Any) -> Any:
            asked.append(given)
            return answers.pop(0)

    monkeypatch.setattr(session, "root", lambda region: Functions())
    assert session.poll(APPLIED.outputs, {"validate": []}) == {"outcome": "completed"}
    assert asked == [{"FunctionName": "x", "Payload": b'{"validate": []}'}]
    with pytest.raises(CommandError, match="no such collection"):
        session.poll(APPLIED.outputs, {"validate": []})
    with pytest.raises(CommandError, match="nothing to poll"):
        session.poll(dataclasses.replace(APPLIED.outputs, poll_function=None), {})


def test_down_says_what_it_would_remove_and_removes_it(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert down.down("x", dry_run=True) == [f"removed {tmp_path / 'x'}"]
    assert (tmp_path / "x").exists()
    assert down.down("x") == [f"removed {tmp_path / 'x'}"]
    assert not (tmp_path / "x").exists()
    assert down.down("x") == []
