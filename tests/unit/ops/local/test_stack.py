"""Test how a local run applies terraform/ to its emulator, and never to an AWS account.

The resulting stack uses copies of the zips, and the back office of the same run.
"""

import json
import re
from pathlib import Path

import pytest

from ops import terraform
from ops.build.targets import Zips
from ops.console import CommandError, Progress
from ops.local import emulator, stack
from ops.local.stores import PORTS
from readplane.aws.client import CLIENTS
from tests.unit.ops.local.support import OUTPUTS, ZIPS

pytestmark = pytest.mark.usefixtures("runs_in_tmp_path")


@pytest.mark.parametrize(
    "endpoint",
    ["https://s3.eu-central-1.amazonaws.com", "https://sts.amazonaws.com.cn", "https://x.api.aws", "aws"],
)
def test_an_endpoint_at_aws_is_refused(endpoint: str) -> None:
    with pytest.raises(CommandError, match="needs the URL of an emulator"):
        stack.environment(endpoint)


def test_terraform_gets_none_of_the_callers_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_terraform_and_the_functions_choose_the_same_aws_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("READPLANE_CLIENT", raising=False)
    assert stack.aws_client() == "slim"
    for client in CLIENTS:
        monkeypatch.setenv("READPLANE_CLIENT", client)
        assert stack.aws_client() == client


def test_an_apply_gets_copies_of_the_zips_and_the_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("READPLANE_CLIENT", "boto3")
    monkeypatch.setattr(stack, "_copy", lambda *_: tmp_path)
    monkeypatch.setattr(terraform, "init", lambda folder, env: "nowhere")
    monkeypatch.setattr(terraform, "terraform", lambda: "terraform")
    monkeypatch.setattr(stack, "_run_apply", lambda *_: None)
    monkeypatch.setattr(stack, "run_tool", lambda *_, **__: OUTPUTS)
    built = Zips(*(tmp_path / "dist" / path for path in ZIPS))
    built.hot.parent.mkdir()
    for path in built:
        path.write_text(path.name)
    applied = stack.apply(".", "http://localhost:4566", built, Progress())
    for path in built:  # delete the built zips, because the stack must work with its own copies
        path.unlink()
    assert json.loads((tmp_path / "run.tfvars.json").read_text()) == {
        "hot_zip": str(tmp_path / "h.zip"),
        "functions_zip": str(tmp_path / "f.zip"),
        "layer_zip": str(tmp_path / "l.zip"),
        "poll_layer_zip": str(tmp_path / "p.zip"),
        "edge_auth_zip": str(tmp_path / "e.zip"),
        "database_layer_zip": str(tmp_path / "d.zip"),
        "dax_layer_zip": str(tmp_path / "x.zip"),
        "aws_client": "boto3",
        "api_base_url": "http://localhost:4566/_aws/execute-api/{api_id}",
    }
    assert [(tmp_path / path).read_text() for path in ZIPS] == [str(path) for path in ZIPS]
    monkeypatch.setattr(emulator, "healthy", lambda endpoint: True)
    assert stack.load(".") == applied and applied.aws_client == "boto3"


def test_the_copied_settings_name_the_runs_own_back_office() -> None:
    """Each run's copy of the local settings gets the URL of the run's own back office.

    The original settings name a fixed port. The run's back office may have another port, because another program may
    use the fixed one. The original settings don't change.
    """
    settings = (terraform.SOURCE / stack.VARIABLES).read_text()
    assert stack.BACK_OFFICE in settings
    copied = (stack._copy("x", "http://localhost:50123", {}) / stack.VARIABLES).read_text()
    assert stack.BACK_OFFICE not in copied
    assert copied.count("http://localhost:50123") == settings.count(stack.BACK_OFFICE)
    assert (terraform.SOURCE / stack.VARIABLES).read_text() == settings


def test_the_copied_settings_name_the_runs_own_stores() -> None:
    """Each port in the original settings is replaced once, also if a new port equals another old one."""
    ports = {port: port + 1 for standing in PORTS.values() for port in standing.values()}
    settings = (terraform.SOURCE / stack.VARIABLES).read_text()
    copied = (stack._copy("x", "http://localhost:16379", ports) / stack.VARIABLES).read_text()
    for port in ports:
        assert len(re.findall(rf"port = {port}\b", settings)) == 1
        assert len(re.findall(rf"port = {port + 1}\b", copied)) == 1
    assert "http://localhost:16379" in copied, "the back office may have such a port"


def test_the_copy_leaves_out_nothing_but_the_settings_of_a_backend_and_the_tests() -> None:
    expected = {path.relative_to(terraform.SOURCE) for path in terraform.SOURCE.rglob("*") if path.is_file()}
    expected = {path for path in expected if not {"tests", ".terraform"} & set(path.parts)}
    expected -= {path for path in expected if path.name == "backend.tf" or path.name.startswith("terraform.tfstate")}
    folder = stack._copy("x", stack.BACK_OFFICE, {})
    assert {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()} == expected
