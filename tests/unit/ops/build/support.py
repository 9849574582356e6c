"""Helpers for tests of the zips that ops/build makes."""

from pathlib import Path
from typing import NamedTuple

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
"""The packages that Lambda's Python runtime contains, so that the zips needn't contain them."""


class Unpacked(NamedTuple):
    """The folders with the unpacked zips of one target. A test puts some of them on sys.path, as Lambda does.

    hot, functions, layer, poll_layer, edge_auth, database_layer, dax_layer: the folder with the modules of each zip
    runtime: the folder with the packages that Lambda's Python runtime contains
    """

    hot: Path
    functions: Path
    layer: Path
    poll_layer: Path
    edge_auth: Path
    database_layer: Path
    dax_layer: Path
    runtime: Path
