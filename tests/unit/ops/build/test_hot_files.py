"""Test which files the hot zip contains. It is the zip from which Lambda runs `read`, `write` and `apply`."""

import json
import re
from pathlib import Path

import pytest

from ops.build.hot_files import HOT, hot_files
from ops.console import ROOT, CommandError

PACKAGE = {
    "__init__.py": "",
    "handlers/__init__.py": "",
    "handlers/hot.py": "import json\nimport p.near\nfrom ..stores import aws\n",
    "handlers/cold.py": "from ..stores.far import Far\n",
    "near.py": "from . import __version__\nfrom .data.all import *\n",
    "stores/__init__.py": "from .base import Base\n",
    "stores/aws.py": "def client():\n    from .slim import Slim\n    return Slim()\n",
    "stores/base.py": "class Base: ...\n",
    "stores/slim.py": "from ..stores.base import Base\n",
    "stores/far.py": "",
    "stores/roots.pem": "-----",
    "data/__init__.py": "",
    "data/all.py": "",
    "cold/__init__.py": "",
    "cold/table.json": "{}",
}
"""The files of a test package named p: the text of each file by its path."""


def write_package(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "p" / name).write_text(text)
    return folder / "p"


def test_the_hot_files_are_all_imported_modules_and_the_data_beside_them(tmp_path: Path) -> None:
    package = write_package(tmp_path, PACKAGE)
    names = {path.relative_to(package).as_posix() for path in hot_files(package, ["p.handlers.hot"])}
    assert names == set(PACKAGE) - {"handlers/cold.py", "stores/far.py", "cold/__init__.py", "cold/table.json"}


@pytest.mark.parametrize("line", ["import p.gone", "from .gone import x", "from ..stores.gone import x"])
def test_an_import_of_a_missing_module_fails_the_build(line: str, tmp_path: Path) -> None:
    package = write_package(tmp_path, PACKAGE | {"stores/slim.py": f"def f():\n    {line}\n"})
    with pytest.raises(CommandError, match=r"p\.(stores\.)?gone is imported, and there is no such module"):
        hot_files(package, ["p.handlers.hot"])


def test_terraform_gives_the_hot_zip_to_the_functions_that_it_is_made_for() -> None:
    text = (ROOT / "terraform/modules/region/functions.tf").read_text()
    (functions,) = re.findall(r"^  hot = (\[.*\])$", text, re.M)
    packages = {"apply" if function == "apply-stream" else function for function in json.loads(functions)}
    assert sorted(HOT) == sorted(f"readplane.{package}.handler" for package in packages)
