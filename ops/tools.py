"""Find Terraform and Python 3.13. If one is missing, fetch it into .local/.

This program needs only the standard library.

python -m ops.tools terraform    find or fetch Terraform, for every make target that plans, applies or tests terraform/
python -m ops.tools python       find or fetch Python 3.13, which compiles the byte-code in the zips for AWS

`make` runs this program before anything else. .ci/run calls `make`, so it runs this program too. If the machine already
has a tool, nothing is fetched. A fetched tool has a pinned version and a pinned checksum. The program writes nothing
outside the project's folder.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from ops.console import ROOT, CommandError, Progress, failures, run_tool

LOCAL = ROOT / ".local"
"""The folder for fetched tools: Terraform is in bin/, Python in python/, and uv in uv/."""

TIMEOUT = 10.0
"""Seconds to wait for a connection, and for the next bytes of a download. Without network, `make` must fail fast."""

TERRAFORM_MINIMUM = (1, 11)
TERRAFORM = "1.11.4"
TERRAFORM_SITE = "https://releases.hashicorp.com"
TERRAFORM_SHA256 = {
    "darwin_amd64": "a56d5002b9f7647291faccc3dd1a70350e60fb61e4c45037629508b8fdc2575b",
    "darwin_arm64": "867e0808fa971217043e25b7a792b10720c79b1546f8a68479b74f138be73e18",
    "linux_amd64": "1ce994251c00281d6845f0f268637ba50c0005657eb3cf096b92f753b42ef4dc",
    "linux_arm64": "a43d1d0da9b9bab214a8305a39db0e40869572594ccf50c416a7756499143633",
}
"""The SHA-256 of Terraform's zip for each platform, copied from terraform_1.11.4_SHA256SUMS, which HashiCorp signs."""

TERRAFORM_BY_HAND = """\
To install it by hand, see https://developer.hashicorp.com/terraform/install, or run one of
  brew install hashicorp/tap/terraform
  tfenv install 1.11.4 && tfenv use 1.11.4"""

AWS_PYTHON = "3.13"
"""The Python version of the functions on AWS. A Python version loads only byte-code that the same version compiled."""

PYTHON = "3.13.18"
"""The Python release that uv fetches. uv checks the download against a checksum that is part of uv's own release."""

PYTHON_SITE = "https://github.com/astral-sh/python-build-standalone/releases/download"
UV_LOCK = ROOT / "requirements/uv.txt"


def find_terraform() -> Path | None:
    """Return the path of a Terraform that is new enough: the one on PATH, else the fetched one, else None."""
    for path in (shutil.which("terraform"), LOCAL / "bin/terraform"):
        version = terraform_version(path) if path else None
        if path and version and tuple(int(part) for part in version.split(".")[:2]) >= TERRAFORM_MINIMUM:
            return Path(path)
    return None


def terraform_version(path: str | Path) -> str | None:
    """Return the version of a `terraform` program. Return None if the program fails.

    For example, the `terraform` that tfenv puts on PATH fails until a version is chosen in tfenv.
    """
    try:
        version: str = json.loads(run_tool([path, "version", "-json"]))["terraform_version"]
        return version
    except (CommandError, OSError, ValueError):
        return None


def fetch_terraform() -> Path:
    """Download Terraform into .local/bin and return its path.

    :raises CommandError: if the download fails, the zip hasn't the pinned checksum, or this platform has no checksum
    """
    name = f"terraform_{TERRAFORM}_{platform_name()}.zip"
    expected = TERRAFORM_SHA256.get(platform_name())
    if expected is None:
        raise CommandError(f"Terraform {TERRAFORM} can't be fetched for {platform_name()}. {TERRAFORM_BY_HAND}")
    import tempfile
    import zipfile

    program = LOCAL / "bin/terraform"
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as folder:
        archive = Path(folder) / name
        try:
            download(f"{TERRAFORM_SITE}/terraform/{TERRAFORM}/{name}", expected, archive)
        except CommandError as error:
            raise CommandError(f"Terraform is missing and couldn't be fetched: {error}\n{TERRAFORM_BY_HAND}") from error
        with zipfile.ZipFile(archive) as archived:
            unpacked = Path(archived.extract("terraform", folder))
        unpacked.chmod(0o755)
        unpacked.replace(program)  # atomic, so that no other process runs a half-written program
    return program


def platform_name() -> str:
    """Return this machine's operating system and processor as Terraform names them, such as linux_amd64."""
    machine = platform.machine().lower()
    processor = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    return f"{platform.system().lower()}_{processor}"


def download(url: str, sha256: str, to: Path) -> None:
    """Download a file, print the progress, and check the file's SHA-256.

    :raises CommandError: if the download fails, or the file has another SHA-256
    """
    import hashlib
    import http.client
    import urllib.request

    progress, digest, size, step = Progress(), hashlib.sha256(), 0, 0.0
    progress.say(f"Fetching {url} …")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, to.open("wb") as file:
            total = int(response.headers.get("Content-Length") or 0)
            while block := response.read(65_536):
                file.write(block)
                digest.update(block)
                size += len(block)
                if progress.elapsed - step > 2:
                    step = progress.elapsed
                    progress.say(f"{size / 1e6:.0f} of {total / 1e6:.0f} MB")
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"{url} can't be downloaded ({_reason(error)}).") from error
    if digest.hexdigest() != sha256:
        raise CommandError(f"{url} has the SHA-256 {digest.hexdigest()}, not the pinned {sha256}.")


def check_reachable(url: str) -> None:
    """Check that a server responds to a request. A response with any HTTP status is enough.

    :raises CommandError: if the server doesn't respond within TIMEOUT
    """
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT):
            pass
    except urllib.error.HTTPError:
        pass
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"{url} can't be reached ({_reason(error)}).") from error


def _reason(error: Exception) -> str:
    """Return the text of an error. For a URLError, return the text of the reason that it wraps."""
    return str(getattr(error, "reason", None) or error) or type(error).__name__


def find_python() -> Path | None:
    """Return the path of a Python 3.13: the running one, another one on this machine, the fetched one, or None."""
    if sys.version_info[:2] == tuple(map(int, AWS_PYTHON.split("."))):
        return Path(sys.executable)
    search = subprocess.run([ROOT / "ops/find-python", AWS_PYTHON], capture_output=True, text=True, check=False)
    return Path(search.stdout.strip()) if search.returncode == 0 else None


def python_by_hand() -> str:
    """Return instructions for installing Python 3.13 without `make`."""
    return f"""\
To install it by hand, run one of
  sudo apt-get install python{AWS_PYTHON} python{AWS_PYTHON}-venv    (Debian 13)
  brew install python@{AWS_PYTHON}
  uv python install {AWS_PYTHON}
  pyenv install {AWS_PYTHON}"""


def fetch_python() -> Path:
    """Let uv install Python 3.13 into .local/python, and return Python's path.

    uv itself is installed from PyPI into .local/uv.

    :raises CommandError: if the download site or PyPI can't be reached, or uv fails
    """
    mirror = os.environ.get("UV_PYTHON_INSTALL_MIRROR", PYTHON_SITE)
    try:
        if mirror.startswith("http"):
            check_reachable(mirror)  # before installing uv, which is useless without this site
        uv = _install_uv()
        Progress().say(f"Fetching Python {PYTHON} with uv …")
        environment = os.environ | {
            "UV_CACHE_DIR": str(LOCAL / "uv/cache"),
            "UV_PYTHON_INSTALL_DIR": str(LOCAL / "python"),
            "UV_HTTP_TIMEOUT": str(int(TIMEOUT)),
            "UV_NO_CONFIG": "1",
        }
        run_tool([uv, "python", "install", "--no-bin", PYTHON], env=environment)
    except CommandError as error:
        raise CommandError(
            f"Python {AWS_PYTHON}, which compiles the zips for AWS, is missing and couldn't be fetched: {error}\n"
            f"{python_by_hand()}"
        ) from error
    path = find_python()
    if path is None:
        raise CommandError(f"uv installed Python {PYTHON}, but ops/find-python doesn't find it in {LOCAL / 'python'}.")
    return path


def _install_uv() -> Path:
    """Install uv into .local/uv, in the version that requirements/uv.txt pins, if it is missing. Return uv's path."""
    venv, stamp = LOCAL / "uv", LOCAL / "uv/.made-from-lock"
    uv = venv / "bin/uv"
    if stamp.exists() and stamp.read_bytes() == UV_LOCK.read_bytes():
        return uv
    Progress().say("Installing uv from PyPI …")
    run_tool([sys.executable, "-m", "venv", "--clear", venv])
    options = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--require-hashes"]
    run_tool([venv / "bin/python", "-m", "pip", "install", *options, "-r", UV_LOCK])
    stamp.write_bytes(UV_LOCK.read_bytes())
    return uv


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    """Let one process at a time fetch tools. A second process waits, and then finds the tool that the first fetched."""
    import fcntl

    LOCAL.mkdir(exist_ok=True)
    with (LOCAL / "tools.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


TOOLS = {"terraform": (find_terraform, fetch_terraform), "python": (find_python, fetch_python)}


def provide(name: str) -> Path:
    """Return the path of a tool. Fetch the tool first if it is missing.

    :param name: terraform or python
    :raises CommandError: if the tool is missing and can't be fetched
    """
    find, fetch = TOOLS[name]
    path = find()
    if path is None:
        with _exclusive():
            path = find() or fetch()
            print(f"Fetched {path}.", flush=True)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Find or fetch each tool that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m ops.tools", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tools", nargs="+", choices=TOOLS, help="which tools to provide")
    for name in parser.parse_args(arguments).tools:
        provide(name)
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
