"""Test how ops.parts runs make targets, with a Makefile of the test's own."""

import os
import sys
from pathlib import Path

import pytest

from ops import parts
from ops.console import CommandError

NICENESS = f"{sys.executable} -c 'import os; print(os.nice(0))'"
MAKEFILE = f"""\
first:
\t@touch first-runs; while [ ! -e second-runs ]; do sleep 0.01; done; echo out of first; {NICENESS} > first-is-nice
second:
\t@{NICENESS} > second-is-nice
\t@touch second-runs; while [ ! -e first-runs ]; do sleep 0.01; done; echo out of second; echo error of second >&2
bad:
\t@exit 1
last:
\t@echo out of last
before:
\t@while [ ! -e beside-runs ]; do sleep 0.01; done; echo before >> order
after:
\t@echo after >> order
beside:
\t@touch beside-runs; while ! grep -sq after order; do sleep 0.01; done; {NICENESS} > beside-is-nice
"""


def test_joined_targets_run_at_the_same_time_and_a_failure_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    assert parts.main(["first+second", "bad", "last"]) == 1
    output = capfd.readouterr().out
    for text in ("== make first", "out of first", "== make second", "out of second", "error of second", "out of last"):
        assert text in output
    assert int((tmp_path / "first-is-nice").read_text()) == os.nice(0)
    assert int((tmp_path / "second-is-nice").read_text()) == 19, "it must not slow the first target down"
    assert output.index("out of first") < output.index("== make second") < output.index("out of last")
    durations = output.partition("== Durations")[2]
    assert [line.split()[::3] for line in durations.strip().splitlines()] == [
        ["first", "passed"],
        ["second", "passed"],
        ["bad", "FAILED"],
        ["last", "passed"],
        ["all", "FAILED"],
    ]


@pytest.mark.parametrize(
    ("group", "niceness"),
    [("before,after+beside", 19), ("before,after++beside", os.nice(0)), ("beside+before,after", os.nice(0))],
)
def test_the_targets_of_a_lane_run_one_after_another_beside_those_of_another(
    group: str, niceness: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    assert parts.main([group]) == 0
    assert (tmp_path / "order").read_text().split() == ["before", "after"]
    assert int((tmp_path / "beside-is-nice").read_text()) == niceness


def test_lanes_are_joined_by_one_plus_sign_or_two() -> None:
    assert parts.lanes_of("a") == [(["a"], False)]
    assert parts.lanes_of("a,b++c+d,e") == [(["a", "b"], False), (["c"], False), (["d", "e"], True)]
    with pytest.raises(CommandError, match="one plus sign or two"):
        parts.lanes_of("a+++b")


def test_all_targets_that_pass_give_exit_code_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    assert parts.main(["last"]) == 0
