"""Build the zips of a target, unless they are up to date.

The same inputs, the same patch release of Python and the same version of zlib give zips with the same bytes, in any
folder, at any time and with any umask. If the bytes varied, every deployment would replace every function. The file
build.json in each zip names the Python interpreter, its version, and the version of zlib.

The zips are compressed, because Lambda downloads them at each cold start. Another version of zlib may compress the same
files to other bytes. That costs one needless deployment and nothing else. For the zips of the functions that clients
wait for, zopfli compresses: it takes a second, and its result is 4 % smaller.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zopfli
import zopfli.zlib

from ops.build.hot_files import EDGE_AUTH, hot_files, package_files
from ops.build.targets import Target, Zips
from ops.build.wheels import download_wheels, python_version, unpack_wheel
from ops.console import ROOT, CommandError, run_tool

PACKAGE = Path("lambda_src/readplane")
REQUIREMENTS = {
    "layer": Path("lambda_src/requirements.txt"),
    "poll_layer": Path("lambda_src/requirements-poll.txt"),
    "database_layer": Path("lambda_src/requirements-database.txt"),
    "dax_layer": Path("lambda_src/requirements-dax.txt"),
}
"""The lock file of each layer."""

FROM_SOURCES = ("dax_layer",)
"""The layers with a library of which no wheel is published."""

COMPILER = Path(__file__).with_name("compile_tree.py")


def build(target: Target, dist: Path = ROOT / "dist", root: Path = ROOT, *, force: bool = False) -> tuple[Zips, bool]:
    """Build the zips of a target, unless they are up to date. Return their paths, and whether they were built now.

    :param dist: the output folder
    :param root: the project's folder, which contains the sources and the lock files
    :param force: build even if the zips are up to date
    :raises CommandError: if the Python interpreter or the sources are missing
    """
    zips = target.zips(dist)
    interpreter = target.interpreter()
    record = zips.functions.with_name(f".{target.name}-inputs.json")
    inputs = _hash_inputs(target, interpreter, root)
    if not force and record.exists() and json.loads(record.read_text()) == _state(inputs, zips):
        return zips, False

    zips.functions.parent.mkdir(parents=True, exist_ok=True)
    work = zips.functions.with_name(f".{target.name}-{os.getpid()}")
    try:
        _copy_files(hot_files(root / PACKAGE), root, work / "hot")
        _copy_files(hot_files(root / PACKAGE, EDGE_AUTH), root, work / "edge_auth")
        _copy_files(package_files(root / PACKAGE), root, work / "functions")
        for layer, requirements in REQUIREMENTS.items():
            libraries = work / layer / "python"
            libraries.mkdir(parents=True)
            sources = layer in FROM_SOURCES
            for wheel in download_wheels(target, interpreter, root / requirements, dist, from_sources=sources):
                unpack_wheel(wheel, libraries)
        for zip_file, folder, subfolder, prefix, placement in (
            (zips.hot, work / "hot", "", "/var/task", "bundle"),
            (zips.functions, work / "functions", "", "/var/task", "alone"),
            (zips.edge_auth, work / "edge_auth", "", "/var/task", "bundle"),
            *((getattr(zips, layer), work / layer, "python", "/opt/python", "beside") for layer in REQUIREMENTS),
        ):
            made_by = _compile(interpreter, folder / subfolder, prefix, placement)
            made_by |= {"target": target.name, "zlib": zlib.ZLIB_RUNTIME_VERSION}
            (folder / "build.json").write_text(json.dumps(made_by, sort_keys=True) + "\n")
            _write_zip(folder, zip_file, small=placement == "bundle")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    record.write_text(json.dumps(_state(inputs, zips)))
    return zips, True


def _hash_inputs(target: Target, interpreter: Path, root: Path) -> str:
    """Return a hash of all inputs of the zips: sources, lock files, the code in ops/build, target, Python and zlib.

    :raises CommandError: if the folder of sources is empty
    """
    digest = hashlib.sha256()
    sources = package_files(root / PACKAGE)
    if not sources:
        raise CommandError(f"There is nothing to build in {root / PACKAGE}.")
    inputs = [(path.relative_to(root), path) for path in [*sources, *(root / path for path in REQUIREMENTS.values())]]
    builder = [(Path(path.name), path) for path in sorted(Path(__file__).parent.glob("*.py"))]
    for name, path in [*inputs, *builder]:
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    compressors = f"{zlib.ZLIB_RUNTIME_VERSION}\0{zopfli.__version__}"
    digest.update(f"{target}\0{python_version(interpreter)}\0{compressors}".encode())
    return digest.hexdigest()


def _state(inputs: str, zips: Zips) -> dict[str, str]:
    """Return the hash of a build's inputs and the hash of each zip.

    The state is saved after each build. The next build is skipped if the state is still the same then. Because the
    state includes the hashes of the zips, the next build replaces a zip that somebody changed or removed.
    """
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "" for path in zips}
    return {"inputs": inputs, **hashes}


def _copy_files(files: Iterable[Path], root: Path, to: Path) -> None:
    """Copy the contents of the package's files to another folder, without the files' modes and times."""
    for path in files:
        copy = to / path.relative_to(root / PACKAGE.parent)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def _compile(interpreter: Path, tree: Path, prefix: str, placement: str) -> dict[str, str]:
    """Compile the modules in a folder with compile_tree.py. Return the interpreter's name and version."""
    options = ["-P", "-s", "-S", "-X", "utf8", "-X", "no_debug_ranges"]
    environment = {"PYTHONHASHSEED": "0", "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    printed = run_tool([interpreter, *options, COMPILER, tree, prefix, placement], env=environment)
    made_by: dict[str, str] = json.loads(printed)
    return made_by


class _Zopfli:
    """A compressor with the methods of :func:`zlib.compressobj` that :mod:`zipfile` calls."""

    def __init__(self) -> None:
        self._data = bytearray()

    def compress(self, data: bytes) -> bytes:
        self._data += data
        return b""

    def flush(self) -> bytes:
        compressed: bytes = zopfli.zlib.compress(bytes(self._data))
        return compressed[2:-4]  # without zlib's header and checksum, because a zip has its own


def _write_zip(tree: Path, to: Path, *, small: bool) -> None:
    """Write a folder's files to a zip, sorted and with one date and one mode, so that the zip's bytes never vary.

    :param small: whether to compress with zopfli
    """
    partial = to.with_name(f"{to.name}.{os.getpid()}")
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # 3 is Unix; entries from other systems have no mode
            entry.external_attr = 0o100644 << 16
            content = (tree / name).read_bytes()
            if not small:
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=9)
                continue
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.file_size = len(content)
            with archive.open(entry, "w") as file:
                writer: Any = file
                writer._compressor = _Zopfli()  # zipfile takes no other compressor than those of the standard library
                file.write(content)
    partial.replace(to)
