"""The parts of the benchmarks with a back office: the back office, the functions, and the stream that feeds `apply`."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.benchmarks.load import SOURCE, request
from tests.benchmarks.processes import CommandProcess, FakeProcess, Runner, SampleError
from tests.benchmarks.subjects import Subject, poll_settings
from tests.fakes.source_settings import add_defaults

BATCH = 500
"""The greatest number of Kinesis records that one invocation of `apply` receives."""


class BackOffice(CommandProcess):
    """The process of the simulated back office.

    The command ``counts`` returns how many requests the back office has received. The command ``begin`` starts the
    phases of the outage. It takes the arguments ``phases`` and ``start``.
    """

    def __init__(self, rows: int, size: int, page: int, *, slow: bool = False) -> None:
        """Start the process of the simulated back office.

        :param rows: the number of rows that the back office has.
        :param size: the approximate size of each row, in bytes.
        :param page: the number of rows in a page.
        :param slow: whether each response takes 20 ms, as a real back office's does. Only a slow back office can be
            told to stall and to go down, with the command ``begin``.
        """
        arguments = [str(value) for value in (rows, size, page, *(["slow"] if slow else []))]
        super().__init__("tests.benchmarks.poll.back_office", *arguments)
        self.port: int = self.ready["port"]

    def source(self, **settings: Any) -> dict[str, Any]:
        """Return the settings of a Readplane source for this back office.

        :param settings: additional settings by their JSON names. They take precedence over the settings in this method.
        """
        declared = {
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
        return add_defaults(declared)


class Function(CommandProcess):
    """A child process that hosts one Lambda function."""

    def __init__(self, runner: Runner, subject: Subject, function: str, *, http: bool = False, **env: str) -> None:
        """Start the process that hosts the function.

        :param subject: the implementation to host, for example Readplane or the proxy.
        :param function: the name of the function, for example `read`.
        :param http: whether the process also serves HTTP. It then invokes the function for each HTTP request.
        :param env: additional environment variables for the process.
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
        """Invoke the function once; return its response, and the wall and CPU seconds of the invocation.

        :param seconds: the time limit of the invocation, in seconds.
        """
        return self.do("invoke", seconds=seconds, event=event)

    def invoke_with_file(self, file: Path, seconds: float) -> dict[str, Any]:
        """Invoke the function like :meth:`invoke`, but let the process that hosts it read the event from a file."""
        return self.do("invoke", seconds=seconds, file=str(file))


class Poll(Function):
    """A child process that hosts `poll`, which knows one source. The attribute ``event`` polls that source."""

    def __init__(self, runner: Runner, subject: Subject, folder: Path, source: dict[str, Any]) -> None:
        """Write the source's settings where the fake AWS server finds them, and start the process.

        :param folder: the folder of the fake AWS server.
        :param source: the source's settings.
        """
        objects = folder / "s3"
        schemas = json.loads((objects / "schemas.json").read_text())
        content = json.dumps({"sources": {source["name"]: source}, "schemas": schemas})
        (objects / "sources.json").write_text(content)
        super().__init__(runner, subject, "poll", READPLANE_SETTINGS=poll_settings(subject, content))
        self.event = {"source": source["name"], "sweep": False}


class Stream:
    """Simulates Lambda's event source mapping from Kinesis to `apply`. It delivers every record once and in order."""

    def __init__(self, fake: FakeProcess, apply: Function, file: Path) -> None:
        self._fake = fake
        self._apply = apply
        self._file = file

    def deliver(self) -> tuple[int, float]:
        """Invoke `apply` with the next records of the stream, if there are any.

        :returns: the number of records, and the seconds that `apply` took.
        :raises SampleError: if `apply` reports that any of the records failed.
        """
        number: int = self._fake.do("shard", file=str(self._file), limit=BATCH)["records"]
        if not number:
            return 0, 0.0
        reply = self._apply.invoke_with_file(self._file, 60)
        if reply["response"] != {"batchItemFailures": []}:
            raise SampleError(f"apply, records of the change stream: {reply['response']}")
        return number, reply["wall"]


class BackgroundTasks:
    """Tasks that run during a measurement, each in its own thread, until the ``with`` block ends."""

    def __init__(self, *tasks: Callable[[threading.Event], None]) -> None:
        """Start a thread for each task.

        :param tasks: the functions to call, each in its own thread. The argument of each function is a
            ``threading.Event``. The function must return as soon as this event is set.
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
            task.result()  # raises the exception that the task raised, if any
