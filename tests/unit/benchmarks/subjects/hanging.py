"""A module that writes its process's id to a file and then doesn't return for a minute."""

import os
import time
from pathlib import Path

Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
time.sleep(60)
