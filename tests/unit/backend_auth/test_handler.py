import fnmatch
import hashlib
import json
import re
from typing import Any

import pytest

from ops.console import ROOT
from readplane.backend_auth.handler import REFUSED_IN_PATHS, BackendAuth, BackendAuthSettings
from readplane.config import VARIABLE, SettingsError, load_settings
from readplane.entrypoint import Event
from readplane.telemetry import Telemetry
from tests.unit.support import settings_text

TERRAFORM = ROOT / "terraform"
STAGE = "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v1"
CRM, ERP = "crm-key-0123456789abcdef", "erp-key-0123456789abcdef"


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def backend_auth() -> BackendAuth:
    settings = BackendAuthSettings("demo", (f"{hashed(CRM)}/crm", f"{hashed(ERP)}/erp"))
    return BackendAuth(settings, Telemetry("backend_auth", "demo"))


def event(key: str | None, path: str = "/backends/crm/items/5", header: str = "X-Api-Key") -> Event:
    headers = {"Accept": "*/*"} | ({} if key is None else {header: key})
    return {"type": "REQUEST", "methodArn": f"{STAGE}/GET{path}", "headers": headers}


def allowed(policy: Event, method: str, path: str) -> bool:
    """Return whether an IAM policy allows a request. As in API Gateway, a matching Deny wins over a matching Allow."""
    effects = {
        statement["Effect"]
        for statement in policy["policyDocument"]["Statement"]
        for pattern in statement["Resource"]
        if fnmatch.fnmatchcase(f"{STAGE}/{method}{path}", pattern)
    }
    return effects == {"Allow"}


@pytest.mark.parametrize("header", ["X-Api-Key", "x-api-key"])
def test_a_key_opens_its_backend(backend_auth: BackendAuth, header: str) -> None:
    policy = backend_auth(event(CRM, header=header))
    assert policy["principalId"] == "crm"
    for method in ("GET", "POST", "DELETE"):
        assert allowed(policy, method, "/backends/crm/items/5")


@pytest.mark.parametrize(
    "path",
    ["/backends/erp/items/5", "/backends/crm2/items", "/backends/crm", "/items/products/5", "/documents/profiles/1"],
)
def test_a_key_opens_nothing_else_whichever_request_made_the_policy(backend_auth: BackendAuth, path: str) -> None:
    assert not allowed(backend_auth(event(CRM)), "GET", path)
    assert not allowed(backend_auth(event(CRM, path)), "GET", path)


@pytest.mark.parametrize("key", [None, "", "wrong", CRM + " ", CRM.upper(), hashed(CRM)])
def test_an_unknown_key_opens_nothing(
    backend_auth: BackendAuth, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = backend_auth(event(key))
    assert not allowed(policy, "GET", "/backends/crm/items/5")
    assert {statement["Effect"] for statement in policy["policyDocument"]["Statement"]} == {"Deny"}
    line = json.loads(capsys.readouterr().out)
    assert line["event"] == "api_key_refused" and (not key or key not in json.dumps(line))


@pytest.mark.parametrize(
    "rest",
    ["../erp/1", "a/../../x", "..", "..;/x", "%2e%2e/x", "%2E./x", "a%2Fb", "..%2f", "%252e%252e%252fx", "a%00"],
)
def test_a_path_that_could_leave_the_base_path_is_denied(backend_auth: BackendAuth, rest: str) -> None:
    assert not allowed(backend_auth(event(CRM)), "GET", f"/backends/crm/{rest}")


@pytest.mark.parametrize("rest", ["", "a.json", "a b", "a%20b", "Äpfel", "%C3%84pfel", ".well-known/x", "v1.2/~me"])
def test_other_paths_are_allowed(backend_auth: BackendAuth, rest: str) -> None:
    assert allowed(backend_auth(event(CRM)), "GET", f"/backends/crm/{rest}")


def test_terraform_refuses_the_same_texts_in_paths() -> None:
    match = re.search(r"refused_in_paths = (\[.*\])", (TERRAFORM / "modules/api/backends.tf").read_text())
    assert match and tuple(json.loads(match[1])) == REFUSED_IN_PATHS


def test_the_settings_map_hashed_keys_to_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    good: dict[str, Any] = {"name": "demo", "keys": [f"{hashed(CRM)}/crm", f"{hashed(ERP)}/erp"]}
    monkeypatch.setenv(VARIABLE, settings_text(good))
    settings = load_settings(BackendAuthSettings)
    assert settings.name == "demo" and settings.backends == {hashed(CRM): "crm", hashed(ERP): "erp"}
    monkeypatch.setenv(VARIABLE, settings_text({"keys": "all"}))
    with pytest.raises(SettingsError, match=r"name must be .*keys must be"):
        load_settings(BackendAuthSettings)
