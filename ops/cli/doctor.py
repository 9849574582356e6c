"""The command `doctor`: check an AWS account before a stack is applied to it."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError

from ops.cli.doctor_checks import EXPRESSION, Account, all_checks
from ops.cli.planned_sources import evaluate, variable_files_option
from ops.cli.probes import Clients, require_credentials, run_probes, show, timeout_option
from ops.console import CommandError

SECONDS = 10.0
"""The default time limit of each check."""

HOMES = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
"""Partition -> a Region that every account of the partition has, even if the stack's own Region is off."""

WRONG_CLOCK = ("RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "InvalidSignatureException")
"""The codes with which AWS refuses a signature, for example because its time is too far off."""


@click.command()
@variable_files_option
@timeout_option(SECONDS)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.pass_context
def doctor(context: click.Context, files: tuple[Path, ...], seconds: float, as_json: bool) -> None:
    """Check whether an AWS account is ready for a stack with these variables. Nothing is changed.

    Run it before the first apply, and again before a change of Regions, domains, network or notify. Terraform checks
    the rules of the variables first. Then AWS is asked what only AWS knows: quotas, roles, Regions that are off,
    certificates, DNS zones, bucket names, keys, networks, subscriptions that nobody has confirmed, and the sandboxes of
    SES and of text messages. Each check is ok, wrong with what to do, or unknown, for example without the permission.

    The exit code is 0 if everything is ok, and 1 if something is wrong or unknown.
    """
    settings = evaluate(files, EXPRESSION)
    require_credentials()
    clients = Clients(seconds)
    account = find_account(clients, settings["regions"]["primary"])
    probes = list(all_checks(settings, account, clients))
    findings = run_probes(probes, seconds)
    fine = show(findings, as_json=as_json, wrong="Correct what is wrong before you apply.")
    context.exit(0 if fine else 1)


def find_account(clients: Clients, region: str) -> Account:
    """Return the account that the credentials belong to, in the partition of a Region.

    :raises CommandError: if AWS doesn't accept the credentials, or the clock of this machine is wrong
    """
    partition = _partition(region)
    home = HOMES[partition]
    try:
        before = time.time()
        answer = clients("sts", home).get_caller_identity()
        local = (before + time.time()) / 2
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in WRONG_CLOCK:
            raise CommandError(
                f"AWS refuses the signature ({code}). Is this machine's clock right? Set it by NTP."
            ) from error
        raise CommandError(f"AWS refuses the credentials ({code}). Sign in, then repeat the command.") from error
    except BotoCoreError as error:
        raise CommandError(f"AWS doesn't answer ({type(error).__name__}). Check the connection.") from error
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    skew = local - parsedate_to_datetime(date).timestamp() if date else 0.0
    return Account(answer["Account"], partition, home, skew)


def _partition(region: str) -> str:
    """Return the partition of a Region. A Region that botocore doesn't know is one of AWS's standard partition."""
    session = boto3.session.Session()
    return next((name for name in HOMES if region in session.get_available_regions("sts", partition_name=name)), "aws")
