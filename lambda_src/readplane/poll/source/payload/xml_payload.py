"""Reads a response body in XML as an object, as the library xmltodict does.

``<a id="1">x<b/></a>`` becomes ``{"a": {"@id": "1", "b": None, "#text": "x"}}``:

- An element without attributes and elements inside becomes its text, or ``None`` if it is empty.
- Any other element becomes an object. An attribute is a member ``@name``, and the text a member ``#text``.
- Several elements of the same name in one element become a list. A single one isn't in a list.
- Names are as they stand in the response, so ``soap:Body`` keeps its prefix. Comments are left out, and so is white
  space around a text.

The parser is expat, of Python's standard library. The library xmltodict uses it too, but can't limit the depth. These
attacks are known for XML, and none of them can succeed:

- Entities that expand to gigabytes, or that read files or URLs: a document type definition must declare them, and the
  parser stops at the start of one.
- Deep nesting: the parser stops at :data:`MAX_XML_DEPTH`.
- Very long names, attributes and texts: expat parses a text that it gets as a whole in linear time, and the source's
  ``max_bytes`` limits the text. The parsed object takes as much memory as one of JSON.
"""

import re
from typing import Any, NoReturn
from xml.parsers import expat

from ...errors import PageError
from .charsets import DecodedText, mark_character
from .faults import Payload

MAX_XML_DEPTH = 200
"""The maximum number of elements inside one another."""

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]+")
_MARKED_AMPERSAND = mark_character("&")
_AMPERSAND = re.compile(
    # An unclosed section reaches to the end, so that it is searched only once.
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|&(?:(?:amp|lt|gt|quot|apos|#([0-9]{1,7}|x[0-9a-fA-F]{1,6}));)?",
    re.DOTALL,
)


def parse_xml(decoded: DecodedText) -> Payload:
    """Parse XML.

    A character that XML forbids, and an ampersand that begins no entity, are faults of the record that has them.

    :raises PageError: if the text isn't well-formed XML, has a document type definition, or is nested too deep.
    """
    try:
        return Payload(_Tree().parse(decoded.text), decoded.has_marks)
    except expat.ExpatError:
        pass
    # Parse again only now, so that responses without a fault are parsed as fast as possible.
    text = _FORBIDDEN.sub(lambda match: mark_character(match[0]), decoded.text)
    text = _AMPERSAND.sub(_usable_reference, text)
    try:
        return Payload(_Tree().parse(text), True)
    except expat.ExpatError as error:
        problem = f"it is not well-formed XML: look at line {error.lineno}, column {error.offset + 1}"
        raise PageError(
            f"the response can't be read: {problem}; check its end, or set payload.format if it isn't XML"
        ) from error


class _Tree:
    """The elements that the parser has read so far."""

    def __init__(self) -> None:
        self._members: dict[str, Any] = {}
        self._texts: list[str] = []
        self._outer: list[tuple[dict[str, Any], list[str]]] = []

    def parse(self, text: str) -> dict[str, Any]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add_text
        parser.Parse(text, True)
        return self._members

    def _start(self, _name: str, attributes: dict[str, str]) -> None:
        if len(self._outer) == MAX_XML_DEPTH:
            raise PageError(f"the response's XML is nested more than {MAX_XML_DEPTH} deep; leave such records out")
        self._outer.append((self._members, self._texts))
        self._members, self._texts = {f"@{name}": value for name, value in attributes.items()}, []

    def _add_text(self, text: str) -> None:
        self._texts.append(text)

    def _end(self, name: str) -> None:
        text = "".join(self._texts).strip()
        value: Any = self._members
        if not value:
            value = text or None
        elif text:
            value["#text"] = text
        self._members, self._texts = self._outer.pop()
        if name not in self._members:
            self._members[name] = value
        elif isinstance(self._members[name], list):
            self._members[name].append(value)
        else:
            self._members[name] = [self._members[name], value]


def _refuse_doctype(*_: Any) -> NoReturn:
    raise PageError("the response's XML has a document type definition (DOCTYPE); have it left out, for safety")


def _usable_reference(match: re.Match[str]) -> str:
    """Return a match of ``_AMPERSAND``, or its marks if it is an ampersand alone or refers to a forbidden character."""
    text, reference = match[0], match[1]
    if text == "&":
        return _MARKED_AMPERSAND
    if reference is None:
        return text
    code = int(reference[1:], 16) if reference.startswith("x") else int(reference)
    allowed = code in (9, 10, 13) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
    return text if allowed else _MARKED_AMPERSAND
