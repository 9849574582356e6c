"""Tests of the byte-code in the zips: what it leaves out, and the tracebacks of its errors."""

import marshal
import re
import subprocess
import traceback
import types
from pathlib import Path
from typing import Any

import pytest

from ops.build.compile_tree import compile_ours
from ops.build.targets import TARGETS
from ops.console import ROOT
from tests.unit.ops.build.support import Unpacked


@pytest.mark.parametrize("target", TARGETS)
def test_a_traceback_names_the_files_and_lines_of_the_sources(target: str, unpacked: dict[str, Unpacked]) -> None:
    program = Path(__file__).with_name("fail_in_config.py")
    done = subprocess.run(
        [TARGETS[target].interpreter(), "-I", "-S", program, unpacked[target].hot],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    name, line = re.findall(r'File "/var/task/(readplane/config\.py)", line (\d+)', done.stderr)[-1]
    assert (ROOT / "lambda_src" / name).read_text().splitlines()[int(line) - 1].lstrip().startswith("raise ")


SOURCE = """
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from nowhere import Nothing


class Store(Protocol):
    size: int

    def get(self, key: str) -> "Nothing":
        '''Get.'''

    def twice(self, key: str) -> list[str]:
        return [key, key]


class Point(NamedTuple):
    x: int
    y: "int | None" = None


names: Callable[[], Iterator[str]] = lambda: iter("ab")


def add(first: int, *others: int, factor: int = 1, **more: int) -> int:
    long_name: int = first * factor
    captured = sum(others)

    def inner(extra: int) -> int:
        another_name = captured + extra + long_name
        return another_name

    for number in more.values():
        long_name += number
    return inner(0)


def fail(text: str) -> int:
    return int(
        text
    )
"""


def run(source: str) -> dict[str, Any]:
    """Run a source from the byte-code that the zips would have. Return the module's names."""
    names: dict[str, Any] = {"__name__": "module"}
    exec(marshal.loads(compile_ours(source.encode(), "/var/task/module.py")), names)
    return names


def test_the_byte_code_does_what_the_source_does() -> None:
    module = run(SOURCE)
    assert module["add"](1, 2, 3, factor=10, a=4) == 19
    assert (module["Point"](1), list(module["names"]())) == ((1, None), ["a", "b"])
    assert module["Store"].twice(None, "a") == ["a", "a"]


def test_the_byte_code_leaves_out_what_nothing_needs() -> None:
    module = run(SOURCE)
    assert not {"Callable", "Iterator", "Nothing", "TYPE_CHECKING"} & set(module)
    assert not hasattr(module["Store"], "get") and module["Store"].__annotations__ == {"size": int}
    assert module["add"].__annotations__ == {} and "__annotations__" not in module
    assert list(module["Point"].__annotations__) == ["x", "y"]
    code: types.CodeType = module["add"].__code__
    assert code.co_varnames[:4] == ("first", "factor", "others", "more")
    assert all(len(name) == 1 for name in code.co_varnames[4:]) and code.co_varnames[4:]
    (inner,) = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    assert (inner.co_qualname, inner.co_freevars) == ("inner", ("captured", "long_name"))


def test_a_traceback_names_the_first_line_of_a_statement() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        run(SOURCE)["fail"]("x")
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.name) == ("/var/task/module.py", "fail")
    assert SOURCE.splitlines()[(frame.lineno or 0) - 1].strip() == "return int("
