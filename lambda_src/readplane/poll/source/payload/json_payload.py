"""Reads a response body in JSON, so that a bad value inside a record doesn't make the other records unreadable."""

from ....model.exact_json import parse_tolerant_json
from ...errors import PageError
from .charsets import DecodedText, mark_character
from .faults import Payload


def parse_json_payload(decoded: DecodedText) -> Payload:
    """Parse JSON.

    ``NaN``, ``Infinity``, unescaped control characters and backslashes that escape nothing are accepted. All but the
    control characters are faults of the record that has them.

    :raises PageError: if the text isn't JSON, or is nested too deep.
    """
    if not decoded.text.strip():
        raise PageError(
            "the response is empty, not JSON; check the URL; if it is empty past the last page, set paging.end_status"
        )
    try:
        value, tolerated = parse_tolerant_json(decoded.text, mark_character)
    except ValueError as error:
        advice = "check the response's end and form, or set payload.format if it is CSV or XML"
        raise PageError(f"the response can't be read: {error}; {advice}") from error
    return Payload(value, decoded.has_marks or tolerated)
