"""The operators' command line on the applied stack, as its users start it."""

import json
import os
import subprocess

from ops.console import ROOT
from tests.local.back_offices import unscheduled
from tests.local.pipeline import log_keys, put_object
from tests.local.support import Local, eventually


def readplane(stack: Local, *words: str) -> tuple[int, str]:
    """Exit code and output of one command line."""
    # Started from elsewhere, with nothing of AWS's: it finds the stack by its name.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    command = [str(ROOT / "ops/readplane"), "--stack", stack.stack.name, *words]
    done = subprocess.run(
        command, cwd="/", env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_source_is_listed_paused_resumed_polled_and_its_checkpoint_shown(stack: Local) -> None:
    with unscheduled(stack, "currencies"):
        code, said = readplane(stack, "sources", "pause", "currencies")
        assert code == 0, said
        listed = [json.loads(line) for line in readplane(stack, "sources", "list", "--json")[1].splitlines()]
        assert {one["source"]: one["state"] for one in listed}["currencies"] == "paused"
        code, said = readplane(stack, "sources", "run", "currencies")
        assert code == 1 and "paused" in said, said
        assert readplane(stack, "sources", "resume", "currencies")[0] == 0
        code, said = readplane(stack, "sources", "run", "currencies", "--until-done")
        assert code == 0 and ("completed" in said or "not_modified" in said), said
    code, said = readplane(stack, "checkpoint", "show", "currencies")
    assert code == 0 and json.loads(said)["fresh_as_of"]
    assert readplane(stack, "sources", "run", "nobody")[0] == 1


def test_a_quarantined_line_is_listed_shown_and_sent_in_again(stack: Local) -> None:
    line = b'{"change_id":"of nobody","is":"no change"}'
    put_object(stack, [line])

    def listed() -> str | None:
        code, said = readplane(stack, "quarantine", "list", "--reason", "unparsable", "--json")
        assert code == 0, said
        entries = [json.loads(entry) for entry in said.splitlines()]
        return next((entry["key"] for entry in entries if "of nobody" in entry.get("line", "")), None)

    key = eventually(listed)
    assert json.loads(readplane(stack, "quarantine", "show", key)[1])["reason"] == "unparsable"
    code, said = readplane(stack, "quarantine", "redrive", key, "--dry-run")
    assert code == 0 and key in said and listed() == key
    code, said = readplane(stack, "quarantine", "redrive", key)
    assert code == 0 and "1 of 1" in said, said
    assert eventually(listed) == key, "it is as bad as before, and comes back"
    assert any(name.startswith("log/redrive/") for name in log_keys(stack))


def test_dead_letters_are_listed_and_none_is_needed(stack: Local) -> None:
    code, said = readplane(stack, "dead-letters", "list")
    assert code == 0 and "KIND" in said, said
    code, said = readplane(stack, "dead-letters", "redrive", "--dry-run")
    assert code == 0 and "nothing was changed" in said, said
