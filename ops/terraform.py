"""Find and run Terraform, with or without access to the provider registry.

python -m ops.terraform test           validate terraform/ and run its tests with a mocked provider
python -m ops.terraform test --plans   run those tests that only plan whole stacks of further kinds
python -m ops.terraform fmt            fail if a file of terraform/ isn't formatted
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ops import tools
from ops.console import ROOT, CommandError, failures, run_tool

SOURCE = ROOT / "terraform"


def terraform() -> str:
    """Return the path of a `terraform` program that has at least the version TERRAFORM_MINIMUM.

    :raises CommandError: if this machine has no such program
    """
    path = tools.find_terraform()
    if path:
        return str(path)
    minimum = ".".join(map(str, tools.TERRAFORM_MINIMUM))
    on_path = shutil.which("terraform")
    version = tools.terraform_version(on_path) if on_path else None
    reason = f"; {on_path} is {version}" if version else ""
    raise CommandError(
        f"Terraform {minimum} or newer is needed{reason}. `make setup` fetches it. {tools.TERRAFORM_BY_HAND}"
    )


def init(folder: Path, env: Mapping[str, str]) -> str:
    """Run `terraform init` in a folder. Return text that says where the providers came from.

    If `init` fails, for example because the provider registry can't be reached, use a provider mirror on this machine.

    :raises CommandError: if `init` fails and this machine has no mirror, or if `init` fails with the mirror too
    """
    command: list[str | Path] = [terraform(), f"-chdir={folder}", "init", "-input=false", "-no-color", "-backend=false"]
    if (folder / ".terraform.lock.hcl").exists():
        # The lock file contains the provider hashes of all platforms. `terraform init` must not rewrite the file,
        # because it would write the hashes of this platform only.
        command.append("-lockfile=readonly")
    try:
        run_tool(command, env=env)
        return "the registry"
    except CommandError as error:
        mirror = next(_mirrors(Path("/"), 4), None)
        if mirror is None:
            raise CommandError(
                f"{error}\n\nNo provider mirror (a folder registry.terraform.io) was found either."
            ) from None
    run_tool([*command, f"-plugin-dir={mirror}"], env=env)
    return f"the mirror in {mirror}"


def _mirrors(folder: Path, levels: int) -> Iterator[Path]:
    """Yield each provider mirror: a folder that contains `registry.terraform.io` with the AWS provider.

    :param folder: the folder in which the search begins
    :param levels: how many levels of folders to search; `folder` itself is the first level
    """
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    if "registry.terraform.io" in entries and (folder / "registry.terraform.io/hashicorp/aws").is_dir():
        yield folder
    if levels > 1:
        for name in entries:
            if name not in (".terraform", "proc", "sys", "dev"):
                yield from _mirrors(folder / name, levels - 1)


def environment(data: Path | None = None) -> dict[str, str]:
    """Return the environment variables for a Terraform process.

    The variables turn off prompts and set one provider cache for all runs. The caller's AWS_* variables are left out.

    :param data: the folder in which Terraform puts providers and modules; None for Terraform's default, .terraform
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_CLI_ARGS"))}
    env |= {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"}
    # By default, Terraform spends half of the time of a plan with 900 resources on garbage collection. GOGC=400 avoids
    # that, but Terraform then needs twice the memory (0.9 GB).
    env.setdefault("GOGC", "400")
    env.setdefault("TF_PLUGIN_CACHE_DIR", str(ROOT / ".local/plugin-cache"))
    Path(env["TF_PLUGIN_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)
    if data:
        env["TF_DATA_DIR"] = str(data)
    return env


def main(arguments: list[str] | None = None) -> int:
    """Run the Terraform commands that the command line asks for. Return Terraform's exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.terraform", description=(__doc__ or "").split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fmt", help="fail if a file of terraform/ isn't formatted")
    test = commands.add_parser("test", help="validate terraform/ and run its tests with a mocked provider")
    test.add_argument("--filter", action="append", default=[], help="only this test file (tests/….tftest.hcl)")
    test.add_argument("--plans", action="store_true", help=f"only {', '.join(PLANS)}, which are left out otherwise")
    options = parser.parse_args(arguments)
    program = terraform()
    if options.command == "fmt":
        return subprocess.run([program, "fmt", "-check", "-recursive", "-diff", SOURCE], check=False).returncode
    env = environment(ROOT / ".local/terraform-test")
    print(f"Providers from {init(SOURCE, env)}.", flush=True)
    color = [] if sys.stdout.isatty() else ["-no-color"]
    # Use -no-tests, because `terraform validate` would reject the tests of a module with two providers. The test files
    # are validated by `terraform test`.
    validated = subprocess.run([program, f"-chdir={SOURCE}", "validate", "-no-tests", *color], env=env, check=False)
    files = [SOURCE / name for name in options.filter] or test_files(plans=options.plans)
    return validated.returncode or _test(files, color, env)


PLANS = ("adoption", "examples", "lifecycle", "other_stores", "partition")
"""The names of the test files of which each run plans a whole stack, of another kind than the other tests do. A plan of
a whole stack takes 11 seconds of a processor, so `make test-plans` runs them."""


def test_files(*, plans: bool) -> list[Path]:
    """Return the test files of :data:`PLANS`, or all others."""
    files = sorted(SOURCE.glob("tests/*.tftest.hcl"))
    return [file for file in files if (file.name.removesuffix(".tftest.hcl") in PLANS) == plans]


def _test(files: list[Path], color: list[str], env: Mapping[str, str]) -> int:
    """Run test files of terraform/ in one process per processor. Return the first exit code that isn't 0, or 0.

    `terraform test` runs one file after the other on one processor, and takes seconds to start.
    """
    weights = {str(file.relative_to(SOURCE)): _seconds(file.read_text()) for file in files}
    groups = balanced(weights, os.cpu_count() or 1)
    with ThreadPoolExecutor(len(groups)) as pool:
        codes = list(pool.map(lambda group: _test_group(group, color, env), groups))
    return next((code for code in codes if code), 0)


RUN_SECONDS = {
    "modules/readplane": 11.0,
    "examples/": 11.0,
    "modules/region": 2.0,
    "modules/settings": 0.25,
    "tests/": 0.05,
}
"""How a run's module begins -> about how many seconds of a processor the run takes. A run of the root takes 11 seconds,
as one of modules/readplane does. A run of any other module takes 0.5 seconds."""


def _seconds(text: str) -> float:
    """Return about how many seconds of a processor the runs of a test file take."""
    modules = re.findall(r'^    source = "\./(.+)"$', text, re.MULTILINE)
    of_the_root = len(re.findall('^run "', text, re.MULTILINE)) - len(modules)
    return RUN_SECONDS["modules/readplane"] * of_the_root + sum(
        next((seconds for start, seconds in RUN_SECONDS.items() if module.startswith(start)), 0.5) for module in modules
    )


def balanced(weights: Mapping[str, float], count: int) -> list[list[str]]:
    """Divide names into at most `count` groups with about the same total weight."""
    groups: list[list[str]] = [[] for _ in range(min(count, len(weights)))]
    for name in sorted(weights, key=lambda name: -weights[name]):
        min(groups, key=lambda group: sum(weights[member] for member in group)).append(name)
    return groups


def _test_group(names: list[str], color: list[str], env: Mapping[str, str]) -> int:
    """Run test files one after the other. Print what Terraform says of a file when the file is done."""
    words = ["test", *(f"-filter={name}" for name in names), *color]
    command = [terraform(), f"-chdir={SOURCE}", *words]
    lines: list[str] = []
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            lines.append(line)
            if re.match(r"\S*tests/.*(pass|fail)", line):
                print("".join(lines), end="", flush=True)
                lines.clear()
    print("".join(lines), end="", flush=True)
    return process.returncode


if __name__ == "__main__":
    with failures():
        sys.exit(main())
