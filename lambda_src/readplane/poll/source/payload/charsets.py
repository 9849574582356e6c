"""Decodes the body of a response, and marks the bytes that aren't text in its character set.

A mark consists of two Unicode noncharacters, which no text contains (Unicode Standard, section 23.7). So the rest of
the response stays readable, and only the record that contains a mark must be refused.
"""

import codecs
import re
from typing import NamedTuple

from ...errors import PageError
from ..settings import PayloadSettings

MARK = re.compile("[\ufdd0-\ufdef]")
"""Finds a character of a mark."""

_MARKS = [chr(0xFDD0 + (byte >> 4)) + chr(0xFDE0 + (byte & 15)) for byte in range(256)]
_ESCAPED_BYTES = re.compile("[\udc80-\udcff]+")
_MAY_CONTAIN_MARK = b"\xef\xb7"
"""The bytes with which UTF-8 begins each character of a mark, and a few others."""

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins with the same bytes
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,39}")
_CHARSET_PARAMETER = re.compile(r""";\s*charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"""\s*<\?xml[^>]{1,100}?\sencoding\s*=\s*["']([^"'<>]{1,40})["']""")
_REFUSED_CODECS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape",
                   "utf-7", "undefined", "mbcs", "oem"}  # fmt: skip
"""Codecs of Python that are no character sets of the web. Some of them take quadratic time."""
_WIDE_CODECS = ("utf-16", "utf-32")
_REAL_CODECS = {
    "ascii": "cp1252",
    "big5": "cp950",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "shift_jis": "cp932",
    "tis-620": "cp874",
    "utf-8-sig": "utf-8",
}
"""The codec that is meant by the name of another one.

Servers say ISO-8859-1 and mean windows-1252, in which the bytes from 0x80 on are letters instead of control characters.
In the same way they name an old character set of Asia and mean a larger one that contains it. Browsers follow the
same list (WHATWG Encoding Standard, section 4.2), but for Big5 their character set has more rare characters.
"""

_BYTES_OF_ASCII = bytes(range(128))

MAX_BAD_PARTS = 100_000
"""The maximum number of parts of a body that aren't text in its character set. Each takes about a microsecond.

A body with more is binary or has another character set.
"""


class DecodedText(NamedTuple):
    """The decoded body of a response.

    text: the text, without a byte order mark.
    has_marks: whether the text contains marks. It is also true for a text that contains such noncharacters itself.
    """

    text: str
    has_marks: bool


def decode_body(body: bytes, content_type: str | None, settings: PayloadSettings | None) -> DecodedText:
    """Decode the body of a response.

    The first of these that is there decides the character set: a byte order mark, the setting ``payload.charset``, the
    ``charset`` of the ``Content-Type`` header, the encoding that an XML declaration names, and UTF-8. JSON is UTF-8 by
    its standard (RFC 8259). So a header that names another character set doesn't count for JSON that is mostly UTF-8.

    :param content_type: the ``Content-Type`` header of the response, if it has one.
    :raises PageError: if the body isn't text in its character set, apart from a few bytes; or if it isn't JSON, and the
        header or the XML declaration names an unknown character set.
    """
    for byte_order_mark, codec in _BYTE_ORDER_MARKS:
        if body.startswith(byte_order_mark):
            return _decode(body, codec)
    if settings and settings.charset:
        return _decode(body, _known_codec(settings.charset))
    payload_format = settings.format if settings else "json"
    declared = _CHARSET_PARAMETER.search(content_type or "")
    if not declared:
        return _decode(body, _xml_codec(body) if payload_format == "xml" else "utf-8")
    if payload_format == "json":
        return _decode_json(body, declared[1])
    return _decode(body, _known_codec(declared[1]))


def codec_name(charset: str) -> str | None:
    """Return Python's name of the character set, or ``None`` if it is unknown."""
    if not _CHARSET_NAME.fullmatch(charset):
        return None
    # Python lacks some names of the web: `x-sjis` is `sjis`, and `windows-874` is `cp874`.
    python_name = re.sub(r"^windows-(?=\d+$)", "cp", charset.lower().removeprefix("x-"))
    try:
        name = codecs.lookup(python_name).name
        b"a".decode(name)
    except UnicodeDecodeError:
        pass  # One byte is too short for UTF-16.
    except (LookupError, ValueError):
        return None
    if name in _REFUSED_CODECS:
        return None
    return _REAL_CODECS.get(name, name)


def mark_bytes(data: bytes) -> str:
    """Return the marks that stand for bytes."""
    return "".join(map(_MARKS.__getitem__, data))


def mark_character(character: str) -> str:
    """Return the marks that stand for a character that a format forbids."""
    return mark_bytes(character.encode("utf-8", "replace"))


def _known_codec(charset: str) -> str:
    codec = codec_name(charset)
    if codec is None:
        raise PageError("the response declares an unknown character set; set payload.charset to the real one")
    return codec


def _xml_codec(body: bytes) -> str:
    if body.startswith((b"<\0", b"\0<")):
        return "utf-16-le" if body.startswith(b"<") else "utf-16-be"
    declared = _XML_ENCODING.match(body)
    if not declared:
        return "utf-8"
    codec = _known_codec(declared[1].decode("ascii", "replace"))
    # .NET often declares UTF-16 in a text that it then sends as UTF-8. The declaration could be read byte by byte, so
    # the text isn't UTF-16.
    return "utf-8" if codec.startswith(_WIDE_CODECS) else codec


def _decode_json(body: bytes, charset: str) -> DecodedText:
    """Decode JSON for which the header names a character set. The header of many servers is wrong."""
    codec = codec_name(charset) or "utf-8"
    # A text in UTF-16 may be valid UTF-8 by chance. But then it has null bytes, and no JSON has.
    if codec != "utf-8" and b"\0" not in body and _is_mostly_utf8(body):
        codec = "utf-8"
    return _decode(body, codec)


def _is_mostly_utf8(body: bytes) -> bool:
    """Return whether a body has more characters beyond ASCII in valid UTF-8 than bytes that aren't valid UTF-8.

    A text without any byte beyond ASCII is UTF-8, too. One cut character must not change the character set of a whole
    response, because then all its other texts would be wrong without a mark.
    """
    ascii_count = len(body) - len(body.translate(None, _BYTES_OF_ASCII))
    valid_text = body.decode("utf-8", "ignore")
    valid_bytes = len(valid_text.encode())
    bad_bytes = len(body) - valid_bytes
    return bad_bytes == 0 or len(valid_text) - ascii_count > bad_bytes


def _decode(body: bytes, codec: str) -> DecodedText:
    try:
        return _strictly_decoded(body, codec)
    except UnicodeDecodeError:
        pass
    # Python's own error handlers are in C. `replace` adds one character for each bad part, and `ignore` adds none.
    bad_parts = len(body.decode(codec, "replace")) - len(body.decode(codec, "ignore"))
    if bad_parts > MAX_BAD_PARTS:
        raise PageError(
            f"the response isn't text in its character set, at more than {MAX_BAD_PARTS} places; "
            "set payload.charset to the real one"
        )
    try:
        # Python's own error handler is in C, so it is many times faster than `_mark_error`.
        text = _ESCAPED_BYTES.sub(_mark_escaped_bytes, body.decode(codec, "surrogateescape"))
    except UnicodeDecodeError:  # it can't handle bytes below 128, which UTF-16 and the character sets of Asia have
        text = body.decode(codec, _MARK_ERRORS)
    return DecodedText(text.removeprefix("\ufeff"), True)


def _strictly_decoded(body: bytes, codec: str) -> DecodedText:
    text = body.decode(codec).removeprefix("\ufeff")
    # Search the bytes of UTF-8 first, because that is many times faster than to search the text.
    may_have_marks = codec != "utf-8" or _MAY_CONTAIN_MARK in body
    return DecodedText(text, may_have_marks and MARK.search(text) is not None)


def _mark_escaped_bytes(match: re.Match[str]) -> str:
    return mark_bytes(match[0].encode("ascii", "surrogateescape"))


def _mark_error(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return mark_bytes(error.object[error.start : error.end]), error.end


_MARK_ERRORS = "readplane.mark"
codecs.register_error(_MARK_ERRORS, _mark_error)
