"""Fixtures that build and unpack the zips of both targets (AWS and the local emulator) once for all tests."""

import shutil
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from ops.build.targets import TARGETS, Zips
from ops.build.zips import REQUIREMENTS, build
from tests.unit.ops.build.support import RUNTIME, Unpacked


@pytest.fixture(scope="session")
def built() -> dict[str, Zips]:
    """Build the zips of both targets. Return a dict from each target's name to the paths of its zips."""
    return {name: build(target)[0] for name, target in TARGETS.items()}


@pytest.fixture(scope="session")
def unpacked(built: dict[str, Zips], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Unpacked]:
    """Unpack the zips of both targets. Return a dict from each target's name to its folders.

    The folder ``runtime`` has links to the packages that Lambda's Python runtime contains. In the layer for AWS, this
    machine's compiled libraries stand in for those of arm64, which can't run here.
    """
    runtime = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec and spec.origin
        file = Path(spec.origin)
        source = file.parent if file.name == "__init__.py" else file
        (runtime / source.name).symlink_to(source)
    by_target = {}
    for name, zips in built.items():
        folder = tmp_path_factory.mktemp(name)
        hot, functions, edge_auth = (
            unpack(path, folder / name)
            for name, path in (("hot", zips.hot), ("functions", zips.functions), ("edge_auth", zips.edge_auth))
        )
        layers = {
            layer: unpack(getattr(zips, layer), folder / layer, without_sources=True) / "python"
            for layer in REQUIREMENTS
        }
        by_target[name] = Unpacked(hot=hot, functions=functions, edge_auth=edge_auth, runtime=runtime, **layers)
    for library in by_target["arm64"].layer.rglob("*.abi3.so"):
        shutil.copy(by_target["local"].layer / library.relative_to(by_target["arm64"].layer), library)
    return by_target


def unpack(path: Path, to: Path, *, without_sources: bool = False) -> Path:
    """Unpack a zip and return the folder.

    With `without_sources`, replace each source by a program that fails, so that a test fails if Python runs a source
    instead of byte-code.
    """
    with zipfile.ZipFile(path) as archive:
        archive.extractall(to)
    for source in to.rglob("*.py") if without_sources else ():
        source.write_text("raise SystemExit('the source ran instead of its byte-code')\n")
    return to
