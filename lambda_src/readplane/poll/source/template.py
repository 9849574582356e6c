"""Fills the placeholders in the URL and the JSON body of a source's requests.

A placeholder is one of the exact words ``{cursor}``, ``{now}`` and ``{page}``. Other braces, such as those of GraphQL,
stay as they are.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

CURSOR = "{cursor}"
"""The placeholder for the cursor in a source's URL or body.

A pass replaces the placeholder with a time. The back office then returns the records that changed since that time.
"""

NOW = "{now}"
"""The placeholder for the end of the time window that a pass asks for."""

PAGE = "{page}"
"""The placeholder for the page number, offset or token of the requested page."""

Value = int | str | None
"""The value of a placeholder; ``None`` if the request has no such value, such as the token of the first page."""

_PLACEHOLDER = re.compile("|".join(map(re.escape, (CURSOR, NOW, PAGE))))
_LEFT_OUT = object()


def filled_url(template: str, values: Mapping[str, Value]) -> str:
    """Return a URL in which the placeholders are replaced by percent-encoded values.

    :param values: the value of each placeholder, by placeholder. A missing value becomes an empty text.
    """
    return _filled_text(template, {name: quote(_text(value), safe="") for name, value in values.items()})


def filled_body(template: str, values: Mapping[str, Value]) -> str:
    """Return a JSON text in which the placeholders are replaced by values.

    A string that is exactly one placeholder becomes the value with its type: a number or a string. Without a value, the
    member is left out of its object, and becomes null in a list. A placeholder inside a longer string is replaced by
    the value's text.

    :param template: a JSON text.
    :param values: the value of each placeholder, by placeholder.
    """
    filled = _filled(json.loads(template), values)
    return json.dumps(None if filled is _LEFT_OUT else filled, ensure_ascii=False, separators=(",", ":"))


def _filled(node: Any, values: Mapping[str, Value]) -> Any:
    if isinstance(node, str):
        if node in values:
            value = values[node]
            return _LEFT_OUT if value is None else value
        return _filled_text(node, {name: _text(value) for name, value in values.items()})
    if isinstance(node, list):
        return [None if part is _LEFT_OUT else part for part in (_filled(part, values) for part in node)]
    if isinstance(node, dict):
        members = {name: _filled(part, values) for name, part in node.items()}
        return {name: part for name, part in members.items() if part is not _LEFT_OUT}
    return node


def _filled_text(template: str, texts: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: texts.get(match.group(), ""), template)


def _text(value: Value) -> str:
    return "" if value is None else str(value)
