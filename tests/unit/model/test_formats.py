"""Tests of the formats and patterns of schemas: what they accept, and that their time is linear in the string."""

import time

import pytest

from readplane.model.schema import SchemaValidator
from tests.unit.model.support import fits
from tests.unit.support import compile_schemas

VALUES: dict[str, tuple[list[str], list[str]]] = {
    "date": (["2024-02-29", "2000-02-29"], ["2023-02-29", "1900-02-29", "2024-2-9", "2024-01-01\n", "٢٠٢٤-01-01"]),
    "date-time": (
        ["2024-02-29T12:34:56Z", "2024-01-01t23:59:60.123z", "2024-01-01T00:00:00-01:30"],
        ["2024-02-30T12:34:56Z", "2024-01-01T00:00:00", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00+0100"],
    ),
    "email": (["a@b.co", "a.b+c@d.e.f"], ["a", "@b.co", ".a@b.co", "a..b@c.de", "a@b@c.de", "x" * 400 + "@b.co"]),
    "hostname": (["a", "a-b.example", "a" * 63 + ".b"], ["", "-a", "a-", "a..b", "a_b", "a" * 64, "a\n"]),
    "idn-email": (["é@ü.de"], ["a", "@b.co"]),
    "idn-hostname": (["xn--4ca.com", "a.b", "ü.de"], ["-a.b", "a.b\n"]),
    "ipv4": (["0.0.0.0", "255.255.249.199"], ["256.0.0.0", "1.2.3", "01.2.3.4", "1.2.3.4\n", "1.2.3.٤"]),
    "ipv6": (
        ["::", "1::8", "1:2:3:4:5:6:1.2.3.4", "FE80::abcd"],
        ["", ":::", "1::2::3", "12345::", "::%eth0", "::1\n"],
    ),
    "iri": (["x:ü", "http://a/b"], ["x", "x: y"]),
    "iri-reference": (["", "ü#x", "a:b"], ["a b", "a\\b"]),
    "json-pointer": (["", "/", "/a/~0~1", "//"], ["a", "/~", "/~2", "#/a"]),
    "regex": (["", "a+b", "\\d{2,3}"], ["(", "[a", "*a"]),
    "relative-json-pointer": (["0", "0#", "12/a/~0"], ["", "#", "01", "-1", "1/~"]),
    "time": (["12:34:56Z", "23:59:60.1Z"], ["24:00:00Z", "12", "12:34Z"]),
    "uri": (["http://a/b", "a:b"], ["a", ":b", "a: b", "é:b"]),
    "uri-reference": (["", "a/b#c", "#x", "//a"], ["a b", "a\\b"]),
    "uri-template": (["", "/a/{b}{?c,d*}", "{+x:3}", "%af"], ["{", "{a", "a b"]),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_format_accepts_what_its_standard_says(name: str) -> None:
    good, bad = VALUES[name]
    assert [value for value in good if not fits({"format": name}, value)] == []
    assert [value for value in bad if fits({"format": name}, value)] == []


def test_a_format_that_draft_7_does_not_have_is_ignored() -> None:
    assert fits({"format": "colour"}, "?") and fits({"format": "uuid"}, "?")


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("^b$", ["b"], ["b\n", "ab", ""]),
        (r"^\d\w$", ["0a", "1_"], ["٣a", "0é"]),
        (r"^[\w.-]+$", ["a.b-c"], ["a b"]),
        (r"^\p{L}+$", ["añ", "Ω"], ["1", ""]),
        (r"^\/\-$", ["/-"], ["a"]),
        ("^(?:ab|cd)+$", ["abcd"], ["abc"]),
        ("^a{1,5000}$", ["a" * 5000], ["a" * 5001]),
        ("b", ["abc"], ["a"]),
    ],
)
def test_patterns_have_the_meaning_of_json_schema(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not fits({"pattern": pattern}, text)] == []
    assert [text for text in bad if fits({"pattern": pattern}, text)] == []


@pytest.mark.parametrize("pattern", ["(?=a)", "(?!a)b", "(?<=a)b", r"(a)\1", "(", "a**", "(a{1,1000}){1,1000}"])
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused(keyword: str, pattern: str) -> None:
    with pytest.raises(ValueError, match=r"^c: "):
        compile_schemas({"c": {keyword: pattern if keyword == "pattern" else {pattern: {}}}})


HURTING: dict[str, list[tuple[str, str, str]]] = {
    "date": [("", "2", "")],
    "date-time": [("2024-01-01T00:00:00.", "1", ""), ("2024-01-01T00:00:00.", "1", "Z")],
    "email": [("a", ".", ""), ("", "a.", "@"), ("", "@", ""), ("a@", ".", ""), ("a@", "a.", "@")],
    "hostname": [("", "a.", ""), ("", "a", ""), ("", "a-", "")],
    "idn-email": [("a", ".", ""), ("", "a.", "@"), ("a@", ".", ""), ("a@", "a.", "@")],
    "idn-hostname": [("", "a.", ""), ("a.", "a", "-"), ("a.b.", "a", "1")],
    "ipv4": [("", "1.", "")],
    "ipv6": [("", "1:", ""), ("", "::", ""), ("::", "1.", "")],
    "iri": [("", "a", ""), ("a:", "a", " "), ("", ":", "")],
    "iri-reference": [("", "a", "\\"), ("", "a:", " "), ("", "#", " ")],
    "json-pointer": [("", "/", ""), ("/", "~0", "~"), ("/", "a", "~")],
    "regex": [
        ("", "(", ""),
        ("", ")", ""),
        ("", "()", ""),
        ("", "a", ""),
        ("", "\\(", ""),
        ("", "[(]", ""),
        ("[", "a", ""),
        ("", "[a", ""),
        ("", "a{", ""),
        ("", "(a|", ""),
        ("a{", "1", ""),
        ("a{1,", "1", ""),
        ("(?<", "a", ""),
        ("", "a+", "+"),
        ("", "a{1}", "{1}"),
    ],
    "relative-json-pointer": [("", "1", ""), ("1/", "~1", "~")],
    "time": [("1:2:3.", "1", "")],
    "uri": [("", "a", ""), ("a:", "a", " "), ("", ":", "")],
    "uri-reference": [("", "a", "\\"), ("", "a:", " "), ("", "#", " ")],
    "uri-template": [
        ("", "a", " "),
        ("", "{a}", "{"),
        ("{", "a,", ""),
        ("{", "a", ""),
        ("{a:", "1", ""),
        ("", "%aa", "%"),
        ("", "{", ""),
        ("{", "%aa", ""),
    ],
}
"""Strings that are built to make a check slow: the start, what is repeated, and the end."""

PATTERNS = {
    "^(a+)+$": ("", "a", "!"),
    "^(a|a)*$": ("", "a", "!"),
    "(x+x+)+y": ("", "x", ""),
    "a+b": ("", "a", ""),
    "(.*a.{12})b": ("", "ac", ""),
    r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$": (
        "", "a", "!",
    ),
}  # fmt: skip

CHECKS = {
    **{
        f"format {name} {number}": ({"format": name}, parts)
        for name, all_parts in HURTING.items()
        for number, parts in enumerate(all_parts)
    },
    **{f"pattern {pattern}": ({"pattern": pattern}, parts) for pattern, parts in PATTERNS.items()},
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_time_of_a_check_grows_no_faster_than_the_string(name: str) -> None:
    schema, (start, piece, end) = CHECKS[name]
    validator = compile_schemas({"c": schema})["c"]
    texts = [start + piece * (size // len(piece)) + end for size in (64 * 1024, 256 * 1024)]
    short, long = (cpu_seconds(validator, text) for text in texts)
    assert long < 0.2 and long < max(0.02, 8 * short)


def test_every_format_has_strings_that_are_built_to_make_it_slow() -> None:
    assert HURTING.keys() == VALUES.keys()


def cpu_seconds(validator: SchemaValidator, text: str) -> float:
    """Return the CPU time of a check, the best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        validator._validator.is_valid(text)
        times.append(time.process_time() - start)
    return min(times)
