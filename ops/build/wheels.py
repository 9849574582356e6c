"""Download and unpack the wheels of the libraries in a Lambda layer."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

from ops.build.targets import Target
from ops.console import run_tool


def download_wheels(target: Target, interpreter: Path, requirements: Path, dist: Path) -> list[Path]:
    """Return the paths of the wheels that a layer's lock file names.

    pip downloads them once into a cache, the folder .wheels in the output folder.

    :param requirements: the layer's lock file, which pins the hash of each wheel
    :param dist: the output folder of the build
    """
    key = repr((target.pip_options, python_version(interpreter), sysconfig.get_platform())).encode()
    digest = hashlib.sha256(requirements.read_bytes() + key).hexdigest()
    folder = dist / ".wheels" / f"{target.name}-{digest[:16]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", *target.pip_options]
        run_tool([*command, "-r", requirements, "-d", partial])
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            shutil.rmtree(partial)  # another build at the same time has downloaded the same wheels
    return sorted(folder.glob("*.whl"))


def python_version(interpreter: Path) -> str:
    """Return the full version of a Python interpreter, such as 3.13.0."""
    if str(interpreter) == sys.executable:
        return platform.python_version()
    return run_tool([interpreter, "-c", "import platform; print(platform.python_version())"]).strip()


def unpack_wheel(wheel: Path, to: Path) -> None:
    """Unpack the libraries in a wheel unchanged.

    `pip install` isn't used, because it would add files that differ from run to run (RECORD, INSTALLER, scripts).
    """
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            name = _installed_name(member)
            if name:
                file = to / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(member))


def _installed_name(member: str) -> str | None:
    """Return the path at which to unpack an entry of a wheel. The path is relative to the folder of libraries.

    Return None for a folder, and for a file that isn't part of a library, such as a script.
    """
    if member.endswith("/"):
        return None
    top, _, rest = member.partition("/")
    if not top.endswith(".data"):
        return member
    kind, _, rest = rest.partition("/")
    return rest if kind in ("purelib", "platlib") else None
