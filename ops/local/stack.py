"""Apply terraform/ to an emulator, from a copy in .local/<name>/ that has its own Terraform state.

A local run can't reach an AWS account, because it uses the emulator's credentials, drops the caller's AWS_* variables,
and refuses an endpoint URL at AWS.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import time
import typing
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from ops import terraform
from ops.build.targets import Zips
from ops.console import ROOT, CommandError, Progress, run_tool
from ops.local import emulator
from ops.local.stores import Stores

VARIABLES = Path("environments/local.tfvars")
BACK_OFFICE = "http://localhost:8765"
"""The back office's URL in the file VARIABLES. Each local run copies the file and puts its back office's URL there."""

_OPTIONS = ("-input=false", "-parallelism=30", f"-var-file={VARIABLES}", "-var-file=run.tfvars.json")


class ConflictError(CommandError):
    """`terraform apply` failed to create a resource that exists in the emulator, but not in the Terraform state."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The Terraform outputs that tools and tests use. terraform/outputs.tf describes each output.

    routes: every route of the API as "METHOD /path", without the stage
    openapi_uri: the S3 URI of the API's public contract, an OpenAPI document; None in the record of an older stack
    sources: the mode, collection, schedule and staleness budget of each source, by its name; None without sources
    poll_function, checkpoints_table, change_stream: the names of resources for polling; None without sources
    backends: a dict with the `url` of each backend that API Gateway passes requests to, by the backend's name
    feed_queues: the URLs of the queues of each private store, by the role of its Region and by the store's name
    """

    name: str
    region: str
    api_url: str
    user_pool_id: str
    web_client_id: str
    mobile_client_id: str
    sign_in_url: str
    items_table: str
    documents_bucket: str
    write_log_bucket: str
    delivery_stream: str
    apply_queue_url: str
    apply_dead_letter_url: str
    routes: list[str]
    openapi_uri: str | None = None
    identity_pool_id: str | None = None
    edge_url: str | None = None
    edge_id: str | None = None
    edge_domain_name: str | None = None
    replica_region: str | None = None
    replica_api_url: str | None = None
    replica_documents_bucket: str | None = None
    replica_write_log_bucket: str | None = None
    sources: dict[str, dict[str, typing.Any]] | None = None
    poll_function: str | None = None
    checkpoints_table: str | None = None
    change_stream: str | None = None
    backends: dict[str, dict[str, str]] | None = None
    backend_api_keys: dict[str, str] | None = None
    alarm_topic_arn: str | None = None
    feed_queues: dict[str, dict[str, dict[str, str]]] | None = None


@dataclasses.dataclass(frozen=True)
class Stack:
    """A Readplane stack that a local run applied to an emulator.

    name: the name of the local run
    endpoint: the emulator's URL
    outputs: the stack's Terraform outputs
    aws_client: the client with which `read`, `write` and `apply` call AWS, `slim` or `boto3`
    """

    name: str
    endpoint: str
    outputs: Outputs
    aws_client: str

    @property
    def home(self) -> Path:
        """The folder with all files of the local run."""
        return emulator.folder(self.name)


def environment(endpoint: str) -> dict[str, str]:
    """Return the AWS_* variables with which Terraform and boto3 call an emulator.

    :param endpoint: the emulator's URL
    :raises CommandError: if the URL is at AWS or has no host
    """
    host = urllib.parse.urlsplit(endpoint).hostname or ""
    if not host or host.endswith(("amazonaws.com", "amazonaws.com.cn", "api.aws")):
        raise CommandError(f"AWS_ENDPOINT_URL={endpoint}: a local run needs the URL of an emulator, not of AWS.")
    return emulator.CREDENTIALS | {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def aws_client() -> str:
    """Return the value of the environment variable READPLANE_CLIENT, `slim` or `boto3`. The default is `slim`.

    Terraform's variable `aws_client` gets this value. The functions read READPLANE_CLIENT by the same rule.

    :raises CommandError: if READPLANE_CLIENT has another value
    """
    client = os.environ.get("READPLANE_CLIENT", "slim")
    if client not in ("slim", "boto3"):
        raise CommandError(f"READPLANE_CLIENT={client}: set it to slim or boto3, or not at all (slim).")
    return client


def regions() -> list[str]:
    """Return every AWS Region whose name occurs in the file VARIABLES."""
    return sorted(set(re.findall(r'"([a-z]{2}(?:-[a-z]+)+-\d)"', (terraform.SOURCE / VARIABLES).read_text())))


def forget_state(name: str) -> None:
    """Delete a local run's Terraform state, because the emulator with the resources is gone."""
    for path in (emulator.folder(name) / "terraform").glob("terraform.tfstate*"):
        path.unlink()
    (emulator.folder(name) / "stack.json").unlink(missing_ok=True)


def apply(
    name: str,
    endpoint: str,
    zips: Zips,
    progress: Progress,
    back_office: str = BACK_OFFICE,
    stores: Stores | None = None,
    overrides: Mapping[str, typing.Any] = {},
) -> Stack:
    """Apply terraform/ to an emulator and record the stack in stack.json.

    :param endpoint: the emulator's URL
    :param back_office: the URL of the run's back office, which the function `poll` polls
    :param stores: the run's cache and database; without them, the ones in VARIABLES, which nothing serves
    :param overrides: the values of variables that replace those in VARIABLES
    :raises ConflictError: if a resource exists in the emulator that isn't in the Terraform state
    :raises CommandError: if Terraform fails in another way, or a Terraform output is missing
    """
    folder = _copy(name, back_office, stores.ports if stores else {})
    # Copy the zips, because another run may replace the zips in dist/ while Terraform works. Terraform reads each zip
    # twice: when it plans, and again minutes later when it applies.
    zips = Zips(*(Path(shutil.copy(path, folder)) for path in zips))
    env = terraform.environment() | environment(endpoint)
    progress.say("terraform init …")
    progress.say(f"Providers from {terraform.init(folder, env)}.")
    variables: dict[str, typing.Any] = {
        "hot_zip": str(zips.hot),
        "functions_zip": str(zips.functions),
        "layer_zip": str(zips.layer),
        "poll_layer_zip": str(zips.poll_layer),
        "edge_auth_zip": str(zips.edge_auth),
        "database_layer_zip": str(zips.database_layer),
        "dax_layer_zip": str(zips.dax_layer),
        "aws_client": aws_client(),
        "api_base_url": f"{endpoint}/_aws/execute-api/{{api_id}}",
        **overrides,
    }
    running = emulator.running(name)
    if running and running.edge_port:
        variables["edge_base_url"] = running.edge_url
    if stores:
        variables["store_passwords"] = stores.passwords
    (folder / "run.tfvars.json").touch(mode=0o600)
    (folder / "run.tfvars.json").write_text(json.dumps(variables))
    command = [terraform.terraform(), f"-chdir={folder}", "apply", "-json", "-auto-approve", *_OPTIONS]
    _run_apply(command, env, emulator.folder(name) / "apply.log", progress)
    printed = json.loads(run_tool([terraform.terraform(), f"-chdir={folder}", "output", "-json"], env=env))
    values = {key: entry["value"] for key, entry in printed.items()}
    stack = Stack(name, endpoint, _outputs(values), aws_client())
    (stack.home / "stack.json").write_text(json.dumps(dataclasses.asdict(stack), indent=2) + "\n")
    return stack


def _outputs(values: dict[str, typing.Any]) -> Outputs:
    fields = {field.name: field for field in dataclasses.fields(Outputs)}
    required = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
    if missing := [name for name in required if not values.get(name)]:
        raise CommandError(f"terraform/outputs.tf doesn't give {', '.join(missing)}.")
    return Outputs(**{name: value for name, value in values.items() if name in fields})


def load(name: str) -> Stack | None:
    """Return the stack that a local run recorded in stack.json. Return None if its emulator doesn't respond."""
    record = emulator.folder(name) / "stack.json"
    if not record.exists():
        return None
    saved = json.loads(record.read_text())
    if not emulator.healthy(saved["endpoint"]):
        return None
    return Stack(saved["name"], saved["endpoint"], Outputs(**saved["outputs"]), saved.get("aws_client", "boto3"))


def destroy(stack: Stack) -> None:
    """Remove a stack's resources from its emulator with `terraform destroy`. The emulator keeps running."""
    env = terraform.environment() | environment(stack.endpoint)
    folder = stack.home / "terraform"
    run_tool([terraform.terraform(), f"-chdir={folder}", "destroy", "-auto-approve", *_OPTIONS], env=env)


def _copy(name: str, back_office: str, ports: dict[int, int]) -> Path:
    """Copy terraform/ anew into the folder of a local run. Keep the Terraform state there. Return the copy's folder.

    The copy has no Terraform backend, so its state never leaves this machine.

    :param back_office: the URL of the run's back office; in the copy, it replaces BACK_OFFICE
    :param ports: the ports that replace others in the copy: new ports by old ones
    """
    folder = emulator.folder(name) / "terraform"
    state = {folder / ".terraform", *folder.glob("terraform.tfstate*")}
    for path in folder.iterdir() if folder.exists() else ():
        if path not in state:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(
        terraform.SOURCE,
        folder,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("backend.tf", "backend_override.tf", ".terraform", "terraform.tfstate*", "tests"),
    )
    # The web client's files lie beside terraform/.
    shutil.copytree(ROOT / "web", folder.parent / "web", dirs_exist_ok=True)
    variables = folder / VARIABLES
    text = re.sub(r"\b\d{5}\b", lambda found: str(ports.get(int(found[0]), found[0])), variables.read_text())
    variables.write_text(text.replace(BACK_OFFICE, back_office))
    return folder


def _run_apply(command: list[str], env: dict[str, str], log: Path, progress: Progress) -> None:
    """Run `terraform apply`, write its output to a log file, and print its progress every 5 seconds.

    :raises ConflictError: if a resource exists in the emulator that isn't in the Terraform state
    :raises CommandError: if the apply fails in another way
    """
    total, done, last_print, problems = 0, 0, time.monotonic(), list[str]()
    progress.say("terraform apply …")
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in typing.cast(typing.IO[str], process.stdout):
            out.write(line)
            try:
                message = json.loads(line)
            except ValueError:
                continue  # the line is plain text, such as a warning about the user's Terraform settings
            kind = message.get("type")
            if kind == "change_summary":
                changes = message["changes"]
                total = changes["add"] + changes["change"] + changes["remove"]
                progress.say(message["@message"])
            elif kind == "diagnostic" and message["diagnostic"]["severity"] == "error":
                problems.append(_describe_problem(message["diagnostic"]))
            elif kind == "apply_complete" and message["hook"]["action"] != "read":
                done += 1
                if time.monotonic() - last_print > 5:
                    last_print = time.monotonic()
                    progress.say(f"{done} of {total}: {message['hook']['resource']['addr']}")
    if process.returncode:
        text = "\n".join(problems[:10]) or "(no message)"
        error = ConflictError if re.search(r"ConflictException|AlreadyExists", text) else CommandError
        raise error(f"terraform apply failed:\n{text}\nThe whole log: {log}")


def _describe_problem(diagnostic: dict[str, typing.Any]) -> str:
    position = diagnostic.get("range") or {}
    line = f" ({position.get('filename')}:{position.get('start', {}).get('line')})" if position else ""
    address = f" [{diagnostic['address']}]" if diagnostic.get("address") else ""
    return f"- {diagnostic['summary']}{address}{line}\n  {diagnostic.get('detail', '')}"
