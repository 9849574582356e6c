"""The parts of a benchmark with a back office: the back office, the functions, and the stream between them."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.load import SOURCE, request
from tests.benchmarks.processes import CommandProcess, FakeProcess, Runner, SampleError
from tests.benchmarks.subjects import Subject

BATCH = 500
"""The most records that one invocation of ``apply`` receives."""


class BackOffice(CommandProcess):
    """The back office's process. Its commands are ``counts`` and ``begin``, which takes ``phases`` and ``start``."""

    def __init__(self, rows: int, size: int, page: int, *, slow: bool = False) -> None:
        """Start the back office.

        :param rows: how many rows it has.
        :param size: about how many bytes each row has.
        :param page: how many rows a page has.
        :param slow: True if its responses take 20 ms and it can stall and be down.
        """
        arguments = [str(value) for value in (rows, size, page, *(["slow"] if slow else []))]
        super().__init__("tests.benchmarks.poll.back_office", *arguments)
        self.port: int = self.ready["port"]

    def source(self, **settings: Any) -> dict[str, Any]:
        """Return the settings of a source that polls this back office.

        :param settings: more settings, under their JSON names. They replace those of this method.
        """
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


class Function(CommandProcess):
    """A process that hosts one function."""

    def __init__(self, runner: Runner, subject: Subject, function: str, *, http: bool = False, **env: str) -> None:
        """Start the function.

        :param http: True if the function also serves HTTP.
        :param env: more environment variables of the function.
        """
        spec: dict[str, Any] = {"module": subject.module.format(function), "path": subject.path}
        if http:
            spec["event"] = request("GET")
        super().__init__(
            "tests.benchmarks.poll.host",
            json.dumps(spec),
            env=runner.environment(subject, function) | env,
            errors=runner.errors(subject, function, "host"),
        )

    def invoke(self, event: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Invoke the function with an event and a time limit; return its response and the seconds that it took."""
        return self.do("invoke", seconds=seconds, event=event)

    def invoke_with_file(self, file: Path, seconds: float) -> dict[str, Any]:
        """Invoke the function like :meth:`invoke`, but read the event from a file."""
        return self.do("invoke", seconds=seconds, file=str(file))


class Stream:
    """Lambda's event source mapping from Kinesis to ``apply``, simulated. It delivers every record once, in order."""

    def __init__(self, fake: FakeProcess, apply: Function, file: Path) -> None:
        self._fake = fake
        self._apply = apply
        self._file = file

    def deliver(self) -> tuple[int, float]:
        """Invoke ``apply`` with the next records; return their number and the seconds that ``apply`` took.

        :raises SampleError: if ``apply`` reports any of them as failed.
        """
        number: int = self._fake.do("shard", file=str(self._file), limit=BATCH)["records"]
        if not number:
            return 0, 0.0
        reply = self._apply.invoke_with_file(self._file, 60)
        if reply["response"] != {"batchItemFailures": []}:
            raise SampleError(f"apply, records of the change stream: {reply['response']}")
        return number, reply["wall"]


class BackgroundTasks:
    """Tasks that run beside a measurement, each in its own thread, until the ``with`` block ends."""

    def __init__(self, *tasks: Callable[[threading.Event], None]) -> None:
        """Start the tasks.

        :param tasks: the functions to call, once each. A task must return when the event that it gets is set.
        """
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(len(tasks))
        self._running = [self._pool.submit(task, self._stop) for task in tasks]

    def __enter__(self) -> None:
        return

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        for task in self._running:
            task.result()  # raises the task's error, if any
