"""Test the command `import`: what it accepts, what it refuses, and what it puts into the write log."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from ops import queue_room
from ops.cli import import_, import_rows
from ops.cli.collection_stores import Declared, LiveFunction
from ops.cli.import_rows import Columns, Format, RowReader, change_of_row
from ops.cli.target import RegionalStack, Target
from ops.jobs import Job
from ops.walk import LogObject, TimeRange
from readplane.config import DAY_MS
from readplane.model.change import Change, parse_line
from readplane.model.collection import Collection
from readplane.model.schema import SchemaValidator
from readplane.model.version import time_ms
from tests.unit.ops.cli.support import Run, kill_job_at, objects
from tests.unit.support import ALICE, BOB

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "price": {"type": "number"},
        "stock": {"type": ["integer", "null"]},
        "sold": {"type": "boolean"},
        "tags": {"type": "array"},
    },
    "required": ["name"],
    "additionalProperties": False,
}
COLLECTIONS = {
    "goods": Declared("public", retired=False),
    "products": Declared("public", retired=False),
    "profiles": Declared("owner", retired=False),
    "old": Declared("public", retired=True),
}


class Importer:
    """Runs `import` on a test stack."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.folder = folder

    def write(self, content: str | bytes, name: str = "rows.jsonl") -> Path:
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def __call__(
        self, content: str | bytes, *words: str, name: str = "rows.jsonl", collection: str = "goods"
    ) -> Result:
        return self.run("import", str(self.write(content, name)), "--collection", collection, *words)


@pytest.fixture
def importer(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Importer:
    make: Any = boto3.client
    schemas = json.dumps({"goods": SCHEMA}).encode()
    version = make("s3").put_object(Bucket="log", Key="config/schemas.json", Body=schemas)["VersionId"]

    def live_function(target: Target, stack: RegionalStack, function: str) -> LiveFunction:
        config = {"bucket": "log", "key": "config/schemas.json", "version_id": version}
        return LiveFunction({"schemas": config, "horizon_days": 30}, 0, 60)

    monkeypatch.setattr(import_, "live_function", live_function)
    monkeypatch.setattr(import_, "declared_collections", lambda target: COLLECTIONS)
    return Importer(run, tmp_path)


def sent() -> list[Change]:
    """Return the changes that the command has put into the write log, in order."""
    make: Any = boto3.client
    collections = {name: Collection(name, declared.read) for name, declared in COLLECTIONS.items()}
    bodies = [make("s3").get_object(Bucket="log", Key=key)["Body"].read() for key in sorted(objects("log/import/"))]
    return [parse_line(line, collections) for body in bodies for line in gzip.decompress(body).splitlines()]


def problems_of(folder: Path, content: str | bytes, form: Format = "jsonl", item_id: str | None = None) -> list[str]:
    """Return the problems of a file's rows."""
    file = folder / "rows"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    columns = Columns(item_id, None, keep=False)
    validator, properties = SchemaValidator(SCHEMA), import_rows.properties_of(SCHEMA)
    reader = RowReader(file, form, columns, collection="goods", owned=False, validator=validator, properties=properties)
    return reader.check(lambda _: None)[1]


def item(number: int, **data: Any) -> str:
    return json.dumps({"id": f"p-{number}", "data": {"name": f"n{number}", **data}})


def test_rows_become_changes_of_one_time_in_the_write_log(importer: Importer) -> None:
    result = importer("\n".join(item(number) for number in range(3)) + "\n\n", "--yes")
    assert result.exit_code == 0, result.output
    changes = sent()
    assert [change.item_id for change in changes] == ["p-0", "p-1", "p-2"]
    assert [json.loads(change.data or "") for change in changes] == [{"name": f"n{number}"} for number in range(3)]
    assert len({change.accepted_at for change in changes}) == 1
    assert len({time_ms(change.version) for change in changes}) == 1
    assert {(change.actor, change.source, change.owner) for change in changes} == {("operator", "api", None)}
    assert "readplane verify --collection goods" in result.output
    (key,) = objects("log/import/")
    erased_later = LogObject(key, 1, time_ms(changes[0].version) + DAY_MS)
    assert erased_later.may_hold(TimeRange(time_ms(changes[0].version), time_ms(changes[0].version) + 1))
    assert not erased_later.may_hold(TimeRange(0, time_ms(changes[0].version)))


def test_nothing_is_sent_without_yes(importer: Importer) -> None:
    result = importer(item(1))
    assert result.exit_code == 0
    assert "1 rows are fine. Nothing was sent." in result.output
    assert objects("log/") == []
    assert json.loads(importer(item(1), "--json").output)["counts"] == {"rows": 1, "sent": 0}


def test_digits_of_numbers_stay_as_they_are(importer: Importer) -> None:
    text = '{"id": "p-1", "data": {"name": "\\ufffd \\u00e4", "price": 1.10000000000000000000001}}'
    assert importer(text, "--yes").exit_code == 0
    assert sent()[0].data == '{"name":"\\ufffd ä","price":1.10000000000000000000001}'


def test_an_item_as_the_api_returns_it_can_be_imported_again(importer: Importer) -> None:
    text = json.dumps({"id": "p", "collection": "goods", "version": "v", "as_of": "t", "data": {"name": "n"}})
    assert importer(text, "--yes").exit_code == 0
    assert sent()[0].data == '{"name":"n"}'


def test_a_csv_file_gets_the_types_of_the_schema(importer: Importer) -> None:
    text = '\ufeffsku,name,price,stock,sold,tags\r\na-1,"red, ""big""\nshoe",1.50,7,true,"[1,2]"\r\n007,7,,,false,\r\n'
    result = importer(text, "--id-field", "sku", "--yes", name="rows.csv")
    assert result.exit_code == 0, result.output
    assert [(change.item_id, change.data) for change in sent()] == [
        ("a-1", '{"name":"red, \\"big\\"\\nshoe","price":1.50,"sold":true,"stock":7,"tags":[1,2]}'),
        ("007", '{"name":"7","sold":false}'),
    ]


def test_the_data_itself_can_hold_the_id_and_the_owner(importer: Importer) -> None:
    text = json.dumps({"n": 7, "sub": ALICE, "x": 1})
    words = ("--id-field", "n", "--owner-field", "sub")
    assert importer(text, *words, "--yes", collection="profiles").exit_code == 0
    assert importer(text, *words, "--keep-fields", "--yes", collection="profiles").exit_code == 0
    assert sorted((change.item_id, change.owner, change.data) for change in sent()) == [
        ("7", ALICE, json.dumps({"n": 7, "sub": ALICE, "x": 1}, separators=(",", ":"))),
        ("7", ALICE, '{"x":1}'),
    ]


def test_a_compressed_file_is_the_same_as_a_plain_one(importer: Importer) -> None:
    assert importer(gzip.compress(item(1).encode()), "--yes", name="rows.jsonl.gz").exit_code == 0
    assert [change.item_id for change in sent()] == ["p-1"]


BAD_ROWS = [
    ("[1]", "line 1: it isn't one JSON object"),
    ("nonsense", "line 1: it isn't one JSON object"),
    ('{"id": "p", "data": {"name": NaN}}', "line 1: it isn't one JSON object"),
    (b'{"id": "\xff"}', "line 1: it isn't UTF-8"),
    ('{"id": "p"}', "line 1: it needs the members id and data"),
    ('{"id": "p", "data": {"name": "n"}, "more": 1}', "line 1: it needs the members id and data"),
    ('{"id": "../p", "data": {"name": "n"}}', "line 1: the id must be 1-256 characters"),
    ('{"id": 7, "data": {"name": "n"}}', "line 1: the id must be 1-256 characters"),
    ('{"id": "p", "data": [1]}', "line 1: The data must be one JSON object."),
    ('{"id": "p", "data": {"name": 1}}', 'line 1: data/name: The schema says type: "string" here.'),
    ('{"id": "p", "data": {"name": "n", "x": 1}}', "The schema doesn't allow these names"),
    ('{"id": "p", "data": {"name": "a", "name": "b"}}', "line 1: a name occurs twice in one object"),
    ('{"id": "p", "collection": "goods", "collection": "goods", "data": {}}', "line 1: a name occurs twice"),
    ('{"id": "p", "owner": "o", "data": {"name": "n"}}', "line 1: only the items of owner collections have an owner"),
    ('{"id": "p", "collection": "x", "data": {"name": "n"}}', "line 1: it is an item of another collection"),
    (json.dumps({"id": "p", "data": {"name": "n" * 262_144}}), "line 1: The data is larger than 262144 bytes."),
    ('{"id": "p", "data": {"name": "' + "n" * 2_000_000 + '"}}', "line 1: it is longer than 1048576 bytes"),
    (f"{item(1)}\n{item(2)}\n{item(1, price=2)}", "line 3: the item is on line 1 already"),
    (gzip.compress(item(1).encode() * 1000)[:60], "the file can't be read"),
    (gzip.compress(item(1).encode())[:10] + b"\xff" * 60, "the file can't be read (error)"),
]


@pytest.mark.parametrize(("content", "problem"), BAD_ROWS, ids=[problem for _, problem in BAD_ROWS])
def test_a_bad_row_is_found(tmp_path: Path, content: str | bytes, problem: str) -> None:
    assert [problem in text for text in problems_of(tmp_path, content)] == [True]


def test_one_bad_row_stops_the_whole_file(importer: Importer) -> None:
    result = importer(f"{item(1)}\n[]\n", "--yes")
    assert (result.exit_code, "line 2: it isn't one JSON object" in str(result.exception)) == (1, True)
    assert "holds no row" in str(importer("\n", "--yes").exception)
    assert objects("log/") == objects("config/jobs/") == []


def test_all_problems_are_listed_up_to_a_limit(tmp_path: Path) -> None:
    lines = [item(number) if number % 2 else "x" for number in range(100)]
    assert problems_of(tmp_path, "\n".join(lines)) == [
        f"line {number}: it isn't one JSON object" for number in range(1, 40, 2)
    ]


BAD_CSV = [
    ("a,a\n1,2\n", "line 1: it must name each column, and no name twice"),
    ("a,\n1,2\n", "line 1: it must name each column, and no name twice"),
    ("name\nx\n", "line 1: there is no column sku"),
    ("sku,name\n1,2,3\n", "line 2: it has 3 cells, and line 1 has 2"),
    ("sku,name\n,b\n", "line 2: the field sku is missing"),
    ('sku,name\n1,"b\n', "after line 0: the file can't be read"),
    ("sku,name,tags\n1,b,c\n", "line 2: the cell tags isn't JSON, as the schema wants"),
    (b"sku,name\n" + b"".join(b"%d,b\n" % n for n in range(5000)) + b"\xff", "the text isn't UTF-8"),
    (b"\xff\n", "line 1: it isn't CSV in UTF-8"),
]


@pytest.mark.parametrize(("content", "problem"), BAD_CSV, ids=[problem for _, problem in BAD_CSV])
def test_a_bad_csv_file_is_refused(tmp_path: Path, content: str | bytes, problem: str) -> None:
    assert [problem in text for text in problems_of(tmp_path, content, "csv", "sku")] == [True]


BAD_OPTIONS = [
    ("missing", (), "There is no collection missing. Declared are: goods, old, products, profiles."),
    ("old", (), "old is retired"),
    ("products", (), "The source products feeds products"),
    ("goods", ("--format", "csv"), "A CSV file needs --id-field"),
    ("goods", ("--keep-fields",), "--owner-field and --keep-fields need --id-field"),
    ("goods", ("--id-field", "n", "--owner-field", "o"), "goods isn't an owner collection"),
    ("profiles", ("--id-field", "n"), "name the field of the owner with --owner-field"),
    ("profiles", (), "line 1: the collection is an owner collection"),
]


@pytest.mark.parametrize(("collection", "words", "problem"), BAD_OPTIONS)
def test_options_that_do_not_fit_are_refused(
    importer: Importer, collection: str, words: tuple[str, ...], problem: str
) -> None:
    result = importer(item(1), *words, "--yes", collection=collection)
    assert (result.exit_code, problem in str(result.exception)) == (1, True), result.exception
    assert objects("log/") == []


def test_a_wrong_clock_is_refused(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_, "MAX_CLOCK_SECONDS", -1.0)
    result = importer(item(1), "--yes")
    assert result.exit_code == 1
    assert "The clock of this machine differs" in str(result.exception)
    assert objects("log/") == []


def test_the_same_file_is_imported_once(importer: Importer) -> None:
    assert importer(item(1), "--yes").exit_code == 0
    result = importer(item(1), "--yes", name="another-name.jsonl")
    assert result.exit_code == 1
    assert "This job is done" in str(result.exception)
    assert len(sent()) == 1
    assert importer(item(1), "--yes", "--restart").exit_code == 0
    assert len({change.version for change in sent()}) == 2


@pytest.mark.parametrize("step", [1, 2, 5, 7])
def test_a_killed_import_goes_on_with_the_same_changes(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(import_, "OBJECT_BYTES", 400)  # two rows for each object
    text = "\n".join(item(number) for number in range(13))
    with monkeypatch.context() as patch:
        kill_job_at(step, patch)
        assert importer(text, "--yes").exit_code == 1
    before = {change.item_id: change.version for change in sent()}
    assert 0 < len(before) <= 13
    assert "has sent" in importer(text).output
    assert importer(text, "--yes").exit_code == 0
    after = {change.item_id: change.version for change in sent()}
    assert len(after) == len(sent()) == 13
    assert before.items() <= after.items()


def test_a_busy_queue_makes_the_import_wait(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = [20, 25, 19]
    waits: list[float] = []
    monkeypatch.setattr(queue_room, "count_messages", lambda sqs, url: counts.pop(0))
    monkeypatch.setattr(Job, "wait", lambda self, seconds: waits.append(seconds) if seconds > 0 else None)
    assert importer(item(1), "--yes").exit_code == 0
    assert (counts, waits) == ([], [queue_room.POLL_SECONDS] * 2)


def reader_of(file: Path) -> RowReader:
    columns = Columns(None, None, keep=False)
    return RowReader(
        file, "jsonl", columns, collection="goods", owned=False, validator=SchemaValidator({}), properties={}
    )


def test_a_large_file_is_read_as_a_stream(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f'{{"id":"p-{number}","data":{{"x":"{"y" * 1000}"}}}}\n' for number in range(5_000)))
    tracemalloc.start()
    reader = reader_of(file)
    changes = (change_of_row(row, "goods", 1) for row in reader.rows())
    assert sum(len(lines) for lines in import_rows.batches(changes, 100_000)) == 5_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000  # the file has 5 MB


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.dictionaries(
            st.text(min_size=1, max_size=5).filter(lambda name: name != "id"),
            st.one_of(
                st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
            ),
            max_size=4,
        ),
        max_size=10,
    )
)
def test_data_comes_out_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("".join(json.dumps({"id": f"p-{n}", "data": row}) + "\n" for n, row in enumerate(rows)), "utf-8")
    reader = reader_of(file)
    seen: list[int] = []
    assert reader.check(seen.append) == (len(rows), [])
    assert seen == [*range(1, len(rows) + 1)]
    collections = {"goods": Collection("goods", "public")}
    changes = [parse_line(change_of_row(row, "goods", 1).line(), collections) for row in reader.rows()]
    assert [json.loads(change.data or "") for change in changes] == rows


def test_the_version_of_a_row_depends_on_the_job_the_item_and_its_data() -> None:
    row = import_rows.Row(1, "p", None, "{}")
    version = change_of_row(row, "goods", 5).version
    assert change_of_row(row._replace(line=9), "goods", 5).version == version
    others = [
        change_of_row(row, "goods", 6),
        change_of_row(row, "others", 5),
        change_of_row(row._replace(item_id="q"), "goods", 5),
        change_of_row(row._replace(owner=BOB), "goods", 5),
        change_of_row(row._replace(data='{"n":1}'), "goods", 5),
    ]
    assert version not in {change.version for change in others}
