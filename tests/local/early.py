"""Runs the tests with the marker ``early`` in a thread, one after the other, from the moment when the stack is up.

These tests run Terraform in folders of their own. They mostly wait, and they need nothing of the other tests. Each is
reported at its place at the end of the run, when its body has long since run.

They call no function of the stack, so nothing in them depends on the AWS client of the functions. A run with
READPLANE_CLIENT=boto3 leaves them out, because the run with the slim client does exactly the same with them.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from readplane.aws.client import VARIABLE
from tests.local.support import Local


class WithoutFunctions(Local):
    """The stack as an early test gets it. The test can't call the stack's functions, or read what they did."""

    def _refuse(self, *_arguments: object, **_options: object) -> NoReturn:
        raise AssertionError("An early test calls no function of the stack: the run with boto3 leaves this test out.")

    api = client = events = _refuse


class EarlyTests:
    """The early tests of one run."""

    def __init__(self, items: Iterable[pytest.Item], stack: Local, make_folder: Callable[[str], Path]) -> None:
        """Start the thread.

        :param items: all tests of the run.
        :param make_folder: makes an empty folder for a test, from the test's name.
        """
        # With two threads, two Terraforms would slow the tests that measure times.
        self._pool = ThreadPoolExecutor(1, "early-tests")
        self._results: dict[str, Future[Any]] = {}
        limited = WithoutFunctions(**{field.name: getattr(stack, field.name) for field in dataclasses.fields(stack)})
        for item in items:
            if isinstance(item, pytest.Function) and is_early(item):
                self._results[item.nodeid] = self._pool.submit(item.obj, stack=limited, tmp_path=make_folder(item.name))

    def wait_for(self, item: pytest.Item) -> None:
        """Wait until a test's body has run. Raise what the body has raised, such as a failed assertion."""
        self._results[item.nodeid].result()

    def stop(self) -> None:
        """Start no further body, and wait for the one that runs. A run that was interrupted needs this."""
        self._pool.shutdown(cancel_futures=True)


EARLY = pytest.StashKey[EarlyTests]()


def is_early(item: pytest.Item) -> bool:
    """Whether a test has the marker ``early``."""
    return item.get_closest_marker("early") is not None


def is_left_out(item: pytest.Item) -> bool:
    """Whether this run leaves a test out, because another run does the same with the other AWS client."""
    return is_early(item) and os.environ.get(VARIABLE) == "boto3"
