"""`python -m ops`: the operators' command line. ops/readplane starts it from any folder."""

import sys

from ops.console import ROOT, failures

# Nothing installs the package `readplane`, which the command line imports.
sys.path.insert(0, str(ROOT / "lambda_src"))

from ops.cli.main import main

if __name__ == "__main__":
    with failures():
        main(prog_name="readplane")
