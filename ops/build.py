"""Build the zips that Terraform deploys: the functions and the layer, for AWS and for the local emulator.

    python -m ops.build                 both targets, skipping what hasn't changed
    python -m ops.build --target local  only dist/local/*.zip

The zips are identical for the same inputs and the same interpreter patch version (recorded in each zip's build.json),
whatever folder, clock or umask: a changed hash would redeploy every function for nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

from ops.console import ROOT, Failure, failures, run_tool

PACKAGE = Path("lambda_src/readplane")
REQUIREMENTS = Path("lambda_src/requirements.txt")
AWS_PYTHON = "3.13"

# Compiles a tree of sources inside the interpreter that will load them. The result must not depend on where the tree
# lies (co_filename, as if it lay in Lambda), on the clock (unchecked hashes instead of modification times, which also
# spares a cold start the stat and the comparison) or on hash randomisation (PYTHONHASHSEED, set by the caller).
COMPILE = """
import json, pathlib, platform, py_compile, sys
tree, prefix = pathlib.Path(sys.argv[1]), sys.argv[2]
for source in sorted(tree.rglob("*.py")):
    py_compile.compile(str(source), dfile=prefix + "/" + source.relative_to(tree).as_posix(), doraise=True, optimize=0,
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
print(json.dumps({"implementation": platform.python_implementation(), "python": platform.python_version()}))
"""


@dataclasses.dataclass(frozen=True)
class Target:
    """One kind of machine that the zips are made for."""

    name: str
    functions_zip: Path
    layer_zip: Path
    pip_options: tuple[str, ...]  # which wheels pip picks

    def interpreter(self) -> Path:
        """The interpreter whose byte-code goes into the zips."""
        if self.name == "local" or sys.version_info[:2] == tuple(map(int, AWS_PYTHON.split("."))):
            return Path(sys.executable)
        found = subprocess.run([ROOT / "ops/find-python", AWS_PYTHON], capture_output=True, text=True, check=False)
        if found.returncode:
            raise Failure(f"The zips for AWS need byte-code of Python {AWS_PYTHON}.\n{found.stderr.strip()}")
        return Path(found.stdout.strip())


# Lambda's python3.13 runs on Amazon Linux 2023 (glibc 2.34).
_ARM64 = [
    f"--platform={tag}_aarch64" for tag in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
]
TARGETS = {
    target.name: target
    for target in (
        Target(
            "arm64",
            Path("functions-arm64.zip"),
            Path("layer-arm64.zip"),
            (*_ARM64, f"--python-version={AWS_PYTHON}", "--implementation=cp"),
        ),
        Target("local", Path("local/functions.zip"), Path("local/layer.zip"), ()),
    )
}


def build(
    target: Target, dist: Path = ROOT / "dist", root: Path = ROOT, *, force: bool = False
) -> tuple[Path, Path, bool]:
    """Make the two zips of a target; returns their paths and whether anything had to be made."""
    functions_zip, layer_zip = dist / target.functions_zip, dist / target.layer_zip
    interpreter = target.interpreter()
    note = functions_zip.with_name(f".{target.name}-inputs.json")
    inputs = _inputs(target, interpreter, root)
    if not force and note.exists() and json.loads(note.read_text()) == _state(inputs, functions_zip, layer_zip):
        return functions_zip, layer_zip, False

    functions_zip.parent.mkdir(parents=True, exist_ok=True)
    work = functions_zip.with_name(f".{target.name}-{os.getpid()}")
    try:
        functions = work / "functions"
        for source in sorted((root / PACKAGE).rglob("*")):
            if source.is_file() and "__pycache__" not in source.parts:
                _copy(source.read_bytes(), functions / source.relative_to(root / PACKAGE.parent))
        layer = work / "layer" / "python"
        layer.mkdir(parents=True)
        for wheel in _wheels(target, interpreter, root, dist):
            _unpack(wheel, layer)
        for tree, prefix, folder, out in (
            (functions, "/var/task", functions, functions_zip),
            (layer, "/opt/python", layer.parent, layer_zip),
        ):
            made_by = _compile(interpreter, tree, prefix)
            (folder / "build.json").write_text(json.dumps(made_by | {"target": target.name}, sort_keys=True) + "\n")
            _zip(folder, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    note.write_text(json.dumps(_state(inputs, functions_zip, layer_zip)))
    return functions_zip, layer_zip, True


def _inputs(target: Target, interpreter: Path, root: Path) -> str:
    """A hash of everything that decides what is in the zips."""
    digest = hashlib.sha256()
    sources = [p for p in (root / PACKAGE).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    if not sources:
        raise Failure(f"There is nothing to build in {root / PACKAGE}.")
    for path in [*sorted(sources), root / REQUIREMENTS, Path(__file__)]:
        content = path.read_bytes()
        digest.update(f"{path.name if path == Path(__file__) else path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update(f"{target}\0{_version(interpreter)}".encode())
    return digest.hexdigest()


def _version(interpreter: Path) -> str:
    if str(interpreter) == sys.executable:
        return platform.python_version()
    return run_tool([interpreter, "-c", "import platform; print(platform.python_version())"]).strip()


def _state(inputs: str, *zips: Path) -> dict[str, str]:
    """What the last build wrote: a zip that was changed or removed by hand is made again."""
    hashes = {z.name: hashlib.sha256(z.read_bytes()).hexdigest() if z.exists() else "" for z in zips}
    return {"inputs": inputs, **hashes}


def _wheels(target: Target, interpreter: Path, root: Path, dist: Path) -> list[Path]:
    """The wheels of the layer's lock, downloaded once and kept beside the zips."""
    lock = (root / REQUIREMENTS).read_bytes()
    key = hashlib.sha256(
        lock + repr((target.pip_options, _version(interpreter), sysconfig.get_platform())).encode()
    ).hexdigest()
    folder = dist / ".wheels" / f"{target.name}-{key[:16]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", *target.pip_options]
        run_tool([*command, "-r", root / REQUIREMENTS, "-d", partial])
        partial.rename(folder)
    return sorted(folder.glob("*.whl"))


def _unpack(wheel: Path, into: Path) -> None:
    """Unpack a wheel as it is: what `pip install` adds (RECORD, INSTALLER, scripts) differs from run to run."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            top, _, rest = name.partition("/")
            if top.endswith(".data"):
                kind, _, rest = rest.partition("/")
                if kind not in ("purelib", "platlib"):
                    continue
                name = rest
            if not name.endswith("/"):
                _copy(archive.read(name), into / name)


def _copy(content: bytes, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(content)


def _compile(interpreter: Path, tree: Path, prefix: str) -> dict[str, str]:
    environment = {"PYTHONHASHSEED": "0", "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    out = run_tool([interpreter, "-s", "-S", "-X", "utf8", "-c", COMPILE, tree, prefix], env=environment)
    made_by: dict[str, str] = json.loads(out)
    return made_by


def _zip(tree: Path, out: Path) -> None:
    """Write the files of a tree in sorted order, with one date and one mode.

    Stored, not deflated: another zlib would give other bytes, and these few hundred kilobytes load no slower.
    """
    partial = out.with_name(f"{out.name}.{os.getpid()}")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, or the mode would mean nothing
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, (tree / name).read_bytes())
    partial.replace(out)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and build."""
    parser = argparse.ArgumentParser(prog="python -m ops.build", description=__doc__.split("\n\n")[0])
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all", help="which zips to make (default: all)")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where they go (default: dist/)")
    parser.add_argument("--force", action="store_true", help="make them even when nothing changed")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be made")
    options = parser.parse_args(arguments)
    for target in TARGETS.values() if options.target == "all" else [TARGETS[options.target]]:
        zips = [options.dist / target.functions_zip, options.dist / target.layer_zip]
        if options.dry_run:
            print(f"Would make {', '.join(map(str, zips))} with {target.interpreter()}.")
            continue
        start = time.monotonic()
        *_, made = build(target, options.dist, force=options.force)
        for path in zips:
            size, digest = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{path}  {size / 1024:.0f} KiB  sha256 {digest[:16]}…")
        print(f"{target.name}: {'made' if made else 'up to date'} in {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
