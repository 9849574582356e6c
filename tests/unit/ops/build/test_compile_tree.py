"""Test the tracebacks of errors in code that Python runs from the byte-code in the zips."""

import re
import subprocess
from pathlib import Path

import pytest

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
