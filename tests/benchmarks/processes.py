"""The processes of the benchmarks: long-running ones that take commands, and a fresh one for every sample."""

import json
import marshal
import os
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.subjects import ROOT, Subject

_SAMPLE, _STAGES = (Path(__file__).with_name(f"{name}.py") for name in ("sample", "stages"))
_CACERT = Path(sysconfig.get_path("purelib"), "botocore", "cacert.pem")
# Run samples with the base interpreter, because the virtual environment's would add its packages to ``sys.path``.
_PYTHON: str = getattr(sys, "_base_executable", sys.executable)


class SampleError(Exception):
    """A measurement failed. If its process failed, the message holds the end of the process's standard error."""


class CommandProcess:
    """A process that receives commands and replies to them. It runs until the ``with`` block ends.

    Each command and each reply is a JSON object on one line. ``ready`` is the object that the process writes first, as
    soon as it can receive commands.
    """

    def __init__(
        self, module: str, *arguments: str, env: Mapping[str, str] | None = None, errors: Path | None = None
    ) -> None:
        """Start a process that runs a module of this project.

        :param env: the environment variables of the new process; by default those of this process. In both cases, the
            project is added to the Python path.
        :param errors: the file for the new process's standard error; by default it shares that of this process.
        """
        path = os.pathsep.join((str(ROOT), str(ROOT / "lambda_src")))
        self._name = module.rpartition(".")[2]
        self._errors = errors
        self._lock = threading.Lock()
        with errors.open("wb") if errors else nullcontext() as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                env={**os.environ, "PYTHONPATH": path} if env is None else {**env, "PYTHONPATH": str(ROOT)},
            )
        self.ready = self.read_line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        if error:
            self._process.kill()  # it may still carry out a command, and nobody will read the reply
        self._process.wait(30)

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and return the reply. Several threads may call this method at the same time.

        :param arguments: more members of the command's JSON object. Which ones a process takes depends on the command.
        """
        assert self._process.stdin
        with self._lock:
            print(json.dumps({"do": command, **arguments}), file=self._process.stdin, flush=True)
            return self.read_line()

    def read_line(self) -> dict[str, Any]:
        """Return the JSON object in the process's next line of output.

        :raises SampleError: if the process has ended.
        """
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SampleError(f"{self._name} has ended: {_tail(self._errors) if self._errors else ''}")
        reply: dict[str, Any] = json.loads(line)
        return reply


class FakeProcess(CommandProcess):
    """The process of the fake AWS. Its commands are ``reset``, ``counts``, ``state`` and ``shard``."""

    def __init__(self, folder: Path) -> None:
        super().__init__("tests.benchmarks.fake", str(folder))
        self.env = {
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{self.ready['port']}",
            "AWS_CA_BUNDLE": str(folder / "ca.pem"),
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{self.ready['daemon']}",
        }


class Runner:
    """Starts a process for each sample. All these processes call the same fake AWS."""

    def __init__(self, fake: FakeProcess, folder: Path) -> None:
        """Make the home folder of the samples' processes.

        :param folder: the folder for the samples' specifications, their standard error and the home folder.
        """
        self._fake = fake
        self._folder = folder
        (folder / "home").mkdir()

    def sample(self, subject: Subject, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Measure one cold start that serves one event; return seconds, bytes, modules and the response."""
        return self._once(subject, function, "cold", [event])[0]

    def responses(self, subject: Subject, function: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a subject's responses to the events, in the same order."""
        return [sample["response"] for sample in self._once(subject, function, "responses", events)]

    def stages(self, subject: Subject, function: str, event: dict[str, Any]) -> dict[str, dict[str, float]]:
        """Measure one cold start of Readplane; return the CPU seconds by step, and by store of trusted roots."""
        seconds: dict[str, dict[str, float]] = self._once(subject, function, "stages", [event])[0]
        return seconds

    def server(self, subject: Subject, function: str, event: dict[str, Any]) -> "Server":
        """Start a process that serves the same event again and again."""
        read_end, write_end = os.pipe()
        process = self._start(subject, function, "warm", [event], write_end)
        os.close(write_end)
        return Server(process, read_end, self.errors(subject, function, "warm"))

    def _once(self, subject: Subject, function: str, mode: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        read_end, write_end = os.pipe()
        process = self._start(subject, function, mode, events, write_end)
        os.close(write_end)
        try:
            with os.fdopen(read_end, "rb") as output:
                text = output.read()
            process.communicate()
        finally:
            process.kill()  # the sample's process still runs only if this process was interrupted
            process.wait()
        if process.returncode or not text:
            raise SampleError(f"{subject.label}, {function}: {_tail(self.errors(subject, function, mode))}")
        samples: list[dict[str, Any]] = json.loads(text)
        return samples

    def _start(
        self, subject: Subject, function: str, mode: str, events: list[dict[str, Any]], out: int
    ) -> "subprocess.Popen[bytes]":
        spec = {
            "mode": mode,
            "module": subject.module.format(function),
            "path": list(subject.path),
            "botocore": str(_CACERT),
            "events": [marshal.dumps(event) for event in events],
        }
        file = self._folder / f"{subject.name}-{function}-{mode}.spec"
        file.write_bytes(marshal.dumps(spec))
        # Send standard error to a file. Nobody reads a pipe while the process runs, and a full pipe would block it.
        with self.errors(subject, function, mode).open("wb") as errors:
            return subprocess.Popen(
                # -I ignores PYTHON* variables and the current folder. -B writes no byte-code, because byte-code would
                # speed up later samples.
                [_PYTHON, "-I", "-B", str(_STAGES if mode == "stages" else _SAMPLE), str(file), str(out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[out],
                env=self.environment(subject, function),
            )

    def errors(self, subject: Subject, function: str, mode: str) -> Path:
        """Return the path of the file for a process's standard error."""
        return self._folder / f"{subject.name}-{function}-{mode}.errors"

    def environment(self, subject: Subject, function: str) -> dict[str, str]:
        """Return all environment variables of a subject's process."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(self._folder / "home"),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "AWS_LAMBDA_FUNCTION_NAME": f"demo-{function}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "LAMBDA_TASK_ROOT": subject.path[0],
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": "token" * 150,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "TABLE": "items-0",
            "STREAM": "log",
            "BUCKET": "bucket",
            **self._fake.env,
            **subject.env,
        }


class Server:
    """A running process that serves warm requests."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: int, errors: Path) -> None:
        self._process = process
        self._out = os.fdopen(out, "rb")
        self._errors = errors

    def serve(self, requests: int) -> float:
        """Let the process serve a number of requests; return the mean CPU seconds per request."""
        assert self._process.stdin
        self._process.stdin.write(f"{requests}\n".encode())
        self._process.stdin.flush()
        line = self._out.readline()
        if not line:
            raise SampleError(_tail(self._errors))
        return float(line) / requests

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._out.close()


def _tail(errors: Path) -> str:
    return errors.read_text(errors="replace")[-2000:]
