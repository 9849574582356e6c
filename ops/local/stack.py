"""Apply terraform/ to an emulator, from a copy in .local/<name>/ that has its own Terraform state.

A local run can't reach an AWS account: it uses the emulator's credentials, drops the caller's AWS_* settings, and
refuses an endpoint at AWS.
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
from pathlib import Path

from ops import terraform
from ops.build.targets import Zips
from ops.console import CommandError, Progress, run_tool
from ops.local import emulator

VARIABLES = Path("environments/local.tfvars")
BACK_OFFICE = "http://localhost:8765"
"""The back office's URL in the local settings. A run replaces it with the URL of its own back office."""

_OPTIONS = ("-input=false", "-parallelism=30", f"-var-file={VARIABLES}", "-var-file=run.tfvars.json")


class ConflictError(CommandError):
    """The emulator says that a resource exists, although this run hasn't made it."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The Terraform outputs that tools and tests use. terraform/outputs.tf describes each one.

    routes: "METHOD /path" of every route, without the stage
    policies: the JSON text of every policy of the primary Region, by name
    sources: the event that each source's schedule sends, as JSON text, by the source's name; None without sources
    poll_function, checkpoints_table, change_stream: the resources for polling the sources; None without sources
    backends: each back office passed through, with its `url`
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
    policies: dict[str, str]
    edge_url: str | None = None
    replica_region: str | None = None
    replica_api_url: str | None = None
    replica_documents_bucket: str | None = None
    replica_write_log_bucket: str | None = None
    sources: dict[str, str] | None = None
    poll_function: str | None = None
    checkpoints_table: str | None = None
    change_stream: str | None = None
    backends: dict[str, dict[str, str]] | None = None
    backend_api_keys: dict[str, str] | None = None
    alarm_topic_arn: str | None = None


@dataclasses.dataclass(frozen=True)
class Stack:
    """A stack on an emulator.

    name: the run's name
    endpoint: the emulator's URL
    outputs: the stack's Terraform outputs
    aws_client: how `read`, `write` and `apply` call AWS: slim or boto3
    """

    name: str
    endpoint: str
    outputs: Outputs
    aws_client: str

    @property
    def home(self) -> Path:
        """The folder of the run's files."""
        return emulator.folder(self.name)


def environment(endpoint: str) -> dict[str, str]:
    """Return the AWS settings that point Terraform and boto3 at an emulator.

    :raises CommandError: if the endpoint is at AWS
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
    """Return the value for Terraform's variable `aws_client`, from READPLANE_CLIENT; the default is slim.

    The functions read READPLANE_CLIENT by the same rule.

    :raises CommandError: for an unknown client
    """
    client = os.environ.get("READPLANE_CLIENT", "slim")
    if client not in ("slim", "boto3"):
        raise CommandError(f"READPLANE_CLIENT={client}: set it to slim or boto3, or not at all (slim).")
    return client


def regions() -> list[str]:
    """Return every Region that the local settings or the variables' defaults name."""
    texts = [(terraform.SOURCE / path).read_text() for path in (VARIABLES, "variables.tf")]
    return sorted(set(re.findall(r'"([a-z]{2}(?:-[a-z]+)+-\d)"', "\n".join(texts))))


def forget_state(name: str) -> None:
    """Delete the state of a stack whose emulator is gone."""
    for path in (emulator.folder(name) / "terraform").glob("terraform.tfstate*"):
        path.unlink()
    (emulator.folder(name) / "stack.json").unlink(missing_ok=True)


def apply(name: str, endpoint: str, zips: Zips, progress: Progress, back_office: str = BACK_OFFICE) -> Stack:
    """Apply terraform/ to an emulator and record the stack in stack.json.

    :param endpoint: the emulator's URL
    :param back_office: the back office's URL
    :raises ConflictError: if the emulator has a resource that isn't in the state
    :raises CommandError: if Terraform fails in another way, or an output is missing
    """
    folder = _copy(name, back_office)
    # Copy the zips, because Terraform reads them twice: when it plans, and again minutes later when it applies. In
    # between, another run may replace the zips in dist/.
    zips = Zips(*(Path(shutil.copy(path, folder)) for path in zips))
    env = terraform.environment() | environment(endpoint)
    progress.say("terraform init …")
    progress.say(f"Providers from {terraform.init(folder, env)}.")
    variables = {
        "hot_zip": str(zips.hot),
        "functions_zip": str(zips.functions),
        "layer_zip": str(zips.layer),
        "poll_layer_zip": str(zips.poll_layer),
        "aws_client": aws_client(),
        "api_base_url": f"{endpoint}/_aws/execute-api/{{api_id}}",
    }
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
    """Return the run's recorded stack if its emulator responds."""
    record = emulator.folder(name) / "stack.json"
    if not record.exists():
        return None
    saved = json.loads(record.read_text())
    if not emulator.healthy(saved["endpoint"]):
        return None
    return Stack(saved["name"], saved["endpoint"], Outputs(**saved["outputs"]), saved.get("aws_client", "boto3"))


def destroy(stack: Stack) -> None:
    """Remove the stack's resources from an emulator that keeps running."""
    env = terraform.environment() | environment(stack.endpoint)
    folder = stack.home / "terraform"
    run_tool([terraform.terraform(), f"-chdir={folder}", "destroy", "-auto-approve", *_OPTIONS], env=env)


def _copy(name: str, back_office: str) -> Path:
    """Update the run's copy of terraform/ and return its folder.

    The copy has no Terraform backend, so its state never leaves this machine.

    :param back_office: the URL that replaces the back office's URL in the local settings
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
    variables = folder / VARIABLES
    variables.write_text(variables.read_text().replace(BACK_OFFICE, back_office))
    return folder


def _run_apply(command: list[str], env: dict[str, str], log: Path, progress: Progress) -> None:
    """Run an apply, write its log, and print its progress every 5 seconds.

    :raises ConflictError: if the emulator has a resource that isn't in the state
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
                continue  # plain text, such as a warning about the caller's own settings; it is in the log
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
