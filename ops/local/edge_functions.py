"""Run Lambda@Edge functions from the zips that are uploaded, each in an interpreter of its own that stays up.

The interpreter (`python -I -S`) sees the standard library and the function's zip, and nothing of this machine's
packages. So a module that is missing in the zip is missing here too. It lacks the boto3 of Lambda's runtime, because a
function at the edge that imports boto3 starts too slowly.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.local.edge_events import FunctionError

RUNNER = Path(__file__).with_name("edge_runner.py")
INIT_SECONDS = 10.0
"""How long Lambda lets a function initialise."""


class EdgeFunctions:
    """The edge functions of an emulator, as they run in one Region near the viewers."""

    def __init__(
        self,
        functions: Any,
        environment: Mapping[str, str],
        credentials: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None,
        region: str = "eu-west-3",
    ) -> None:
        """Start nothing yet.

        :param functions: a boto3 client for Lambda in us-east-1, where the functions are
        :param environment: the variables with which the functions call the emulator, such as AWS_ENDPOINT_URL
        :param credentials: returns the variables with the credentials of a function's role, by its configuration
        :param region: the executing Region, which isn't the one that the functions are in
        """
        self._functions, self._environment, self._credentials = functions, environment, credentials
        self._region = region
        self._running: dict[str, _Interpreter] = {}
        self._lock = threading.Lock()

    def __call__(self, arn: str, event: dict[str, Any]) -> Any:
        """Invoke the version of a function that an ARN names, and return its result.

        :raises FunctionError: with status 503 if the function fails or exceeds its time-out
        """
        with self._lock:
            interpreter = self._running.get(arn)
            if interpreter is None or not interpreter.alive:
                interpreter = self._running[arn] = self._start(arn)
        return interpreter.invoke(event)

    def stop(self) -> None:
        """End all interpreters. The next event starts a new one, like the cold start of a new sandbox."""
        with self._lock:
            for interpreter in self._running.values():
                interpreter.stop()
            self._running.clear()

    def _start(self, arn: str) -> _Interpreter:
        answer = self._functions.get_function(FunctionName=arn)
        settings = answer["Configuration"]
        archive = _download(answer["Code"]["Location"])
        digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
        if digest != settings["CodeSha256"]:
            raise FunctionError(f"the emulator no longer has the code of {arn}: publish a new version", 503)
        name = f"us-east-1.{settings['FunctionName']}"
        variables = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            **self._environment,
            **(self._credentials(settings) if self._credentials else {}),
            # lambda-edge-testing-debugging.html: functions run in the Region nearest to the viewer, and their name
            # begins with us-east-1 there.
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{settings['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": settings["Version"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings["MemorySize"]),
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": uuid.uuid4().hex,
            "_HANDLER": settings["Handler"],
            "READPLANE_EDGE_ARN": arn,
        }
        return _Interpreter(archive, settings["Handler"], float(settings["Timeout"]), variables)


def _download(location: str) -> bytes:
    """Return the zip at the URL that GetFunction gives.

    :raises FunctionError: if the URL isn't on this machine
    """
    if urllib.parse.urlsplit(location).hostname not in ("localhost", "127.0.0.1"):
        raise FunctionError(f"the code is at {location}, which isn't an emulator on this machine", 503)
    with urllib.request.urlopen(location, timeout=30) as response:
        archive: bytes = response.read()
        return archive


class _Interpreter:
    """A Python interpreter that has imported a function's handler, and serves one event at a time."""

    def __init__(self, archive: bytes, handler: str, seconds: float, variables: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="edge-function-")
        zipfile.ZipFile(io.BytesIO(archive)).extractall(self._folder.name)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._unread = b""
        command = [sys.executable, "-I", "-S", "-B", str(RUNNER), self._folder.name, handler, str(seconds)]
        self._process = subprocess.Popen(
            command,
            env={**variables, "LAMBDA_TASK_ROOT": self._folder.name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self._answers = select.poll()
        self._answers.register(self._process.stdout, select.POLLIN)
        if not self._read(INIT_SECONDS).get("ready"):
            raise FunctionError("the function failed to initialise", 503)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def invoke(self, event: dict[str, Any]) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(event).encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError as error:
                raise FunctionError("the function has ended", 503) from error
            answer = self._read(self._seconds)
        if "error" in answer:
            # http-503-service-unavailable.html: a function that raises an error, or exceeds its time-out
            raise FunctionError(str(answer["error"]), 503)
        return answer["result"]

    def _read(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._unread:
            ready = self._answers.poll(max(0.0, deadline - time.monotonic()) * 1000)
            block = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            if not block:
                self.stop()
                raise FunctionError("the function exceeded its time-out" if not ready else "the function ended", 503)
            self._unread += block
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._folder.cleanup()
