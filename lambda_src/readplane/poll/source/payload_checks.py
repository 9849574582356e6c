"""Checks of a parsed response that pages of records and snapshots have in common."""

from typing import Any

from ...model.errors import InvalidError
from ..errors import ExpressionError, PageError
from .expression import Expression
from .kinds import kind_name


def search_payload(expression: Expression | None, setting: str, payload: Any) -> Any:
    """Return what a setting's expression finds in a parsed response; ``None`` without the setting.

    :raises PageError: if the expression can't be evaluated.
    """
    if expression is None:
        return None
    try:
        return expression.search(payload)
    except ExpressionError as error:
        raise PageError(f"{setting}: {error}") from error


def check_expected(expect: Expression, payload: Any) -> None:
    """Check that a parsed response is what the setting ``expect`` demands.

    :raises PageError: if it isn't.
    """
    expected = search_payload(expect, "expect", payload)
    if expected is False:
        raise PageError("expect: the response isn't the expected one; the back office may report an error in it")
    if expected is not True:
        raise PageError(f"expect: found {kind_name(expected)}; compare it, so that it is true or false")


def schema_faults_text(error: InvalidError, whole: str) -> str:
    """Return the first fault of a record or response as text, and how many other faults it has.

    :param whole: the name of the whole record or response.
    """
    text = f"{error.pointer or whole}: {error.detail}"
    others = len(error.faults) - 1
    return f"{text} (and {others} more)" if others else text
