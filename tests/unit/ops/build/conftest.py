"""The zips of both targets, built and unpacked once."""

import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from ops.build.targets import TARGETS, Zips
from ops.build.zips import build
from tests.unit.ops.build.support import RUNTIME, Unpacked


@pytest.fixture(scope="session")
def built() -> dict[str, Zips]:
    """Both targets' zips, by the target's name."""
    return {name: build(target)[0] for name, target in TARGETS.items()}


@pytest.fixture(scope="session")
def unpacked(built: dict[str, Zips], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Unpacked]:
    """Both targets' zips, unpacked as Lambda does, and the packages of Lambda's runtime."""
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
        hot, functions = unpack(zips.hot, folder / "hot"), unpack(zips.functions, folder / "functions")
        layer, poll_layer = (
            unpack(path, folder / path.stem, without_sources=True) / "python" for path in (zips.layer, zips.poll_layer)
        )
        by_target[name] = Unpacked(hot, functions, layer, poll_layer, runtime)
    return by_target


def unpack(path: Path, to: Path, *, without_sources: bool = False) -> Path:
    """Unpack a zip. With `without_sources`, replace its sources, so that a test fails if one of them runs."""
    with zipfile.ZipFile(path) as archive:
        archive.extractall(to)
    for source in to.rglob("*.py") if without_sources else ():
        source.write_text("raise SystemExit('the source ran instead of its byte-code')\n")
    return to
