"""The two targets that zips are built for: Lambda on AWS, and the local emulator."""

from __future__ import annotations

import dataclasses
import sys
import typing
from pathlib import Path

from ops import tools
from ops.console import CommandError


class Zips(typing.NamedTuple):
    """The paths of the zips of one target, and what each zip contains.

    hot: the modules that `read`, `write` and `apply` import, as byte-code without sources
    functions: the whole package, as byte-code without sources
    layer: the libraries, each with its byte-code beside its source
    poll_layer: the libraries that only `poll` needs, each with its byte-code beside its source
    edge_auth: the modules that `edge_auth` imports, as byte-code without sources
    database_layer: the PostgreSQL driver, which only `query` and `feed` need, with its byte-code beside its source
    dax_layer: the client of DynamoDB Accelerator, which only `read` with cache.dax needs, likewise
    """

    hot: Path
    functions: Path
    layer: Path
    poll_layer: Path
    edge_auth: Path
    database_layer: Path
    dax_layer: Path


@dataclasses.dataclass(frozen=True)
class Target:
    """A kind of machine that runs the functions: Lambda on arm64, or this machine with the local emulator.

    Lambda@Edge has no arm64, so `edge_auth` runs on x86-64. Its zip has no compiled library, and byte-code is the same
    on every processor.

    name: `arm64` or `local`
    zip_paths: the paths of the zips within the output folder
    pip_options: the pip options that select the wheels for the target
    """

    name: str
    zip_paths: Zips
    pip_options: tuple[str, ...]

    def zips(self, dist: Path) -> Zips:
        """Return the paths of the zips in an output folder."""
        return Zips(*(dist / path for path in self.zip_paths))

    def interpreter(self) -> Path:
        """Return the path of the Python interpreter that compiles the zips' byte-code.

        :raises CommandError: if the target is AWS and this machine has no Python 3.13
        """
        if self.name == "local":
            return Path(sys.executable)  # the emulator runs the functions with the same interpreter
        path = tools.find_python()
        if path is None:
            raise CommandError(
                f"The zips for AWS need byte-code of Python {tools.AWS_PYTHON}. `make setup` fetches it. "
                f"{tools.python_by_hand()}"
            )
        return path


# Lambda runs Python 3.13 on Amazon Linux 2023, which has glibc 2.34. So wheels for glibc 2.34 or an older version work.
_GLIBC_TAGS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")

TARGETS = {
    target.name: target
    for target in (
        Target(
            "arm64",
            Zips(
                hot=Path("hot-arm64.zip"),
                functions=Path("functions-arm64.zip"),
                layer=Path("layer-arm64.zip"),
                poll_layer=Path("poll-layer-arm64.zip"),
                edge_auth=Path("edge_auth-x86_64.zip"),
                database_layer=Path("database-layer-arm64.zip"),
                dax_layer=Path("dax-layer-arm64.zip"),
            ),
            (
                *(f"--platform={tag}_aarch64" for tag in _GLIBC_TAGS),
                f"--python-version={tools.AWS_PYTHON}",
                "--implementation=cp",
            ),
        ),
        Target(
            "local",
            Zips(
                hot=Path("local/hot.zip"),
                functions=Path("local/functions.zip"),
                layer=Path("local/layer.zip"),
                poll_layer=Path("local/poll-layer.zip"),
                edge_auth=Path("local/edge_auth.zip"),
                database_layer=Path("local/database-layer.zip"),
                dax_layer=Path("local/dax-layer.zip"),
            ),
            (),
        ),
    )
}
