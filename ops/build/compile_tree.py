"""Compile all Python modules in a folder to byte-code.

Run this program with the Python version that will load the byte-code::

    python compile_tree.py <folder> <prefix> <alone|beside|bundle>

    prefix    the folder's path in Lambda, which tracebacks show
    alone     write x.pyc and delete x.py
    beside    write __pycache__/x.cpython-313.pyc and keep x.py
    bundle    write the folder's only package as <package>/modules and <package>/__init__.pyc (see bundle_loader.py)

The program prints the interpreter's name and version as JSON. It imports only the standard library, because the
interpreter may have no other packages, not even this project's.

The same sources give the same byte-code, in any folder and at any time. The reason is that the byte-code contains the
prefix instead of the folder, and a hash of the source instead of a modification time. The hash is unchecked, so a cold
start doesn't compare it with the source. The caller must set PYTHONHASHSEED, because the order of sets in byte-code
depends on that variable.
"""

import ast
import importlib.util
import json
import marshal
import platform
import py_compile
import sys
from pathlib import Path


def compile_beside(source: Path, name: str) -> None:
    """Compile a module of a library. Keep the module's source, because no library promises to work without sources."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), dfile=name, doraise=True, invalidation_mode=mode)


def compile_ours(text: bytes, name: str) -> bytes:
    """Compile one of Readplane's modules to marshalled code that is small to download.

    Docstrings and function annotations are removed, because nothing reads them at run time. They would slow down every
    import and take up 6 % of the zip. Class annotations stay, because NamedTuple needs them.

    Tracebacks show files and lines, but no columns. The caller removes the columns with `-X no_debug_ranges`, because
    they are a fifth of the byte-code and point into a source that isn't in the zip.

    Only the minor version of Python that compiled the code can load it. Another version raises ImportError (bad magic
    number).
    """
    tree = ast.parse(text, name)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return marshal.dumps(compile(tree, name, "exec", dont_inherit=True, optimize=2))


def write_pyc(to: Path, text: bytes, code: bytes) -> None:
    """Write marshalled code as a .pyc file, with a hash of the source that Python doesn't check."""
    unchecked_hash = (1).to_bytes(4, "little") + importlib.util.source_hash(text)
    to.write_bytes(importlib.util.MAGIC_NUMBER + unchecked_hash + code)


def compile_alone(source: Path, name: str) -> None:
    """Compile one of Readplane's modules to a .pyc file beside the source, then delete the source."""
    text = source.read_bytes()
    write_pyc(source.with_suffix(".pyc"), text, compile_ours(text, name))
    source.unlink()


def compile_bundle(folder: Path, prefix: str) -> None:
    """Compile the only package in a folder into one file, `modules`.

    bundle_loader.py replaces the package's `__init__`, and loads all other modules from the file `modules`.
    """
    (init,) = folder.glob("*/__init__.py")
    if len(ast.parse(init.read_bytes()).body) > 1:
        sys.exit(f"{init.relative_to(folder)} must hold nothing but its docstring: the bundle's loader replaces it.")
    modules = {}
    for source in sorted(init.parent.rglob("*.py")):
        name = f"{prefix}/{source.relative_to(folder).as_posix()}"
        parts = source.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        code = compile_ours(source.read_bytes(), name)
        if source != init:
            modules[".".join(parts[:-1] if is_package else parts)] = (is_package, name, code)
        source.unlink()
    for subfolder in sorted((path for path in init.parent.rglob("*") if path.is_dir()), reverse=True):
        if not any(subfolder.iterdir()):
            subfolder.rmdir()
    (init.parent / "modules").write_bytes(marshal.dumps(modules))
    text = Path(__file__).with_name("bundle_loader.py").read_bytes()
    write_pyc(init.with_suffix(".pyc"), text, compile_ours(text, f"{prefix}/{init.relative_to(folder).as_posix()}"))


def main(folder: str, prefix: str, placement: str) -> None:
    """Compile every module in a folder and its subfolders. Print the running interpreter's name and version as JSON."""
    if placement == "bundle":
        compile_bundle(Path(folder), prefix)
    else:
        compile_module = compile_alone if placement == "alone" else compile_beside
        for source in sorted(Path(folder).rglob("*.py")):
            compile_module(source, f"{prefix}/{source.relative_to(folder).as_posix()}")
    print(json.dumps({"implementation": platform.python_implementation(), "python": platform.python_version()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
