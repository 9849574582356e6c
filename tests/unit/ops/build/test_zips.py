"""Test that the zips have the same bytes wherever they are built, and contain all that they need and nothing else."""

import itertools
import json
import marshal
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.build.hot_files import hot_files
from ops.build.targets import TARGETS, Target, Zips
from ops.build.zips import FROM_SOURCES, REQUIREMENTS, build
from ops.console import ROOT
from tests.unit.ops.build.support import RUNTIME

AARCH64 = 183
"""The number that stands for the processor arm64 in the field e_machine of a compiled library's ELF header."""

HOT_BYTES = 100_000
EDGE_AUTH_BYTES = 65_536
"""The greatest size of the zip of `edge_auth`. Lambda@Edge allows 1 MB for a function of a viewer's request."""


@pytest.mark.parametrize("target", TARGETS)
def test_the_hot_zip_is_small(target: str, built: dict[str, Zips]) -> None:
    assert built[target].hot.stat().st_size <= HOT_BYTES


def build_elsewhere(folder: Path, target: Target, umask: int, clock: str, zone: str) -> list[bytes]:
    """Build a target's zips from a copy of the sources in another folder. Return the bytes of each zip.

    :param umask: the umask of the build and of the copied files
    :param clock: the year of the copied files and of SOURCE_DATE_EPOCH
    :param zone: the time zone of the build
    """
    copy, dist = folder / "project", folder / "out"
    for name in ("lambda_src", "ops"):
        for source in sorted((ROOT / name).rglob("*"), reverse=clock > "2030"):
            if source.is_file() and "__pycache__" not in source.parts:
                to = copy / source.relative_to(ROOT)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(source.read_bytes())
                to.chmod(source.stat().st_mode & ~umask)
                os.utime(to, (int(clock[:4]) * 31_000_000 // 1000,) * 2)
    cache = ROOT / "dist/.wheels"
    (dist / ".wheels").parent.mkdir(parents=True)
    (dist / ".wheels").symlink_to(cache)  # reuse the wheels: their hashes are pinned, so they can't differ
    environment = {**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": clock[:4], "PYTHONHASHSEED": str(umask), "HOME": "/"}
    subprocess.run(
        [sys.executable, "-m", "ops.build", f"--target={target.name}", "--dist=out"],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(copy)},
        umask=umask,
        check=True,
        capture_output=True,
        timeout=120,
    )
    return [path.read_bytes() for path in target.zips(dist)]


@pytest.mark.parametrize("target", TARGETS)
def test_zips_are_the_same_in_any_folder_at_any_time_with_any_umask(
    target: str, built: dict[str, Zips], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(2) as pool:
        builds = [
            pool.submit(build_elsewhere, tmp_path / folder, TARGETS[target], umask, clock, zone)
            for folder, umask, clock, zone in (
                ("a", 0o022, "1999", "Asia/Tokyo"),
                ("a longer name ü", 0o077, "2031", "America/Lima"),
            )
        ]
    first, second = (build.result() for build in builds)
    assert first == second
    assert first == [path.read_bytes() for path in built[target]]


@pytest.mark.parametrize("target", TARGETS)
def test_zips_hold_unchecked_byte_code_and_nothing_that_varies(target: str, built: dict[str, Zips]) -> None:
    for name, path in built[target]._asdict().items():
        folder = "/opt" if name in REQUIREMENTS else "/var/task"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            assert names == sorted(names)
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
            made_by = json.loads(archive.read("build.json"))
            sources = {name for name in names if name.endswith(".py")}
            compiled = {name: archive.read(name) for name in names if name.endswith(".pyc")}
        # The source of x/__pycache__/y.cpython-313.pyc or of x/y.pyc is x/y.py.
        source_of = {
            name: re.sub(r"(?:__pycache__/)?(\w+)(?:\.cpython-\d+)?\.pyc$", r"\1.py", name) for name in compiled
        }
        for name, content in compiled.items():
            assert struct.unpack("<I", content[4:8]) == (0b01,), f"{name} must be an unchecked hash pyc"
            assert f"{folder}/{source_of[name]}".encode() in content, "no path of the machine that built it"
        assert compiled and len(set(source_of.values())) == len(compiled)
        if folder == "/opt":
            assert set(source_of.values()) == sources, "libraries: the byte-code beside every source"
        else:
            assert not sources and not [name for name in names if "__pycache__" in name], "ours: the byte-code alone"
        assert made_by["target"] == target and made_by["zlib"] == zlib.ZLIB_RUNTIME_VERSION
        assert made_by["python"].startswith("3.13." if target == "arm64" else f"3.{sys.version_info.minor}.")
        assert not [name for name in names if name.endswith(("/INSTALLER", "/REQUESTED", "/direct_url.json"))]
        assert not [name for name in names if name.split("/")[1:2] in (["bin"], ["boto3"], ["botocore"], ["urllib3"])]


@pytest.mark.parametrize("target", TARGETS)
def test_the_functions_zip_has_every_file_of_the_package_without_docstrings(
    target: str, built: dict[str, Zips]
) -> None:
    with zipfile.ZipFile(built[target].functions) as archive:
        names = set(archive.namelist()) - {"build.json"}
        byte_code = archive.read("readplane/read/handler.pyc")
    source = ROOT / "lambda_src"
    docstring = (source / "readplane/read/handler.py").read_bytes().splitlines()[0].strip(b'"')
    assert len(docstring) > 20 and docstring not in byte_code
    files = [path for path in (source / "readplane").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert names == {re.sub(r"\.py$", ".pyc", path.relative_to(source).as_posix()) for path in files}


@pytest.mark.parametrize("target", TARGETS)
def test_the_hot_zip_holds_the_modules_in_one_file_without_docstrings(target: str, built: dict[str, Zips]) -> None:
    with zipfile.ZipFile(built[target].hot) as archive:
        names = {"build.json", "readplane/__init__.pyc", "readplane/modules", "readplane/py.typed"}
        assert set(archive.namelist()) == names
        bundle = archive.read("readplane/modules")
    modules = marshal.loads(bundle)
    package = ROOT / "lambda_src/readplane"
    files = {path.relative_to(package.parent).as_posix() for path in hot_files(package) if path.suffix == ".py"}
    assert {source.removeprefix("/var/task/") for _, source, _ in modules.values()} == files - {"readplane/__init__.py"}
    docstring = (package / "read/handler.py").read_bytes().splitlines()[0].strip(b'"')
    assert len(docstring) > 20 and docstring not in bundle


@pytest.mark.parametrize("target", TARGETS)
def test_the_zip_of_edge_auth_is_small_and_holds_only_what_it_imports(target: str, built: dict[str, Zips]) -> None:
    assert built[target].edge_auth.stat().st_size <= EDGE_AUTH_BYTES
    with zipfile.ZipFile(built[target].edge_auth) as archive:
        names = {"build.json", "readplane/__init__.pyc", "readplane/modules", "readplane/py.typed"}
        assert set(archive.namelist()) == names
        modules = set(marshal.loads(archive.read("readplane/modules")))
    assert "readplane.edge_auth.handler" in modules and "readplane.aws.slim.roots" in modules
    others = (
        "readplane.aws.boto",
        "readplane.aws.client",
        "readplane.stores",
        "readplane.read",
        "readplane.model.change",
    )
    assert not [module for module in modules if module.startswith(others)]


def test_lambda_at_edge_gets_the_same_code_as_the_emulator(built: dict[str, Zips]) -> None:
    archives = [zipfile.ZipFile(built[target].edge_auth) for target in TARGETS]
    sources = [
        {name: source for name, (_, source, _) in marshal.loads(archive.read("readplane/modules")).items()}
        for archive in archives
    ]
    assert sources[0] == sources[1]


@pytest.mark.parametrize("layer", sorted(set(REQUIREMENTS) - set(FROM_SOURCES)))
def test_the_layers_for_aws_hold_arm64_libraries_only(built: dict[str, Zips], layer: str) -> None:
    with zipfile.ZipFile(getattr(built["arm64"], layer)) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
        machines = {name: struct.unpack("<H", archive.read(name)[18:20])[0] for name in libraries}
    assert machines and set(machines.values()) == {AARCH64}, machines


@pytest.mark.parametrize("layer", FROM_SOURCES)
def test_a_layer_that_is_built_from_sources_holds_no_compiled_library(built: dict[str, Zips], layer: str) -> None:
    for zips in built.values():
        with zipfile.ZipFile(getattr(zips, layer)) as archive:
            assert not [name for name in archive.namelist() if ".so" in Path(name).suffixes]


def test_no_layer_repeats_the_runtime_or_another_layer(built: dict[str, Zips]) -> None:
    packages = {}
    for layer in REQUIREMENTS:
        with zipfile.ZipFile(getattr(built["arm64"], layer)) as archive:
            names = {parts[1] for name in archive.namelist() if len(parts := name.split("/")) > 2}
        packages[layer] = {name for name in names if not name.endswith(".dist-info")}
        assert packages[layer] and not packages[layer] & set(RUNTIME)
    for first, second in itertools.combinations(packages.values(), 2):
        assert not first & second


def test_zips_are_built_again_only_if_an_input_or_a_zip_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pip needs a second to find out that a lock file is empty, for each layer.
    monkeypatch.setattr("ops.build.zips.download_wheels", lambda *_, **_options: [])
    copy = tmp_path / "lambda_src"
    for name in ("read", "write", "apply", "edge_auth"):
        (copy / f"readplane/{name}").mkdir(parents=True)
        for module in ("__init__", "handler"):
            (copy / f"readplane/{name}/{module}.py").touch()
    (copy / "readplane/__init__.py").touch()
    (copy / "readplane/a.py").write_text("A = 1\n")
    for path in REQUIREMENTS.values():
        (tmp_path / path).write_text("# nothing\n")
    target, dist = TARGETS["local"], tmp_path / "dist"

    def is_built() -> bool:
        return build(target, dist, tmp_path)[1]

    assert [is_built(), is_built()] == [True, False]
    (copy / "readplane/a.py").write_text("A = 2\n")
    assert [is_built(), is_built()] == [True, False]
    for path in target.zips(dist):
        path.write_bytes(b"")
        assert [is_built(), is_built()] == [True, False]
