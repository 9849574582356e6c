"""The sources that variable files declare, as Terraform evaluates them, without AWS."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import click

from ops import terraform
from ops.console import run_tool
from readplane.model.collection import Collection
from readplane.poll.declared_sources import DeclaredSources

ZIP_VARIABLE = re.compile(r'^variable "(\w+_zip)"', re.MULTILINE)
"""Matches a variable that names a zip of `make build`."""

_EXPRESSION = """\
jsonencode({\
 sources = local.source_settings,\
 schemas = { for c, x in var.collections : c => x.schema if x.schema != null },\
 reads = { for c, x in var.collections : c => x.read }\
})
"""


variable_files_option = click.option(
    "--var-file",
    "files",
    multiple=True,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with variables, as for `terraform apply`. May be repeated.",
)
"""The option with the files for :func:`plan_sources`."""


class PlannedSources(NamedTuple):
    """The declared sources and their collections.

    settings: the settings that `poll` would read of each source, by the source's name
    schemas: the JSON Schema of each collection that has one, as text
    reads: who may read each collection
    """

    settings: dict[str, dict[str, Any]]
    schemas: dict[str, str]
    reads: dict[str, Any]

    def declared(self) -> DeclaredSources:
        """Return the sources as `poll` loads them."""
        schemas = {name: json.loads(text, parse_float=Decimal) for name, text in self.schemas.items()}
        collections = {name: Collection(name, read) for name, read in self.reads.items()}
        return DeclaredSources(self.settings, schemas, collections)


def plan_sources(files: tuple[Path, ...]) -> PlannedSources:
    """Return the sources that variable files declare.

    :param files: variable files, which Terraform evaluates
    :raises CommandError: if the variables break a rule of Terraform; the message contains Terraform's output
    """
    values = evaluate(files, _EXPRESSION)
    settings = {name: json.loads(text) for name, text in values["sources"].items()}
    return PlannedSources(settings, values["schemas"], values["reads"])


def evaluate(files: tuple[Path, ...], expression: str) -> Any:
    """Return the value of an expression over the variables of a stack, without AWS.

    :param files: variable files, which Terraform evaluates
    :param expression: HCL in one line that calls `jsonencode`; it may name variables and the locals beside them
    :raises CommandError: if the variables break a rule of Terraform; the message contains Terraform's output
    """
    module = terraform.SOURCE / "modules/settings"
    with tempfile.TemporaryDirectory() as folder:
        # Copy only the files that declare variables, the other rules about them, and the file with the settings that
        # `poll` reads. For these files alone, Terraform needs neither a provider nor a state.
        for path in (*module.glob("variables_*.tf"), *module.glob("rules_*.tf"), module / "source_settings.tf"):
            shutil.copy(path, folder)
        # Nothing here needs a build, so let any file stand for the zips.
        declared = "".join(path.read_text("utf-8") for path in Path(folder).glob("*.tf"))
        variables = [f"-var={name}={Path(folder) / 'source_settings.tf'}" for name in ZIP_VARIABLE.findall(declared)]
        variables += [f"-var-file={path.resolve()}" for path in files]

        def run_terraform(*words: str, stdin: str = "") -> str:
            command = [terraform.terraform(), f"-chdir={folder}", *words, *variables]
            return run_tool(command, env=terraform.environment(), stdin=stdin)

        # `terraform console` evaluates an expression even if a variable breaks a rule. `terraform plan` fails.
        run_terraform("plan", "-input=false", "-no-color", "-compact-warnings")
        printed = run_terraform("console", stdin=expression)
    return json.loads(json.loads(printed.strip().splitlines()[-1]))
