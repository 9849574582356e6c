"""Checks that no Terraform file writes out what differs between AWS's partitions: aws, aws-us-gov and aws-cn."""

import re
from collections.abc import Iterator

from ops.console import ROOT

SERVICE = re.compile(r'"((delivery|monitoring)\.)?[a-z0-9-]+\.amazonaws\.com"|"com\.amazonaws\.\$\{local\.region\}\.')
"""Names that are the same in every partition: a service principal without a Region, and the endpoint of a service."""


def lines() -> Iterator[tuple[str, str]]:
    """Yield each line of the modules and of the root, without its comment, and where it stands."""
    for path in sorted((ROOT / "terraform").rglob("*.tf")):
        folders = path.relative_to(ROOT / "terraform").parts
        if {".terraform", "tests", "examples"} & set(folders):
            continue
        text = re.sub(r"<<-EOT.*?^ *EOT$", "", path.read_text(), flags=re.M | re.S)
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", re.sub(r"(^|\s)#.*", "", line)


def test_host_names_end_in_the_suffix_of_the_partition() -> None:
    found = [place for place, line in lines() if "amazonaws" in SERVICE.sub("", line)]
    assert not found, "write ${data.aws_partition.current.dns_suffix} instead"


def test_arns_begin_with_the_partition() -> None:
    texts = {place: re.sub(r'(error_message|description) *= *".*"', "", line) for place, line in lines()}
    found = [place for place, line in texts.items() if re.search(r"arn:aws[-:a-z]*:(?!.*\[a-z-\]\*)", line)]
    assert not found, "write ${data.aws_partition.current.partition} instead"
