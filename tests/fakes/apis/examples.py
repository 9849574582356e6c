"""The worked examples of docs/sources/, with the settings that Terraform makes of them."""

import functools
import re
import tempfile
from pathlib import Path
from typing import Any

from ops.cli.planned_sources import plan_sources
from ops.console import ROOT

PAGES = ROOT / "docs/sources"

_BLOCK = re.compile(r"^```hcl\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(r"^(sources|collections) = \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)


def example(page: Path) -> dict[str, str]:
    """Return the entries of the variables `sources` and `collections` in a page's only HCL block."""
    (block,) = _BLOCK.findall(page.read_text())
    return dict(_VARIABLE.findall(block))


@functools.cache
def example_settings() -> dict[str, dict[str, Any]]:
    """Return the settings of all examples as `poll` reads them, by the source's name.

    Terraform checks all pages at once, as if one operator declared all these back offices.
    """
    pages = [example(page) for page in sorted(PAGES.glob("*.md"))]
    variables = {name: "".join(page[name] for page in pages) for name in ("sources", "collections")}
    text = "".join(f"{name} = {{\n{entries}}}\n" for name, entries in variables.items())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "examples.tfvars"
        file.write_text(f'region = "eu-central-1"\n{text}')
        return plan_sources((file,)).settings
