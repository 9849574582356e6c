"""The processes that the benchmarks start: servers that receive commands, and a fresh process for each measurement."""

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
# The interpreter that runs the measured functions. It isn't the virtual environment's interpreter, because that one
# would add the packages of the virtual environment to ``sys.path``.
_PYTHON: str = getattr(sys, "_base_executable", sys.executable)


class SampleError(Exception):
    """A measurement failed. If the measured process failed, the message contains the end of its standard error."""


class CommandProcess:
    """A child process that receives commands and replies to them. It runs until the ``with`` block ends.

    Each command and each reply is a JSON object on one line. As soon as the child process can receive commands, it
    writes a first JSON object. The attribute ``ready`` holds this object.
    """

    def __init__(
        self, module: str, *arguments: str, env: Mapping[str, str] | None = None, errors: Path | None = None
    ) -> None:
        """Start a child process that runs a module of this project.

        :param env: the environment variables of the child process; by default those of this process. ``PYTHONPATH`` is
            always replaced by the folders of this project.
        :param errors: the file for the standard error of the child process. By default, the child process writes to the
            standard error of this process.
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
            # Kill the child process, because it may still be busy with a command whose reply nobody reads.
            self._process.kill()
        self._process.wait(30)

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a command and return the reply. Several threads may call this method at the same time.

        :param arguments: the arguments of the command. They become members of its JSON object, beside ``do``.
        """
        assert self._process.stdin
        with self._lock:
            print(json.dumps({"do": command, **arguments}), file=self._process.stdin, flush=True)
            return self.read_line()

    def read_line(self) -> dict[str, Any]:
        """Return the JSON object in the next line that the child process writes.

        :raises SampleError: if the child process has ended.
        """
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SampleError(f"{self._name} has ended: {_tail(self._errors) if self._errors else ''}")
        reply: dict[str, Any] = json.loads(line)
        return reply


class FakeProcess(CommandProcess):
    """The process of the fake AWS server. Its commands are ``reset``, ``counts``, ``state``, ``store``, ``rows``
    and ``shard``.

    The attribute ``env`` holds the environment variables that make an AWS client call this server.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__("tests.benchmarks.fake", str(folder))
        self.env = {
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{self.ready['port']}",
            "AWS_CA_BUNDLE": str(folder / "ca.pem"),
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{self.ready['daemon']}",
        }


class Runner:
    """Starts a fresh process for each measurement. All these processes call the same fake AWS server."""

    def __init__(self, fake: FakeProcess, folder: Path) -> None:
        """Make the home folder that the measured processes share.

        :param folder: the folder in which to make the home folder. For each measured process, it also gets two
            files: one with the process's specification, and one for the process's standard error.
        """
        self._fake = fake
        self._folder = folder
        (folder / "home").mkdir()

    def sample(self, subject: Subject, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Measure one cold start that serves one event.

        :returns: the wall and CPU seconds, the peak memory in bytes, the imported modules, and the response.
        """
        return self._once(subject, function, "cold", [event])[0]

    def responses(self, subject: Subject, function: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the responses of an implementation to the events, in the order of the events."""
        return [sample["response"] for sample in self._once(subject, function, "responses", events)]

    def stages(self, subject: Subject, function: str, event: dict[str, Any]) -> dict[str, dict[str, float]]:
        """Measure one cold start of Readplane step by step.

        :returns: the CPU seconds of each step, and the CPU seconds that loading each CA bundle takes.
        """
        seconds: dict[str, dict[str, float]] = self._once(subject, function, "stages", [event])[0]
        return seconds

    def server(self, subject: Subject, function: str, event: dict[str, Any]) -> "Server":
        """Start a process that loads the handler once. :meth:`Server.serve` makes it serve the event repeatedly."""
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
            process.kill()  # because the child process may still run if this process was interrupted
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
        # Send the standard error of the child to a file, not to a pipe. This process wouldn't read the pipe while the
        # child runs, and a full pipe would block the child.
        with self.errors(subject, function, mode).open("wb") as errors:
            return subprocess.Popen(
                # With -I, Python ignores PYTHON* variables and the current folder. With -B, Python writes no byte-code,
                # which would make later cold starts faster.
                [_PYTHON, "-I", "-B", str(_STAGES if mode == "stages" else _SAMPLE), str(file), str(out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[out],
                env=self.environment(subject, function),
            )

    def errors(self, subject: Subject, function: str, mode: str) -> Path:
        """Return the path of the file for the standard error of a measured process."""
        return self._folder / f"{subject.name}-{function}-{mode}.errors"

    def environment(self, subject: Subject, function: str) -> dict[str, str]:
        """Return all environment variables of a measured process, both Lambda's own and the function's settings."""
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
    """A measured process that keeps running and serves warm requests."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: int, errors: Path) -> None:
        self._process = process
        self._out = os.fdopen(out, "rb")
        self._errors = errors

    def serve(self, requests: int) -> float:
        """Make the process serve this number of requests; return the mean CPU seconds per request."""
        assert self._process.stdin
        self._process.stdin.write(f"{requests}\n".encode())
        self._process.stdin.flush()
        line = self._out.readline()
        if not line:
            raise SampleError(_tail(self._errors))
        return float(line) / requests

    def close(self) -> None:
        """Close the standard input of the process. The process then ends."""
        self._process.communicate()
        self._out.close()


def _tail(errors: Path) -> str:
    return errors.read_text(errors="replace")[-2000:]
