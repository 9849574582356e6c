"""Tests of reading response bodies: character sets, CSV, XML, and the bounds of each."""

import codecs
import csv
import io
import json
import time
import tracemalloc
from typing import Any

import pytest
import xmltodict  # type: ignore[import-untyped]
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from readplane.poll.errors import PageError
from readplane.poll.source.payload.charsets import MARK, MAX_BAD_PARTS, DecodedText, codec_name, decode_body, mark_bytes
from readplane.poll.source.payload.csv_payload import BYTES_PER_ROW, CsvRows, parse_csv
from readplane.poll.source.payload.faults import find_fault
from readplane.poll.source.payload.json_payload import parse_json_payload
from readplane.poll.source.payload.xml_payload import MAX_XML_DEPTH, parse_xml
from readplane.poll.source.settings import PayloadFormat, PayloadSettings

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cn"]))


def decode(
    body: bytes, content_type: str | None = None, payload_format: PayloadFormat = "json", charset: str | None = None
) -> str:
    return decode_body(body, content_type, PayloadSettings(payload_format, charset, None)).text


def rows_of(text: str, delimiter: str | None = None, max_bytes: int = 2**20) -> CsvRows:
    return parse_csv(DecodedText(text, False), delimiter, max_bytes)


def xml(text: str) -> Any:
    return parse_xml(DecodedText(text, False)).value


@pytest.mark.parametrize(
    ("body", "content_type", "payload_format", "charset", "text"),
    [
        ("ä".encode(), None, "json", None, "ä"),
        (b"\xe4", None, "json", "windows-1252", "ä"),
        (b"\xe4", "application/json; charset=ISO-8859-1", "json", None, "ä"),
        # The standard of JSON knows no other character set than UTF-8, and servers that declare one often lie.
        ("ä".encode(), "application/json; charset=ISO-8859-1", "json", None, "ä"),
        ("ä".encode(), "text/csv; charset=ISO-8859-1", "csv", None, "Ã¤"),
        (b"\x80 \x96", "text/csv; charset=latin1", "csv", None, "€ –"),
        (b"\xef\xbb\xbf\xc3\xa4", "text/csv; charset=latin1", "csv", None, "ä"),
        (codecs.BOM_UTF16_LE + b"a\0", "text/csv; charset=utf-8", "csv", None, "a"),
        ("ab".encode("utf-16"), None, "json", None, "ab"),
        ("ab".encode("utf-32"), None, "json", None, "ab"),
        ("ab".encode("utf-16-le"), 'application/json;charset="UTF-16LE"', "json", None, "ab"),
        ("ab".encode("utf-16-be"), None, "json", "utf-16-be", "ab"),
        ("日本".encode("shift_jis"), "text/csv; header=present; Charset=Shift_JIS", "csv", None, "日本"),
        (b"<?xml version='1.0' encoding='windows-1252'?>\x80", None, "xml", None, None),
        (b"<?xml version='1.0' encoding='utf-16'?>\xc3\xa4", None, "xml", None, None),
        ("<a/>".encode("utf-16-le"), None, "xml", None, "<a/>"),
        ("<a/>".encode("utf-16-be"), None, "xml", None, "<a/>"),
        (b"\xef\xbb\xbfa", None, "json", "utf-8", "a"),
        # A byte order mark counts more than everything else, as in browsers.
        (b"\xef\xbb\xbf\xc3\xa4", None, "csv", "windows-1252", "ä"),
        ("ä".encode("utf-16"), None, "csv", "utf-8", "ä"),
        # One cut or wrong byte doesn't change the character set of the other texts.
        (b"\xc3\xa4 \xc3\xb6 \xc3", "application/json; charset=ISO-8859-1", "json", None, "ä ö " + mark_bytes(b"\xc3")),
        (b"\xc3\xa4 \xe4 \xf6 \xfc", "application/json; charset=ISO-8859-1", "json", None, "Ã¤ ä ö ü"),
        ("日本".encode("shift_jis"), "application/json; charset=Shift_JIS", "json", None, "日本"),
        (b"\xc3\xa4 \xe4", "application/json; charset=utf8mb4", "json", None, "ä " + mark_bytes(b"\xe4")),
        # Servers name an old character set and mean a larger one.
        ("镕".encode("gb18030"), "text/csv; charset=gb2312", "csv", None, "镕"),
        ("㐀".encode("gb18030"), "text/csv; charset=gbk", "csv", None, "㐀"),
        ("①\\~".encode("cp932"), "text/csv; charset=Shift_JIS", "csv", None, "①\\~"),
        ("①".encode("cp932"), "text/csv; charset=x-sjis", "csv", None, "①"),
        ("똠".encode("cp949"), "text/csv; charset=euc-kr", "csv", None, "똠"),
        ("똠".encode("cp949"), "text/csv; charset=ks_c_5601-1987", "csv", None, "똠"),
        ("碁".encode("cp950"), "text/csv; charset=big5", "csv", None, "碁"),
        (b"\x80", "text/csv; charset=us-ascii", "csv", None, "€"),
        (b"\x80", "text/csv; charset=iso-8859-9", "csv", None, "€"),
        (b"\x80", "text/csv; charset=tis-620", "csv", None, "€"),
        (b"\x80", "text/csv; charset=iso-8859-11", "csv", None, "€"),
        (b"\x80", "text/csv; charset=windows-874", "csv", None, "€"),
    ],
)
def test_the_character_set_comes_from_the_first_place_that_names_it(
    body: bytes, content_type: str | None, payload_format: PayloadFormat, charset: str | None, text: str | None
) -> None:
    decoded = decode(body, content_type, payload_format, charset)
    assert decoded == text if text is not None else decoded[-1] in "€ä"


@pytest.mark.parametrize("charset", ["klingon", "rot13", "zlib", "idna", "punycode", "unicode_escape", "utf-7", "a/b"])
def test_an_unknown_character_set_is_a_page_error_that_names_the_setting(charset: str) -> None:
    assert codec_name(charset) is None
    with pytest.raises(PageError, match=r"set payload\.charset"):
        decode(b"\xe4", f"text/csv; charset={charset}", "csv")
    assert decode("ä".encode(), f"application/json; charset={charset}") == "ä"


@settings(deadline=None)
@given(st.binary(), st.sampled_from(["utf-8", "ascii", "cp1252", "shift_jis", "utf-16", "gb18030", "euc-kr", "utf-32"]))
def test_any_bytes_are_decoded_and_those_that_are_no_text_are_marked(body: bytes, charset: str) -> None:
    assume(not body.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)))
    decoded = decode_body(body, None, PayloadSettings("csv", charset, None))
    assert decoded.text.encode() is not None
    try:
        has_marks = MARK.search(body.decode(codec_name(charset) or "")) is not None
    except UnicodeDecodeError:
        has_marks = True
    assert decoded.has_marks is has_marks is (MARK.search(decoded.text) is not None)


@pytest.mark.parametrize(
    ("body", "charset"), [(b"\xff\n", "utf-8"), (b"\xff\n", "gbk"), (b"\xff\n", "big5"), (b"\0\xd8", "utf-16-le")]
)
def test_a_body_that_is_mostly_no_text_is_refused_soon(body: bytes, charset: str) -> None:
    start = time.process_time()
    with pytest.raises(PageError, match=r"isn't text in its character set.*set payload\.charset"):
        decode(body * (2**20 // len(body)), charset=charset)
    assert time.process_time() - start < 2


@settings(deadline=None)
@given(st.binary(min_size=1), st.binary(min_size=1))
def test_different_bytes_have_different_marks(first: bytes, second: bytes) -> None:
    assert (mark_bytes(first) == mark_bytes(second)) is (first == second)
    assert find_fault({mark_bytes(first): 1}) == find_fault([[mark_bytes(second)]]) == "bad_encoding"


@settings(deadline=None)
@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=6), st.sampled_from([",", ";", "\t", "|"]))
def test_every_row_that_a_csv_writer_writes_is_read(rows: list[list[str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b"], *rows])
    parsed = rows_of(file.getvalue(), delimiter)
    assert [list(row.values()) for row in parsed.rows] == rows and not parsed.misfits


@settings(deadline=None)
@given(st.text('a,"\r\n', max_size=30))
@example('b,c\r"a"a,\n"a\na",a')
def test_every_line_of_a_csv_is_in_a_row_or_a_misfit_or_the_page_is_refused(text: str) -> None:
    try:
        parsed = rows_of("b,c\n" + text)
    except PageError as error:
        assert "ends inside quotes" in str(error)
        return
    count = len(parsed.rows) + len(parsed.misfits)
    assert (count > 0) is any(line for line in text.splitlines())
    assert all(len(row) == 2 for row in parsed.rows)


def test_a_csv_field_may_be_as_large_as_the_body() -> None:
    parsed = rows_of("a,b\n1," + "x" * 300_000 + "\n")
    assert len(parsed.rows[0]["b"]) == 300_000


@pytest.mark.parametrize("row", ["1,2", "1", "1,2,3", '"a"a'])
def test_a_csv_may_have_as_many_rows_as_poll_has_memory_for(row: str) -> None:
    parsed = rows_of("a,b\n" + f"{row}\n\n" * 10, max_bytes=10 * BYTES_PER_ROW)
    assert len(parsed.rows) + len(parsed.misfits) == 10
    with pytest.raises(PageError, match="more than 10 rows, for which poll may lack memory; set max_bytes"):
        rows_of("a,b\n" + f"{row}\n" * 11, max_bytes=10 * BYTES_PER_ROW)


NAMES = st.sampled_from(["a", "b", "c:d", "é"])
XML_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), max_size=5) | st.just(" \n ")


def escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")


def element(name: str, attributes: dict[str, str], inner: list[str]) -> str:
    written = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(inner)}</{name}>"


ELEMENTS = st.recursive(
    XML_TEXTS.map(escape) | st.sampled_from(["<!-- x -->", "<?pi x?>", "<![CDATA[<&]]>"]),
    lambda part: st.builds(element, NAMES, st.dictionaries(NAMES, XML_TEXTS, max_size=2), st.lists(part, max_size=4)),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, XML_TEXTS, max_size=2), st.lists(ELEMENTS, max_size=4))
def test_xml_has_the_form_that_xmltodict_gives_it(attributes: dict[str, str], inner: list[str]) -> None:
    text = element("root", attributes, inner)
    assert xml(text) == xmltodict.parse(text)


ENTITIES = "".join(f'<!ENTITY e{at} "{f"&e{at - 1};" * 10 if at else "x" * 100}">' for at in range(12))


@pytest.mark.parametrize(
    "text",
    [
        f"<!DOCTYPE a [{ENTITIES}]><a>&e11;</a>",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/">]><a>&x;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
        '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]><a/>',
        '<!DOCTYPE a [<!ATTLIST a b CDATA "x">]><a/>',
        "<!DOCTYPE html><html></html>",
        "\x0b<!DOCTYPE a><a/>",
    ],
)
def test_a_document_type_definition_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(PageError, match=r"DOCTYPE|well-formed"):
        xml(text)
    assert time.process_time() - start < 0.5


def test_an_entity_that_no_definition_declares_is_a_fault_of_its_record() -> None:
    payload = parse_xml(DecodedText("<a><b>&lol;</b><b>x</b></a>", False))
    assert payload.may_have_faults and [find_fault(record) for record in payload.value["a"]["b"]] == [
        "bad_encoding",
        None,
    ]


def test_deep_xml_is_refused() -> None:
    assert xml("<a>" * MAX_XML_DEPTH + "</a>" * MAX_XML_DEPTH)
    for depth in (MAX_XML_DEPTH + 1, 1_000_000):
        with pytest.raises(PageError, match="nested more than 200 deep"):
            xml("<a>" * depth + "</a>" * depth)


SIZE = 300_000
LARGE_TEXTS = {
    "one long attribute": f'<a b="{"x" * SIZE}"/>',
    "a long attribute with line ends": '<a b="' + "x\n" * (SIZE // 2) + '"/>',
    "many attributes": "<a " + " ".join(f'b{at}=""' for at in range(SIZE // 10)) + "/>",
    "a long name": f"<{'a' * (SIZE // 2)}></{'a' * (SIZE // 2)}>",
    "many names": "<a>" + "".join(f"<b{at}/>" for at in range(SIZE // 9)) + "</a>",
    "many elements": f"<a>{'<b/>' * (SIZE // 4)}</a>",
    "many characters by number": f"<a>{'&#120;' * (SIZE // 6)}</a>",
    "an unclosed tag": f"<a {'b' * SIZE}",
    "an unclosed comment": f"<a><!-- {'x' * SIZE}",
    "many unclosed sections": "<a>\x0b" + "<![CDATA[" * (SIZE // 9),
    "many unclosed comments": "<a>\x0b" + "<!--" * (SIZE // 4),
    "many ampersands": f"<a>{'&' * SIZE}</a>",
}


@pytest.mark.parametrize("text", LARGE_TEXTS.values(), ids=LARGE_TEXTS)
def test_large_xml_takes_linear_time(text: str) -> None:
    start = time.process_time()
    try:
        xml(text)
    except PageError as error:
        assert "well-formed" in str(error)
    assert time.process_time() - start < 4


def test_large_xml_takes_as_much_memory_as_json() -> None:
    peaks = []
    for text in (LARGE_TEXTS["many elements"], LARGE_TEXTS["many names"], LARGE_TEXTS["many attributes"]):
        tracemalloc.start()
        xml(text)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 40 * SIZE


def test_bad_bytes_and_bad_json_take_linear_time() -> None:
    start = time.process_time()
    for text in ("\\" * SIZE, '["' + "\\x" * (SIZE // 2) + '"]', '["' + "\\u" * (SIZE // 2) + '"]'):
        try:
            parse_json_payload(DecodedText(text, False))
        except PageError as error:
            assert "not JSON" in str(error)
    for charset in ("utf-8", "gbk"):
        body = b"\xffa\n" * MAX_BAD_PARTS
        assert len(MARK.sub("", decode(body, charset=charset))) == 2 * MAX_BAD_PARTS
    assert time.process_time() - start < 4


@settings(deadline=None)
@given(st.recursive(st.none() | TEXTS | st.integers(), lambda part: st.lists(part) | st.dictionaries(TEXTS, part)))
def test_a_value_without_a_fault_has_none(value: Any) -> None:
    payload = parse_json_payload(decode_body(json.dumps(value, ensure_ascii=False).encode(), None, None))
    assert not payload.may_have_faults and find_fault(payload.value) is None
