"""JMESPath expressions, compiled once, whose numbers keep their digits."""

from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, JMESPathTypeError
from jmespath.functions import Functions, signature
from jmespath.visitor import Options

from .numbers import Twice, print_json, to_number


class Unfit(Exception):
    """An expression met a value that it can't work with; the message quotes nothing of the value."""


class _Functions(Functions):
    """JMESPath's own functions, of which two would lose digits."""

    @signature({"types": []})
    def _func_to_string(self, value: Any) -> str:
        return value if isinstance(value, str) else print_json(value)

    @signature({"types": []})
    def _func_to_number(self, value: Any) -> Any:
        return to_number(value)


_OPTIONS = Options(custom_functions=_Functions())


@dataclass(frozen=True)
class Expression:
    """One compiled expression; two of the same text are equal."""

    text: str
    _compiled: Any = field(compare=False, repr=False)

    def search(self, value: Any) -> Any:
        """What the expression finds in a value of :func:`~readplane.domain.numbers.parse_json`, ``None`` for nothing.

        :raises Unfit: when a function is given what it doesn't take, or a name that occurs twice is looked at.
        """
        try:
            found = self._compiled.search(value, options=_OPTIONS)
        except JMESPathTypeError as error:
            raise Unfit(
                f"{error.function_name}() takes {' or '.join(error.expected_types)}, and found {error.actual_type}"
            ) from error
        except JMESPathError as error:
            raise Unfit(f"the expression fails ({type(error).__name__})") from error
        except Unfit:
            raise
        except Exception as error:  # whatever Python raises below a function: the ceiling of 1e400, a list as a key
            raise Unfit(f"the expression fails ({type(error).__name__})") from error
        if isinstance(found, Twice):
            raise Unfit("the name occurs twice in one object")
        return found


def compile_expression(text: str) -> Expression:
    """Compile one JMESPath expression.

    :raises ValueError: says what is wrong with it, and where.
    """
    try:
        return Expression(text, jmespath.compile(text))
    except (JMESPathError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
