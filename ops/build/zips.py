"""Build the zips that Terraform deploys, for AWS and for the local emulator.

    python -m ops.build                 both targets, skipping what hasn't changed
    python -m ops.build --target local  only dist/local/*.zip

    hot        what the functions on a client's path (and `apply`) import, as byte-code alone
    functions  the whole package, as byte-code alone
    layer      the libraries, with their byte-code beside their sources
    poll-layer the libraries that only `poll` needs, likewise

The zips are identical for the same inputs, the same interpreter patch version and the same zlib (each zip's build.json
tells them), whatever folder, clock or umask: a changed hash would redeploy every function for nothing. They are
deflated, since a sandbox downloads them at each cold start; the price is that another zlib may give other bytes for
the same files, which is no more than such a needless redeploy.
"""

from __future__ import annotations

import argparse
import ast
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
import typing
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.console import ROOT, CommandError, run_tool

PACKAGE = Path("lambda_src/readplane")
REQUIREMENTS = {"layer": Path("lambda_src/requirements.txt"), "poll_layer": Path("lambda_src/requirements-poll.txt")}
AWS_PYTHON = "3.13"
HOT = tuple(f"readplane.{function}.handler" for function in ("read", "write", "apply"))

# Compiles a tree of sources inside the interpreter that will load them. The result must not depend on where the tree
# lies (co_filename, as if it lay in Lambda), on the clock (unchecked hashes instead of modification times, which also
# spares a cold start the stat and the comparison) or on hash randomisation (PYTHONHASHSEED, set by the caller).
#
# Our own modules travel as x.pyc in place of x.py, without docstrings: less to download, and no source that could be
# compiled by mistake. Tracebacks still tell file and line; the columns, which only mark a place in a source that isn't
# there, are a fifth of the byte-code and left out (no_debug_ranges). So are the annotations of functions, which nothing
# reads at run time and every import would evaluate: 6 % of the zip. (Those of classes stay: they make NamedTuples.)
# Such a module is of use to the very minor version that compiled it and to no other (ImportError: bad magic number),
# hence the search for AWS_PYTHON below. The libraries keep their sources: nobody promises that they do without.
COMPILE = """
import ast, importlib.util, json, marshal, pathlib, platform, py_compile, sys
tree, prefix, alone = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "alone"
for source in sorted(tree.rglob("*.py")):
    name = prefix + "/" + source.relative_to(tree).as_posix()
    if not alone:
        py_compile.compile(str(source), dfile=name, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        continue
    text = source.read_bytes()
    parsed = ast.parse(text, name)
    for node in ast.walk(parsed):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    code = compile(parsed, name, "exec", dont_inherit=True, optimize=2)
    unchecked_hash = (1).to_bytes(4, "little") + importlib.util.source_hash(text)
    source.with_suffix(".pyc").write_bytes(importlib.util.MAGIC_NUMBER + unchecked_hash + marshal.dumps(code))
    source.unlink()
print(json.dumps({"implementation": platform.python_implementation(), "python": platform.python_version()}))
"""


class Zips(typing.NamedTuple):
    """The artefacts of one target."""

    hot: Path
    functions: Path
    layer: Path
    poll_layer: Path


@dataclasses.dataclass(frozen=True)
class Target:
    """One kind of machine that the zips are made for."""

    name: str
    hot_zip: Path
    functions_zip: Path
    layer_zip: Path
    poll_layer_zip: Path
    pip_options: tuple[str, ...]  # which wheels pip picks

    def zips(self, dist: Path) -> Zips:
        """Where its zips are, within a folder."""
        return Zips(*(dist / name for name in (self.hot_zip, self.functions_zip, self.layer_zip, self.poll_layer_zip)))

    def interpreter(self) -> Path:
        """The interpreter whose byte-code goes into the zips."""
        if self.name == "local" or sys.version_info[:2] == tuple(map(int, AWS_PYTHON.split("."))):
            return Path(sys.executable)
        found = subprocess.run([ROOT / "ops/find-python", AWS_PYTHON], capture_output=True, text=True, check=False)
        if found.returncode:
            raise CommandError(f"The zips for AWS need byte-code of Python {AWS_PYTHON}.\n{found.stderr.strip()}")
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
            Path("hot-arm64.zip"),
            Path("functions-arm64.zip"),
            Path("layer-arm64.zip"),
            Path("poll-layer-arm64.zip"),
            (*_ARM64, f"--python-version={AWS_PYTHON}", "--implementation=cp"),
        ),
        Target(
            "local",
            Path("local/hot.zip"),
            Path("local/functions.zip"),
            Path("local/layer.zip"),
            Path("local/poll-layer.zip"),
            (),
        ),
    )
}


def build(target: Target, dist: Path = ROOT / "dist", root: Path = ROOT, *, force: bool = False) -> tuple[Zips, bool]:
    """Make the zips of a target; returns their paths and whether anything had to be made.

    :param dist: the folder that they go to.
    :param root: the project whose sources and lock are used.
    :raises Failure: without the interpreter or the sources that are needed.
    """
    zips = target.zips(dist)
    interpreter = target.interpreter()
    note = zips.functions.with_name(f".{target.name}-inputs.json")
    inputs = _inputs(target, interpreter, root)
    if not force and note.exists() and json.loads(note.read_text()) == _state(inputs, zips):
        return zips, False

    zips.functions.parent.mkdir(parents=True, exist_ok=True)
    work = zips.functions.with_name(f".{target.name}-{os.getpid()}")
    try:
        for name, files in (("hot", hot_files(root / PACKAGE)), ("functions", _files(root / PACKAGE))):
            for path in files:
                _copy(path.read_bytes(), work / name / path.relative_to(root / PACKAGE.parent))
        for layer, requirements in REQUIREMENTS.items():
            libraries = work / layer / "python"
            libraries.mkdir(parents=True)
            for wheel in _wheels(target, interpreter, root / requirements, dist):
                _unpack(wheel, libraries)
        for out, folder, inner, prefix, pyc in (
            (zips.hot, work / "hot", "", "/var/task", "alone"),
            (zips.functions, work / "functions", "", "/var/task", "alone"),
            (zips.layer, work / "layer", "python", "/opt/python", "beside"),
            (zips.poll_layer, work / "poll_layer", "python", "/opt/python", "beside"),
        ):
            made_by = _compile(interpreter, folder / inner, prefix, pyc) | {
                "target": target.name,
                "zlib": zlib.ZLIB_RUNTIME_VERSION,
            }
            (folder / "build.json").write_text(json.dumps(made_by, sort_keys=True) + "\n")
            _zip(folder, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    note.write_text(json.dumps(_state(inputs, zips)))
    return zips, True


def _files(package: Path) -> list[Path]:
    """Everything in the package."""
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def hot_files(package: Path, entries: Iterable[str] = HOT) -> list[Path]:
    """The files that some modules need of their package: whatever they import, and the data beside it.

    Imports within functions count, so that one zip serves both clients of `readplane.aws.client`.

    :param package: the package's folder.
    :param entries: full names of modules.
    :raises Failure: for an import of a module that the package doesn't have.
    """
    modules: dict[str, Path] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        path = _module(package, name)
        if path is None:
            raise CommandError(f"{name} is imported, and there is no such module in {package}.")
        modules[name] = path
        waiting += _imports(package, name, path)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    folders = {path.parent for path in modules.values()}
    data = (path for path in _files(package) if path.suffix != ".py" and path.parent in folders)
    return sorted([*modules.values(), *data])


def _module(package: Path, name: str) -> Path | None:
    place = package.parent / name.replace(".", "/")
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _imports(package: Path, name: str, path: Path) -> Iterator[str]:
    """The modules of the package that one of them imports."""
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [node.module] if node.module else []
            if node.level:  # one dot is the module's own package
                own = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                parts = [*own[: len(own) - node.level + 1], *parts]
            base = ".".join(parts)
            members = (f"{base}.{alias.name}" for alias in node.names)
            names = [base, *(member for member in members if _module(package, member))]
        else:
            continue
        yield from (found for found in names if found.partition(".")[0] == package.name)


def _inputs(target: Target, interpreter: Path, root: Path) -> str:
    """A hash of everything that decides what is in the zips."""
    digest = hashlib.sha256()
    sources = _files(root / PACKAGE)
    if not sources:
        raise CommandError(f"There is nothing to build in {root / PACKAGE}.")
    for path in [*sources, *(root / path for path in REQUIREMENTS.values()), Path(__file__)]:
        content = path.read_bytes()
        digest.update(f"{path.name if path == Path(__file__) else path.relative_to(root)}\0{len(content)}\0".encode())
        digest.update(content)
    digest.update(f"{target}\0{_version(interpreter)}\0{zlib.ZLIB_RUNTIME_VERSION}".encode())
    return digest.hexdigest()


def _version(interpreter: Path) -> str:
    if str(interpreter) == sys.executable:
        return platform.python_version()
    return run_tool([interpreter, "-c", "import platform; print(platform.python_version())"]).strip()


def _state(inputs: str, zips: Zips) -> dict[str, str]:
    """What the last build wrote: a zip that was changed or removed by hand is made again."""
    hashes = {z.name: hashlib.sha256(z.read_bytes()).hexdigest() if z.exists() else "" for z in zips}
    return {"inputs": inputs, **hashes}


def _wheels(target: Target, interpreter: Path, requirements: Path, dist: Path) -> list[Path]:
    """The wheels of a layer's lock, downloaded once and kept beside the zips."""
    lock = requirements.read_bytes()
    key = hashlib.sha256(
        lock + repr((target.pip_options, _version(interpreter), sysconfig.get_platform())).encode()
    ).hexdigest()
    folder = dist / ".wheels" / f"{target.name}-{key[:16]}"
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
            shutil.rmtree(partial)  # another build at the same time was faster, with the same wheels
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


def _compile(interpreter: Path, tree: Path, prefix: str, pyc: str) -> dict[str, str]:
    environment = {"PYTHONHASHSEED": "0", "PATH": os.defpath, "LC_ALL": "C.UTF-8"}
    out = run_tool(
        [interpreter, "-s", "-S", "-X", "utf8", "-X", "no_debug_ranges", "-c", COMPILE, tree, prefix, pyc],
        env=environment,
    )
    made_by: dict[str, str] = json.loads(out)
    return made_by


def _zip(tree: Path, out: Path) -> None:
    """Write the files of a tree in sorted order, with one date and one mode."""
    partial = out.with_name(f"{out.name}.{os.getpid()}")
    with zipfile.ZipFile(partial, "w") as archive:
        for name in sorted(p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, or the mode would mean nothing
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, (tree / name).read_bytes(), zipfile.ZIP_DEFLATED, compresslevel=9)
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
        zips = target.zips(options.dist)
        if options.dry_run:
            print(f"Would make {', '.join(map(str, zips))} with {target.interpreter()}.")
            continue
        start = time.monotonic()
        _, made = build(target, options.dist, force=options.force)
        for path in zips:
            size, digest = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
            print(f"{path}  {size / 1024:.0f} KiB  sha256 {digest[:16]}…")
        print(f"{target.name}: {'made' if made else 'up to date'} in {time.monotonic() - start:.1f} s")
    return 0
