"""The command `sources try`: reads the first pages of a source from this machine, and shows what `poll` would do."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from ops.cli.checkpoint import parse_ms
from ops.cli.planned_sources import plan_sources, variable_files_option
from ops.cli.source_trial import LocalSecrets, Trial
from ops.cli.trial_report import ListName, report_lines
from ops.console import CommandError
from readplane.aws.boto import BotoClient
from readplane.poll.declared_sources import DeclaredSource
from readplane.poll.errors import SourceError
from readplane.poll.source.settings import Source, asks_since
from readplane.poll.source.template import CURSOR
from readplane.poll.upstream.secret_values import AwsSecretValues, SecretValues

SECRET_VARIABLES = {
    "secret": "READPLANE_SECRET",
    "oauth2.secret": "READPLANE_OAUTH2_SECRET",
    "tls.client_certificate": "READPLANE_CLIENT_CERTIFICATE",
}
"""The setting of a secret -> the environment variable from which the command takes the secret's text.

No option takes the text itself, because every user of the machine can read the command lines of its processes.
"""

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(name="try")
@click.argument("name")
@variable_files_option
@click.option("--pages", default=3, type=click.IntRange(1, 1000), show_default=True, help="Read at most so many pages.")
@click.option(
    "--list",
    "list_name",
    default="main",
    type=click.Choice(get_args(ListName)),
    show_default=True,
    help="Which list to read: the source's own, that of its sweep, or that of deleted records.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Ask for what changed since TIME, such as 2026-01-31T12:00:00Z. By default, a first pass is tried.",
)
@click.option("--secret-file", type=_FILE, help=f"A file with the secret. Otherwise {SECRET_VARIABLES['secret']}.")
@click.option(
    "--oauth2-secret-file",
    type=_FILE,
    help=f"A file with the secret of the OAuth 2 client. Otherwise {SECRET_VARIABLES['oauth2.secret']}.",
)
@click.option(
    "--certificate-file",
    type=_FILE,
    help=f"A file with certificate and private key. Otherwise {SECRET_VARIABLES['tls.client_certificate']}.",
)
@click.option("--aws", is_flag=True, help="Read the secrets from AWS, with the credentials of this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def try_source(
    name: str,
    *,
    files: tuple[Path, ...],
    pages: int,
    list_name: ListName,
    since: str | None,
    secret_file: Path | None,
    oauth2_secret_file: Path | None,
    certificate_file: Path | None,
    aws: bool,
    as_json: bool,
) -> None:
    """Read the first pages of a source from this machine, without AWS, and change nothing.

    The command prints the requests, the first items, the records that `poll` would refuse and why, how it found the
    next page and the end of the list, and what the next pass asks for. The exit code is 1 if there is a problem. A
    secret comes from a file or an environment variable; otherwise the command asks for it.
    """
    declared = _declared(files, name)
    source = declared.source
    if source.mode == "snapshot" and list_name != "main":
        raise click.UsageError("A snapshot has only the list `main`.")
    if list_name == "deletes" and source.deletes is None:
        raise click.UsageError(f"{name} has no list of deleted records. Set deletes.")
    since_ms = None if since is None else _since_ms(source, list_name, since)
    secret_files = {
        "secret": secret_file,
        "oauth2.secret": oauth2_secret_file,
        "tls.client_certificate": certificate_file,
    }
    secrets: SecretValues = _aws_secrets(source) if aws else LocalSecrets(_secret_texts(source, secret_files))
    report = Trial(declared, secrets, list_name=list_name, pages=pages, since_ms=since_ms).run()
    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, ensure_ascii=False))
    else:
        for line in report_lines(report):
            click.echo(line)
    if report.problems:
        count = len(report.problems)
        raise CommandError(f"{name} has {count} problem{'s' if count > 1 else ''}.")


def _declared(files: tuple[Path, ...], name: str) -> DeclaredSource:
    """Return a source that variable files declare.

    :raises CommandError: if a rule of Terraform or of `poll` refuses the settings
    """
    planned = plan_sources(files)
    if name not in planned.settings:
        names = ", ".join(planned.settings) or "none"
        raise click.UsageError(f"There is no source {name}. Declared are: {names}.")
    try:
        return planned.declared().load(name)
    except SourceError as error:
        raise CommandError("\n  ".join(["The source can't be used:", *error.problems])) from None


def _since_ms(source: Source, list_name: ListName, text: str) -> int:
    listed = {"main": source, "sweep": None, "deletes": source.deletes}[list_name]
    if listed is None or not asks_since(listed.url, listed.request):
        raise click.UsageError(f"--since needs {CURSOR} in the url or body of the list {list_name}.")
    return parse_ms(text, "--since")


def _arns(source: Source) -> dict[str, str]:
    """Return the ARN of each secret of a source, by its setting."""
    secrets = {
        "secret": source.secret,
        "oauth2.secret": source.oauth2.secret if source.oauth2 else None,
        "tls.client_certificate": source.tls.client_certificate if source.tls else None,
    }
    return {setting: secret.arn for setting, secret in secrets.items() if secret}


def _secret_texts(source: Source, files: dict[str, Path | None]) -> dict[str, str]:
    """Return the text of each of the source's secrets, by ARN: from a file, an environment variable, or the terminal.

    :raises click.UsageError: if a text is missing and nobody can be asked
    """
    texts = {}
    for setting, arn in _arns(source).items():
        file, variable = files[setting], SECRET_VARIABLES[setting]
        if file:
            texts[arn] = file.read_text().rstrip("\r\n")
        elif variable in os.environ:
            texts[arn] = os.environ[variable]
        elif is_terminal():
            texts[arn] = click.prompt(f"Text of {setting}", hide_input=True, err=True)
        else:
            raise click.UsageError(f"Put the text of {setting} into the environment variable {variable}, or use --aws.")
    return texts


def is_terminal() -> bool:
    """Return whether somebody can answer a question."""
    return sys.stdin.isatty()


def _aws_secrets(source: Source) -> SecretValues:
    """Return the secrets as AWS has them, in the Region that their ARNs name."""
    region = next((arn.split(":")[3] for arn in _arns(source).values()), None)
    return AwsSecretValues(lambda service: BotoClient(service, attempts=2, read_timeout=5, region=region))
