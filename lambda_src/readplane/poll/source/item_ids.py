"""Writes ids that an item id can't hold, such as ``a/b``, as item ids.

An item id is 1 to 256 characters of ``A-Z a-z 0-9 . _ ~ -``, the first a letter or digit. The encoding ``tilde`` writes
each other byte of the id's UTF-8 text, and the tilde itself, as a tilde and two hexadecimal digits. So ``a/b`` becomes
``a~2Fb``. If the result doesn't begin with a letter or digit, ``0~~`` stands before it. Two ids never become the same
item id, because every other tilde has two digits behind it.
"""

import re

_PREFIX = "0~~"
_OTHER_BYTES = re.compile(rb"[^A-Za-z0-9._-]")
_FIRST = re.compile("[A-Za-z0-9]")


def encode_item_id(text: str) -> str | None:
    """Return the item id for a back office's id.

    :returns: the item id, which may be longer than an item id can be; ``None`` if UTF-8 can't encode ``text``.
    """
    try:
        text_bytes = text.encode()
    except UnicodeEncodeError:
        return None
    encoded = _OTHER_BYTES.sub(lambda match: b"~%02X" % match[0][0], text_bytes).decode("ascii")
    return encoded if _FIRST.match(encoded) else _PREFIX + encoded
