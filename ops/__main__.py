"""`python -m ops`: the operators' command line; ops/readplane starts it from anywhere."""

import sys

from ops.console import ROOT, failures

sys.path.insert(0, str(ROOT / "lambda_src"))

from ops.cli.main import main  # it needs the package, which nothing installs

if __name__ == "__main__":
    with failures():
        main(prog_name="readplane")
