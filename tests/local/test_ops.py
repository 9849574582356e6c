"""Tests that run the operators' command `readplane` against the applied stack, as operators run it."""

import copy
import json
import os
import subprocess
import time
from functools import partial
from typing import Any

import pytest

from ops.cli.target import find
from ops.console import ROOT
from tests.local.back_offices import unscheduled
from tests.local.pipeline import items, log_keys, new_change, put_object
from tests.local.support import Local, eventually


def readplane(stack: Local, *words: str) -> tuple[int, str]:
    """Run the command `readplane` with these arguments; return its exit code and its output."""
    # Run the command in another folder and without the AWS_ variables of the environment, to check that it
    # finds the stack by its name alone.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    command = [str(ROOT / "ops/readplane"), "--stack", stack.stack.name, *words]
    done = subprocess.run(
        command, cwd="/", env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_source_is_listed_paused_resumed_polled_and_its_checkpoint_shown(stack: Local) -> None:
    with unscheduled(stack, "currencies"):
        code, output = readplane(stack, "sources", "pause", "currencies")
        assert code == 0, output
        listed = [json.loads(line) for line in readplane(stack, "sources", "list", "--json")[1].splitlines()]
        assert {entry["source"]: entry["state"] for entry in listed}["currencies"] == "paused"
        code, output = readplane(stack, "sources", "run", "currencies")
        assert code == 1 and "paused" in output, output
        assert readplane(stack, "sources", "resume", "currencies")[0] == 0
        code, output = readplane(stack, "sources", "run", "currencies", "--until-done")
        assert code == 0 and ("completed" in output or "not_modified" in output), output
    code, output = readplane(stack, "checkpoint", "show", "currencies")
    assert code == 0 and json.loads(output)["fresh_as_of"]
    assert readplane(stack, "sources", "run", "nobody")[0] == 1


def test_a_quarantined_line_is_listed_shown_and_redriven(stack: Local) -> None:
    line = b'{"change_id":"of nobody","is":"no change"}'
    put_object(stack, [line])

    def listed() -> str | None:
        code, output = readplane(stack, "quarantine", "list", "--reason", "unparsable", "--json")
        assert code == 0, output
        entries = [json.loads(entry) for entry in output.splitlines()]
        return next((entry["key"] for entry in entries if "of nobody" in entry.get("line", "")), None)

    key = eventually(listed)
    assert json.loads(readplane(stack, "quarantine", "show", key)[1])["reason"] == "unparsable"
    code, output = readplane(stack, "quarantine", "redrive", key, "--dry-run")
    assert code == 0 and key in output and listed() == key
    code, output = readplane(stack, "quarantine", "redrive", key)
    assert code == 0 and "1 of 1" in output, output
    assert eventually(listed) == key, "the line is still bad, so it returns to quarantine"
    assert any(name.startswith("log/redrive/") for name in log_keys(stack))


def test_dead_letters_can_be_listed_and_redriven_when_there_are_none(stack: Local) -> None:
    code, output = readplane(stack, "dead-letters", "list")
    assert code == 0 and "QUEUE" in output, output
    code, output = readplane(stack, "dead-letters", "redrive", "--dry-run")
    assert code == 0 and "nothing was changed" in output, output


def test_a_change_of_the_api_behind_terraforms_back_is_named(stack: Local) -> None:
    if not stack.ministack:
        pytest.skip("only this emulator exports an API as AWS does")
    region = stack.outputs.region
    same = f"The API of {region} is as the document says: {len(stack.outputs.routes)} routes."
    code, output = readplane(stack, "api", "compare")
    assert code == 0 and same in output and f"The API of {stack.outputs.replica_region} is as" in output, output

    gateway: Any = stack.root().client("apigateway")
    entry = find(stack.stack.name, None).outputs["api_document_uris"][region]
    bucket, _, key = entry["uri"].removeprefix("s3://").partition("/")
    storage: Any = stack.root().client("s3")
    api, document = entry["id"], json.loads(storage.get_object(Bucket=bucket, Key=key)["Body"].read())
    served = gateway.get_stage(restApiId=api, stageName="v1")["deploymentId"]

    def serve(deployment: str) -> None:
        operation = {"op": "replace", "path": "/deploymentId", "value": deployment}
        gateway.update_stage(restApiId=api, stageName="v1", patchOperations=[operation])

    other = copy.deepcopy(document)
    route = other["paths"]["/backends/backoffice/{proxy+}"]["get"]
    timeout = route["x-amazon-apigateway-integration"]["timeoutInMillis"]
    route["x-amazon-apigateway-integration"]["timeoutInMillis"] = timeout + 1
    other["paths"]["/items/notices/{item_id}"]["put"]["security"] = [{"access_token": ["readplane/read"]}]
    del other["x-amazon-apigateway-gateway-responses"]["UNAUTHORIZED"]
    del other["x-amazon-apigateway-policy"]
    gateway.put_rest_api(restApiId=api, mode="overwrite", body=json.dumps(other))
    deployment = gateway.create_deployment(restApiId=api)["id"]
    try:
        serve(deployment)
        code, output = readplane(stack, "api", "compare", "--json")
        assert code == 1, output
        found = [json.loads(line) for line in output.splitlines()]
        assert {difference["region"] for difference in found} == {region}, "the other Region hasn't changed"
        assert {(difference["part"], difference["field"]): difference["deployed"] for difference in found} == {
            ("GET /backends/backoffice/{proxy+}", "integration.timeoutInMillis"): timeout + 1,
            ("PUT /items/notices/{item_id}", "security.access_token"): ["readplane/read"],
            ("gateway response UNAUTHORIZED", "exists"): False,
            ("resource policy", "exists"): False,
        }
    finally:
        gateway.put_rest_api(restApiId=api, mode="overwrite", body=json.dumps(document))
        serve(served)
    code, output = readplane(stack, "api", "compare")
    assert code == 0 and same in output and f"A newer one exists: {deployment}" in output, output
    gateway.delete_deployment(restApiId=api, deploymentId=deployment)


def test_a_replay_reads_the_write_log_and_the_archive_of_the_change_stream(stack: Local) -> None:
    hour = time.strftime("year=%Y/month=%m/day=%d/hour=%H/", time.gmtime())
    change = new_change("replayed-from-the-archive")
    archived = put_object(stack, [change.line()], key=f"stream/{hour}replayed.gz")
    logged = put_object(stack, [new_change("replayed-from-the-log").line()])
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    words = ("replay", "--from", since, "--region", stack.outputs.region, "--in-flight", "200")
    code, output = readplane(stack, *words)
    assert code == 0 and "Nothing was changed." in output, output
    assert items(stack).get_item(change.key) is None, "S3 notifies nobody of the archive"
    code, output = readplane(stack, *words, "--yes")
    assert code == 0 and "replay: done." in output, output
    for key in (archived, logged):
        eventually(partial(stack.events, "apply", "object_replayed", key=key), within=60)
    assert items(stack).get_item(change.key) == change
