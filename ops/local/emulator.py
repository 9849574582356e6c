"""Start and stop the AWS emulator, MiniStack, with IAM enforced. Standard library only, for `make down`.

Each run has a name (demo, test) and a folder .local/<name>/ for all its files.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from ops.console import ROOT, CommandError, Progress, failures
from ops.local.ports import describe_port_holder, free_port
from ops.local.processes import command_line, end_process_group

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""MiniStack accepts this pair as credentials of the account's root user. It is valid in no real account."""

PROGRAM = Path(__file__).with_name("emulator_patches.py")
"""The program that starts MiniStack with patches that close its gaps."""


@dataclasses.dataclass(frozen=True)
class Emulator:
    """An emulator that a run started.

    name: the run's name
    pid: the process id, which is also the id of its process group
    port: the TCP port for every AWS service
    """

    name: str
    pid: int
    port: int

    @property
    def endpoint(self) -> str:
        """The URL for every AWS service."""
        return f"http://localhost:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process still runs and is the emulator."""
        return PROGRAM.name in command_line(self.pid)


def folder(name: str) -> Path:
    """Return the folder of a run's files."""
    return ROOT / ".local" / name


def log_file(name: str) -> Path:
    """Return the file with the output of the emulator and of the functions in it."""
    return folder(name) / "emulator.log"


def running(name: str) -> Emulator | None:
    """Return the run's emulator if it is up."""
    record = folder(name) / "emulator.json"
    if not record.exists():
        return None
    emulator = Emulator(name=name, **json.loads(record.read_text()))
    return emulator if emulator.alive else None


def start(name: str, port: int = 0) -> Emulator:
    """Start a fresh emulator and wait until it responds.

    :param port: the TCP port; 0 takes a free one
    :raises CommandError: if the port is in use or the emulator doesn't start
    """
    home = folder(name)
    port = port or free_port()
    if holder := describe_port_holder(port):
        raise CommandError(
            f"Port {port} is in use by {holder}. Stop that program, or choose another port: make demo PORT={port + 1}"
        )
    for kind in ("state", "s3", "tmp"):
        shutil.rmtree(home / kind, ignore_errors=True)
        (home / kind).mkdir(parents=True)
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", PROGRAM],  # -P: no module in this folder may shadow one that MiniStack imports
            env=_environment(home, port),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, so that stop() ends the functions' processes too
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


def _environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment of the emulator, which the functions in it inherit."""
    env = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ} | CREDENTIALS
    return env | {
        "AUTH": "true",  # enforce IAM, so that a successful run shows that the policies suffice
        # In Lambda, the X-Ray daemon listens at this address. Here, a test may listen in its place (tests/xray.py). The
        # daemon uses UDP and the emulator TCP, so they can share the port number.
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{port}",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # MQTT and SFTP would open fixed ports, which a second emulator couldn't open again.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
        "S3_DATA_DIR": str(home / "s3"),
        "STATE_DIR": str(home / "state"),
        "TMPDIR": str(home / "tmp"),
    }


def healthy(endpoint: str) -> bool:
    """Whether an emulator (MiniStack or LocalStack) responds at an endpoint."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def stop(name: str) -> bool:
    """Stop the run's emulator and the functions in it. Return whether one was running."""
    emulator = running(name)
    if emulator:
        end_process_group(emulator.pid)
    (folder(name) / "emulator.json").unlink(missing_ok=True)
    return emulator is not None


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and start or stop an emulator, or print its URL."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.emulator", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument("--name", default="demo", help="the run's name (default: demo)")
    parser.add_argument("--port", type=int, default=4566, help="TCP port, 0 for a free one (default: 4566)")
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
