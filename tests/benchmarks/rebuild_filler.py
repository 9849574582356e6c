"""The process that fills a table in the benchmark of `rebuild items fill`.

Its argument is a JSON object: ``regions`` holds the Regions of the logs, and ``env`` the environment variables that
make an AWS client call the fake AWS server. The process reads commands from standard input, one JSON object per line,
and answers each with another.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

from ops.cli.items_fill import WORKERS, Fill, FilledItems, ListedObject
from ops.walk import LogObject, Prefix
from readplane.apply.objects import S3LogObjects
from readplane.aws.boto import BotoClient
from readplane.model.change import PoisonError
from tests.benchmarks.load import BUILDING, COLLECTIONS, HORIZON_MS


class Progress:
    """The job of a fill. It only counts. It saves nothing and doesn't wait, because only the fill is measured."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def advance(self, position: Any, **counts: int) -> None:
        """Add to the counts."""
        self.counts.update(counts)

    def pace(self, steps: int = 1) -> None:
        """Return at once."""

    def renew(self) -> None:
        """Return at once."""


class NoPoison:
    """Refuses every line that can't be applied, because the log holds none."""

    def handle(self, region: str, line: bytes, poison: PoisonError, origin: str) -> NoReturn:
        """Raise the error that parsing the line has raised."""
        raise poison


class Filler:
    """Fills the building table as `rebuild items fill` does. Its AWS clients and its threads stay the same."""

    def __init__(self, regions: Sequence[str]) -> None:
        """Make the clients.

        :param regions: the Regions of the logs. The table is in the first one.
        """
        dynamodb = BotoClient("dynamodb", region=regions[0], attempts=8, connections=WORKERS)
        self._items = FilledItems(dynamodb, BUILDING, horizon_ms=HORIZON_MS)
        self._objects = {
            region: S3LogObjects(BotoClient("s3", region=region, attempts=5, read_timeout=20), "bucket")
            for region in regions
        }
        self._readers, self._writers = ThreadPoolExecutor(WORKERS), ThreadPoolExecutor(WORKERS)

    def fold(self, objects: Sequence[tuple[str, Prefix, str, int]]) -> dict[str, Any]:
        """Fold objects of the log into the table. Return the wall and CPU seconds, and the counts of the job.

        :param objects: the Region, the prefix, the key and the size of each object.
        """
        listed = [ListedObject(region, prefix, LogObject(key, size, 0)) for region, prefix, key, size in objects]
        progress = Progress()
        wall, cpu = time.perf_counter(), time.process_time()
        fill = Fill(self._objects, self._items, COLLECTIONS, NoPoison(), readers=self._readers, writers=self._writers)
        fill.fold(listed, progress)
        return {
            "wall": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "counts": dict(progress.counts),
        }


def main() -> None:
    """Carry out the command ``fold`` until standard input ends. The first answer says that the process is ready."""
    spec = json.loads(sys.argv[1])
    os.environ.update(spec["env"])
    filler = Filler(spec["regions"])
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(filler.fold(json.loads(line)["objects"])), flush=True)


if __name__ == "__main__":
    main()
