"""Apply the Terraform to an emulator, from a copy of terraform/ in .local/<name>/ with its own state.

No run here can reach an AWS account: the credentials are the emulator's, every AWS_* setting of the caller is dropped,
and an endpoint at AWS is refused.
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
from ops.build.zips import Zips
from ops.console import CommandError, Progress, run_tool
from ops.local import emulator

VARIABLES = Path("environments/local.tfvars")
BACK_OFFICE = "http://localhost:8765"  # what the local settings call it: each run's has a port of its own
_OPTIONS = ("-input=false", "-parallelism=30", f"-var-file={VARIABLES}", "-var-file=run.tfvars.json")


class Conflict(CommandError):
    """The emulator says that something exists which the run hasn't made."""


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What terraform/outputs.tf gives to the tools and tests."""

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
    routes: list[str]  # "METHOD /path", without the stage
    policies: dict[str, str]  # JSON text of every policy of the primary Region
    edge_url: str | None = None
    replica_region: str | None = None
    replica_api_url: str | None = None
    replica_documents_bucket: str | None = None
    replica_write_log_bucket: str | None = None
    # None without sources: each source's schedule's input, as JSON text, and what `poll` works with.
    sources: dict[str, str] | None = None
    poll_function: str | None = None
    checkpoints_table: str | None = None
    change_stream: str | None = None
    backends: dict[str, dict[str, str]] | None = None  # name -> its `url`
    backend_api_keys: dict[str, str] | None = None
    alarm_topic_arn: str | None = None


@dataclasses.dataclass(frozen=True)
class Stack:
    """A stack that was applied here."""

    name: str
    endpoint: str
    outputs: Outputs
    aws_client: str  # what the functions on a client's path call AWS with

    @property
    def home(self) -> Path:
        """Where the run keeps its files."""
        return emulator.folder(self.name)


def environment(endpoint: str) -> dict[str, str]:
    """The AWS settings of everything that talks to the emulator: Terraform, boto3."""
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
    """What Terraform's `aws_client` is set to: what READPLANE_CLIENT says, as it does in the functions themselves.

    :raises Failure: for a client that there isn't.
    """
    client = os.environ.get("READPLANE_CLIENT", "slim")
    if client not in ("slim", "boto3"):
        raise CommandError(f"READPLANE_CLIENT={client}: set it to slim or boto3, or not at all (slim).")
    return client


def regions() -> list[str]:
    """Every Region that the local settings name."""
    texts = [(terraform.SOURCE / path).read_text() for path in (VARIABLES, "variables.tf")]
    return sorted(set(re.findall(r'"([a-z]{2}(?:-[a-z]+)+-\d)"', "\n".join(texts))))


def forget_state(name: str) -> None:
    """Drop the state of a stack whose emulator is gone."""
    for path in (emulator.folder(name) / "terraform").glob("terraform.tfstate*"):
        path.unlink()
    (emulator.folder(name) / "stack.json").unlink(missing_ok=True)


def apply(name: str, endpoint: str, zips: Zips, progress: Progress, back_office: str = BACK_OFFICE) -> Stack:
    """Apply terraform/ to the emulator at an endpoint, with the back office at a URL."""
    folder = _copy(name, back_office)
    # Terraform reads them when it plans and again minutes later, and a build for another run may come in between.
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
    read = json.loads(run_tool([terraform.terraform(), f"-chdir={folder}", "output", "-json"], env=env))
    values = {key: entry["value"] for key, entry in read.items()}
    known = {field.name: field for field in dataclasses.fields(Outputs)}
    if missing := [n for n, f in known.items() if f.default is dataclasses.MISSING and not values.get(n)]:
        raise CommandError(f"terraform/outputs.tf doesn't give {', '.join(missing)}.")
    given = {key: value for key, value in values.items() if key in known}
    stack = Stack(name, endpoint, Outputs(**given), aws_client())
    (stack.home / "stack.json").write_text(json.dumps(dataclasses.asdict(stack), indent=2) + "\n")
    return stack


def load(name: str) -> Stack | None:
    """The stack that was applied last under a name, if its emulator still answers."""
    note = emulator.folder(name) / "stack.json"
    if not note.exists():
        return None
    read = json.loads(note.read_text())
    if not emulator.healthy(read["endpoint"]):
        return None
    return Stack(read["name"], read["endpoint"], Outputs(**read["outputs"]), read.get("aws_client", "boto3"))


def destroy(stack: Stack) -> None:
    """Remove the stack's resources from an emulator that goes on running."""
    env = terraform.environment() | environment(stack.endpoint)
    folder = stack.home / "terraform"
    run_tool([terraform.terraform(), f"-chdir={folder}", "destroy", "-auto-approve", *_OPTIONS], env=env)


def _copy(name: str, back_office: str) -> Path:
    """Bring the copy of terraform/ up to date, without a backend: this state never leaves the machine."""
    folder = emulator.folder(name) / "terraform"
    kept = {folder / ".terraform", *folder.glob("terraform.tfstate*")}
    for path in folder.iterdir() if folder.exists() else ():
        if path not in kept:
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
    """Run an apply, keep its log, and say every few seconds how far it is."""
    total, done, said, problems = 0, 0, time.monotonic(), []
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
                continue  # a warning about the caller's own settings, say; it is in the log
            kind = message.get("type")
            if kind == "change_summary":
                changes = message["changes"]
                total = changes["add"] + changes["change"] + changes["remove"]
                progress.say(message["@message"])
            elif kind == "diagnostic" and message["diagnostic"]["severity"] == "error":
                problems.append(_problem(message["diagnostic"]))
            elif kind == "apply_complete" and message["hook"]["action"] != "read":
                done += 1
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    progress.say(f"{done} of {total}: {message['hook']['resource']['addr']}")
    if process.returncode:
        told = "\n".join(problems[:10]) or "(no message)"
        kind = Conflict if re.search(r"ConflictException|AlreadyExists", told) else CommandError
        raise kind(f"terraform apply failed:\n{told}\nThe whole log: {log}")


def _problem(diagnostic: dict[str, typing.Any]) -> str:
    place = diagnostic.get("range") or {}
    where = f" ({place.get('filename')}:{place.get('start', {}).get('line')})" if place else ""
    address = f" [{diagnostic['address']}]" if diagnostic.get("address") else ""
    return f"- {diagnostic['summary']}{address}{where}\n  {diagnostic.get('detail', '')}"
