"""A program that calls GetItem with the slim client and prints the names of all loaded modules.

Its arguments are the folder that contains the package ``readplane``, and the parameters of GetItem as JSON.
"""

import json
import sys

sys.path.append(sys.argv[1])

from readplane.aws.slim.client import SlimClient

SlimClient("dynamodb").call("GetItem", **json.loads(sys.argv[2]))
print(*sys.modules)
