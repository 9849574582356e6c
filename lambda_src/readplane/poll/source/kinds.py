"""Names of the types of JSON values, such as ``a string``, for error texts."""

from typing import Any

from ...model.exact_json import DuplicateName, DuplicateNameError, is_finite, number_text

_KIND_NAMES = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", type(None): "nothing"}


def kind_name(value: Any) -> str:
    """Return the name of a JSON value's type, such as ``a string``.

    Error texts name the type, because they must not quote the value.
    """
    if isinstance(value, DuplicateName):
        return str(DuplicateNameError())
    if not is_finite(value):
        return "NaN or Infinity"
    return _KIND_NAMES.get(type(value), "a number" if number_text(value) is not None else type(value).__name__)
