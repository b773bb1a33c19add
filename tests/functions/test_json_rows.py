"""Rows that a statement takes as one parameter arrive exactly, in requests that the Data API takes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from legacy_world import BASE, EXAMPLES, STREAM, record

from functions.aws import json_rows
from functions.aws.data_api import cell_text
from functions.bridge.statements import Statements
from functions.copy.queue import ChangeQueue
from functions.domain import changes, names

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.none() | st.text(CHARACTERS, max_size=12) | st.sampled_from(["null", "[]", "", "\x00", "\x7f\\\"'/", "𒀀🍕"])
LONG = st.text(alphabet=st.sampled_from('a\x00"\\é𒀀'), max_size=50).map(lambda text: text * 4000)


def as_number(cell) -> int | None:
    return None if cell.get("isNull") else int(cell_text(cell))


@pytest.mark.sweep
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=8))
@EXAMPLES
def test_every_text_and_null_arrives_as_it_is(data_api, rows):
    cells = ", ".join(f"HEX({json_rows.binary(name)})" for name in ("one", "other"))
    found = data_api().query(f"SELECT {cells} FROM {json_rows.source(['one', 'other'])}", json_rows.parameter(rows))
    arrived = [
        [None if cell.get("isNull") else bytes.fromhex(cell_text(cell)).decode() for cell in row] for row in found
    ]
    assert arrived == [list(row) for row in rows]


@pytest.mark.sweep
@given(numbers=st.lists(st.none() | st.integers(-(10**64), 10**64), max_size=5))
@EXAMPLES
def test_whole_numbers_of_any_size_arrive(data_api, numbers):
    rows = [[None if number is None else str(number)] for number in numbers]
    sql = f"SELECT CAST({json_rows.whole_number('n')} AS CHAR) FROM {json_rows.source(['n'])}"
    assert [as_number(row[0]) for row in data_api().query(sql, json_rows.parameter(rows))] == numbers


@given(values=st.lists(LONG | st.just("") | st.none(), max_size=30))
def test_every_request_is_under_the_limit_and_no_row_is_left_out(values):
    rows = [[value, None, "1"] for value in values]
    runs = list(json_rows.runs(rows))
    assert [index for run in runs for index in run] == list(range(len(rows)))
    for run in runs:
        assert len(json.dumps(json_rows.parameter([rows[index] for index in run]))) < 4 * 2**20


def test_a_statement_takes_a_bounded_number_of_rows():
    assert [len(run) for run in json_rows.runs([["a"]] * (2 * json_rows.MOST_ROWS + 1))] == [5000, 5000, 1]


@pytest.mark.parametrize("kind", ["integer", "string"])
def test_a_statement_finds_its_rows_by_the_primary_key_alone(make_legacy, kind):
    """In a table of three rows a scan would look cheaper; it would lock what legacy's writers need."""
    legacy = make_legacy("chefs", key_type=kind)
    found = changes.from_stream(legacy.entity, [record(f"k{number}", BASE + number) for number in range(3)])
    legacy.applier().apply(found)
    sql = Statements(legacy.entity, STREAM)
    rows = [row for statement, values in sql.lookups(["k0", "k1"]) for row in legacy.database.query(statement, values)]
    present = dict(sql.looked_up(row) for row in rows)
    assert set(present) == {"k0", "k1"}
    place = present["k0"]
    taking = sql.taking([sql.cells(found[0], place.primary_key)])
    for statement in (sql.update(place.collation), sql.delete(place.collation)):
        plan = explained(legacy, statement, taking)
        assert plan[legacy.entity.legacy.table] == ("eq_ref", "PRIMARY"), statement


def explained(legacy, statement: str, values) -> dict[str, tuple[str, str]]:
    """How each table of a statement is read, and by which index."""
    server = cell_text(legacy.server.query("SELECT VERSION()")[0][0])
    form = "" if "MariaDB" in server else "FORMAT=TRADITIONAL "
    rows = legacy.database.query(f"EXPLAIN {form}{statement}", values)
    shift = 0 if "MariaDB" in server else 1  # MySQL has a column for partitions
    texts = [[None if cell.get("isNull") else cell_text(cell) for cell in row] for row in rows]
    return {row[2]: (row[3 + shift], row[5 + shift]) for row in texts}


def test_the_queue_removes_by_the_primary_key_alone(make_legacy):
    legacy = make_legacy("chefs")
    keys = ", ".join(f"('chefs', 1, 'k{n}', '2026-01-01 00:00:00.5')" for n in range(3))
    table = names.CHANGES_TABLE
    legacy.database.execute(f"INSERT INTO {table} (entity, lane, item_key, enqueued_at) VALUES {keys}")
    seen: list[tuple[str, object]] = []

    class Watched:
        query = legacy.database.query

        @staticmethod
        def execute(sql, values):
            seen.append((sql, values))
            return legacy.database.execute(sql, values)

    queue = ChangeQueue(Watched(), legacy.entity)  # type: ignore[arg-type]
    taken = queue.take(1, 2)
    queue.remove([taken[0], replace(taken[1], at="2026-01-01 00:00:00.6")])
    assert [row.key for row in queue.take(1, 9)] == ["k1", "k2"]
    assert explained(legacy, *seen[0])[table] == ("eq_ref", "PRIMARY")


@pytest.mark.parametrize(
    "charset", ["latin1", "ascii", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf32", "cp1251", "gbk"]
)
def test_a_natural_key_of_any_character_set_finds_its_row(make_legacy, charset):
    legacy = make_legacy("chefs", key_type="string")
    table = f"`{legacy.entity.legacy.database}`.cheftable"
    legacy.server.execute(f"ALTER TABLE {table} MODIFY id VARCHAR(60) CHARACTER SET {charset} NOT NULL")
    legacy.apply(*(record(key, BASE + number, firstName="first") for number, key in enumerate(["a b", "-", "'`"])))
    legacy.apply(record("a b", BASE + 5, "MODIFY", firstName="second"), record("-", BASE + 6, "REMOVE"))
    assert {key: fields["firstName"] for key, fields in legacy.everything().items()} == {"a b": "second", "'`": "first"}
    assert legacy.store.missing(["a b", "-"]) == ["-"]
    assert not legacy.quarantined.changes


@pytest.mark.parametrize("key", ["bytes", "item_key", "found", "pk", "sequence", "wanted"])
def test_a_table_whose_key_is_named_like_one_of_our_columns_is_listed_in_order(make_legacy, key):
    legacy = make_legacy("chefs", key=key)
    for size in (30, 20, 10):
        legacy.database.execute(f"INSERT INTO cheftable (cheffirst, cheflast) VALUES (REPEAT('n', {size}), 'x')")
    page = legacy.store.page(2, "")
    assert [record.key for record in page.records] == ["1", "2"]
    assert [record.key for record in legacy.store.page(2, page.after).records] == ["3"]
    assert list(legacy.store.many(["1", "3"])) == ["1", "3"]
    legacy.apply(record("2", BASE, "MODIFY", firstName="changed"))
