"""A handler module that writes the id of its process to a file and then sleeps for a minute while it is imported.

A test interrupts the measurement during that minute.
"""

import os
import time
from pathlib import Path

Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
time.sleep(60)
