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
from ops.console import CommandError, run_tool


def download_wheels(
    target: Target, interpreter: Path, requirements: Path, dist: Path, *, from_sources: bool = False
) -> list[Path]:
    """Return the paths of the wheels that a layer's lock file names.

    pip downloads them once into a cache, the folder .wheels in the output folder.

    :param requirements: the layer's lock file, which pins the hash of each wheel or source archive
    :param dist: the output folder of the build
    :param from_sources: whether pip may make wheels of source archives, with the setuptools of this environment; such
        a wheel must have no compiled code, because pip compiles for this machine only
    :raises CommandError: if pip made a wheel with compiled code
    """
    key = repr((target.pip_options, python_version(interpreter), sysconfig.get_platform())).encode()
    digest = hashlib.sha256(requirements.read_bytes() + key).hexdigest()
    folder = dist / ".wheels" / f"{target.name}-{digest[:16]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip"]
        options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        if from_sources:
            run_tool([*pip, "wheel", *options, "--no-build-isolation", "-r", requirements, "-w", partial])
            if compiled := [wheel.name for wheel in partial.glob("*.whl") if not wheel.stem.endswith("-none-any")]:
                shutil.rmtree(partial)
                raise CommandError(f"{', '.join(compiled)} has compiled code for this machine. Download its wheels.")
        else:
            options += ["--only-binary=:all:", *target.pip_options]
            run_tool([*pip, "download", *options, "-r", requirements, "-d", partial])
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
