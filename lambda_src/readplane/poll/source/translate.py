"""Splits a back office's responses into records, and translates each record into an item.

A response that doesn't have the form that the source's settings describe raises a
:class:`~readplane.poll.errors.PageError`. Such a response is never treated as an empty list of records. A record that
can't be translated doesn't affect the other records of its page. It becomes an :class:`UntranslatableRecord`, which
goes to quarantine together with the reason.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from ...model.change import MAX_DATA_BYTES
from ...model.collection import is_item_id, is_owner
from ...model.errors import InvalidError
from ...model.exact_json import DuplicateName, DuplicateNameError, number_text, parse_json, print_json
from ...model.schema import MAX_DEPTH, SchemaValidator, depth
from ...model.version import MAX_SOURCE_AHEAD_MS
from ..errors import ExpressionError, PageError, TranslationError
from .expression import Expression
from .kinds import kind_name
from .settings import Source
from .times import parse_time

UntranslatableReason = Literal["untranslatable", "bad_id", "bad_version", "bad_owner", "too_large", "invalid"]


class ParsedPage(NamedTuple):
    """A response of a back office, split into records.

    records: the records as the back office wrote them.
    next: the next page's link or token; ``None`` on the last page.
    """

    records: list[Any]
    next: str | None


class TranslatedRecord(NamedTuple):
    """A back office's record, translated into the fields of an item.

    item_id: the item's id.
    version_ms: the modification time, in Unix milliseconds; ``None`` if the source's records contain none.
    deleted: whether the back office deleted the record.
    owner: the item's owner, if the item belongs to an owner collection.
    data_text: the item's data as JSON text; ``None`` if the record is deleted.
    raw: the record as the back office wrote it.
    """

    item_id: str
    version_ms: int | None
    deleted: bool
    owner: str | None
    data_text: str | None
    raw: Any

    @property
    def raw_text(self) -> str:
        """The back office's record as canonical JSON text. Equal records have equal texts."""
        return print_json(self.raw, keep_duplicates=True)


class UntranslatableRecord(NamedTuple):
    """A back office's record that can't be translated and goes to quarantine.

    reason: a code that says why the record can't be translated.
    detail: one sentence that explains the reason to operators. It quotes none of the record's data.
    raw: the record as the back office wrote it.
    item_id: the item's id; ``None`` if the record has no valid id.
    """

    reason: UntranslatableReason
    detail: str
    raw: Any
    item_id: str | None = None

    @property
    def raw_text(self) -> str:
        """The back office's record as canonical JSON text. Equal records have equal texts."""
        return print_json(self.raw, keep_duplicates=True)


PageRecord = TranslatedRecord | UntranslatableRecord
"""The result of translating one record of a page."""


class _RecordError(Exception):
    """Raised for a record that can't be translated. The error's reason and detail go to quarantine with the record."""

    def __init__(self, reason: UntranslatableReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Translator:
    """Translates one source's records into items of its collection.

    :param source: a source of mode ``changes``.
    :param validator: the compiled JSON Schema of the source's collection. Each item's data must fit this schema.
    """

    def __init__(self, source: Source, validator: SchemaValidator) -> None:
        self._source = source
        self._validator = validator
        self._expressions: dict[str, Expression | None] = {
            "id": source.id,
            "version": source.version.expression if source.version else None,
            "deleted": source.deleted,
            "owner": source.owner,
            "data": source.translation,
        }

    def parse_page(self, body: bytes) -> ParsedPage:
        """Split a response's body into records, and find the next page's link or token.

        :raises PageError: if the body isn't JSON, if its records aren't a list, or if the next page's link or token
            is neither a string nor a number.
        """
        payload = _parse(body)
        source = self._source
        if source.function:
            return self._page_by_function(payload)
        try:
            records = source.records.search(payload) if source.records else None
        except ExpressionError as error:
            raise PageError(f"records: {error}") from error
        if not isinstance(records, list):
            raise PageError(f"records: found {kind_name(records)}, not a list")
        try:
            link_or_token = source.paging.next.search(payload) if source.paging.next else None
        except ExpressionError as error:
            raise PageError(f"paging.next: {error}") from error
        return ParsedPage(records, _next(link_or_token))

    def translate_record(self, value: Any, now_ms: int) -> PageRecord:
        """Translate one record of a page.

        :param value: the record as the back office wrote it.
        :param now_ms: the time just before the page was requested, in Unix milliseconds. A record whose modification
            time is more than ``MAX_SOURCE_AHEAD_MS`` after ``now_ms`` is untranslatable. Such a time must be wrong,
            because a slightly fast clock of the back office can't explain it.
        """
        item_id = None
        try:
            get_field = self._field_getter(value)
            item_id = _item_id(get_field("id"))
            version_ms = self._version_ms(get_field("version"), now_ms)
            deleted = _deleted(get_field("deleted"))
            owner = _owner(get_field("owner"))
            data_text = None if deleted else self._data_text(get_field("data"))
        except _RecordError as error:
            return UntranslatableRecord(error.reason, error.detail, value, item_id)
        return TranslatedRecord(item_id, version_ms, deleted, owner, data_text, value)

    def translate_raw_text(self, raw_text: str, now_ms: int) -> PageRecord:
        """Translate a quarantined record again from its ``raw_text``.

        :param now_ms: the current time, in Unix milliseconds.
        :raises PageError: if ``raw_text`` isn't JSON.
        """
        return self.translate_record(_parse(raw_text.encode()), now_ms)

    def _page_by_function(self, payload: Any) -> ParsedPage:
        assert self._source.function
        try:
            records, link_or_token = self._source.function.page(payload)
            if not isinstance(records, list):
                raise TranslationError(f"records: found {kind_name(records)}, not a list")
            for record in records:
                print_json(record, keep_duplicates=True)  # Raises if quarantine couldn't store the record as JSON.
        except TranslationError as error:
            raise PageError(f"function: {error}") from error
        except Exception as error:
            # An operator's class may raise any error. Report only the error's type, because its text may quote data.
            raise PageError(f"function: page() fails ({type(error).__name__})") from error
        return ParsedPage(records, _next(link_or_token))

    def _field_getter(self, value: Any) -> Callable[[str], Any]:
        """Return a function that takes a field's name and returns this field of the record ``value``.

        The fields are ``id``, ``version``, ``deleted``, ``owner`` and ``data``.
        """
        if self._source.function is None:
            return lambda field: _search(self._expressions[field], _setting_name(field), value)
        try:
            item = dict(self._source.function.item(value))
        except TranslationError as error:
            raise _RecordError("untranslatable", f"function: {error}") from error
        except Exception as error:
            # An operator's class may raise any error. Report only the error's type, because its text may quote data.
            raise _RecordError("untranslatable", f"function: item() fails ({type(error).__name__})") from error
        return item.get

    def _version_ms(self, value: Any, now_ms: int) -> int | None:
        if not self._source.versioned:
            return None
        time_format = self._source.version.format if self._source.version else "unix_ms"
        try:
            ms = parse_time(value, time_format)
        except ValueError as error:
            raise _RecordError("bad_version", f"version: {error}") from error
        if ms < 0:
            raise _RecordError("bad_version", "version: is before 1970")
        if ms > now_ms + MAX_SOURCE_AHEAD_MS:
            raise _RecordError(
                "bad_version", f"version: is more than {MAX_SOURCE_AHEAD_MS // 1000} s ahead, read as {time_format}"
            )
        return ms

    def _data_text(self, value: Any) -> str:
        if isinstance(value, DuplicateName) or not isinstance(value, dict):
            raise _RecordError("untranslatable", f"translation: found {kind_name(value)}, not an object")
        try:
            too_deep = depth(value) > MAX_DEPTH
            text = print_json(value)
        except (TypeError, ValueError) as error:
            raise _RecordError("untranslatable", f"translation: {error}") from error
        if too_deep:
            raise _RecordError("untranslatable", f"translation: is nested more than {MAX_DEPTH} deep")
        # Most texts are so short that they can't exceed the limit, because UTF-8 encodes a character in at most four
        # bytes. Encode only the longer texts, to save time.
        if 4 * len(text) > MAX_DATA_BYTES and len(text.encode()) > MAX_DATA_BYTES:
            raise _RecordError("too_large", f"translation: is larger than {MAX_DATA_BYTES} bytes")
        try:
            self._validator.check_text(text)
        except InvalidError as error:
            raise _RecordError("invalid", _faults_text(error, "the whole object")) from error
        return text


def check_snapshot(body: bytes, validator: SchemaValidator) -> None:
    """Check the body of a snapshot's response before ``poll`` publishes it unchanged as a document.

    :param validator: the compiled JSON Schema of the source's collection.
    :raises PageError: if the body isn't JSON in UTF-8, begins with a byte order mark, is nested too deep, holds a name
        twice in one object, or doesn't fit the schema.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise PageError("the response begins with a byte order mark, which can't stand inside a document")
    payload = _parse(body)
    try:
        if depth(payload) > MAX_DEPTH:
            raise PageError(f"the response is nested more than {MAX_DEPTH} deep")
        validator.check_text(body.decode())
    except DuplicateNameError as error:
        raise PageError(f"the response can't be read: {error}") from error
    except InvalidError as error:
        raise PageError(_faults_text(error, "the response")) from error


def _faults_text(error: InvalidError, whole: str) -> str:
    """Return the first fault of a record or response as text, and how many other faults it has.

    :param whole: the name of the whole record or response.
    """
    text = f"{error.pointer or whole}: {error.detail}"
    others = len(error.faults) - 1
    return f"{text} (and {others} more)" if others else text


def _parse(body: bytes) -> Any:
    try:
        return parse_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise PageError("the response is not UTF-8") from error
    except ValueError as error:
        raise PageError(f"the response can't be read: {error}") from error


def _search(expression: Expression | None, setting: str, value: Any) -> Any:
    if expression is None:
        return None
    try:
        return expression.search(value)
    except ExpressionError as error:
        raise _RecordError("untranslatable", f"{setting}: {error}") from error


def _setting_name(field: str) -> str:
    return "translation" if field == "data" else field


def _next(link_or_token: Any) -> str | None:
    """Return the next page's link or token as text, or ``None`` if there is no next page.

    Some back offices write null instead of a link or token on the last page. Others write false or an empty string.
    """
    if link_or_token is None or link_or_token is False or link_or_token == "":
        return None
    if isinstance(link_or_token, str):
        return link_or_token
    text = number_text(link_or_token)
    if text is None:
        raise PageError(f"paging.next: found {kind_name(link_or_token)}, not a string")
    return text


def _item_id(value: Any) -> str:
    text = value if isinstance(value, str) else _whole_number_text(value)
    if text is None:
        raise _RecordError("bad_id", f"id: found {kind_name(value)}, not a string or a whole number")
    if not is_item_id(text):
        raise _RecordError("bad_id", "id: must be 1 to 256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit")
    return text


def _whole_number_text(value: Any) -> str | None:
    text = number_text(value)
    return text if text is not None and text.lstrip("-").isdigit() else None


def _deleted(value: Any) -> bool:
    # JMESPath treats 0, "0" and "false" as true. An operator who forgets this could write an expression that deletes
    # the whole collection. So accept only null, true, false, 0 and 1, and refuse any other value.
    if value is None:
        return False
    if isinstance(value, bool) or number_text(value) in ("0", "1"):
        return bool(value)
    raise _RecordError("untranslatable", f"deleted: found {kind_name(value)}; compare it, so that it is true or false")


def _owner(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_owner(value):
        raise _RecordError("bad_owner", f"owner: found {kind_name(value)}, not the `sub` of a user")
    return value
