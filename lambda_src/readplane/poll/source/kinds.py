"""The names that error texts give to kinds of JSON values."""

from typing import Any

from ...model.exact_json import DuplicateName, DuplicateNameError, number_text

_KIND_NAMES = {bool: "a boolean", str: "a string", list: "a list", dict: "an object", type(None): "nothing"}


def kind_name(value: Any) -> str:
    """Name the kind of a value, such as ``a string``, for an error text that must not quote the value itself."""
    if isinstance(value, DuplicateName):
        return str(DuplicateNameError())
    return _KIND_NAMES.get(type(value), "a number" if number_text(value) is not None else type(value).__name__)
