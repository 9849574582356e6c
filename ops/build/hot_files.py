"""Find the files of the hot zip: the modules that `read`, `write` and `apply` import.

A small zip shortens the cold starts of these functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from ops.console import CommandError

HOT = tuple(f"readplane.{function}.handler" for function in ("read", "write", "apply"))
"""The handlers that run from the hot zip."""


def hot_files(package: Path, entries: Iterable[str] = HOT) -> list[Path]:
    """Return the files that some modules of a package need: all imported modules, and the data files in their folders.

    Imports within functions count too, so that the zip contains both clients of `readplane.aws.client`.

    :param package: the package's folder
    :param entries: the full names of the modules that the search begins with
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
    """Return every file of a package except compiled ones."""
    return sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _module_file(package: Path, name: str) -> Path | None:
    base = package.parent / name.replace(".", "/")
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def _imports(package: Path, name: str, path: Path) -> Iterator[str]:
    """Yield the names of the package's own modules that a module imports."""
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
