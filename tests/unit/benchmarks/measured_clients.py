"""A program that runs the benchmark of the RESP client for a moment, against a server that answers with another value.

It is a process of its own, because the benchmark forks, and a process with threads mustn't fork. Its argument is the
folder with the TLS files.
"""

import sys
from pathlib import Path

from tests.benchmarks import cache_client

cache_client._answer = lambda commands: b"$1\r\nx\r\n"
cache_client.samples(Path(sys.argv[1]), 2, 3)
