"""Test of `rebuild items` on the applied stack: 5,000 items go to another table and back, while clients write.

The test applies a stack of its own five times, so only `make test-long` runs it.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ops.cli import rebuild_items
from ops.cli.main import main
from ops.local.stack import VARIABLES
from readplane.model.keys import ITEM_PREFIX
from readplane.stores.documents import VERSION_METADATA
from tests.local.pipeline import new_change
from tests.local.support import Local, WantedStack, eventually

pytestmark = pytest.mark.long

VARIABLES_OF_A_SMALL_STACK: dict[str, Any] = {
    "collections": {
        "notices": {
            "read": "authenticated",
            "write_groups": ["editors"],
            "relational": {"fields": {"title": {"type": "text", "pointer": "/title"}}},
        }
    },
    "sources": {},
    "backends": {},
    "backend_api_keys": {},
    "identity_pool": False,
    "edge": None,
    "alarms": False,
}
"""Each apply of this stack takes half the time of one of the stack that the other tests use."""

ROWS = 5_000
PAUSE_SECONDS = 0.4
"""How long the client waits between two writes. Each of them keeps the emulator busy for a tenth of a second."""
WITHIN = 300.0
REGIONS = (False, True)
"""The primary Region and the replica Region, as values of the parameter `replica`."""


@pytest.fixture(scope="session")
def wanted() -> WantedStack:
    """Return a stack of two Regions with one collection, and with little that a rebuild doesn't need."""
    return WantedStack("rebuild", VARIABLES_OF_A_SMALL_STACK)


class Operator:
    """Applies the stack with other tables, and runs the commands."""

    def __init__(self, stack: Local, folder: Path) -> None:
        self.stack = stack
        self.outputs: dict[str, Any] = {}
        self._file = folder / "outputs.json"
        self._terraform = stack.stack.home / "terraform"
        self.read_outputs()

    def read_outputs(self) -> None:
        """Read what Terraform has applied."""
        done = self.stack.terraform.run(self._terraform, "output", "-json")
        assert done.returncode == 0, done.stderr
        self._file.write_text(done.stdout)
        self.outputs = {name: entry["value"] for name, entry in json.loads(done.stdout).items()}

    def apply(self, **items: int) -> None:
        """Run `terraform apply` with these generations of the items table."""
        start = time.monotonic()
        words = ["-auto-approve", "-input=false", "-no-color", "-parallelism=30", "-refresh=false"]
        files = [f"-var-file={VARIABLES}", "-var-file=run.tfvars.json", f"-var=items={json.dumps(items)}"]
        done = self.stack.terraform.run(self._terraform, "apply", *words, *files)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        self.read_outputs()
        print(f"apply {items}: {time.monotonic() - start:.0f} s")

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command that must succeed. Return its result."""
        start = time.monotonic()
        result = CliRunner().invoke(main, ["--outputs", str(self._file), *words, "--yes", "--json"])
        assert result.exit_code == 0, f"{words}: {result.output} {result.exception}"
        answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
        print(f"{' '.join(words)}: {time.monotonic() - start:.0f} s")
        return answer

    def step(self, name: str) -> dict[str, Any]:
        """Run one of the commands `rebuild items`."""
        return self.run("rebuild", "items", name)


class Writer:
    """A client that writes items again and again. `versions` holds the last accepted version of each, by its id."""

    def __init__(self, stack: Local) -> None:
        self.name = f"rebuild-{uuid.uuid4()}"
        self.versions: dict[str, str] = {}
        self.failures: list[str] = []
        self._api = stack.api(stack.eve)
        self._end = threading.Event()
        self.pause = threading.Lock()
        """Whoever holds it is alone: the client doesn't write."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write until the `with` block ends."""
        thread = threading.Thread(target=self._write)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def _write(self) -> None:
        number = 0
        while not self._end.wait(PAUSE_SECONDS):
            number += 1
            item_id = f"{self.name}-{number % 40}"
            with self.pause:
                response = self._api("PUT", f"/items/notices/{item_id}", {"title": f"Write {number}"})
            if response.status_code == 202:
                self.versions[item_id] = response.json()["change_id"]
            else:
                self.failures.append(f"{response.status_code} {response.text}")


def versions(stack: Local, table: str, *, replica: bool) -> dict[str, str]:
    """Return the version of each item of a table, by its key."""
    pages = stack.root(replica=replica).client("dynamodb").get_paginator("scan").paginate(TableName=table)
    rows: Iterator[Mapping[str, Any]] = (row for page in pages for row in page["Items"])
    return {row["pk"]["S"]: row["version"]["S"] for row in rows if row["pk"]["S"].startswith(ITEM_PREFIX)}


def check_tables(operator: Operator, writer: Writer) -> None:
    """Check that the live and the second table of both Regions hold the same versions, and what the client wrote."""
    stack, outputs = operator.stack, operator.outputs

    def agree() -> bool:
        tables = [
            versions(stack, outputs[name], replica=replica)
            for name in ("items_table", "second_items_table")
            for replica in REGIONS
        ]
        live = tables[0]
        written = {new_change(item_id).key: version for item_id, version in writer.versions.items()}
        assert all(live[key] >= version for key, version in written.items())
        return all(table == live for table in tables) and len(live) > ROWS

    with writer.pause:
        eventually(agree, within=WITHIN, every=2)


def check_documents(stack: Local, writer: Writer) -> None:
    """Check that the documents of both Regions are what the client wrote last."""
    for replica in REGIONS:
        bucket = stack.outputs.replica_documents_bucket if replica else stack.outputs.documents_bucket
        s3 = stack.root(replica=replica).client("s3")
        for item_id, version in writer.versions.items():
            key = f"authenticated/documents/notices/{item_id}"

            def is_published(s3: Any = s3, bucket: Any = bucket, key: str = key, version: str = version) -> bool:
                return bool(s3.head_object(Bucket=bucket, Key=key)["Metadata"][VERSION_METADATA] == version)

            eventually(is_published, within=WITHIN)


def test_the_items_go_to_another_table_and_back_while_clients_write(
    stack: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_items, "LOGGED_SECONDS", 10.0)  # the Firehose of this stack buffers nothing
    operator, writer = Operator(stack, tmp_path), Writer(stack)
    first = int(operator.outputs["items_generations"]["live"])
    second = first + 1
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"id": f"{writer.name}-row-{number}", "data": {"title": f"Row {number}"}}) + "\n"
            for number in range(ROWS)
        )
    )
    operator.run("import", str(rows), "--collection", "notices")
    with writer.writing():
        operator.apply(live=first, building=second)
        assert operator.step("begin")["done"]
        operator.step("fill")
        assert operator.step("verify")["complete"]
        check_tables(operator, writer)
        operator.step("switch")
        operator.apply(live=second, former=first)
        operator.step("switch")
        check_tables(operator, writer)
        operator.step("back")
        operator.apply(live=first, former=second)
        operator.step("back")
        check_tables(operator, writer)
        operator.step("switch")
        operator.apply(live=second, former=first)
        operator.step("switch")
    check_tables(operator, writer)
    check_documents(stack, writer)
    operator.apply(live=second)
    assert operator.step("end")["done"]
    assert operator.outputs.get("second_items_table") is None
    assert not writer.failures and len(writer.versions) == 40
    api = stack.api(stack.eve)
    for item_id, version in writer.versions.items():
        assert api("GET", f"/items/notices/{item_id}").json()["version"] == version
    tables = stack.root().client("dynamodb").list_tables()["TableNames"]
    assert operator.outputs["items_table"] in tables and len([name for name in tables if "-items" in name]) == 1
