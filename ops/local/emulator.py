"""Start and stop MiniStack, the AWS emulator of the local runs, with IAM enforced.

Each local run has a name (demo, test) and a folder .local/<name>/ for all its files. This program needs only the
standard library, because `make down` uses it and must work even if no other packages are installed.
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
"""The credentials of the root user in MiniStack's account. They are valid in no real AWS account."""

EDGE_PORT = 8080
"""The TCP port of the stack's CloudFront distribution, unless the emulator's own port is a free one. The callback URLs
in environments/local.tfvars name this port, so signing in works at no other."""

PROGRAM = Path(__file__).with_name("emulator_patches.py")
"""The program that patches MiniStack where it differs from AWS, and then starts MiniStack."""


@dataclasses.dataclass(frozen=True)
class Emulator:
    """An emulator that a local run started.

    name: the name of the local run
    pid: the emulator's process id, which is also the id of its process group
    port: the emulator's TCP port, which serves every AWS service
    edge_port: the TCP port at which the stack's CloudFront distribution answers; 0 for the emulator of an older version
    """

    name: str
    pid: int
    port: int
    edge_port: int = 0

    @property
    def endpoint(self) -> str:
        """The emulator's URL, which is the endpoint of every AWS service."""
        return f"http://localhost:{self.port}"

    @property
    def edge_url(self) -> str:
        """The URL at which the stack's CloudFront distribution answers, without caring for its domain name."""
        return f"http://localhost:{self.edge_port}"

    @property
    def alive(self) -> bool:
        """Whether the process `pid` is still the emulator.

        If the emulator has ended, the system may have given its process id to another program.
        """
        return PROGRAM.name in command_line(self.pid)


def folder(name: str) -> Path:
    """Return the folder with all files of a local run."""
    return ROOT / ".local" / name


def log_file(name: str) -> Path:
    """Return the path of the log file with the output of the emulator and of the Lambda functions that it runs."""
    return folder(name) / "emulator.log"


def running(name: str) -> Emulator | None:
    """Return the emulator of a local run. Return None if it isn't up."""
    record = folder(name) / "emulator.json"
    if not record.exists():
        return None
    emulator = Emulator(name=name, **json.loads(record.read_text()))
    return emulator if emulator.alive else None


def start(name: str, port: int = 0) -> Emulator:
    """Start an emulator without any resources for a local run, and wait until it responds.

    :param port: the emulator's TCP port; 0 takes free ones for the emulator and for the distribution
    :raises CommandError: if a port is in use or the emulator doesn't start
    """
    home = folder(name)
    if port == EDGE_PORT:
        raise CommandError(f"Port {port} is for the stack's CloudFront distribution. Choose another, such as 4566.")
    edge_port = EDGE_PORT if port else free_port()
    while not port or port == edge_port:
        port = free_port()
    if holder := describe_port_holder(port):
        raise CommandError(
            f"Port {port} is in use by {holder}. Stop that program, or choose another port: make demo PORT={port + 1}"
        )
    if holder := describe_port_holder(edge_port):
        raise CommandError(
            f"Port {edge_port} is in use by {holder}. The stack's CloudFront distribution needs it. Stop that program."
        )
    for kind in ("state", "s3", "tmp"):
        shutil.rmtree(home / kind, ignore_errors=True)
        (home / kind).mkdir(parents=True)
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", PROGRAM],  # -P, so that no module in ops/local shadows one that MiniStack imports
            env=_environment(home, port, edge_port),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # puts emulator and functions in a new process group, so that stop() ends all
        )
    emulator = Emulator(name=name, pid=process.pid, port=port, edge_port=edge_port)
    (home / "emulator.json").write_text(json.dumps({"pid": process.pid, "port": port, "edge_port": edge_port}))
    deadline = time.monotonic() + 60
    while not healthy(emulator.endpoint):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_file(name).read_text(errors="replace")[-2000:]
            stop(name)
            raise CommandError(f"The emulator didn't start. The end of {log_file(name)}:\n{tail}")
        time.sleep(0.2)
    return emulator


def _environment(home: Path, port: int, edge_port: int) -> dict[str, str]:
    """Return the environment variables of the emulator. The Lambda functions that it runs inherit them."""
    env = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ} | CREDENTIALS
    return env | {
        "AUTH": "true",  # enforce IAM, so that a successful run shows that the policies suffice
        # The functions send their traces to this address. On AWS, the X-Ray daemon listens there. On the emulator, a
        # test may listen there instead (tests/xray.py). Traces use UDP and the emulator uses TCP, so both can have the
        # same port number.
        "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{port}",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # Turn off MQTT and SFTP, because they listen on fixed ports. A second emulator on this machine would fail to
        # open the same ports.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
        "READPLANE_EDGE_PORT": str(edge_port),
        "S3_DATA_DIR": str(home / "s3"),
        "STATE_DIR": str(home / "state"),
        "TMPDIR": str(home / "tmp"),
    }


def healthy(endpoint: str) -> bool:
    """Whether an emulator (MiniStack or LocalStack) responds with status 200 at a URL."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def stop(name: str) -> bool:
    """Stop the emulator of a local run and the functions that it runs. Return whether the emulator was running."""
    emulator = running(name)
    if emulator:
        end_process_group(emulator.pid)
    (folder(name) / "emulator.json").unlink(missing_ok=True)
    return emulator is not None


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says: start or stop an emulator, or print its URL."""
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
