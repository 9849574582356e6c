"""Test how `erase` removes a user from lines, quarantined entries and other texts."""

import base64
import gzip
import hashlib
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.cli.erase_text import PSEUDONYM, mentions, redact_lines, redact_quarantined, redact_text
from readplane.model.change import Change, parse_line
from tests.unit.support import ALICE, BOB, COLLECTIONS, change

MINE = change("me", collection="profiles", owner=ALICE)
THEIRS = change("you", collection="profiles", owner=BOB)._replace(actor=BOB)
WRITTEN = change("p-1", data='{"price":1.10, "x":"ä"}')  # the actor is Alice
WRITTEN_DELETE = change("p-2", data=None)
POISON = b'{"actor":"' + ALICE.encode() + b'"\n'
NAMED = change("p-3", data=json.dumps({"friend": ALICE}))._replace(actor=BOB)


def test_lines_of_the_user_go_and_other_lines_lose_only_the_actor() -> None:
    lines = [MINE.line(), THEIRS.line(), WRITTEN.line(), WRITTEN_DELETE.line(), POISON, NAMED.line()]
    redacted = redact_lines(b"".join(lines), ALICE)
    assert redacted.content == b"".join(
        [
            THEIRS.line(),
            WRITTEN._replace(actor=PSEUDONYM).line(),
            WRITTEN_DELETE._replace(actor=PSEUDONYM).line(),
            POISON.replace(ALICE.encode(), PSEUDONYM.encode()),
            NAMED.line(),
        ]
    )
    assert (redacted.removed, redacted.renamed, +redacted.named) == (1, 3, Counter(products=1))
    assert redacted.changes_something


def test_an_object_without_the_user_stays_as_it_is() -> None:
    content = gzip.compress(THEIRS.line())
    redacted = redact_lines(content, ALICE)
    assert (redacted.content, redacted.changes_something) == (content, False)


def test_an_object_with_nothing_else_goes() -> None:
    assert redact_lines(gzip.compress(MINE.line()), ALICE).content is None


def test_compressed_content_stays_compressed() -> None:
    content = redact_lines(gzip.compress(MINE.line() + THEIRS.line()), ALICE).content
    assert content is not None and gzip.decompress(content) == THEIRS.line()


def test_objects_of_several_gzip_members_are_read_to_their_end() -> None:
    content = gzip.compress(THEIRS.line()) + gzip.compress(MINE.line()) + gzip.compress(WRITTEN.line())
    redacted = redact_lines(content, ALICE).content
    assert redacted is not None
    assert gzip.decompress(redacted) == THEIRS.line() + WRITTEN._replace(actor=PSEUDONYM).line()


def test_the_readable_part_of_a_damaged_object_is_redacted() -> None:
    noise = b"".join(change(f"p-{n}", tail=n)._replace(actor=BOB).line() for n in range(3000))
    content = gzip.compress(THEIRS.line() + MINE.line() + noise)
    damaged = content[: len(content) // 2] + b"\xff" * 100
    redacted = redact_lines(damaged, ALICE)
    assert redacted.removed == 1 and redacted.content is not None
    text = gzip.decompress(redacted.content)
    assert text.startswith(THEIRS.line()) and ALICE.encode() not in text
    other = gzip.compress(THEIRS.line())[:-5]
    assert redact_lines(other, ALICE).content == other


def test_no_line_before_a_wrong_checksum_is_lost() -> None:
    lines = [change(f"p-{n}", tail=n)._replace(actor=BOB).line() for n in range(300)]
    whole = gzip.compress(b"".join([MINE.line(), *lines]))
    for damaged in (whole[:-8] + b"\0\0\0\0" + whole[-4:], whole[:-8], whole + b"\xff" * 20):
        content = redact_lines(damaged, ALICE).content
        assert content is not None and gzip.decompress(content) == b"".join(lines)


def test_padding_between_gzip_members_is_skipped_as_apply_does() -> None:
    content = redact_lines(gzip.compress(MINE.line()) + b"\0" * 9 + gzip.compress(THEIRS.line()), ALICE).content
    assert content is not None and gzip.decompress(content) == THEIRS.line()


def test_what_only_names_the_user_is_counted_and_not_changed() -> None:
    redacted = redact_lines(NAMED.line(), ALICE)
    assert (redacted.changes_something, redacted.named) == (False, Counter(products=1))


def entry(line: bytes, **fields: object) -> bytes:
    return json.dumps(
        {"reason": "expired", "detail": "d", "origin": "log/x:1", "line": line.decode(), **fields}
    ).encode()


def test_a_quarantined_line_of_the_user_goes() -> None:
    redacted, name = redact_quarantined(entry(MINE.line().rstrip()), ALICE)
    assert (redacted.content, redacted.removed, name) == (None, 1, None)


def test_a_quarantined_line_that_the_user_wrote_gets_the_key_of_its_new_content() -> None:
    redacted, name = redact_quarantined(entry(WRITTEN.line().rstrip()), ALICE)
    line = WRITTEN._replace(actor=PSEUDONYM).line().rstrip()
    assert redacted.content is not None
    assert json.loads(redacted.content) == json.loads(entry(line))
    assert name == f"{hashlib.sha256(line).hexdigest()[:32]}.json"


def test_a_quarantined_line_that_is_no_text_is_decoded() -> None:
    content = json.dumps({"reason": "r", "line_base64": base64.b64encode(POISON + b"\xff").decode()}).encode()
    redacted, name = redact_quarantined(content, ALICE)
    assert redacted.content is not None and name is not None
    assert ALICE.encode() not in base64.b64decode(json.loads(redacted.content)["line_base64"])


PK = f"item/profiles/{ALICE}/me"
OWN_ENTRIES: list[dict[str, object]] = [
    {"source": "crm", "record": json.dumps({"owner": ALICE})},
    {"source": "crm", "record": json.dumps({"user": {"id": ALICE}})},
    {"source": "crm", "record": '{"broken": ' + ALICE},
    {"row": {"pk": {"S": PK}}},
    {"row": {"pk": {"S": "item/profiles/x"}, "owner": {"S": ALICE}}},
]
OTHER_ENTRIES: list[dict[str, object]] = [
    {"source": "crm", "record": json.dumps({"owner": BOB, "friend": ALICE})},
    {"source": "crm", "record": json.dumps({"user": BOB, "note": f"friend of {ALICE}"})},
    {"source": "shop", "record": json.dumps({"owner": ALICE})},  # in a collection whose items have no owner
    {"row": {"pk": {"S": PK.replace(ALICE, BOB)}, "data": {"S": ALICE}}},
]


@pytest.mark.parametrize("entry", OWN_ENTRIES)
def test_a_quarantined_record_or_row_of_the_user_goes_as_a_whole(entry: dict[str, object]) -> None:
    redacted, _ = redact_quarantined(json.dumps({"reason": "r", **entry}).encode(), ALICE, {"crm"})
    assert (redacted.content, redacted.removed) == (None, 1)


@pytest.mark.parametrize("entry", OTHER_ENTRIES)
def test_a_quarantined_record_or_row_that_only_names_the_user_stays(entry: dict[str, object]) -> None:
    content = json.dumps({"reason": "r", **entry}).encode()
    redacted, _ = redact_quarantined(content, ALICE, {"crm"})
    assert (redacted.content, redacted.changes_something, redacted.named.total()) == (content, False, 1)
    assert redact_quarantined(content, "d00d", {"crm"})[0].named.total() == 0


def test_other_quarantined_entries_stay_as_they_are() -> None:
    for line in (THEIRS.line(), NAMED.line()):
        redacted, name = redact_quarantined(entry(line), ALICE)
        assert (redacted.content, redacted.changes_something, name) == (entry(line), False, None)


def test_an_audit_object_names_the_pseudonym_instead() -> None:
    assert redact_text(b'{"who": "' + ALICE.encode() + b'"}', ALICE).content == b'{"who": "erased"}'


@pytest.mark.parametrize("start", ["", "x", "xy"])
def test_batches_of_streams_hold_the_user_in_base64(start: str) -> None:
    data = base64.b64encode(start.encode() + MINE.line()).decode()
    batch = json.dumps({"payload": json.dumps({"Records": [{"kinesis": {"data": data}}]})}).encode()
    assert ALICE.encode() not in batch
    assert mentions(batch, ALICE) and mentions(ALICE.encode(), ALICE)
    assert not mentions(batch, BOB)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """Draw a change of one of two users, in any collection, whose data may hold anything."""
    collection = draw(st.sampled_from(sorted(COLLECTIONS)))
    data = draw(st.one_of(st.none(), st.dictionaries(st.text(max_size=5), st.text(max_size=10), max_size=3)))
    owner = draw(st.sampled_from([ALICE, BOB])) if COLLECTIONS[collection].owned else None
    drawn_change = change(
        draw(st.sampled_from(["a", "b"])),
        collection=collection,
        owner=owner,
        data=None if data is None else json.dumps(data),
    )
    return drawn_change._replace(actor=owner or draw(st.sampled_from([ALICE, BOB])))


@settings(max_examples=100, deadline=None)
@given(st.lists(changes(), max_size=6), st.booleans())
def test_no_line_names_the_user_afterwards_and_the_others_are_the_same_changes(
    written: list[Change], packed: bool
) -> None:
    text = b"".join(each.line() for each in written)
    content = redact_lines(gzip.compress(text) if packed else text, ALICE).content or b""
    left = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert ALICE.encode() not in left
    expected = [
        each._replace(actor=PSEUDONYM if each.actor == ALICE else each.actor) for each in written if each.owner != ALICE
    ]
    assert [parse_line(line, COLLECTIONS) for line in left.splitlines()] == expected
