"""Find and run Terraform, with or without a provider registry.

python -m ops.terraform test         validate terraform/ and run its tests with a mocked provider
python -m ops.terraform fmt          fail when a file isn't formatted
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from ops.console import ROOT, CommandError, failures, run_tool

SOURCE = ROOT / "terraform"
MINIMUM = (1, 11)
INSTALL = """\
Get it from https://developer.hashicorp.com/terraform/install, or with
  brew install hashicorp/tap/terraform
  tfenv install 1.11.4 && tfenv use 1.11.4"""


def terraform() -> str:
    """The path of a Terraform that is new enough."""
    wanted = ".".join(map(str, MINIMUM))
    path = shutil.which("terraform")
    if not path:
        raise CommandError(f"Terraform {wanted} or newer is needed and isn't on PATH. {INSTALL}")
    version: str = json.loads(run_tool([path, "version", "-json"]))["terraform_version"]
    if tuple(int(part) for part in version.split("-")[0].split(".")[:2]) < MINIMUM:
        raise CommandError(f"Terraform {wanted} or newer is needed; {path} is {version}. {INSTALL}")
    return path


def init(folder: Path, env: Mapping[str, str]) -> str:
    """`terraform init` in a folder; returns where the providers came from.

    Where the registry can't be reached, a provider mirror on this machine serves, if there is one.
    """
    command: list[str | Path] = [terraform(), f"-chdir={folder}", "init", "-input=false", "-no-color", "-backend=false"]
    if (folder / ".terraform.lock.hcl").exists():
        command.append("-lockfile=readonly")  # its hashes are of every platform, a run here knows only one
    try:
        run_tool(command, env=env)
        return "the registry"
    except CommandError as failure:
        mirror = next(_mirrors(Path("/"), 4), None)
        if mirror is None:
            raise CommandError(
                f"{failure}\n\nNo provider mirror (a folder registry.terraform.io) was found either."
            ) from None
    run_tool([*command, f"-plugin-dir={mirror}"], env=env)
    return f"the mirror in {mirror}"


def _mirrors(folder: Path, levels: int) -> Iterator[Path]:
    """Folders that hold a `registry.terraform.io` with the AWS provider, at most some levels below."""
    try:
        entries = sorted(e.name for e in os.scandir(folder) if e.is_dir(follow_symlinks=False))
    except OSError:
        return
    if "registry.terraform.io" in entries and (folder / "registry.terraform.io/hashicorp/aws").is_dir():
        yield folder
    if levels > 1:
        for name in entries:
            if name not in (".terraform", "proc", "sys", "dev"):
                yield from _mirrors(folder / name, levels - 1)


def environment(data: Path | None = None) -> dict[str, str]:
    """The environment for Terraform: nobody's AWS account, no prompts, providers downloaded once for all runs here."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_CLI_ARGS"))}
    env |= {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    # A plan of 900 resources spends half of its time collecting garbage: with twice the memory (0.9 GB) it doesn't.
    env.setdefault("GOGC", "400")
    env.setdefault("TF_PLUGIN_CACHE_DIR", str(ROOT / ".local/plugin-cache"))
    Path(env["TF_PLUGIN_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)
    if data:
        env["TF_DATA_DIR"] = str(data)
    return env


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run Terraform."""
    parser = argparse.ArgumentParser(prog="python -m ops.terraform", description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fmt", help="fail when a file of terraform/ isn't formatted")
    test = commands.add_parser("test", help="validate terraform/ and run its tests with a mocked provider")
    test.add_argument("--filter", action="append", default=[], help="only this test file (tests/….tftest.hcl)")
    options = parser.parse_args(arguments)
    program = terraform()
    if options.command == "fmt":
        return subprocess.run([program, "fmt", "-check", "-recursive", "-diff", SOURCE], check=False).returncode
    env = environment(ROOT / ".local/terraform-test")
    print(f"Providers from {init(SOURCE, env)}.", flush=True)
    color = [] if sys.stdout.isatty() else ["-no-color"]
    # The tests check themselves when they run; `validate` would refuse those of a module with two providers.
    for words in (["validate", "-no-tests"], ["test", *(f"-filter={name}" for name in options.filter)]):
        code = subprocess.run([program, f"-chdir={SOURCE}", *words, *color], env=env, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
