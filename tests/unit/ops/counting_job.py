"""A program that counts in a job until it is killed. A test of ops/jobs.py runs it in a process of its own."""

from itertools import count

import ops.jobs
from ops.cli.target import Target
from ops.jobs import JobOptions, open_job
from tests.unit.ops.cli.support import OUTPUTS


def main() -> None:
    """Count on from the job's position, and print each number once it is saved."""
    ops.jobs.SAVE_SECONDS = 0.0
    with open_job(Target(OUTPUTS), "count", {}, JobOptions(yes=True)) as job:
        for number in count((job.position or 0) + 1):
            job.advance(number, numbers=1)
            print(number, flush=True)
            job.wait(0.01)


if __name__ == "__main__":
    main()
