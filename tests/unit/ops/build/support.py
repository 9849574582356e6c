"""What the tests of the zips share."""

from pathlib import Path
from typing import NamedTuple

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""The packages that Lambda's runtime brings."""


class Unpacked(NamedTuple):
    """One target's zips as Lambda unpacks them: a folder for sys.path each, and the runtime's packages."""

    hot: Path
    functions: Path
    layer: Path
    poll_layer: Path
    runtime: Path
