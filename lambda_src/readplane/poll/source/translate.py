"""Splits a back office's responses into records, and translates each record into an item.

A response that doesn't have the form that the source's settings describe raises a
:class:`~readplane.poll.errors.PageError`. Such a response is never treated as an empty list of records. A record that
can't be translated doesn't affect the other records of its page. It becomes an :class:`UntranslatableRecord`, which
goes to quarantine together with the reason.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self

from ...model.change import MAX_DATA_BYTES
from ...model.collection import is_item_id, is_owner
from ...model.errors import InvalidError
from ...model.exact_json import DuplicateName, number_text, print_json
from ...model.schema import MAX_DEPTH, SchemaValidator, depth
from ...model.version import MAX_SOURCE_AHEAD_MS
from ..errors import ExpressionError, PageError, TranslationError
from .expression import Expression
from .item_ids import encode_item_id
from .kinds import kind_name
from .payload.charsets import DecodedText, decode_body
from .payload.csv_payload import CsvRows, parse_csv
from .payload.faults import FAULT_DETAILS, FaultReason, Payload, find_fault
from .payload.json_payload import parse_json_payload
from .payload.xml_payload import parse_xml
from .payload_checks import check_expected, schema_faults_text, search_payload
from .settings import Source
from .times import parse_time

UntranslatableReason = Literal[
    "untranslatable", "bad_id", "bad_version", "bad_owner", "too_large", "invalid", "bad_encoding", "bad_number"
]


class ParsedPage(NamedTuple):
    """A response of a back office, split into records.

    records: the records as the back office wrote them. Only :meth:`Translator.translate_record` may look into them,
        because a record that can't be used is a :class:`FaultyRecord`.
    next: the next page's link or token; ``None`` on the last page.
    more: whether there is another page, as the setting ``paging.more`` finds it; ``None`` without this setting.
    total: how many records the list has, as the setting ``paging.total`` finds it; ``None`` without this setting.
    delta: the link with which the next pass begins, as the setting ``paging.delta`` finds it; ``None`` if the page has
        none.
    """

    records: list[Any]
    next: str | None
    more: bool | None = None
    total: int | None = None
    delta: str | None = None


class FaultyRecord(NamedTuple):
    """A record with a value that can't be used, such as a byte of another character set.

    reason: a code for the fault.
    raw: the record as the back office wrote it.
    """

    reason: FaultReason
    raw: Any


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
        ``None`` translates every record into a deleted item, which has no data.
    """

    def __init__(self, source: Source, validator: SchemaValidator | None) -> None:
        self._source = source
        self._validator = validator
        self._expressions: dict[str, Expression | None] = {
            "id": source.id,
            "version": source.version.expression if source.version else None,
            "deleted": source.deleted,
            "owner": source.owner,
            "data": source.translation,
        }

    @classmethod
    def for_deletes(cls, source: Source) -> Self:
        """Return a translator of the list of deleted records that ``source.deletes`` describes.

        It translates each record into a deleted item. Of a record it reads only the id and the time of the deletion.
        """
        deletes = source.deletes
        assert deletes
        deletes_source = replace(
            source,
            records=deletes.records,
            id=deletes.id,
            version=deletes.version,
            paging=deletes.paging,
            deleted=None,
            owner=None,
            translation=None,
            function=None,
            expect=None,
        )
        return cls(deletes_source, None)

    def parse_page(self, body: bytes, content_type: str | None = None) -> ParsedPage:
        """Split a response's body into records, and find what it says about further pages.

        :param content_type: the response's ``Content-Type`` header, if it has one.
        :raises PageError: if the body can't be read, if it isn't what the setting ``expect`` demands, if its records
            aren't a list, or if it says something about further pages that can't be used.
        """
        source = self._source
        text = decode_body(body, content_type, source.payload)
        payload, misfits = self._parse(text)
        if source.expect:
            check_expected(source.expect, payload.value)
        if source.function:
            records, link_or_token = self._split_by_function(payload.value)
        else:
            records = self._records(payload.value)
            link_or_token = search_payload(source.paging.next, "paging.next", payload.value)
        if misfits:
            records = [*records, *misfits]
        if payload.may_have_faults:
            records = [_with_fault(record) for record in records]
        paging = source.paging
        return ParsedPage(
            records,
            _link_or_token(link_or_token, "paging.next"),
            _more(search_payload(paging.more, "paging.more", payload.value)) if paging.more else None,
            _total(search_payload(paging.total, "paging.total", payload.value)) if paging.total else None,
            _link_or_token(search_payload(paging.delta, "paging.delta", payload.value), "paging.delta"),
        )

    def translate_record(self, value: Any, now_ms: int) -> PageRecord:
        """Translate one record of a page.

        :param value: one of the records of :meth:`parse_page`.
        :param now_ms: the time just before the page was requested, in Unix milliseconds. A record whose modification
            time is more than ``MAX_SOURCE_AHEAD_MS`` after ``now_ms`` is untranslatable. Such a time must be wrong,
            because a slightly fast clock of the back office can't explain it.
        """
        if isinstance(value, FaultyRecord):
            return UntranslatableRecord(value.reason, FAULT_DETAILS[value.reason], value.raw, self._usable_id(value))
        item_id = None
        try:
            if self._source.payload_format == "csv" and not isinstance(value, dict):
                raise _bad_row(value)
            get_field = self._field_getter(value)
            item_id = self._item_id(get_field("id"))
            version_ms = self._version_ms(get_field("version"), now_ms)
            deleted = self._validator is None or _deleted(get_field("deleted"))
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
        return self.translate_record(_with_fault(parse_json_payload(DecodedText(raw_text, True)).value), now_ms)

    def _parse(self, text: DecodedText) -> tuple[Payload, list[Any]]:
        """Return the parsed body, and the rows of a CSV that can't be part of it."""
        if self._source.payload_format == "json":
            return parse_json_payload(text), []
        if self._source.payload_format == "xml":
            return parse_xml(text), []
        assert self._source.payload
        csv = parse_csv(text, self._source.payload.delimiter, self._source.max_bytes)
        self._check_columns(csv)
        return Payload(csv.rows, text.has_marks), list(csv.misfits)

    def _check_columns(self, csv: CsvRows) -> None:
        """Check that the setting ``id`` reads columns that there are.

        An error text from the back office is mostly also a CSV, with one column and no rows. It must not be taken for
        an empty list.
        """
        if self._source.id is None:
            return
        try:
            found = self._source.id.search(dict.fromkeys(csv.columns, "1"))
        except ExpressionError:
            found = None
        if found is None:
            raise PageError(
                f"id: the CSV's {len(csv.columns)} columns lack the one that this setting reads; "
                "correct the setting, or payload.delimiter"
            )

    def _records(self, payload: Any) -> list[Any]:
        source = self._source
        records = payload
        if source.records or source.payload_format != "csv":
            records = search_payload(source.records, "records", payload)
        if source.payload_format == "xml":
            if isinstance(records, dict | str):
                return [records]  # XML doesn't show that a single element is a list
            if records is None and source.records and _is_empty_element(source.records, payload):
                return []
        if not isinstance(records, list):
            raise PageError(
                f"records: found {kind_name(records)}, not a list; correct the setting, or let the setting expect "
                "tell error responses apart"
            )
        return records

    def _split_by_function(self, payload: Any) -> tuple[list[Any], Any]:
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
        return records, link_or_token

    def _usable_id(self, record: FaultyRecord) -> str | None:
        """Return the id of a record that can't be used, so that sweeps know that its item exists."""
        try:
            if self._source.payload_format == "csv" and not isinstance(record.raw, dict):
                return None
            item_id = self._field_getter(record.raw)("id")
            return None if find_fault(item_id) else self._item_id(item_id)
        except _RecordError:
            return None

    def _item_id(self, value: Any) -> str:
        text = value if isinstance(value, str) else _whole_number_text(value)
        if text is None:
            raise _RecordError("bad_id", f"id: found {kind_name(value)}, not a string or a whole number")
        if self._source.id_encoding and text:
            text = encode_item_id(text) or ""
        if not is_item_id(text):
            advice = "" if self._source.id_encoding else '; or set id_encoding = "tilde"'
            raise _RecordError(
                "bad_id", f"id: must be 1 to 256 of A-Z a-z 0-9 . _ ~ -, the first a letter or digit{advice}"
            )
        return text

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
        version = self._source.version
        time_format, zone = (version.format, version.zone) if version else ("unix_ms", None)
        try:
            ms = parse_time(value, time_format, zone)
        except ValueError as error:
            raise _RecordError("bad_version", f"version: {error}") from error
        if ms < 0:
            raise _RecordError("bad_version", "version: is before 1970")
        if ms > now_ms + MAX_SOURCE_AHEAD_MS:
            advice = f"read as {time_format}{f' in {zone}' if zone else ''}; correct the format, the zone or the clock"
            raise _RecordError("bad_version", f"version: is more than {MAX_SOURCE_AHEAD_MS // 1000} s ahead, {advice}")
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
        assert self._validator
        try:
            self._validator.check_text(text)
        except InvalidError as error:
            raise _RecordError("invalid", schema_faults_text(error, "the whole object")) from error
        return text


def _bad_row(row: list[str] | str) -> _RecordError:
    """Return the error for a row of a CSV that has no columns, as :class:`CsvRows` describes its misfits."""
    problem = "more or fewer fields than the header" if isinstance(row, list) else "malformed quotes"
    return _RecordError("untranslatable", f"payload: the CSV row has {problem}; have the export quote its texts")


def _with_fault(record: Any) -> Any:
    """Return a record, as a :class:`FaultyRecord` if it has a value that can't be used."""
    fault = find_fault(record)
    return FaultyRecord(fault, record) if fault else record


def _is_empty_element(records: Expression, payload: Any) -> bool:
    """Whether the path of names ``records`` leads to nothing because an element on the way to its end is empty.

    Any other response without records may be an error message. So the element around the records must be there.
    """
    part = payload
    for name in (records.field_path or ())[:-1]:
        if not isinstance(part, dict) or name not in part:
            return False
        part = part[name]
        if part is None:
            return True
    # An element with attributes or other elements, but without records.
    return records.field_path is not None and len(records.field_path) > 1 and isinstance(part, dict)


def _search(expression: Expression | None, setting: str, value: Any) -> Any:
    if expression is None:
        return None
    try:
        return expression.search(value)
    except ExpressionError as error:
        raise _RecordError("untranslatable", f"{setting}: {error}") from error


def _setting_name(field: str) -> str:
    return "translation" if field == "data" else field


def _link_or_token(value: Any, setting: str) -> str | None:
    """Return the next page's link or token as text, or ``None`` if there is no next page.

    Some back offices write null instead of a link or token on the last page. Others write false or an empty string.
    """
    if value is None or value is False or value == "":
        return None
    text = value if isinstance(value, str) else number_text(value)
    if text is None or find_fault(value):
        raise PageError(f"{setting}: found {kind_name(value)}, not a string that is a link or token")
    return text


def _more(value: Any) -> bool:
    # JMESPath treats 0 and "false" as true, and null as false. A page that says nothing must not end the list.
    if isinstance(value, bool):
        return value
    raise PageError(f"paging.more: found {kind_name(value)}; compare it, so that it is true or false")


def _total(value: Any) -> int:
    text = value if isinstance(value, str) else number_text(value)
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 16):
        raise PageError(f"paging.total: found {kind_name(value)}, not a whole number; correct the setting")
    return int(text)


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
