"""What a benchmark of sync sets up: the back office, and Readplane's two functions that bring its changes in."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.load import SOURCE, request
from tests.benchmarks.processes import FakeProcess, Runner, SampleFailed, Told
from tests.benchmarks.subjects import Subject

BATCH = 500
"""Records that one invocation of ``apply`` is given, at most."""


class BackOffice(Told):
    """The back office's process: so many rows of about ``size`` bytes, in pages of ``page``; ``slow`` as one is."""

    def __init__(self, rows: int, size: int, page: int, *, slow: bool = False) -> None:
        arguments = [str(value) for value in (rows, size, page, *(["slow"] if slow else []))]
        super().__init__("tests.benchmarks.poll.back_office", *arguments)
        self.port: int = self.told["port"]

    def source(self, **settings: Any) -> dict[str, Any]:
        """The settings by which ``poll`` reads it; ``settings`` come on top."""
        return {
            "name": SOURCE,
            "mode": "changes",
            "collection": "products",
            "url": f"http://127.0.0.1:{self.port}/changes?since={{cursor}}",
            "records": "rows",
            "id": "code",
            "version": {"expression": "modified", "format": "unix_ms"},
            "deleted": "removed",
            "translation": "{name: title, price: price, description: text}",
            "paging": {"style": "link", "next": "next_url"},
            "staleness_budget": 60,
            **settings,
        }


class Function(Told):
    """One function in a process of its own; behind HTTP with ``http``, else invoked."""

    def __init__(self, runner: Runner, subject: Subject, function: str, *, http: bool = False, **env: str) -> None:
        told: dict[str, Any] = {"module": subject.module.format(function), "path": subject.path}
        if http:
            told["event"] = request("GET")
        super().__init__(
            "tests.benchmarks.poll.host",
            json.dumps(told),
            env=runner.environment(subject, function) | env,
            errors=runner.errors(subject, function, "host"),
        )

    def invoke(self, seconds: float, **told: Any) -> dict[str, Any]:
        """Give it an ``event``, or the ``file`` that holds one; it may take so many seconds."""
        return self.do("invoke", seconds=seconds, **told)


class Stream:
    """What Lambda does between Kinesis and ``apply``: it hands on what there is, in order, and nothing twice."""

    def __init__(self, fake: FakeProcess, apply: Function, file: Path) -> None:
        self._fake = fake
        self._apply = apply
        self._file = file

    def hand_on(self) -> tuple[int, float]:
        """One invocation with the next records; how many they were, and the seconds it took.

        :raises SampleFailed: when ``apply`` wants any of them again.
        """
        number: int = self._fake.do("shard", file=str(self._file), limit=BATCH)["records"]
        if not number:
            return 0, 0.0
        found = self._apply.invoke(60, file=str(self._file))
        if found["answer"] != {"batchItemFailures": []}:
            raise SampleFailed(f"apply, records of the change stream: {found['answer']}")
        return number, found["wall"]


class Steps:
    """Things done again and again beside the measurement, each in its own thread, until the ``with`` block ends."""

    def __init__(self, *steps: Callable[[threading.Event], None]) -> None:
        """Each step is called once, and goes on until its event is set."""
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(len(steps))
        self._running = [self._pool.submit(step, self._stop) for step in steps]

    def __enter__(self) -> None:
        return

    def __exit__(self, *told: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for step in self._running:
            step.result()  # what went wrong there goes wrong here
