"""Schemas that grow with their records, and the other three words of a schema contract."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from ruamel.yaml import YAML

from tap_analytics.singer.contract import SchemaContract
from tap_analytics.singer.decoding import RecordError
from tap_analytics.singer.evolution import learned, with_learned
from tap_analytics.singer.inference import infer
from tap_analytics.singer.output import encoder as json_encoder
from tap_analytics.singer.records import RecordEncoder, SchemaChange
from tap_analytics.singer.schema import kinds
from tests.singer import FORMATS, Run, run_tap
from tests.test_resources import put, resource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox import Sandbox

EVOLVE = SchemaContract("evolve", "evolve")

ROOT = Path(__file__).parents[1]

Words = dict[str, Any]


def an_encoder(
    sample: Iterable[Words], contract: SchemaContract = EVOLVE, without: Iterable[tuple[str, ...]] = ()
) -> tuple[RecordEncoder, list[str]]:
    """Return an encoder whose schema is inferred from a sample, and the list of its warnings."""
    warnings: list[str] = []
    gone = {*without}
    encoder = RecordEncoder(
        infer(sample, keys=["id"], evolves=contract.columns == "evolve"),
        selected=lambda path: all(path[:end] not in gone for end in range(1, len(path) + 1)),
        keys=["id"],
        cursor=None,
        warn=warnings.append,
        contract=contract,
    )
    return encoder, warnings


def raw(*records: Words) -> list[Raw]:
    return [Raw(json_encoder.encode(record)) for record in records]


def left(encoder: RecordEncoder, *records: Words) -> tuple[list[Words], list[Words]]:
    """Return the records as they leave, and the schemas that come before them."""
    out: list[Words] = []
    schemas: list[Words] = []
    for step in encoder.process(raw(*records)):
        if isinstance(step, SchemaChange):
            schemas.append(step.schema)
        else:
            out += [json.loads(bytes(record), parse_float=Decimal) for record in step]
    return out, schemas


# What evolves

NULLABLE: dict[str, Words] = {kind: {"type": [kind, "null"]} for kind in ("string", "integer", "number", "boolean")}
OBJECT = {"type": ["object", "null"], "additionalProperties": True}


@pytest.mark.parametrize(
    ("sample", "later", "definition", "written"),
    [
        ({}, 1, NULLABLE["integer"], 1),
        ({}, [True, 1], {"type": ["array", "null"]}, [True, 1]),
        ({}, {"a": {"b": 1}}, OBJECT | {"properties": {"a": OBJECT | {"properties": {"b": NULLABLE["integer"]}}}}, ...),
        ({"f": 1}, Decimal("10.5"), NULLABLE["number"], ...),
        ({"f": 1}, 2**63, NULLABLE["number"], ...),
        ({"f": 1}, "ten", NULLABLE["string"], ...),
        ({"f": 1}, True, NULLABLE["string"], "true"),
        ({"f": True}, 1, NULLABLE["string"], "1"),
        ({"f": Decimal("0.5")}, "half", NULLABLE["string"], ...),
        ({"f": None}, 1, NULLABLE["integer"], ...),
        ({"f": None}, "2026-01-31", NULLABLE["string"] | {"format": "date"}, ...),
        ({"f": None}, {}, {"type": ["object", "null"]}, ...),
        ({"f": "2026-01-31"}, "soon", NULLABLE["string"], ...),
        ({"f": "2026-01-31"}, "2026-01-31T10:00:00Z", NULLABLE["string"], ...),
        (
            {"f": {"a": 1}},
            {"b": "x"},
            OBJECT | {"properties": {"a": NULLABLE["integer"], "b": NULLABLE["string"]}},
            ...,
        ),
        ({"f": {"a": 1}}, {"a": Decimal("1.5")}, OBJECT | {"properties": {"a": NULLABLE["number"]}}, ...),
        ({"f": {"a": 1}}, "x", {"type": ["object", "string", "null"]}, ...),
        ({"f": {"a": 1}}, [{"a": 1}], {"type": ["object", "array", "null"]}, ...),
        ({"f": ["a"]}, {"a": 1}, {"type": ["object", "array", "null"]}, ...),
    ],
    ids=str,
)
def test_the_schema_grows_before_the_record(sample: Words, later: object, definition: Words, written: object) -> None:
    encoder, warnings = an_encoder([{"id": 1} | sample])
    records, schemas = left(encoder, {"id": 2}, {"id": 3, "f": later})
    assert [schema["properties"]["f"] for schema in schemas] == [definition]
    expected = later if written is ... else written
    assert records[1] == {"id": 3, "f": json.loads(json_encoder.encode(expected), parse_float=Decimal)}
    assert [line for line in warnings if "converted" not in line] == []
    assert left(encoder, {"id": 4, "f": later})[1] == [], "it is known by now"


@pytest.mark.parametrize(
    ("sample", "later", "written"),
    [
        ({"f": 1}, "5", 5),
        ({"f": 1}, Decimal("2.0"), 2),
        ({"f": "a"}, 5, "5"),
        ({"f": "a"}, {"b": 1}, '{"b":1}'),
        ({"f": True}, "true", True),
        ({"f": 1}, "", None),
        ({"f": "2026-01-31T10:00:00Z"}, " ", None),
        ({"f": "2026-01-31T10:00:00Z"}, "0000-00-00 00:00:00", None),
        ({"f": ["a"]}, [1], ["1"]),
        ({"f": {"a": 1}}, [], []),
        ({"f": 1}, None, None),
        ({}, None, None),
        ({"f": None}, None, None),
    ],
    ids=str,
)
def test_the_schema_stays_where_nothing_is_lost(sample: Words, later: object, written: object) -> None:
    encoder, _ = an_encoder([{"id": 1} | sample, {"id": 1, "f": []}] if later == [] else [{"id": 1} | sample])
    records, schemas = left(encoder, {"id": 2, "f": later})
    assert schemas == []
    assert records == [{"id": 2, "f": written}]


@pytest.mark.parametrize("contract", [EVOLVE, SchemaContract("evolve", "discard_value")], ids=str)
def test_a_field_of_which_only_null_is_known_is_in_no_schema_message(contract: SchemaContract) -> None:
    encoder, _ = an_encoder([{"id": 1, "f": None}], contract)
    assert encoder.loadable_schema["properties"].keys() == {"id"}
    assert left(encoder, {"id": 1, "f": None, "g": None}) == ([{"id": 1, "f": None, "g": None}], [])
    records, schemas = left(encoder, {"id": 1, "f": None, "g": 1})
    assert records == [{"id": 1, "f": None, "g": 1}]
    assert [schema["properties"].keys() for schema in schemas] == [{"id", "g"}]


def test_an_empty_sample_finds_its_schema_in_the_first_records() -> None:
    encoder, _ = an_encoder([])
    records, schemas = left(encoder, {"id": 1, "a": "x"}, {"id": 2, "a": None})
    assert records == [{"id": 1, "a": "x"}, {"id": 2, "a": None}]
    assert [schema["properties"] for schema in schemas] == [{"id": {"type": "integer"}, "a": NULLABLE["string"]}]
    assert encoder.slow_reason is None


def test_a_key_widens_and_is_never_null() -> None:
    encoder, _ = an_encoder([{"id": 1}])
    _, schemas = left(encoder, {"id": "a"})
    assert [schema["properties"]["id"] for schema in schemas] == [{"type": "string"}]


def test_what_is_excluded_never_comes_in() -> None:
    without = [("secret",), ("of", "secret")]
    encoder, warnings = an_encoder([{"id": 1, "of": {"a": 1}, "secret": 1}], without=without)
    records, schemas = left(encoder, {"id": 2, "of": {"a": 1, "secret": 2, "new": 3}, "secret": {"new": 1}})
    assert records == [{"id": 2, "of": {"a": 1, "new": 3}}]
    assert [schema["properties"]["of"]["properties"].keys() for schema in schemas] == [{"a", "new"}]
    assert "secret" not in schemas[0]["properties"]
    assert warnings == []


def test_columns_and_types_evolve_apart() -> None:
    encoder, warnings = an_encoder([{"id": 1, "a": 1}], SchemaContract("evolve", "discard_value"))
    records, schemas = left(encoder, {"id": 1, "a": "x", "b": 1})
    assert records == [{"id": 1, "a": None, "b": 1}]
    assert [schema["properties"].keys() for schema in schemas] == [{"id", "a", "b"}]
    encoder, warnings = an_encoder([{"id": 1, "a": 1}], SchemaContract("discard_value", "evolve"))
    records, schemas = left(encoder, {"id": 1, "a": "x", "b": 1})
    assert records == [{"id": 1, "a": "x"}]
    assert len(warnings) == 1
    assert "left out" in warnings[0]


# What does not

CONTRACTS = {
    word: {"columns": SchemaContract(word, "discard_value"), "data_type": SchemaContract("discard_value", word)}
    for word in ("freeze", "discard_row", "discard_value")
}
MISFITS: list[tuple[str, Words, Words]] = [
    ("columns", {"id": 2, "new": 1}, {"id": 2}),
    ("columns", {"id": 2, "of": {"a": 1, "new": 1}}, {"id": 2, "of": {"a": 1, "new": 1}}),
    ("data_type", {"id": 2, "n": "x"}, {"id": 2, "n": None}),
    ("data_type", {"id": 2, "of": {"a": "x"}}, {"id": 2, "of": {"a": None}}),
]


@pytest.mark.parametrize(("subject", "record", "emptied"), MISFITS, ids=str)
@pytest.mark.parametrize("word", CONTRACTS)
def test_a_contract_is_kept(word: str, subject: str, record: Words, emptied: Words) -> None:
    encoder, warnings = an_encoder([{"id": 1, "n": 1, "of": {"a": 1}}], CONTRACTS[word][subject])
    chunk = [{"id": 1, "n": 1}, record, {"id": 3, "n": "3"}, record]
    rest = [{"id": 1, "n": 1}, {"id": 3, "n": 3}]
    if word == "freeze":
        with pytest.raises(RecordError, match="schema_contract freezes") as failure:
            left(encoder, *chunk)
        assert failure.value.index == 1
        return
    records, schemas = left(encoder, *chunk)
    assert schemas == []
    if word == "discard_row":
        assert records == rest
        assert encoder.decoder.discarded == 2
        assert len([line for line in warnings if "is dropped" in line]) == 1
    else:
        assert records == [rest[0], emptied, rest[1], emptied]
        assert encoder.decoder.discarded == 0


# What a state keeps


def test_a_state_keeps_what_was_learned() -> None:
    sample = [{"id": 1, "n": 1, "of": {"a": 1}, "same": 1, "null": None}]
    encoder, _ = an_encoder(sample)
    base = encoder.schema
    record = {"id": 2, "n": Decimal("1.5"), "of": {"a": "x", "b": {"c": 1}}, "new": 1, "null": "2026-01-31"}
    _, (change,) = left(encoder, record)
    kept = json.loads(json.dumps(learned(base, encoder.schema)))
    assert kept.keys() == {"n", "of", "new", "null"}
    again = with_learned(base, kept)
    assert again["properties"] == encoder.schema["properties"]
    assert again["properties"] == {**base["properties"], **change["properties"]}
    assert with_learned(encoder.schema, kept)["properties"] == encoder.schema["properties"], "discovered anew"


@pytest.mark.parametrize("state", [None, [], 7, {"n": 7}, {"n": {"type": "nonsense"}}, {"x": {}}, {"x": {"type": 1}}])
def test_a_state_that_cannot_be_meant_changes_nothing(state: object) -> None:
    base = infer([{"id": 1, "n": 1}], keys=["id"])
    assert with_learned(base, state) == base


# Any records

NAMES = st.sampled_from(["a", "b", "c", 'q"', "id "])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**63, 10**30, Decimal("1.50"), Decimal("1e400"), Decimal("2.0")]),
    st.sampled_from(["", "x", "5", "2026-01-31", "2026-01-31T10:00:00+02:00", "2026-01-31T10:00:00Z", "2026-02-30"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=5
)
RECORDS = st.lists(
    st.builds(lambda key, rest: rest | {"id": key}, st.integers(0, 9) | st.text("ab"), st.dictionaries(NAMES, VALUES)),
    max_size=5,
)
PATHS = st.sets(st.lists(NAMES, min_size=1, max_size=2).map(tuple), max_size=2)
CONTRACT = st.builds(SchemaContract, *[st.sampled_from(["evolve", "freeze", "discard_value", "discard_row"])] * 2)


def steps(encoder: RecordEncoder, chunks: list[list[Words]], *, decoded: bool) -> list[object]:
    """Return all schemas and records in order, and why they end where they do."""
    outcome: list[object] = []
    try:
        for chunk in chunks:
            process = encoder.process_decoded if decoded else encoder.process
            for step in process(raw(*chunk)):
                if isinstance(step, SchemaChange):
                    outcome.append(step)
                else:
                    outcome += [json_encoder.encode(step)] if isinstance(step, dict) else map(bytes, step)
    except RecordError as error:
        outcome.append((str(error), error.index))
    return [json.loads(one, parse_float=Decimal) if isinstance(one, bytes) else one for one in outcome]


@settings(max_examples=300, deadline=None)
@given(sample=RECORDS, chunks=st.lists(RECORDS, max_size=3), contract=CONTRACT, without=PATHS)
def test_both_roads_say_the_same_and_every_record_is_valid(
    sample: list[Words], chunks: list[list[Words]], contract: SchemaContract, without: set[tuple[str, ...]]
) -> None:
    fast, fast_warnings = an_encoder(sample, contract, without)
    slow, slow_warnings = an_encoder(sample, contract, without)
    schema = fast.loadable_schema
    messages = steps(fast, chunks, decoded=False)
    said = steps(slow, chunks, decoded=True)
    if any(isinstance(message, tuple) for message in messages):
        # A chunk that is refused leaves nothing behind but the records before the bad one.
        assert said[-1] == messages[-1]
    assert said == messages
    assert sorted({*fast_warnings}) == sorted({*slow_warnings}) or contract.columns == "discard_value"
    for message in messages:
        if isinstance(message, SchemaChange):
            schema = message.schema
            jsonschema.Draft7Validator.check_schema(schema)
        elif isinstance(message, dict):
            jsonschema.Draft7Validator(schema, format_checker=FORMATS).validate(message)
            assert not any(path[0] in message for path in without if len(path) == 1)
    assert fast.decoder.discarded == slow.decoder.discarded


@settings(max_examples=150, deadline=None)
@given(sample=RECORDS, chunks=st.lists(RECORDS, max_size=3))
def test_nothing_is_lost_where_everything_evolves(sample: list[Words], chunks: list[list[Words]]) -> None:
    encoder, _ = an_encoder(sample)
    base = encoder.schema
    records = [message for message in steps(encoder, chunks, decoded=False) if isinstance(message, dict)]
    for sent, came in zip([record for chunk in chunks for record in chunk], records, strict=True):
        kept = {name for name, value in sent.items() if value not in (None, "", "0000-00-00")}
        assert kept <= {name for name, value in came.items() if value is not None}
    again = RecordEncoder(
        with_learned(base, json.loads(json.dumps(learned(base, encoder.schema)))),
        selected=lambda _: True,
        keys=["id"],
        cursor=None,
        warn=print,
        contract=EVOLVE,
    )
    assert not [one for one in steps(again, chunks, decoded=False) if isinstance(one, SchemaChange)]


# The whole road

FIRST: list[Words] = [
    {"id": number, "n": 1, "late": None, "last": "x", "of": {"a": 1, "secret": 1}, "secret": 1} for number in range(10)
]
LATER: list[Words] = [
    {"id": 10, "n": 1.5, "late": "2026-01-31", "last": "y", "of": {"a": 1, "secret": {"b": 1}}, "secret": {"b": 1}},
    {"id": 11, "of": {"a": 2, "new": 1}, "fresh": [1, "x"]},
]
WITHOUT = [("properties", "secret"), ("properties", "of", "properties", "secret")]


@pytest.fixture
def grown(sandbox: Sandbox, config: Words) -> tuple[Words, Words]:
    """Return settings and a catalog of a resource whose records have grown since the catalog was made."""
    return grow(sandbox, config)


def grow(sandbox: Sandbox, config: Words, *, columns: Words | None = None) -> tuple[Words, Words]:
    """Have the records of a resource grow after discovery, and return settings and catalog."""
    settings = config | {"resources": [resource(columns=columns or {})]}
    put(sandbox, *FIRST)
    catalog = json.loads(run_tap(settings, args=["--discover"]).stdout)
    for entry in catalog["streams"][0]["metadata"]:
        entry["metadata"]["selected"] = tuple(entry["breadcrumb"]) not in WITHOUT
    put(sandbox, *FIRST, *LATER)
    return settings, catalog


def json_types(definition: Words) -> list[str]:
    return [kind for kind in kinds(definition) if kind != "null"]


def schemas_of(run: Run) -> list[Words]:
    assert run.returncode == 0, run.stderr
    return [message["schema"]["properties"] for message in run.messages if message["type"] == "SCHEMA"]


def test_the_state_carries_what_was_learned_to_the_next_run(sandbox: Sandbox, grown: tuple[Words, Words]) -> None:
    settings, catalog = grown
    first = run_tap(settings, catalog=catalog)
    before, after = schemas_of(first)
    assert [*before] == ["id", "n", "last", "of"]
    assert [*after] == [*before, "late", "fresh"], "a new column comes last"
    assert [json_types(after[name]) for name in after] == [
        ["integer"],
        ["number"],
        ["string"],
        ["object"],
        ["string"],
        ["array"],
    ]
    assert first.records["things"][10:] == [
        {"id": 10, "n": Decimal("1.5"), "late": "2026-01-31", "last": "y", "of": {"a": 1}},
        {"id": 11, "of": {"a": 2, "new": 1}, "fresh": [1, "x"]},
    ], "what the catalog excludes never comes in"
    put(sandbox, *FIRST)
    again = run_tap(settings, catalog=catalog, state=first.state)
    assert schemas_of(again) == [after], "the next run begins with it"
    assert schemas_of(run_tap(settings, catalog=catalog, state=again.state)) == [after], "and does not alternate"


def test_a_new_field_is_selected_as_its_object_is(grown: tuple[Words, Words]) -> None:
    settings, catalog = grown
    for entry in catalog["streams"][0]["metadata"]:
        entry["metadata"]["selected"] &= entry["breadcrumb"] != ["properties", "of"]
    run = run_tap(settings, catalog=catalog)
    assert [*schemas_of(run)[-1]] == ["id", "n", "last", "late", "fresh"]
    assert not any("of" in record for record in run.records["things"])


def test_a_batch_file_holds_records_of_one_schema(grown: tuple[Words, Words], tmp_path: Path) -> None:
    settings, catalog = grown
    batches = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": {"root": tmp_path.as_uri()}}
    run = run_tap(settings | {"batch_config": batches}, catalog=catalog)
    assert len(schemas_of(run)) == 2
    messages = [message for message in run.messages if message["type"] in {"SCHEMA", "BATCH"}]
    assert [message["type"] for message in messages] == ["SCHEMA", "BATCH"] * 2
    files = [Path(urlsplit(message["manifest"][0]).path) for message in messages[1::2]]
    assert [len(gzip.decompress(file.read_bytes()).splitlines()) for file in files] == [10, 2]


# Through loaders


def load(command: Path, run: Run, directory: Path, **settings: object) -> str:
    """Have a loader take what a run has written; return the last line of its log where it fails."""
    config = directory / "loader.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    done = subprocess.run(
        [command, "--config", config], input=run.stdout, text=True, cwd=directory, capture_output=True, check=False
    )
    return done.stderr.splitlines()[-1] if done.returncode else ""


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows of a file, by the names of its columns."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


TARGET_CSV = Path(sys.executable).parent / "target-csv"
DATE = {"late": {"data_type": "date"}}


def test_files_of_csv_keep_all_rows(sandbox: Sandbox, config: Words, tmp_path: Path) -> None:
    settings, catalog = grow(sandbox, config, columns=DATE)
    assert load(TARGET_CSV, run_tap(settings, catalog=catalog), tmp_path) == ""
    rows = rows_of(tmp_path / "things.csv")
    assert [(row["id"], row["n"], row["last"]) for row in rows[8:]] == [
        ("8", "1", "x"),
        ("9", "1", "x"),
        ("10", "1.5", "y"),
        ("11", "", ""),
    ], "rows of the narrower schema are shorter, and in their columns"
    assert [(row["late"], row["fresh"]) for row in rows[9:]] == [("", None), ("2026-01-31", ""), ("", "[1, 'x']")]


def test_csv_needs_a_file_for_each_schema_where_rows_are_written_in_between(
    sandbox: Sandbox, config: Words, tmp_path: Path
) -> None:
    settings, catalog = grow(sandbox, config, columns=DATE)
    run = run_tap(settings, catalog=catalog)
    # As every five minutes, and with target-csv's own name for the file.
    assert load(TARGET_CSV, run, tmp_path, batch_size_rows=1) == ""
    assert [row["id"] for row in rows_of(tmp_path / "things.csv")] == ["10", "11"], "target-csv begins the file anew"
    loaders = YAML(typ="safe").load(ROOT / "meltano.yml")["plugins"]["loaders"]
    shipped = next(loader["settings"] for loader in loaders if loader["name"] == "target-csv")
    named = {one["name"]: one["value"] for one in shipped if one["name"] in {"file_naming_scheme", "timestamp_format"}}
    page = (ROOT / "docs" / "loading.md").read_text(encoding="utf-8")
    assert all(f'{name}: "{value}"' in page for name, value in named.items())
    assert load(TARGET_CSV, run, tmp_path, batch_size_rows=1, **named) == ""
    files = sorted(tmp_path.glob("things-*.csv"))
    assert [[row["id"] for row in rows_of(file)] for file in files] == [[str(n) for n in range(10)], ["10", "11"]]


def test_csv_ends_at_a_field_that_has_only_been_null(grown: tuple[Words, Words], tmp_path: Path) -> None:
    settings, catalog = grown
    # Why docs/loading.md has it declared or deselected.
    said = load(TARGET_CSV, run_tap(settings, catalog=catalog), tmp_path)
    assert "dict contains fields not in fieldnames: 'late'" in said


def test_lines_of_json_keep_all_records(grown: tuple[Words, Words], tmp_path: Path) -> None:
    command = ROOT / ".cache" / "target-jsonl" / "bin" / "target-jsonl"
    if not (command.parents[1] / ".installed").exists():
        pytest.skip("target-jsonl is not installed: make .cache/target-jsonl/.tried")
    settings, catalog = grown
    run = run_tap(settings, catalog=catalog)
    assert load(command, run, tmp_path, do_timestamp_file=False) == ""
    lines = (tmp_path / "things.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line, parse_float=Decimal) for line in lines] == run.records["things"]
