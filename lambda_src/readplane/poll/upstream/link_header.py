"""Parses the ``Link`` header of RFC 8288, in which many back offices name the next page."""

import re
from typing import NamedTuple

_TARGET = re.compile(r"\s*<([^>]*)>\s*")
_PARAMETER = re.compile(
    r"""\s*;\s*
    (?: ([^\s=;,"'<>]+) \s*
        (?: = \s* (?: "((?:[^"\\]|\\.)*)(?:"|\Z) | '([^']*)' | ([^\s;,"<>]*) ) )?
    )? \s*""",
    re.VERBOSE,
)
_QUOTED_PAIR = re.compile(r"\\(.)")
_SEPARATORS = re.compile(r"[\s,]*")
_NEXT_LINK = re.compile(r"(?=<)")
_NEXT_PARAMETER = re.compile(r"[^;,<]*(?=;)")


class Link(NamedTuple):
    """One link of a ``Link`` header.

    target: the link's URL, which may be relative.
    relations: the link's relation types, in lower case.
    """

    target: str
    relations: frozenset[str]


class LinkHeader(NamedTuple):
    """A parsed ``Link`` header.

    links: the links that could be read.
    is_whole: whether every part of the header could be read.
    """

    links: list[Link]
    is_whole: bool

    def find_target(self, relation: str) -> str | None:
        """Return the URL of the first link with a relation type, or ``None`` if no link has it.

        :param relation: the relation type, in any case.
        """
        return next((link.target for link in self.links if relation.lower() in link.relations), None)


def parse_link_header(header: str) -> LinkHeader:
    """Parse a ``Link`` header.

    A part of the header that isn't a link of RFC 8288 doesn't affect the links beside it. Values may also stand in
    single quotes, which some back offices write, and the last quote may be missing.

    :param header: the header's value. If a response has several ``Link`` headers, their values joined by commas.
    """
    links: list[Link] = []
    is_whole = True
    at = _end(_SEPARATORS, header, 0)
    while at < len(header):
        target = _TARGET.match(header, at)
        if target:
            relations, at, parameters_are_whole = _read_relations(header, target.end())
            is_whole = is_whole and parameters_are_whole
            links.append(Link(target[1].strip(), relations))
        if not target or (at < len(header) and header[at] != ","):
            is_whole = False
            following = _NEXT_LINK.search(header, at if target else at + 1)
            at = following.end() if following else len(header)
        at = _end(_SEPARATORS, header, at)
    return LinkHeader(links, is_whole)


def _read_relations(header: str, at: int) -> tuple[frozenset[str], int, bool]:
    """Read the parameters of a link.

    :returns: the link's relation types, the position behind the parameters, and whether every part could be read.
    """
    relations: frozenset[str] | None = None
    is_whole = True
    while at < len(header):
        parameter = _PARAMETER.match(header, at)
        if not parameter:
            rest = _NEXT_PARAMETER.match(header, at)
            if not rest:
                break
            at, is_whole = rest.end(), False
            continue
        at = parameter.end()
        name, quoted, single_quoted, token = parameter.groups()
        # RFC 8288: only the first `rel` of a link counts.
        if relations is None and name and name.lower() == "rel":
            text = _QUOTED_PAIR.sub(r"\1", quoted) if quoted is not None else single_quoted or token or ""
            relations = frozenset(text.lower().split())
    return relations or frozenset(), at, is_whole


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
