"""Checks the body of a snapshot, and turns it into the JSON that is published."""

from typing import Any

from ...model.errors import InvalidError
from ...model.exact_json import DuplicateNameError, print_json
from ...model.schema import MAX_DEPTH, SchemaValidator, depth
from ..errors import PageError
from .payload.charsets import DecodedText, decode_body
from .payload.csv_payload import parse_csv
from .payload.faults import FAULT_DETAILS, Payload, find_fault
from .payload.json_payload import parse_json_payload
from .payload.xml_payload import parse_xml
from .payload_checks import check_expected, schema_faults_text
from .settings import Source

_MAX_CSV_GROWTH = 4
"""How many times the size of ``max_bytes`` a CSV snapshot may have as JSON, which repeats the columns' names."""


def check_snapshot(body: bytes, content_type: str | None, source: Source, validator: SchemaValidator) -> bytes:
    """Check the body of a snapshot's response before ``poll`` publishes it as a document.

    :param content_type: the response's ``Content-Type`` header, if it has one.
    :param validator: the compiled JSON Schema of the source's collection.
    :returns: the JSON to publish, in UTF-8. A JSON body in UTF-8 stays as it is, byte for byte, but without a byte
        order mark.
    :raises PageError: if the body can't be read, isn't what the setting ``expect`` demands, has values that JSON can't
        express, is nested too deep, holds a name twice in one object, or doesn't fit the schema.
    """
    decoded = decode_body(body, content_type, source.payload)
    value, text = _parse_snapshot(decoded, source)
    if source.expect:
        check_expected(source.expect, value)
    try:
        if depth(value) > MAX_DEPTH:
            raise PageError(f"the response is nested more than {MAX_DEPTH} deep; leave the deepest levels out")
        validator.check_text(text)
    except DuplicateNameError as error:
        raise PageError(f"the response can't be read: {error}") from error
    except InvalidError as error:
        raise PageError(schema_faults_text(error, "the response")) from error
    return text.encode()


def _parse_snapshot(decoded: DecodedText, source: Source) -> tuple[Any, str]:
    """Return the parsed body of a snapshot, and the JSON text to publish."""
    if source.payload_format == "csv":
        csv = parse_csv(decoded, source.payload.delimiter if source.payload else None, source.max_bytes)
        if csv.misfits:
            problem = "rows with more or fewer fields than the header, or with malformed quotes"
            raise PageError(f"the CSV has {len(csv.misfits)} {problem}; correct its export")
        if len(csv.rows) * sum(len(name) + 6 for name in csv.columns) > _MAX_CSV_GROWTH * source.max_bytes:
            raise PageError(
                f"the CSV as JSON is larger than {_MAX_CSV_GROWTH} times max_bytes; shorten the columns' names"
            )
        payload = Payload(csv.rows, decoded.has_marks)
    elif source.payload_format == "xml":
        payload = parse_xml(decoded)
    else:
        payload = parse_json_payload(decoded)
        if not payload.may_have_faults:
            return payload.value, decoded.text
    fault = find_fault(payload.value) if payload.may_have_faults else None
    if fault:
        raise PageError(FAULT_DETAILS[fault].replace("the record", "the response"))
    try:
        return payload.value, print_json(payload.value)
    except DuplicateNameError as error:
        raise PageError(f"the response can't be read: {error}") from error
