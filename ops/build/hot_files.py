"""Find the files of the hot zip: what the functions on a client's path import.

A small zip shortens the cold starts that a client waits for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.console import CommandError

HOT = tuple(f"readplane.{function}.handler" for function in ("read", "write", "apply"))
"""The modules that the hot zip serves."""


def hot_files(package: Path, entries: Iterable[str] = HOT) -> list[Path]:
    """Return the files of a package that some modules need: all that they import, and the data files beside it.

    Imports within functions count, so that one zip serves both clients of `readplane.aws.client`.

    :param package: the package's folder
    :param entries: the modules' full names
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
    """Return every file of a package, without compiled ones."""
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _module_file(package: Path, name: str) -> Path | None:
    base = package.parent / name.replace(".", "/")
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _imports(package: Path, name: str, path: Path) -> Iterator[str]:
    """Yield the modules of the package that a module imports."""
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = [node.module] if node.module else []
            if node.level:  # one dot means the module's own package
                parents = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
                parts = [*parents[: len(parents) - node.level + 1], *parts]
            base = ".".join(parts)
            members = (f"{base}.{alias.name}" for alias in node.names)
            names = [base, *(member for member in members if _module_file(package, member))]
        else:
            continue
        yield from (imported for imported in names if imported.partition(".")[0] == package.name)
