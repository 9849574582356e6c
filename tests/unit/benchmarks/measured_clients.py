"""A program that runs the benchmark of the RESP client for a moment, and prints its result as JSON.

It is a process of its own, because the benchmark forks, and a process with threads mustn't fork. Its arguments are a
folder for the TLS files, and ``wrong`` if the server answers with another value than the benchmark expects.
"""

import json
import sys
from pathlib import Path

from tests.benchmarks import cache_client
from tests.benchmarks.certificate import write_certificate
from tests.benchmarks.measure import QUICK

folder = Path(sys.argv[1])
write_certificate(folder)
if sys.argv[2:] == ["wrong"]:
    cache_client._answer = lambda commands: b"$1\r\nx\r\n"
print(json.dumps(cache_client.measure(folder, QUICK._replace(warm_rounds=2, warm_requests=3))))
