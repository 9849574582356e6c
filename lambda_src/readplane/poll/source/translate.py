"""Translation: a back office's answer into records of ours, the anti-corruption layer.

An answer that isn't what it should be is an error of the page, never an empty list. A record that isn't spoils only
itself: it comes out as :class:`UntranslatableRecord`, with the reason, and goes to quarantine.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, localcontext
from typing import Any, Literal, NamedTuple

from ...api.problem import ProblemError
from ...model.change import MAX_DATA_BYTES
from ...model.collection import is_item_id, is_owner
from ...model.exact_json import DuplicateName, DuplicateNameError, number_text, parse_json, print_json
from ...model.schema import MAX_DEPTH, SchemaValidator, check_fits, depth
from ...model.version import MAX_AHEAD_MS
from ..errors import ExpressionError, PageError, TranslationError
from .expression import Expression
from .settings import Source, TimeFormat

UntranslatableReason = Literal["untranslatable", "bad_id", "bad_version", "bad_owner", "too_large", "invalid"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"(?a)(\d{4}-\d\d-\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))"
)
_UNIX = re.compile(r"(?a)-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?")
_KINDS = {bool: "a truth value", str: "a text", list: "a list", dict: "an object", type(None): "nothing"}


class ParsedPage(NamedTuple):
    """One answer: its ``records`` as the back office tells them, and the link or token of the next page."""

    records: list[Any]
    next: str | None


class TranslatedRecord(NamedTuple):
    """One record, translated. ``version_ms`` is in Unix milliseconds; ``data_text`` is ``None`` where it is deleted."""

    item_id: str
    version_ms: int | None
    deleted: bool
    owner: str | None
    data_text: str | None
    raw: Any

    @property
    def raw_text(self) -> str:
        """The record as it came, as canonical JSON: the same however often it comes."""
        return print_json(self.raw, twice=True)


class UntranslatableRecord(NamedTuple):
    """One record that goes to quarantine, with the reason; ``item_id`` where it could be read."""

    reason: UntranslatableReason
    detail: str
    raw: Any
    item_id: str | None = None

    @property
    def raw_text(self) -> str:
        """The record as it came, as canonical JSON: the same however often it comes."""
        return print_json(self.raw, twice=True)


class _Refusal(Exception):
    def __init__(self, reason: UntranslatableReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Translator:
    """One source's translation into its collection."""

    def __init__(self, source: Source, validate: SchemaValidator) -> None:
        """Take the source, of mode ``changes``, and its collection's compiled schema (``domain.body``)."""
        self._source = source
        self._validate = validate
        self._expressions: dict[str, Expression | None] = {
            "id": source.id,
            "version": source.version.expression if source.version else None,
            "deleted": source.deleted,
            "owner": source.owner,
            "data": source.translation,
        }

    def page(self, body: bytes) -> ParsedPage:
        """Cut an answer into records.

        :raises BadPage: when it isn't JSON, or its records aren't a list, or what leads on is neither text nor number.
        """
        payload = _parsed(body)
        source = self._source
        if source.function:
            return self._page_by_function(payload)
        try:
            records = source.records.search(payload) if source.records else None
        except ExpressionError as error:
            raise PageError(f"records: {error}") from error
        if not isinstance(records, list):
            raise PageError(f"records: found {_kind(records)}, not a list")
        try:
            found = source.paging.next.search(payload) if source.paging.next else None
        except ExpressionError as error:
            raise PageError(f"paging.next: {error}") from error
        return ParsedPage(records, _next(found))

    def record(self, value: Any, now_ms: int) -> TranslatedRecord | UntranslatableRecord:
        """Translate one of a page's records.

        :param now_ms: Unix milliseconds; a version that is further ahead than a clock may be is refused.
        """
        item_id = None
        try:
            get = self._getter(value)
            item_id = _item_id(get("id"))
            version_ms = self._version_ms(get("version"), now_ms)
            deleted = _deleted(get("deleted"))
            owner = _owner(get("owner"))
            data_text = None if deleted else self._data_text(get("data"))
        except _Refusal as refusal:
            return UntranslatableRecord(refusal.reason, refusal.detail, value, item_id)
        return TranslatedRecord(item_id, version_ms, deleted, owner, data_text, value)

    def again(self, raw_text: str, now_ms: int) -> TranslatedRecord | UntranslatableRecord:
        """Translate a record out of quarantine, from its ``raw_text``.

        :raises BadPage: when that isn't JSON.
        """
        return self.record(_parsed(raw_text.encode()), now_ms)

    def _page_by_function(self, payload: Any) -> ParsedPage:
        assert self._source.function
        try:
            records, following = self._source.function.page(payload)
            if not isinstance(records, list):
                raise TranslationError(f"records: found {_kind(records)}, not a list")
            for record in records:
                print_json(record, twice=True)
        except TranslationError as error:
            raise PageError(f"function: {error}") from error
        except Exception as error:  # an operator's code may raise anything, with anything in its message
            raise PageError(f"function: page() fails ({type(error).__name__})") from error
        return ParsedPage(records, _next(following))

    def _getter(self, value: Any) -> Callable[[str], Any]:
        """Gives each field as the back office means it."""
        if self._source.function is None:
            return lambda field: _search(self._expressions[field], _shown(field), value)
        try:
            item = dict(self._source.function.item(value))
        except TranslationError as error:
            raise _Refusal("untranslatable", f"function: {error}") from error
        except Exception as error:  # as above
            raise _Refusal("untranslatable", f"function: item() fails ({type(error).__name__})") from error
        return item.get

    def _version_ms(self, value: Any, now_ms: int) -> int | None:
        if not self._source.versioned:
            return None
        form = self._source.version.format if self._source.version else "unix_ms"
        try:
            ms = parse_time(value, form)
        except ValueError as error:
            raise _Refusal("bad_version", f"version: {error}") from error
        if ms < 0:
            raise _Refusal("bad_version", "version: is before 1970")
        if ms > now_ms + MAX_AHEAD_MS:
            raise _Refusal("bad_version", f"version: is more than {MAX_AHEAD_MS // 1000} s ahead, read as {form}")
        return ms

    def _data_text(self, value: Any) -> str:
        if isinstance(value, DuplicateName) or not isinstance(value, dict):
            raise _Refusal("untranslatable", f"translation: found {_kind(value)}, not an object")
        try:
            too_deep = depth(value) > MAX_DEPTH
            text = print_json(value)
        except (TypeError, ValueError) as error:
            raise _Refusal("untranslatable", f"translation: {error}") from error
        if too_deep:
            raise _Refusal("untranslatable", f"translation: is nested more than {MAX_DEPTH} deep")
        # A character is at most four bytes: few texts need be encoded to be measured.
        if 4 * len(text) > MAX_DATA_BYTES and len(text.encode()) > MAX_DATA_BYTES:
            raise _Refusal("too_large", f"translation: is larger than {MAX_DATA_BYTES} bytes")
        try:
            check_fits(value, self._validate)
        except ProblemError as problem:
            place = problem.members.get("pointer") or "the whole of it"
            raise _Refusal("invalid", f"{place}: {problem.detail}") from problem
        return text


def check_snapshot(body: bytes, validate: SchemaValidator) -> None:
    """Check the payload of a snapshot, whose bytes will stand as they are.

    :param validate: the collection's compiled schema.
    :raises BadPage: for anything but JSON in UTF-8 without duplicate names that fits the schema.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise PageError("the answer begins with a byte order mark, which can't stand inside a document")
    payload = _parsed(body)
    try:
        if depth(payload) > MAX_DEPTH:
            raise PageError(f"the answer is nested more than {MAX_DEPTH} deep")
        check_fits(payload, validate)
    except DuplicateNameError as error:
        raise PageError(f"the answer can't be read: {error}") from error
    except ProblemError as problem:
        raise PageError(f"{problem.members.get('pointer') or 'the answer'}: {problem.detail}") from problem


def parse_time(value: Any, form: TimeFormat) -> int:
    """Read a back office's time.

    :param value: as :func:`~readplane.model.exact_json.parse_json` gives it; Unix times may come as text.
    :returns: Unix milliseconds, what is finer cut off.
    :raises ValueError: says what it should have been; quotes nothing.
    """
    if form == "rfc3339":
        match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
        if not match:
            raise ValueError(f"found {_kind(value)}, not RFC 3339 with an offset (2026-01-31T12:00:00Z)")
        return _rfc3339_ms(match)
    text = value if isinstance(value, str) else number_text(value)
    if text is None or not _UNIX.fullmatch(text):
        raise ValueError(f"found {_kind(value)}, not a Unix time")
    scale = 1000 if form == "unix_s" else 1
    # The digits, never a float of them: 2^53 is near when it comes to microseconds.
    with localcontext(prec=200):
        return int((Decimal(text) * scale).to_integral_value(rounding=ROUND_FLOOR))


def _rfc3339_ms(match: re.Match[str]) -> int:
    day, hours, minutes, seconds, fraction, sign, offset_hours, offset_minutes = match.groups()
    try:
        # A leap second (:60) is the next minute's first: `datetime` knows none.
        moment = datetime.fromisoformat(f"{day}T{hours}:{minutes}:00+00:00") + timedelta(seconds=_up_to(seconds, 60))
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error
    return (moment - _EPOCH) // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])


def _up_to(text: str, most: int) -> int:
    value = int(text)
    if value > most:
        raise ValueError
    return value


def _parsed(body: bytes) -> Any:
    try:
        return parse_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PageError("the answer is not UTF-8") from error
    except ValueError as error:
        raise PageError(f"the answer can't be read: {error}") from error


def _search(expression: Expression | None, field: str, value: Any) -> Any:
    if expression is None:
        return None
    try:
        return expression.search(value)
    except ExpressionError as error:
        raise _Refusal("untranslatable", f"{field}: {error}") from error


def _shown(field: str) -> str:
    return "translation" if field == "data" else field


def _next(found: Any) -> str | None:
    """A link or token as text; back offices say in many ways that there is none."""
    if found is None or found is False or found == "":
        return None
    if isinstance(found, str):
        return found
    text = number_text(found)
    if text is None:
        raise PageError(f"paging.next: found {_kind(found)}, not a text")
    return text


def _item_id(value: Any) -> str:
    text = value if isinstance(value, str) else _whole_number(value)
    if text is None:
        raise _Refusal("bad_id", f"id: found {_kind(value)}, not a text or a whole number")
    if not is_item_id(text):
        raise _Refusal("bad_id", "id: must be 1 to 256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit")
    return text


def _whole_number(value: Any) -> str | None:
    text = number_text(value)
    return text if text is not None and text.lstrip("-").isdigit() else None


def _deleted(value: Any) -> bool:
    # By JMESPath's rules 0, "0" and "false" are all true: whoever forgets that would delete a whole collection.
    if value is None:
        return False
    if isinstance(value, bool) or number_text(value) in ("0", "1"):
        return bool(value)
    raise _Refusal("untranslatable", f"deleted: found {_kind(value)}; compare it, so that it is true or false")


def _owner(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_owner(value):
        raise _Refusal("bad_owner", f"owner: found {_kind(value)}, not the `sub` of a user")
    return value


def _kind(value: Any) -> str:
    if isinstance(value, DuplicateName):
        return str(DuplicateNameError())
    return _KINDS.get(type(value), "a number" if number_text(value) is not None else type(value).__name__)
