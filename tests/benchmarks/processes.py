"""The processes: the fake, and a fresh interpreter for every sample."""

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
# The interpreter itself, not the virtual environment's: a sample's path is what it is told and nothing more.
_PYTHON: str = getattr(sys, "_base_executable", sys.executable)


class SampleFailed(Exception):
    """A sample's process failed; the message is the end of what it had to say."""


class Told:
    """A process that is told what to do by lines of JSON, and answers each; it lasts as long as the ``with`` block.

    ``told`` is its first line, written when it is ready.
    """

    def __init__(
        self, module: str, *arguments: str, env: Mapping[str, str] | None = None, errors: Path | None = None
    ) -> None:
        """Run a module of this project.

        :param env: a function's own environment; ours, with everything on the path, without.
        :param errors: the file that it complains to, if not to ours.
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
        self.told = self.line()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        if error:
            self._process.kill()  # it may be amid something that nobody waits for any more
        self._process.wait(30)

    def do(self, what: str, **told: Any) -> dict[str, Any]:
        """Have it do something; its answer. Threads may share it."""
        assert self._process.stdin
        with self._lock:
            print(json.dumps({"do": what, **told}), file=self._process.stdin, flush=True)
            return self.line()

    def line(self) -> dict[str, Any]:
        """Its next line.

        :raises SampleFailed: where it has ended instead.
        """
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SampleFailed(f"{self._name} has ended: {_told(self._errors) if self._errors else ''}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class FakeProcess(Told):
    """The fake AWS: ``reset``, ``counts`` or ``state``, and ``shard``, see there."""

    def __init__(self, folder: Path) -> None:
        super().__init__("tests.benchmarks.fake", str(folder))
        self.env = {
            "AWS_ENDPOINT_URL": f"https://127.0.0.1:{self.told['port']}",
            "AWS_CA_BUNDLE": str(folder / "ca.pem"),
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{self.told['daemon']}",
        }


class Runner:
    """Starts samples against one fake; ``folder`` is for what they are told."""

    def __init__(self, fake: FakeProcess, folder: Path) -> None:
        self._fake = fake
        self._folder = folder
        (folder / "home").mkdir()

    def sample(self, subject: Subject, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """One cold start that serves one event: seconds, bytes, modules and the answer."""
        return self._once(subject, function, "cold", [event])[0]

    def answers(self, subject: Subject, function: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a subject answers to each of the events."""
        return [found["answer"] for found in self._once(subject, function, "answers", events)]

    def stages(self, subject: Subject, function: str, event: dict[str, Any]) -> dict[str, dict[str, float]]:
        """One cold start of ours, taken apart: CPU seconds by step, and by store of trusted roots."""
        found: dict[str, dict[str, float]] = self._once(subject, function, "stages", [event])[0]
        return found

    def server(self, subject: Subject, function: str, event: dict[str, Any]) -> "Server":
        """A process that stays and serves the event as often as it is told to."""
        out, told = os.pipe()
        process = self._start(subject, function, "warm", [event], told)
        os.close(told)
        return Server(process, out, self.errors(subject, function, "warm"))

    def _once(self, subject: Subject, function: str, mode: str, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        out, told = os.pipe()
        process = self._start(subject, function, mode, events, told)
        os.close(told)
        try:
            with os.fdopen(out, "rb") as answer:
                text = answer.read()
            process.communicate()
        finally:
            process.kill()  # only when interrupted it hasn't ended yet
            process.wait()
        if process.returncode or not text:
            raise SampleFailed(f"{subject.label}, {function}: {_told(self.errors(subject, function, mode))}")
        found: list[dict[str, Any]] = json.loads(text)
        return found

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
        # A file, not a pipe: nobody reads it while the process runs, and a full pipe would stop it for ever.
        with self.errors(subject, function, mode).open("wb") as errors:
            return subprocess.Popen(
                # -I: nothing of this process's environment or folder; -B: nobody compiles anything for the next sample.
                [_PYTHON, "-I", "-B", str(_STAGES if mode == "stages" else _SAMPLE), str(file), str(out)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=[out],
                env=self.environment(subject, function),
            )

    def errors(self, subject: Subject, function: str, mode: str) -> Path:
        """The file that a sample or a host complains to."""
        return self._folder / f"{subject.name}-{function}-{mode}.errors"

    def environment(self, subject: Subject, function: str) -> dict[str, str]:
        """What stands in a function's environment, and nothing else."""
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
    """A warm subject. :meth:`serve` tells the CPU seconds per request."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: int, errors: Path) -> None:
        self._process = process
        self._out = os.fdopen(out, "rb")
        self._errors = errors

    def serve(self, requests: int) -> float:
        """Serve so many requests."""
        assert self._process.stdin
        self._process.stdin.write(f"{requests}\n".encode())
        self._process.stdin.flush()
        line = self._out.readline()
        if not line:
            raise SampleFailed(_told(self._errors))
        return float(line) / requests

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()
        self._out.close()


def _told(errors: Path) -> str:
    return errors.read_text(errors="replace")[-2000:]
