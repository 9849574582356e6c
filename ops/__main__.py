"""Run the operators' command line with `python -m ops`. The script ops/readplane does the same from any folder."""

import sys

from ops.console import ROOT, failures

# Let Python find the package `readplane`, which the command line imports. The package isn't installed.
sys.path.insert(0, str(ROOT / "lambda_src"))

from ops.cli.main import main

if __name__ == "__main__":
    with failures():
        main(prog_name="readplane")
