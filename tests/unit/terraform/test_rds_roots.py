"""Check that the settings know for which Regions the functions have the root certificates of RDS."""

import re
from pathlib import Path

from ops.console import ROOT

SETTINGS = ROOT / "terraform/modules/settings/variables_relational.tf"
MODULES = ROOT / "lambda_src/readplane/stores/relational/rds_roots"


def regions_of(folder: Path) -> list[str]:
    """Return the Regions whose root certificates a folder holds."""
    return sorted(path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem != "__init__")


def test_the_rule_about_certificates_lists_the_regions_whose_roots_the_functions_have() -> None:
    listed = re.search(r"rds_root_regions = \[(.+?)\]", SETTINGS.read_text(), re.DOTALL)
    assert listed
    assert re.findall(r'"(.+?)"', listed[1]) == regions_of(MODULES)
