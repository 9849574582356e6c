"""Write the Terraform files that pass the variables of the stack on, from the files that declare them.

python -m ops.pass_on            write the files
python -m ops.pass_on --check    fail if a file isn't what the declarations say

terraform/modules/settings/variables_*.tf declare each variable once, with its type, default and rules. The root module
and modules/readplane have the same variables, without types, so that they see what was written, misspelt attributes
included. This program writes their files, and the outputs of modules/settings.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from ops.console import ROOT, CommandError, failures
from ops.variables import Concern, Variable, read_concerns

TERRAFORM = ROOT / "terraform"
MARK = "`make docs` writes this file from the files variables_*.tf of modules/settings."
ROOT_DEFAULTS = {"dist": '"../dist" # the same paths as ever, because a new path would make new versions of the layers'}
"""The defaults that only the root module has, by the variable's name."""
_HCL = {"text": "string", "number": "number", "true or false": "bool"}


def files() -> dict[Path, str]:
    """Return the text of each file that this program writes."""
    concerns = read_concerns()
    return {
        TERRAFORM / "main.tf": _root_call(concerns),
        TERRAFORM / "variables.tf": _variables(concerns, ROOT_DEFAULTS),
        TERRAFORM / "modules/readplane/variables.tf": _variables(concerns, {}),
        TERRAFORM / "modules/readplane/settings.tf": _settings_call(concerns),
        TERRAFORM / "modules/settings/outputs.tf": _outputs(concerns),
    }


def _comment(*paragraphs: str) -> str:
    return "\n#\n".join(
        textwrap.fill(text, 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
        for text in paragraphs
    )


def _root_call(concerns: list[Concern]) -> str:
    head = _comment(
        "The root of a stack: the providers (providers.tf) and one call of modules/readplane, which is the stack. Its "
        "main.tf shows how data moves through it. To call that module from a root of your own, copy one of the "
        "folders in examples/.",
        MARK,
    )
    lines = [head, 'module "readplane" {', '  source    = "./modules/readplane"']
    lines += ["  providers = { aws = aws, aws.replica = aws.replica, aws.edge = aws.edge }"]
    for concern in concerns:
        lines += ["", *_passed([variable.name for variable in concern.variables])]
    return "\n".join([*lines, "}"]) + "\n"


def _settings_call(concerns: list[Concern]) -> str:
    head = _comment(
        "The settings of the stack: the variables with their types, defaults and rules. The other files of this module "
        "use module.settings.<name> instead of var.<name>. `declared` is what the caller wrote, in which the module "
        "looks for attributes that don't exist.",
        MARK,
    )
    lines = [head, 'module "settings" {', '  source = "../settings"']
    for concern in concerns:
        lines += ["", *_passed([variable.name for variable in concern.variables])]
    lines += ["", "  declared = {", *(f"  {line}" for line in _passed(_objects(concerns))), "  }", "}"]
    return "\n".join(lines) + "\n"


def _objects(concerns: list[Concern]) -> list[str]:
    """Return the names of the variables whose type contains an object."""
    return [variable.name for concern in concerns for variable in concern.variables if variable.attributes]


def _passed(names: list[str]) -> list[str]:
    width = max(map(len, names))
    return [f"  {name:{width}} = var.{name}" for name in names]


def _variables(concerns: list[Concern], defaults: dict[str, str]) -> str:
    """Return a file with the variables of the stack that leaves types, defaults and rules to modules/settings."""
    head = _comment(
        "The variables of the stack. modules/settings has their types, defaults, rules and full descriptions; "
        "docs/variables.md lists them. A variable that is null or not set gets its default. The type `any` keeps a "
        "value as it was written, so that modules/settings can refuse an attribute that doesn't exist.",
        MARK,
    )
    parts = [head]
    for concern in concerns:
        parts.append(f"# --- {concern.title}")
        parts += ["\n".join(_thin(variable, defaults)) for variable in concern.variables]
    return "\n\n".join(parts) + "\n"


def _thin(variable: Variable, defaults: dict[str, str]) -> Iterator[str]:
    yield f'variable "{variable.name}" {{'
    yield from _description(f"{variable.first_sentence} See docs/variables.md#{variable.name}.")
    yield f"  type        = {_HCL.get(variable.type, 'any')}"
    if variable.sensitive:
        yield "  sensitive   = true"
    if variable.default is not None:
        yield f"  default     = {defaults.get(variable.name, 'null')}"
    yield "}"


def _description(text: str) -> Iterator[str]:
    """Return the argument `description` of a block: on one line, or as a heredoc if it is longer than a line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${")
    line = f'  description = "{escaped}"'
    if len(line) <= 120:
        yield line
        return
    yield "  description = <<-EOT"
    lines = textwrap.fill(text.replace("${", "$${"), 116, break_long_words=False, break_on_hyphens=False)
    yield from (f"    {part}" for part in lines.splitlines())
    yield "  EOT"


def _outputs(concerns: list[Concern]) -> str:
    head = _comment(
        "Each variable with its default. The outputs that are more than a variable stand in derived.tf.",
        MARK,
    )
    parts = [head]
    for concern in concerns:
        for variable in concern.variables:
            lines = [f'output "{variable.name}" {{', *_description(variable.first_sentence)]
            lines += [f"  value       = var.{variable.name}"]
            lines += ["  sensitive   = true"] if variable.sensitive else []
            parts.append("\n".join([*lines, "}"]))
    names = _passed(_objects(concerns))
    local = ["# Each variable with objects in its type, with every attribute that the type has.", "locals {"]
    parts.append("\n".join([*local, "  typed = {", *(f"  {line}" for line in names), "  }", "}"]))
    return "\n\n".join(parts) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or check them. Return the exit code.

    :raises CommandError: if a file isn't what the declarations say
    """
    parser = argparse.ArgumentParser(prog="python -m ops.pass_on", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="fail if a file isn't what the declarations say")
    check = parser.parse_args(arguments).check
    for path, text in files().items():
        if not check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            name = path.relative_to(ROOT)
            raise CommandError(f"{name} isn't what terraform/modules/settings/variables_*.tf say. Run `make docs`.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
