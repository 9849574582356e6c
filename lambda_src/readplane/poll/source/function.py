"""Imports the translation class that a source's ``function`` setting names."""

from importlib import import_module
from typing import Any, cast

from . import functions
from .settings import SourceFunction


def load_function(name: str) -> SourceFunction:
    """Import a translation class, and return an instance of it.

    The module is imported relative to the package ``functions``. So a setting can't import any other package.

    :param name: the class, as ``readplane.poll.source.functions.<module>:<name>``.
    :raises ValueError: if there is no such class, or if it can't be used. The message says what is wrong.
    """
    module, _, class_name = name.removeprefix(f"{functions.__name__}.").partition(":")
    try:
        function: Any = getattr(import_module(f".{module}", functions.__name__), class_name)()
    except Exception as error:
        # An operator's module may raise any error when it is imported.
        raise ValueError(f"can't be imported and called without arguments ({type(error).__name__})") from error
    if not (callable(getattr(function, "page", None)) and callable(getattr(function, "item", None))):
        raise ValueError("must have the methods `page` and `item`")
    if not isinstance(getattr(function, "versioned", None), bool):
        raise ValueError("must have the attribute `versioned`, true or false")
    return cast(SourceFunction, function)
