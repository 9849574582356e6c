"""Helpers for tests of the zips."""

from pathlib import Path
from typing import NamedTuple

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""The packages that Lambda's runtime brings."""


class Unpacked(NamedTuple):
    """The zips of one target, unpacked as in Lambda.

    hot, functions, layer, poll_layer: the folder of each zip for sys.path
    runtime: the folder with the packages of Lambda's runtime
    """

    hot: Path
    functions: Path
    layer: Path
    poll_layer: Path
    runtime: Path
