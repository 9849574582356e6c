"""Raise an error in readplane/config.py of an unpacked zip, to show its traceback: python fail_in_config.py <folder>"""

import sys

sys.path.insert(0, sys.argv[1])

from readplane.config import load_settings

load_settings(tuple)
