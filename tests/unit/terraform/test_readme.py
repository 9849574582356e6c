"""Check that the settings in the README work as they stand there. A ``*.tfvars`` file takes no functions."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ops.console import ROOT
from ops.terraform import environment, init, terraform

SETTINGS = ROOT / "terraform/modules/settings"


def test_terraform_accepts_the_settings_of_the_readme_in_a_tfvars_file(tmp_path: Path) -> None:
    (settings,) = re.findall(r"^```hcl\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    folder = tmp_path / "settings"
    shutil.copytree(SETTINGS, folder)
    (folder / "readme.tfvars").write_text(settings)
    (folder / "a.zip").touch()
    zips = dict.fromkeys(("hot_zip", "functions_zip", "layer_zip"), str(folder / "a.zip"))
    (folder / "more.tfvars.json").write_text(json.dumps({"region": "eu-central-1", **zips}))
    env = environment(folder / "data")
    init(folder, env)
    command = [terraform(), f"-chdir={folder}"]
    files = ["-var-file=readme.tfvars", "-var-file=more.tfvars.json"]
    plan = [*command, "plan", "-input=false", "-no-color", *files, "-out=plan"]
    process = subprocess.run(plan, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    shown = subprocess.run([*command, "show", "-json", "plan"], env=env, capture_output=True, text=True, check=True)
    outputs: dict[str, Any] = json.loads(shown.stdout)["planned_values"]["outputs"]
    collections = outputs["collections"]["value"]
    assert json.loads(collections["products"]["schema"])["required"] == ["name"]
    assert collections["profiles"]["read"] == "owner"
