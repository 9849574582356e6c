"""Find the files of a small zip: the modules that its handlers import, and the data files beside them.

The hot zip has `read`, `write` and `apply`, and another zip has `edge_auth`. They contain nothing else, because a small
zip shortens the cold starts of these functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.console import CommandError

HOT = tuple(f"readplane.{function}.handler" for function in ("read", "write", "apply"))
"""The modules of the handlers that run from the hot zip."""

EDGE_AUTH = ("readplane.edge_auth.handler",)
"""The module of the handler that runs from the zip of `edge_auth`."""


def hot_files(package: Path, entries: Iterable[str] = HOT) -> list[Path]:
    """Return the files of the given modules and of all modules that they import, and the data files beside them.

    Indirect imports and imports within functions count too. For example, a function in `readplane.aws.client` imports
    either the slim AWS client or the boto3 client, and the zip must contain both.

    :param package: the package's folder
    :param entries: the full names of the given modules
    :raises CommandError: if a module imports a module that the package doesn't have
    """
    modules: dict[str, Path] = {}
    waiting = list(entries)
    while waiting:
        name = waiting.pop()
        if name in modules:
            continue
        path = _module_file(package, name)
        if path is None:
            raise CommandError(f"{name} is imported, and there is no such module in {package}.")
        modules[name] = path
        waiting += _imports(package, name, path)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
    folders = {path.parent for path in modules.values()}
    data = (path for path in package_files(package) if path.suffix != ".py" and path.parent in folders)
    return sorted([*modules.values(), *data])


def package_files(package: Path) -> list[Path]:
    """Return every file in a package's folder except those in __pycache__."""
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _module_file(package: Path, name: str) -> Path | None:
    base = package.parent / name.replace(".", "/")
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _imports(package: Path, name: str, path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a module imports from its own package."""
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [node.module] if node.module else []
            if node.level:  # a relative import, in which one dot means the module's own package
                parents = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                parts = [*parents[: len(parents) - node.level + 1], *parts]
            base = ".".join(parts)
            members = (f"{base}.{alias.name}" for alias in node.names)
            names = [base, *(member for member in members if _module_file(package, member))]
        else:
            continue
        yield from (imported for imported in names if imported.partition(".")[0] == package.name)
