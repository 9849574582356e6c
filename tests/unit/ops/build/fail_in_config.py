"""Print the traceback of an error in readplane/config.py of an unpacked zip: python fail_in_config.py <folder>"""

import sys

sys.path.insert(0, sys.argv[1])

from readplane.config import load_settings

load_settings(tuple)
