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
import inspect
import json
import marshal
import platform
import py_compile
import string
import sys
import types
from pathlib import Path


def compile_beside(source: Path, name: str) -> None:
    """Compile a module of a library. Keep the module's source, because no library promises to work without sources."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(source), dfile=name, doraise=True, invalidation_mode=mode)


def compile_ours(text: bytes, name: str) -> bytes:
    """Compile one of Readplane's modules to marshalled code that is small to download.

    The code leaves out what nothing needs at run time, because it would slow down every import and take up a sixth of
    the zip: docstrings, annotations, imports for annotations, and the methods of protocols. Class annotations stay,
    because NamedTuple needs them. Functions lose their qualified names, and local variables their long names.

    Tracebacks show files and the first line of each statement, but no columns. The caller removes the columns with `-X
    no_debug_ranges`, because they are a fifth of the byte-code and point into a source that isn't in the zip.

    Only the minor version of Python that compiled the code can load it. Another version raises ImportError (bad magic
    number).
    """
    tree = _Shrinker().visit(ast.parse(text, name))
    _drop_unused_imports(tree)
    _move_to_first_lines(tree, 1)
    code = compile(tree, name, "exec", dont_inherit=True, optimize=2)
    return marshal.dumps(_with_short_names(code))


class _Shrinker(ast.NodeTransformer):
    """Removes annotations (except those of classes), blocks for type checkers, and the methods of protocols."""

    def __init__(self) -> None:
        self._is_in_class = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self._visit_inside(node, is_class=False)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            node.body = [statement for statement in node.body if not _is_stub(statement)] or [ast.Pass()]
        return self._visit_inside(node, is_class=True)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if self._is_in_class:
            return node
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else ast.Pass()

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        is_for_checkers = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        return node.orelse if is_for_checkers else node

    def _visit_inside(self, node: ast.AST, *, is_class: bool) -> ast.AST:
        outside, self._is_in_class = self._is_in_class, is_class
        self.generic_visit(node)
        self._is_in_class = outside
        return node


def _is_stub(statement: ast.stmt) -> bool:
    """Whether a statement is a function with nothing but a docstring or an ellipsis."""
    return (
        isinstance(statement, ast.FunctionDef)
        and len(statement.body) == 1
        and isinstance(statement.body[0], ast.Expr)
        and isinstance(statement.body[0].value, ast.Constant)
    )


def _drop_unused_imports(tree: ast.Module) -> None:
    """Drop the module's imports of names that it doesn't use any more.

    No other module imports these names from this one, because mypy forbids that (no_implicit_reexport).
    """
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for statement in list(tree.body):
        if isinstance(statement, ast.Import | ast.ImportFrom):
            statement.names = [
                alias for alias in statement.names if (alias.asname or alias.name).partition(".")[0] in used
            ]
            if not statement.names:
                tree.body.remove(statement)


def _move_to_first_lines(node: ast.AST, line: int) -> None:
    """Give every part of a statement the statement's first line, so that the table of lines becomes small."""
    if isinstance(node, ast.stmt | ast.ExceptHandler):
        line = getattr(node, "lineno", line)
    if "lineno" in node._attributes:
        vars(node).update(lineno=line, end_lineno=line, col_offset=0, end_col_offset=0)
    for child in ast.iter_child_nodes(node):
        _move_to_first_lines(child, line)


def _with_short_names(code: types.CodeType) -> types.CodeType:
    """Return code whose functions have their plain name as qualified name, and whose local variables have short names.

    Byte-code finds local variables by their numbers, so nothing reads their names. Parameters keep theirs.
    """
    flags = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + flags]
    unused = (name for name in string.ascii_letters if name not in (*parameters, *code.co_cellvars, *code.co_freevars))
    variables = (
        name if name in code.co_cellvars else next(unused, name) for name in code.co_varnames[len(parameters) :]
    )
    constants = (_with_short_names(value) if isinstance(value, types.CodeType) else value for value in code.co_consts)
    return code.replace(co_varnames=(*parameters, *variables), co_consts=tuple(constants), co_qualname=code.co_name)


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
