"""A program that prints what the import of the RESP client costs: CPU seconds, and the names of the modules it loads.

It imports the slim AWS client first, as `read` does. Its argument is the folder that has the package ``readplane``.
"""

import importlib
import sys
import time

sys.path.append(sys.argv[1])

for name in ("readplane.aws.slim.client", "readplane.stores"):
    importlib.import_module(name)

before, start = set(sys.modules), time.process_time()
importlib.import_module("readplane.stores.resp")

print(time.process_time() - start, *sorted(set(sys.modules) - before))
