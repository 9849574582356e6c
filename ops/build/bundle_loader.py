"""The `__init__` of the package `readplane` in the hot zip, the zip of the functions `read`, `write` and `apply`.

This `__init__` loads all other modules from one file, `modules`.

compile_tree.py writes this `__init__` and the file `modules`. One file for all modules makes the download a quarter
smaller than one file per module, because names that several modules use are compressed together. A cold start is also
faster, because Python needn't search the file system for each module.
"""

import sys
from marshal import loads
from types import CodeType, ModuleType
from typing import Any

_spec: Any = __spec__
_Spec: Any = type(_spec)  # the class ModuleSpec; importing it from importlib.machinery would take time

# Don't use pathlib, because its import would slow down a cold start.
with open(_spec.submodule_search_locations[0] + "/modules", "rb") as _file:  # noqa: PTH123
    _modules: dict[str, tuple[bool, str, bytes]] = loads(_file.read())


class _BundleImporter:
    """Finds and loads the modules that the file `modules` contains."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> Any:  # noqa: ARG004 - Python's interface
        entry = _modules.get(name)
        if entry is None:
            return None
        is_package, source, _ = entry
        spec = _Spec(name, _BundleImporter, origin=source, is_package=is_package)
        spec.has_location = True  # so that Python sets the module's __file__
        return spec

    @staticmethod
    def create_module(spec: object) -> ModuleType | None:  # noqa: ARG004 - Python's interface
        return None

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        code: CodeType = loads(_modules[module.__name__][2])
        exec(code, module.__dict__)


_importer: Any = _BundleImporter
sys.meta_path.insert(0, _importer)
