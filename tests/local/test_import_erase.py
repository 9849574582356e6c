"""Tests of the commands `import`, `verify` and `erase` against the applied stack."""

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ops.cli import erase, waiting_changes
from ops.cli.erase_log import LOG_PREFIXES
from ops.cli.main import main
from ops.local.session import User, sign_in
from readplane.model.keys import ITEM_PREFIX
from tests.local.pipeline import items, new_change, put_object, quarantined
from tests.local.support import Local, eventually

ROWS = 300
PREFIXES = tuple(prefix for prefix in LOG_PREFIXES if prefix != "stream/")
"""What is searched of the write log. The emulator's archive of the change stream has an object for each change."""

WITHIN = 90.0
REGIONS = (False, True)
"""The primary Region and the replica Region, as values of the parameter `replica`."""


def readplane(stack: Local, *words: str) -> Result:
    """Run the command `readplane` with these arguments in this process."""
    return CliRunner().invoke(main, ["--stack", stack.stack.name, *words])


def import_rows(stack: Local, folder: Path, collection: str, rows: list[dict[str, Any]], *words: str) -> Result:
    file = folder / f"{uuid.uuid4()}.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return readplane(stack, "import", str(file), "--collection", collection, *words)


def test_imported_rows_are_applied_and_every_store_agrees(stack: Local, tmp_path: Path) -> None:
    name = f"import-{uuid.uuid4()}"
    rows = [{"id": f"{name}-{number}", "data": {"title": f"Number {number}"}} for number in range(ROWS)]
    refused = import_rows(stack, tmp_path, "notices", [*rows, {"id": "x", "data": {"title": 1}}], "--yes")
    assert refused.exit_code == 1
    assert "data/title" in str(refused.exception)
    result = import_rows(stack, tmp_path, "notices", rows, "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    last = new_change(f"{name}-{ROWS - 1}").key
    eventually(lambda: items(stack).get_item(last), within=WITHIN)
    keys = {new_change(f"{name}-{number}").key for number in range(ROWS)}
    assert not [entry for entry in quarantined(stack) if name in json.dumps(entry)]

    def differing() -> bool:
        result = readplane(stack, "verify", "--collection", "notices", "--scan", "--json")
        assert result.exit_code in (0, 1), result.exception
        differences = [json.loads(line) for line in result.stdout.splitlines()]
        return not [entry for entry in differences if entry["key"] in keys]

    eventually(differing, within=WITHIN)
    again = import_rows(stack, tmp_path, "notices", rows, "--yes")
    assert again.exit_code == 1
    assert "This job is done" in str(again.exception)


def traces(stack: Local, user: User) -> list[str]:
    """Return every place of the stack that names a user."""
    places = []
    outputs = stack.outputs
    buckets: dict[bool, list[Any]] = {
        False: [outputs.write_log_bucket, outputs.documents_bucket],
        True: [outputs.replica_write_log_bucket, outputs.replica_documents_bucket],
    }
    for replica in REGIONS:
        root = stack.root(replica=replica)
        for bucket in buckets[replica]:
            listing = root.client("s3").get_paginator("list_object_versions")
            prefixes = PREFIXES if "log" in str(bucket) else ("owner/",)
            for page in (page for prefix in prefixes for page in listing.paginate(Bucket=bucket, Prefix=prefix)):
                places += [each["Key"] for each in page.get("DeleteMarkers", []) if user.sub in each["Key"]]
                for each in page.get("Versions", []):
                    body = (
                        root.client("s3")
                        .get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"]
                        .read()
                    )
                    text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
                    if user.sub.encode() in text or user.sub in each["Key"]:
                        places.append(f"{bucket}/{each['Key']}")
        pages = root.client("dynamodb").get_paginator("scan").paginate(TableName=outputs.items_table)
        places += [row["pk"]["S"] for page in pages for row in page["Items"] if user.sub in json.dumps(row)]
    users = stack.root().client("cognito-idp").list_users(UserPoolId=outputs.user_pool_id)["Users"]
    return places + [each["Username"] for each in users if user.sub in json.dumps(each["Attributes"])]


def test_nothing_names_an_erased_user(stack: Local, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = sign_in(stack.outputs, f"erased-{uuid.uuid4()}@example.com")
    assert stack.api(user)("PUT", "/items/profiles/me", {"language": "en"}).status_code == 202
    rows = [{"id": f"p-{number}", "owner": user.sub, "data": {"language": "de"}} for number in range(3)]
    result = import_rows(stack, tmp_path, "profiles", rows, "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    notice = new_change(f"erase-{uuid.uuid4()}")._replace(actor=user.sub)
    profile = new_change("x", collection="profiles", owner=user.sub, data="{}")
    put_object(stack, [notice.line(), profile.line()])
    for key in (
        notice.key,
        profile.key,
        f"{ITEM_PREFIX}profiles/{user.sub}/me",
        f"{ITEM_PREFIX}profiles/{user.sub}/p-2",
    ):
        eventually(lambda key=key: items(stack).get_item(key), within=WITHIN)  # type: ignore[misc]
    result = readplane(stack, "erase", "begin", "--owner", user.sub, "--yes")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "not before" in result.output
    monkeypatch.setattr(erase, "_wait_seconds", lambda target: 0.0)
    monkeypatch.setattr(erase, "DOCUMENT_SECONDS", 3.0)
    monkeypatch.setattr(waiting_changes, "READ_SECONDS", 3.0)
    monkeypatch.setattr(erase, "LOG_PREFIXES", PREFIXES)

    def finished() -> bool:
        # Other tests use the queues meanwhile, and `finish` waits for nobody.
        result = readplane(stack, "erase", "finish", "--owner", user.sub, "--yes")
        assert result.exit_code == 0 or any(word in str(result.exception) for word in ("queue", "again")), (
            result.exception
        )
        return result.exit_code == 0

    eventually(finished, within=WITHIN, every=2)
    eventually(lambda: traces(stack, user) == [], within=WITHIN, every=1)
    item = items(stack).get_item(notice.key)
    assert item is not None and item.actor == "erased"
