"""A program that sets up the X-Ray tracing of the slim client and prints the names of all loaded modules.

Its arguments are the folder that contains the package ``readplane``, and the address of the X-Ray daemon.
"""

import os
import sys

sys.path.insert(0, sys.argv[1])
os.environ["AWS_XRAY_DAEMON_ADDRESS"] = sys.argv[2]

from readplane.aws.tracing import process_tracing

assert process_tracing("datagrams")
print(*sys.modules)
