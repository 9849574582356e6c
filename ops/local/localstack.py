"""Start and stop LocalStack 4.14.0, the last free release, without Docker: it shows what the everyday emulator can't.

It runs in a virtual environment of its own, .local/localstack-venv, made from requirements/localstack.txt when it is
first needed, with the services that tests/localstack uses. Each run has a name and a folder .local/<name>/ for
everything else that it leaves behind.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from ops.console import ROOT, CommandError, Progress, failures, run_tool
from ops.local import emulator

SERVICES = "apigateway,iam,logs,s3,sts"
LOCK = ROOT / "requirements/localstack.txt"
VENV = ROOT / ".local/localstack-venv"


def log_file(name: str) -> Path:
    """What LocalStack prints."""
    return emulator.folder(name) / "localstack.log"


def _note(name: str) -> Path:
    return emulator.folder(name) / "localstack.json"


def prepare(progress: Progress) -> Path:
    """Make the virtual environment, unless it is there and as the lock says; returns its interpreter."""
    stamp = VENV / ".made-from-lock"
    python = VENV / "bin/python"
    if not stamp.exists() or stamp.stat().st_mtime < LOCK.stat().st_mtime:
        progress.say(f"Making {VENV.relative_to(ROOT)} from {LOCK.relative_to(ROOT)} (about 220 MB) …")
        shutil.rmtree(VENV, ignore_errors=True)
        run_tool([sys.executable, "-m", "venv", VENV])
        run_tool([python, "-m", "pip", "install", "--quiet", "--no-input", "--require-hashes", "-r", LOCK])
        stamp.touch()
    return python


def running(name: str) -> str | None:
    """The URL of the run's LocalStack, if it is up."""
    if not _note(name).exists():
        return None
    note = json.loads(_note(name).read_text())
    # -ww: without a terminal ps cuts the line, and with it the name that is looked for.
    command = ["ps", "-ww", "-o", "command=", "-p", str(note["pid"])]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return f"http://localhost:{note['port']}" if "localstack.runtime.main" in shown else None


def start(name: str, port: int, progress: Progress) -> str:
    """Start a fresh LocalStack on a port (0: a free one), wait until it answers, and return its URL."""
    python = prepare(progress)
    if not port:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
    elif holder := emulator.port_holder(port):
        raise CommandError(f"Port {port} is in use by {holder}. Stop that program, or choose another port with --port.")
    home = emulator.folder(name)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    env = {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ} | {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": SERVICES,
        # Host mode, also inside a container; else it would write to /var/lib/localstack.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(home / "files"),
        # It would open port 53, download a certificate and report its use.
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", "localstack.runtime.main"],
            env=env,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _note(name).write_text(json.dumps({"pid": process.pid, "port": port}))
    endpoint = f"http://localhost:{port}"
    deadline = time.monotonic() + 60
    while not emulator.healthy(endpoint):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_file(name).read_text(errors="replace")[-2000:]
            stop(name)
            raise CommandError(f"LocalStack didn't start. The end of {log_file(name)}:\n{tail}")
        time.sleep(0.2)
    return endpoint


def stop(name: str) -> bool:
    """Stop the run's LocalStack; whether there was one."""
    up = running(name) is not None
    if up:
        emulator.end(int(json.loads(_note(name).read_text())["pid"]))
    _note(name).unlink(missing_ok=True)
    return up


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, start or stop LocalStack."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.localstack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument("--name", default="localstack", help="which run (default: localstack)")
    parser.add_argument("--port", type=int, default=4566, help="where it listens, 0 for a free port (default: 4566)")
    options = parser.parse_args(arguments)
    progress = Progress()
    if options.action == "start":
        endpoint = running(options.name) or start(options.name, options.port, progress)
        progress.say(f"LocalStack is up: export AWS_ENDPOINT_URL={endpoint} (log {log_file(options.name)}).")
    elif options.action == "stop":
        progress.say("Stopped." if stop(options.name) else "It wasn't running.")
    else:
        up = running(options.name)
        print(up or "not running")
        return 0 if up else 1
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
