"""Tests of the parser of the ``Link`` header (RFC 8288)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readplane.poll.upstream.link_header import parse_link_header


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        (" , ,", []),
        ('<https://o/?p=2>; rel="next"', [("https://o/?p=2", {"next"})]),
        ("</rows?p=2>;rel=next", [("/rows?p=2", {"next"})]),
        ('<?p=2> ; REL = "NEXT"', [("?p=2", {"next"})]),
        ('<?p=2>; rel="last next"', [("?p=2", {"last", "next"})]),
        ('<?p=2>; rel="prev"; rel="next"', [("?p=2", {"prev"})]),
        ("<?p=2>; rel*=UTF-8''next", [("?p=2", set())]),
        ("<?p=2>", [("?p=2", set())]),
        ("<?p=2>; rel", [("?p=2", set())]),
        ("<?p=2>; ; rel=next;", [("?p=2", {"next"})]),
        ("<?p=2>; title='a, b'; rel='next last'", [("?p=2", {"next", "last"})]),
        ('<?p=2>; rel="next', [("?p=2", {"next"})]),
        (
            '<?p=1>; rel=prev,<?p=3>; rel="next", <?p=9>; rel=last',
            [("?p=1", {"prev"}), ("?p=3", {"next"}), ("?p=9", {"last"})],
        ),
        ('<?a=1,2;3>; title="a, b; rel=last"; rel="next"', [("?a=1,2;3", {"next"})]),
        (r'<?p=2>; title="a \" <b>, c"; rel="next"', [("?p=2", {"next"})]),
        (r'<?p=2>; rel="n\ext"', [("?p=2", {"next"})]),
        ("<?p=2>; title*=UTF-8''%e2%82%ac%20rates; rel=next", [("?p=2", {"next"})]),
        ('<?p=2>; rel="https://o.example/Rel"', [("?p=2", {"https://o.example/rel"})]),
        ('<>; rel="next"', [("", {"next"})]),
    ],
)
def test_every_lawful_header_is_read(header: str, expected: list[tuple[str, set[str]]]) -> None:
    parsed = parse_link_header(header)
    assert [(link.target, set(link.relations)) for link in parsed.links] == expected
    assert parsed.is_whole


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ("next", None),
        ("https://o/?p=2; rel=next", None),
        ("<https://o/?p=2; rel=next", None),
        ('<?p=1>; rel=prev, ?p=2; rel="next"', None),
        ("<?p=2> rel=next", None),
        ("<?p=2>; title=a b; rel=next", "?p=2"),
        ('https://docs/, <?p=2>; rel="next"', "?p=2"),
        ('<?p=1>; title=a b; rel=prev, <?p=2>; rel="next"', "?p=2"),
        ('<?p=2>; rel="next", <?p=9; rel="last', "?p=2"),
        ("<?p=1>; rel=prev <?p=2>; rel=next", "?p=2"),
    ],
)
def test_a_fault_does_not_hide_the_links_beside_it(header: str, target: str | None) -> None:
    parsed = parse_link_header(header)
    assert (parsed.find_target("next"), parsed.is_whole) == (target, False)


def test_the_relation_is_found_in_any_case() -> None:
    parsed = parse_link_header('<?p=1>; rel=prev, <?p=2>; rel="nextPage", <?p=3>; rel="nextpage"')
    assert parsed.find_target("NEXTPAGE") == "?p=2" and parsed.find_target("next") is None


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters=">", exclude_categories=["Cc", "Cs"]), max_size=20).map(str.strip),
            st.lists(st.sampled_from(["next", "prev", "first", "https://o.example/x"]), min_size=1, max_size=3),
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20),
            st.booleans(),
        ),
        max_size=4,
    )
)
def test_whatever_a_title_holds_the_links_are_read(links: list[tuple[str, list[str], str, bool]]) -> None:
    texts = []
    for target, relations, title, title_first in links:
        escaped = title.replace("\\", "\\\\").replace('"', '\\"')
        parameters = [f'rel="{" ".join(relations)}"', f'title="{escaped}"']
        texts.append("; ".join([f"<{target}>", *(reversed(parameters) if title_first else parameters)]))
    expected = [(target, frozenset(relations)) for target, relations, _, _ in links]
    assert [tuple(link) for link in parse_link_header(", ".join(texts)).links] == expected
