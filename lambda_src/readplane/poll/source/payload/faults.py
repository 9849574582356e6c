"""Finds the values of a record that can't be used: numbers that JSON doesn't know, and marked text."""

from typing import Any, Literal, NamedTuple

from ....model.exact_json import DuplicateName, is_finite
from .charsets import MARK

FaultReason = Literal["bad_encoding", "bad_number"]

FAULT_DETAILS: dict[FaultReason, str] = {
    "bad_encoding": "the record holds bytes or characters that are no text; correct it, or set payload.charset",
    "bad_number": "the record holds NaN or Infinity, which JSON doesn't know; have it write null or a number",
}
"""What each fault means for the record that has it, for operators."""


class Payload(NamedTuple):
    """The parsed body of a response.

    value: the value, as :func:`~readplane.model.exact_json.parse_json` returns values.
    may_have_faults: whether values inside may have faults. Then :func:`find_fault` must check each record.
    """

    value: Any
    may_have_faults: bool


def find_fault(value: Any) -> FaultReason | None:
    """Return the first fault of a record's values, names included."""
    todo = [value]
    while todo:  # a stack instead of recursion, because the parser accepts deeper nesting than Python's recursion limit
        part = todo.pop()
        if isinstance(part, str):
            if MARK.search(part):
                return "bad_encoding"
        elif isinstance(part, DuplicateName):
            todo += part.all_values
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            todo += part
            todo += part.values()
        elif not is_finite(part):
            return "bad_number"
    return None
