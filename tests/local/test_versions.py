"""Tests of the versions of a function: which one goes live, what stops a bad one, and whether an older one starts."""

import json
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from ops.build.targets import TARGETS
from ops.console import ROOT
from tests.local.support import Local
from tests.unit.support import CLIENT_ID
from tests.unit.write.support import put

TEXTS = {"type": "object", "properties": {"name": {"type": "string"}}}

# Terraform doesn't see this mistake, because it knows nothing about patterns. The validator does.
BAD_PATTERN = {"type": "object", "properties": {"name": {"pattern": "(?=a)b"}}}


class Versions:
    """A function `write` of its own on the stack's emulator (versions.tf), of which each apply may make a version."""

    def __init__(self, stack: Local, folder: Path) -> None:
        self.name = f"versions-{uuid.uuid4().hex[:8]}"
        self.functions: Any = stack.root().client("lambda")
        self._terraform = stack.terraform
        self._folder = folder
        for module in ("alarm", "bucket", "function"):
            shutil.copytree(ROOT / "terraform/modules" / module, folder / module)
        shutil.copy(Path(__file__).with_name("versions.tf"), folder / "main.tf")
        self._terraform.init(folder)

    def run(self, command: str, schema: object) -> subprocess.CompletedProcess[str]:
        """Run `apply` or `plan` with this schema of the collection products."""
        words = [command, "-input=false", "-no-color"]
        words += [] if command == "plan" else ["-auto-approve"]
        values = {
            "name": self.name,
            "schema": json.dumps(schema),
            "zip": str(ROOT / "dist" / TARGETS["local"].zip_paths.hot),
            "client_id": CLIENT_ID,
        }
        words += [f"-var={name}={value}" for name, value in values.items()]
        return self._terraform.run(self._folder, *words)

    def apply(self, schema: object) -> str:
        """Apply a schema that is good, and return the version that is live then."""
        done = self.run("apply", schema)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.live()

    def live(self) -> str:
        """Return the version that the alias points to."""
        version: str = self.functions.get_alias(FunctionName=f"{self.name}-write", Name="live")["FunctionVersion"]
        return version

    def newest(self) -> str:
        """Return the newest version, whether or not it is live."""
        listed = self.functions.list_versions_by_function(FunctionName=f"{self.name}-write")["Versions"]
        version: str = max((entry["Version"] for entry in listed if entry["Version"].isdigit()), key=int)
        return version

    def invoke(self, event: Any, qualifier: str = "live") -> Any:
        """Invoke the function and return its response. The test fails if the invocation fails."""
        name = f"{self.name}-write"
        response = self.functions.invoke(FunctionName=name, Qualifier=qualifier, Payload=json.dumps(event).encode())
        payload = json.load(response["Payload"])
        assert "FunctionError" not in response, payload
        return payload

    def accepts(self, value: object) -> bool:
        """Return whether the live version's schema accepts this value as an item's name.

        The function can't write it, because its write log doesn't exist. So it responds 503 to what the schema accepts.
        """
        status: int = self.invoke(put(json.dumps({"name": value})))["statusCode"]
        assert status in (400, 503)
        return status == 503

    def point_at(self, version: str) -> None:
        """Point the alias at a version, and end the sandboxes, so that the version must start again."""
        name = f"{self.name}-write"
        self.functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        configuration = self.functions.get_function_configuration(FunctionName=name, Qualifier=version)
        self._restart(configuration)

    def _restart(self, configuration: Any) -> None:
        """Start a copy of a version. It has never run, so it reads its schemas as a new sandbox does."""
        name = f"{self.name}-copy-{uuid.uuid4().hex[:8]}"
        self.functions.create_function(
            FunctionName=name,
            Role=configuration["Role"],
            Runtime=configuration["Runtime"],
            Handler=configuration["Handler"],
            Code={"ZipFile": (ROOT / "dist" / TARGETS["local"].zip_paths.hot).read_bytes()},
            Environment={"Variables": configuration["Environment"]["Variables"]},
            Timeout=15,
        )
        try:
            response = self.functions.invoke(FunctionName=name, Payload=b'{"check": true}')
            assert json.load(response["Payload"]) == {"problems": []}
        finally:
            self.functions.delete_function(FunctionName=name)


@pytest.mark.early
def test_only_a_good_version_goes_live_and_an_older_one_still_starts(stack: Local, tmp_path: Path) -> None:
    """One test, because each apply takes seconds. What it leaves on the emulator goes with the stack."""
    versions = Versions(stack, tmp_path)
    older = versions.apply(TEXTS)
    assert versions.accepts("x") and not versions.accepts(1)
    newer = versions.apply(None)
    assert newer != older and versions.accepts(1) and versions.accepts("x")

    # A version with an unusable schema never goes live, and the problem doesn't go away by waiting.
    for command in ("apply", "plan"):
        done = versions.run(command, BAD_PATTERN)
        assert done.returncode != 0
        assert "refuses its settings" in done.stderr and "collection products" in done.stderr, done.stderr
    assert versions.live() == newer and versions.accepts(1)

    # If somebody calls that version all the same, its collection is closed for writes.
    response = versions.invoke(put(), versions.newest())
    assert (response["statusCode"], json.loads(response["body"])["code"]) == (503, "schema_unusable")

    # After a roll-back by hand, the older version starts with the schemas of its time, although the newer one has none.
    versions.point_at(older)
    assert versions.accepts("x") and not versions.accepts(1)
