"""Start and stop LocalStack 4.14.0, the last free release, without Docker.

All other local runs use the emulator MiniStack. The tests in tests/localstack need LocalStack, because they check
features of AWS that MiniStack lacks. LocalStack starts only the AWS services that these tests use. It runs in its own
virtual environment, .local/localstack-venv, which the first start creates from requirements/localstack.txt. Each run
has a name and a folder .local/<name>/ for all its other files.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from ops.console import ROOT, CommandError, Progress, failures, run_tool
from ops.local import emulator
from ops.local.ports import describe_port_holder, free_port
from ops.local.processes import command_line, end_process_group

SERVICES = "apigateway,iam,logs,s3,sts"
LOCK = ROOT / "requirements/localstack.txt"
VENV = ROOT / ".local/localstack-venv"
MODULE = "localstack.runtime.main"


def log_file(name: str) -> Path:
    """Return the path of the log file with LocalStack's output."""
    return emulator.folder(name) / "localstack.log"


def _record(name: str) -> Path:
    """Return the path of the JSON file with LocalStack's process id and port."""
    return emulator.folder(name) / "localstack.json"


def prepare(progress: Progress) -> Path:
    """Create LocalStack's virtual environment if it is missing or older than requirements/localstack.txt.

    :returns: the path of the environment's Python
    """
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
    """Return the URL of a run's LocalStack. Return None if LocalStack isn't up."""
    if not _record(name).exists():
        return None
    record = json.loads(_record(name).read_text())
    return f"http://localhost:{record['port']}" if MODULE in command_line(record["pid"]) else None


def start(name: str, port: int, progress: Progress) -> str:
    """Start LocalStack without any resources, wait until it responds, and return its URL.

    :param port: LocalStack's TCP port; 0 takes a free one
    :raises CommandError: if the port is in use or LocalStack doesn't start
    """
    python = prepare(progress)
    if not port:
        port = free_port()
    elif holder := describe_port_holder(port):
        raise CommandError(f"Port {port} is in use by {holder}. Stop that program, or choose another port with --port.")
    home = emulator.folder(name)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    with log_file(name).open("wb") as log:
        process = subprocess.Popen(
            [python, "-m", MODULE],
            env=_environment(home, port),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _record(name).write_text(json.dumps({"pid": process.pid, "port": port}))
    endpoint = f"http://localhost:{port}"
    deadline = time.monotonic() + 60
    while not emulator.healthy(endpoint):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_file(name).read_text(errors="replace")[-2000:]
            stop(name)
            raise CommandError(f"LocalStack didn't start. The end of {log_file(name)}:\n{tail}")
        time.sleep(0.2)
    return endpoint


def _environment(home: Path, port: int) -> dict[str, str]:
    return {key: os.environ[key] for key in ("HOME", "LANG", "PATH") if key in os.environ} | {
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "SERVICES": SERVICES,
        # Run in host mode even inside a container. In container mode, LocalStack would write to /var/lib/localstack.
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": str(home / "files"),
        # Turn off three things that LocalStack does by default: it opens port 53, downloads a certificate and sends
        # usage data.
        "DNS_ADDRESS": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def stop(name: str) -> bool:
    """Stop a run's LocalStack. Return whether it was running."""
    up = running(name) is not None
    if up:
        end_process_group(int(json.loads(_record(name).read_text())["pid"]))
    _record(name).unlink(missing_ok=True)
    return up


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says: start or stop LocalStack, or print its URL."""
    parser = argparse.ArgumentParser(prog="python -m ops.local.localstack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("action", choices=["start", "stop", "status"])
    parser.add_argument("--name", default="localstack", help="the run's name (default: localstack)")
    parser.add_argument("--port", type=int, default=4566, help="TCP port, 0 for a free one (default: 4566)")
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
