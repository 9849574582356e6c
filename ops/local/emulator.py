"""Start and stop the AWS emulator, MiniStack, with IAM enforced. Standard library only: `make down` needs no more.

Each run has a name (demo, test) and a folder .local/<name>/ that holds everything it leaves behind.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ops.console import ROOT, CommandError, Progress, failures

# MiniStack takes this pair for the account's root; no real account knows it.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

# MiniStack closes a connection that was idle for 75 seconds; a request that arrives at that moment stays unanswered (3
# of 200 that were sent within 10 ms of it). An apply takes about as long, and its retry of a request that was carried
# out but not answered ends in a conflict. So connections here stay open for longer than any run.
#
# Some answers are lost all the same, a few of an apply's 3,000. A request that an SDK sends again (with its first try's
# id) is given the answer that its first try had, instead of being carried out twice.
#
# And it asks IAM for dynamodb:BatchExecuteStatement on every resource. AWS knows no such action: there each statement
# asks for its own (PartiQLInsert, PartiQLUpdate) on its table, as it does here after this.
#
# Nor does it tell IAM which item a request is about (dynamodb:LeadingKeys), so that a condition on it would hold for
# every item. And of what a function says about a batch from Kinesis it hears only an error: records that are reported
# as failed would be lost. Here such a batch comes again, whole, where Lambda would begin with its first failed record:
# the same for who takes a record twice.
#
# And what a PartiQL statement writes shows up in neither stream nor replica: items that are applied in bulk would never
# become documents. Here it does, in tables without a sort key.
#
# And in an API's policy `*` stands for no line break, so that a path with %0A in it would be denied.
LAUNCH = """
import copy
import json
import re

import hypercorn.config
from ministack.core import iam_actions
from ministack.services import dynamodb, lambda_svc

hypercorn.config.Config.keep_alive_timeout = property(lambda config: 7200.0, lambda config, seconds: None)

transaction_checks = iam_actions.dynamodb_transaction_checks

def checks(action, body, region, account):
    if action != "dynamodb:BatchExecuteStatement":
        return transaction_checks(action, body, region, account)
    told = [re.match('(INSERT|UPDATE) (?:INTO )?"([^"]+)"', one["Statement"]) for one in json.loads(body)["Statements"]]
    table = f"arn:aws:dynamodb:{region}:{account}:table/"
    return [(f"dynamodb:PartiQL{one[1].capitalize()}", table + one[2]) for one in told] if all(told) else []

iam_actions.dynamodb_transaction_checks = checks

dynamodb_service_context = iam_actions.dynamodb_service_context

def context(body):
    told = dynamodb_service_context(body)
    request = json.loads(body) if told else {}
    keys = [request[part]["pk"]["S"] for part in ("Item", "Key") if "pk" in (request.get(part) or {})]
    return told | ({"dynamodb:LeadingKeys": keys} if keys else {})

iam_actions.dynamodb_service_context = context

execute_function = lambda_svc._execute_function

def execute(function, event):
    result = execute_function(function, event)
    records = event.get("Records") if isinstance(event, dict) else None
    if records and records[0].get("eventSource") == "aws:kinesis" and not result.get("error"):
        answer = result.get("body")
        answer = json.loads(answer or "{}") if isinstance(answer, str) else answer
        if isinstance(answer, dict) and answer.get("batchItemFailures"):
            return {**result, "error": True}
    return result

lambda_svc._execute_function = execute

def streamed(statement, key_of):
    def executed(table, parsed, *more):
        key = key_of(table, parsed)
        before = copy.deepcopy(table["items"].get(key, {}).get("__no_sort__"))
        answer = statement(table, parsed, *more)
        if answer[0] == 200:
            after = copy.deepcopy(table["items"][key]["__no_sort__"])
            dynamodb._emit_stream_event(table["TableName"], "MODIFY" if before else "INSERT", before, after)
        return answer
    return executed

def inserted(table, parsed):
    item = parsed["item"]
    return dynamodb._extract_key_val(item.get("M", item).get(table["pk_name"]))

def updated(table, parsed):
    return dynamodb._partiql_key_target(table, parsed)[0]

dynamodb._partiql_insert = streamed(dynamodb._partiql_insert, inserted)
dynamodb._partiql_update = streamed(dynamodb._partiql_update, updated)

from functools import cache

from ministack.core import iam_evaluator
from ministack.services import apigateway_v1

compiled = iam_evaluator._fnmatch_compile

@cache
def matcher(pattern, ignore_case):
    return re.compile(compiled(pattern, ignore_case).pattern, re.DOTALL | (re.IGNORECASE if ignore_case else 0))

iam_evaluator._fnmatch_compile = matcher

arn_matches = apigateway_v1._arn_matches
apigateway_v1._arn_matches = lambda pattern, arn: arn_matches(pattern, arn.replace("\\n", " "))

import ministack.app

answers = {}
serve = ministack.app.app

async def once(scope, receive, send):
    call = dict(scope.get("headers") or ()).get(b"amz-sdk-invocation-id")
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or call is None:
        return await serve(scope, receive, send)
    if call in answers:
        while (await receive()).get("more_body"):
            pass
        for message in answers[call]:
            await send(message)
        return
    sent = []
    async def noted(message):
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body") and sent[0]["status"] < 300:
            answers[call] = sent
            if len(answers) > 5000:
                del answers[next(iter(answers))]
        await send(message)
    await serve(scope, receive, noted)

ministack.app.app = once
ministack.app.main()
"""


@dataclasses.dataclass(frozen=True)
class Emulator:
    """An emulator that was started here."""

    name: str
    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        """Its URL, for every AWS service."""
        return f"http://localhost:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process that was started is still that process."""
        # -ww: without a terminal ps may cut a line after 80 characters, and the name comes later.
        shown = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(self.pid)], capture_output=True, text=True, check=False
        ).stdout
        return "ministack" in shown


def folder(name: str) -> Path:
    """Where a run keeps its files."""
    return ROOT / ".local" / name


def log_file(name: str) -> Path:
    """What the emulator and the functions in it print."""
    return folder(name) / "emulator.log"


def running(name: str) -> Emulator | None:
    """The run's emulator, if it is up."""
    note = folder(name) / "emulator.json"
    if not note.exists():
        return None
    emulator = Emulator(name=name, **json.loads(note.read_text()))
    return emulator if emulator.alive else None


def start(name: str, port: int = 0) -> Emulator:
    """Start a fresh emulator on a port (0: a free one) and wait until it answers."""
    home = folder(name)
    port = port or free_port()
    if holder := port_holder(port):
        raise CommandError(
            f"Port {port} is in use by {holder}. Stop that program, or choose another port: make demo PORT={port + 1}"
        )
    for kind in ("state", "s3", "tmp"):
        shutil.rmtree(home / kind, ignore_errors=True)
        (home / kind).mkdir(parents=True)
    env = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ} | CREDENTIALS
    env |= {
        "AUTH": "true",  # enforce IAM: a run that works proves the policies
        # Functions inherit it. In Lambda a daemon listens; here a test may, on the same port of UDP (tests/xray.py).
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{port}",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # these two would open fixed ports, which a second run needs as well
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
        "S3_DATA_DIR": str(home / "s3"),
        "STATE_DIR": str(home / "state"),
        "TMPDIR": str(home / "tmp"),
    }
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH],
            env=env,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own process group, so that stop() ends the functions' processes too
        )
    emulator = Emulator(name=name, pid=process.pid, port=port)
    (home / "emulator.json").write_text(json.dumps({"pid": process.pid, "port": port}))
    deadline = time.monotonic() + 60
    while not healthy(emulator.endpoint):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_file(name).read_text(errors="replace")[-2000:]
            stop(name)
            raise CommandError(f"The emulator didn't start. The end of {log_file(name)}:\n{tail}")
        time.sleep(0.2)
    return emulator


def healthy(endpoint: str) -> bool:
    """Whether an emulator (MiniStack or LocalStack) answers there."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def stop(name: str) -> bool:
    """Stop the run's emulator and the functions in it; whether there was one."""
    emulator = running(name)
    if emulator:
        end(emulator.pid)
    (folder(name) / "emulator.json").unlink(missing_ok=True)
    return emulator is not None


def end(group: int) -> None:
    """End a process group that was started here: asked first, killed if it doesn't go."""
    for sent, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(group, sent)
        except ProcessLookupError:
            return
        if _gone(group, patience):
            return


def _gone(group: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):  # our own child stays as a zombie until it is waited for
            os.waitpid(group, os.WNOHANG)
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def free_port() -> int:
    """A TCP port of this machine that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_holder(port: int) -> str | None:
    """Who listens on a port of this machine, as far as can be told; None when nobody does."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return None
        except OSError as error:
            if isinstance(error, PermissionError):
                raise CommandError(f"Port {port} may not be opened by this user. Choose one above 1023.") from None
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{words[9]}]")
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(handle.readlink()) in inodes:
                command = (handle.parents[1] / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                return f"process {handle.parts[2]} ({command.strip()[:100]})"
        except OSError:
            continue
    if lsof := shutil.which("lsof"):
        shown = subprocess.run(
            [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"], capture_output=True, text=True, check=False
        ).stdout.split()
        if len(shown) >= 2:
            return f"process {shown[0][1:]} ({shown[1][1:]})"
    return "another program"


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, start or stop an emulator."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.emulator", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument("--name", default="demo", help="which run (default: demo)")
    parser.add_argument("--port", type=int, default=4566, help="where it listens, 0 for a free port (default: 4566)")
    options = parser.parse_args(arguments)
    progress = Progress()
    if options.action == "start":
        emulator = running(options.name) or start(options.name, options.port)
        progress.say(f"{emulator.endpoint} is up (process {emulator.pid}, log {log_file(options.name)}).")
    elif options.action == "stop":
        progress.say("Stopped." if stop(options.name) else "It wasn't running.")
    else:
        up = running(options.name)
        print(up.endpoint if up else "not running")
        return 0 if up else 1
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
