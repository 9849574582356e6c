"""Compiles JMESPath expressions, and evaluates them without losing any digit of a number."""

from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from ...model.exact_json import DuplicateName, DuplicateNameError, print_json, to_number
from ..errors import ExpressionError


class _Functions(Functions):
    """JMESPath's functions, with replacements for ``to_string`` and ``to_number``.

    The ``jmespath`` package's own versions of these two functions lose digits of long numbers.
    """

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else print_json(value)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        return to_number(value)


class _Interpreter(TreeInterpreter):
    """A JMESPath interpreter that raises an error if an expression reads a name that occurs twice in one JSON object.

    Without the error, some of JMESPath's operators would treat the name as missing.
    """

    def visit_field(self, node: Any, value: Any) -> Any:
        result = super().visit_field(node, value)
        if isinstance(result, DuplicateName):
            raise DuplicateNameError
        return result


_INTERPRETER = _Interpreter(Options(custom_functions=_Functions()))


@dataclass(frozen=True)
class Expression:
    """A compiled JMESPath expression. Two expressions with the same text are equal.

    text: the JMESPath expression as the operator wrote it in the source's settings.
    """

    text: str
    _compiled: Any = field(compare=False, repr=False)

    @property
    def field_path(self) -> tuple[str, ...] | None:
        """The names in an expression that consists of names only, such as ``a.b.c``; ``None`` for any other."""
        names: list[str] = []
        todo = [self._compiled.parsed]
        while todo:
            node = todo.pop()
            if node["type"] == "subexpression":
                todo += reversed(node["children"])
            elif node["type"] == "field":
                names.append(node["value"])
            else:
                return None
        return tuple(names)

    def search(self, value: Any) -> Any:
        """Return what the expression finds in ``value``, or ``None`` if it finds nothing.

        :param value: a value that :func:`~readplane.model.exact_json.parse_json` returned.
        :raises ExpressionError: if a JMESPath function fails, for example on an argument of the wrong type, or if the
            expression reads a name that occurs twice in one JSON object.
        """
        try:
            result = _INTERPRETER.visit(self._compiled.parsed, value)
        except JMESPathTypeError as error:
            raise ExpressionError(
                f"{error.function_name}() takes {' or '.join(error.expected_types)}, and found {error.actual_type}"
            ) from error
        except JMESPathError as error:
            raise ExpressionError(f"the expression fails ({type(error).__name__})") from error
        except DuplicateNameError as error:
            raise ExpressionError(str(error)) from error
        except Exception as error:
            # Catch every error, because JMESPath functions don't check all their arguments. For example, `ceil(1e400)`
            # raises OverflowError, and a call of `contains` with a string and a list raises TypeError.
            raise ExpressionError(f"the expression fails ({type(error).__name__})") from error
        if isinstance(result, DuplicateName):
            raise ExpressionError(str(DuplicateNameError()))
        return result


def compile_expression(text: str) -> Expression:
    """Compile one JMESPath expression.

    The ``jmespath`` package reports an unknown function or a wrong number of arguments only when it evaluates the
    call. ``compile_expression`` reports both without evaluating the expression, so that mistakes are found early.

    :raises ValueError: if the expression is invalid. The error's message says what is wrong and where.
    """
    try:
        compiled = jmespath.compile(text)
    except (JMESPathError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    _check_function_calls(compiled.parsed)
    return Expression(text, compiled)


def _check_function_calls(root: Any) -> None:
    nodes = [root]
    while nodes:
        node = nodes.pop()
        if not isinstance(node, dict):
            continue  # Skip a slice's numbers, such as 1 and 2 in `a[1:2]`, because they call no function.
        nodes += node["children"]
        if node["type"] != "function_expression":
            continue
        name, arguments = node["value"], len(node["children"])
        function = _Functions.FUNCTION_TABLE.get(name)
        if function is None:
            raise ValueError(f"there is no function {name[:60]}()")
        parameters = len(function["signature"])
        if arguments < parameters or (arguments > parameters and not function["signature"][-1].get("variadic")):
            raise ValueError(f"{name}() takes {parameters}, and is given {arguments}")
