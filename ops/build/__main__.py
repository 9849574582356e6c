"""`python -m ops.build`: make the zips."""

import sys

from ops.build.zips import main
from ops.console import failures

if __name__ == "__main__":
    with failures():
        sys.exit(main())
