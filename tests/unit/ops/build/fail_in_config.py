"""Make the module readplane.config of an unpacked zip raise an error, so that a test can check the traceback.

Run it with `python fail_in_config.py <folder of the unpacked zip>`.
"""

import sys

sys.path.insert(0, sys.argv[1])

from readplane.config import load_settings

load_settings(tuple)
