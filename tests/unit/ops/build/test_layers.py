"""Test that the layers of the private stores import by themselves, without anything that this machine has installed."""

import subprocess
from pathlib import Path

import pytest

from ops.build.targets import TARGETS
from tests.unit.ops.build.support import Unpacked


def run_isolated(target: str, program: str, *folders: Path) -> str:
    """Run a program with the target's interpreter. Only the folders and the standard library are on its path."""
    lines = ["import sys", f"sys.path[:0] = {[str(folder) for folder in folders]}", program]
    command = [str(TARGETS[target].interpreter()), "-I", "-S", "-B", "-c", "\n".join(lines)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_database_layer_brings_its_own_libpq_with_tls(unpacked: dict[str, Unpacked]) -> None:
    program = """
import psycopg
print(psycopg.pq.__impl__, psycopg.pq.version() >= 160000, psycopg.pq.__build_version__ >= 160000)
try:
    psycopg.connect("host=127.0.0.1 port=1 sslmode=verify-full sslrootcert=system connect_timeout=2")
except psycopg.OperationalError as error:
    print("refused" in str(error))  # libpq without TLS would refuse the option sslmode instead
"""
    assert run_isolated("local", program, unpacked["local"].database_layer) == "binary True True\nTrue"


@pytest.mark.parametrize("target", TARGETS)
def test_the_dax_layer_needs_only_the_runtime(target: str, unpacked: dict[str, Unpacked]) -> None:
    program = "import amazondax; print(amazondax.AmazonDaxClient.__name__)"
    layers = unpacked[target]
    assert run_isolated(target, program, layers.dax_layer, layers.runtime) == "AmazonDaxClient"
