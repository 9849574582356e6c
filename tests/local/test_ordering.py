"""Tests of changes that depend on the order in which Terraform carries them out.

API Gateway serves a copy of the API, which a deployment makes. If Terraform deployed an API before it changed the API,
the change would never take effect. If it deleted something that the copy still uses, `terraform apply` would fail.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from ops.console import ROOT
from tests.local.support import Local


class ChangingApi:
    """An API of its own on the stack's emulator, which Terraform creates and then changes (ordering.tf)."""

    def __init__(self, stack: Local, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        shutil.copytree(ROOT / "terraform/modules/api", folder / "api")
        shutil.copy(Path(__file__).with_name("ordering.tf"), folder / "main.tf")
        stack.terraform.init(folder)

    def run(self, *words: str) -> str:
        """Run a Terraform command, and return its output. The test fails if the command fails."""
        done = self._stack.terraform.run(self._folder, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def apply(self, *, changed: bool, destroy: bool = False) -> None:
        """Apply the API as it is before or after the changes, or destroy it."""
        pool = f"arn:aws:cognito-idp:us-east-1:000000000000:userpool/{self._stack.outputs.user_pool_id}"
        variables = [f"-var=changed={json.dumps(changed)}", f"-var=user_pool_arn={pool}"]
        self.run("destroy" if destroy else "apply", "-auto-approve", "-input=false", "-no-color", *variables)

    def output(self, name: str) -> Any:
        return json.loads(self.run("output", "-json"))[name]["value"]

    def get(self, path: str) -> int:
        """Return the status of a GET without a token."""
        url = f"{self._stack.stack.endpoint}/_aws/execute-api/{self.output('api_id')}/v1{path}"
        return requests.get(url, timeout=30).status_code


@pytest.mark.early
def test_one_apply_carries_out_every_change(stack: Local, tmp_path: Path) -> None:
    if not stack.ministack:
        pytest.skip("only the patched MiniStack serves what is deployed")
    api = ChangingApi(stack, tmp_path)
    api.apply(changed=False)
    try:
        check_a_change(stack, api)
    finally:
        api.apply(changed=True, destroy=True)


def check_a_change(stack: Local, api: ChangingApi) -> None:
    """Change the API, and check that it serves every change."""
    gateway: Any = stack.root().client("apigateway")
    link = api.output("vpc_link_id")
    assert [api.get(path) for path in ("/kept", "/removed", "/added", "/other-integration")] == [200, 200, 404, 200]
    assert api.get("/documents/one") not in (401, 404)
    assert api.get("/backends/private/x") not in (401, 404)
    with pytest.raises(gateway.exceptions.BadRequestException, match="referenced"):
        gateway.delete_vpc_link(vpcLinkId=link)

    api.apply(changed=True)

    assert [api.get(path) for path in ("/kept", "/removed", "/added")] == [200, 404, 200]
    assert api.get("/documents/one") == 401, "the documents are no longer public"
    assert api.get("/backends/private/x") == 404
    with pytest.raises(gateway.exceptions.NotFoundException):
        gateway.get_vpc_link(vpcLinkId=link)
    api_id = api.output("api_id")
    integrations = {
        resource["path"]: resource["resourceMethods"]["GET"]["methodIntegration"]
        for resource in gateway.get_resources(restApiId=api_id, embed=["methods"], limit=500)["items"]
        if "GET" in resource.get("resourceMethods", {})
    }
    assert integrations["/documents/{item_id}"]["credentials"].endswith("role/ordering-authenticated")
    assert integrations["/documents/{item_id}"]["uri"].endswith("s3:path/ordering/authenticated/{item_id}.json")
    assert integrations["/other-integration"]["type"] == "AWS"
    assert len(gateway.get_deployments(restApiId=api_id)["items"]) == 1, "the old deployment is deleted"
