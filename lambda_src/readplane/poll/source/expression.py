"""JMESPath expressions, compiled once, whose numbers keep their digits."""

from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options, TreeInterpreter

from ...model.exact_json import DuplicateName, DuplicateNameError, print_json, to_number
from ..errors import ExpressionError


class _Functions(Functions):
    """JMESPath's own functions, of which two would lose digits."""

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else print_json(value)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        return to_number(value)


class _Interpreter(TreeInterpreter):
    """JMESPath's own, which refuses a name that occurs twice: some operators would take it for nothing."""

    def visit_field(self, node: Any, value: Any) -> Any:
        found = super().visit_field(node, value)
        if isinstance(found, DuplicateName):
            raise DuplicateNameError
        return found


_INTERPRETER = _Interpreter(Options(custom_functions=_Functions()))


@dataclass(frozen=True)
class Expression:
    """One compiled expression; two of the same text are equal."""

    text: str
    _compiled: Any = field(compare=False, repr=False)

    def search(self, value: Any) -> Any:
        """What the expression finds in a value of :func:`~readplane.model.exact_json.parse_json`, ``None`` for nothing.

        :raises Unfit: when a function is given what it doesn't take, or a name that occurs twice is looked at.
        """
        try:
            found = _INTERPRETER.visit(self._compiled.parsed, value)
        except JMESPathTypeError as error:
            raise ExpressionError(
                f"{error.function_name}() takes {' or '.join(error.expected_types)}, and found {error.actual_type}"
            ) from error
        except JMESPathError as error:
            raise ExpressionError(f"the expression fails ({type(error).__name__})") from error
        except DuplicateNameError as error:
            raise ExpressionError(str(error)) from error
        except Exception as error:  # whatever Python raises below a function: the ceiling of 1e400, a list as a key
            raise ExpressionError(f"the expression fails ({type(error).__name__})") from error
        if isinstance(found, DuplicateName):
            raise ExpressionError(str(DuplicateNameError()))
        return found


def compile_expression(text: str) -> Expression:
    """Compile one JMESPath expression.

    :raises ValueError: says what is wrong with it, and where: functions that don't exist included, and the number of
        what they are given, which JMESPath itself finds out only when it gets there.
    """
    try:
        compiled = jmespath.compile(text)
    except (JMESPathError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    _check_functions(compiled.parsed)
    return Expression(text, compiled)


def _check_functions(node: Any) -> None:
    todo = [node]
    while todo:
        node = todo.pop()
        if not isinstance(node, dict):
            continue  # a slice's numbers are children, too
        todo += node["children"]
        if node["type"] != "function_expression":
            continue
        name, given = node["value"], len(node["children"])
        function = _Functions.FUNCTION_TABLE.get(name)
        if function is None:
            raise ValueError(f"there is no function {name[:60]}()")
        takes = len(function["signature"])
        if given < takes or (given > takes and not function["signature"][-1].get("variadic")):
            raise ValueError(f"{name}() takes {takes}, and is given {given}")
