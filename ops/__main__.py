"""Run the operators' command line: `python -m ops`. ops/readplane runs it from any folder."""

import sys

from ops.console import ROOT, failures

# The command line imports the package `readplane`, which isn't installed.
sys.path.insert(0, str(ROOT / "lambda_src"))

from ops.cli.main import main

if __name__ == "__main__":
    with failures():
        main(prog_name="readplane")
