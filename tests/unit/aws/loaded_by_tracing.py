"""A program that sets up the slim client's tracing and prints the names of all loaded modules.

Arguments: the folder of the package ``readplane``, and the address of the X-Ray daemon.
"""

import os
import sys

sys.path.insert(0, sys.argv[1])
os.environ["AWS_XRAY_DAEMON_ADDRESS"] = sys.argv[2]

from readplane.aws.tracing import process_tracing

assert process_tracing("datagrams")
print(*sys.modules)
