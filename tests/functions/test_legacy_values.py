"""What a column holds is read as it is, or refused by the names of its field and column: never as another value."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace

import pytest
from legacy_world import record

from functions.domain import entities, mapping
from functions.domain.errors import InvalidFieldError, UnmappableError
from functions.install import schema_check
from functions.legacy import init

ANY_DATE = "ALLOW_INVALID_DATES"


@pytest.fixture
def insert(database):
    """Writes a row past strict mode, as old data came into a table; returns its key."""

    def write(legacy, column: str, value: object, mode: str = "") -> str:
        place = f"`{legacy.entity.legacy.database}`.thing"
        with database.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = %s", (mode,))
            cursor.execute(f"INSERT INTO {place} (`{column}`) VALUES (%s)", (value,))
            return str(cursor.lastrowid)

    return write


def refusal(legacy, key: str) -> UnmappableError:
    """How the record of a key is refused, the same one by one and among others."""
    with pytest.raises(UnmappableError) as raised:
        legacy.store.get(key)
    with pytest.raises(UnmappableError, match=raised.value.field):
        legacy.store.many([key])
    return raised.value


DATES = "seen DATETIME(6) NULL, day DATE NULL, noted TIMESTAMP(6) NULL, notes LONGTEXT NULL"


def date_fields(**more):
    return {
        "seen": {"column": "seen", "type": "datetime", **more},
        "day": {"column": "day", "type": "date", **more},
        "noted": {"column": "noted", "type": "datetime", "timestamp": True, **more},
        "notes": {"column": "notes", "type": "string"},
    }


@pytest.fixture(scope="module")
def dated(make_own):
    return make_own(DATES, date_fields())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seen", "0000-00-00 00:00:00"),
        ("seen", "2025-02-31 10:00:00"),
        ("seen", "2025-00-15 10:00:00"),
        ("seen", "0999-12-31 00:00:00"),
        ("day", "0000-00-00"),
        ("day", "2025-02-31"),
        ("day", "2025-00-15"),
        ("day", "0999-12-31"),
        ("noted", "0000-00-00 00:00:00"),
    ],
)
def test_a_date_that_no_calendar_has_is_refused_with_its_column_and_its_text(dated, insert, column, value):
    refused = refusal(dated, insert(dated, column, value, ANY_DATE))
    assert refused.field == column
    assert f"column {column}" in refused.problem
    assert value in refused.problem


def test_a_large_row_with_such_a_date_is_refused_like_a_small_one(dated, insert, database):
    key = insert(dated, "seen", "2025-02-31 10:00:00", ANY_DATE)
    with database.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = %s", (ANY_DATE,))
        cursor.execute(f"UPDATE `{dated.entity.legacy.database}`.thing SET notes = REPEAT('x', 90000) WHERE id = {key}")
    assert "2025-02-31 10:00:00" in refusal(dated, key).problem


def test_dates_that_exist_are_read_as_they_are(dated, insert):
    for column, value, read in [
        ("seen", "1000-01-01 00:00:00.000001", "1000-01-01T00:00:00.000001Z"),
        ("seen", "9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
        ("day", "2024-02-29", "2024-02-29"),
        ("noted", "2026-01-31 10:00:00.5", "2026-01-31T10:00:00.500000Z"),
    ]:
        assert dated.store.get(insert(dated, column, value)).fields[column] == read


def test_a_zero_date_is_null_where_its_field_says_so_and_another_wrong_date_is_refused(make_own, insert):
    legacy = make_own(DATES, date_fields(zero_date="null"))
    assert schema_check.problems(legacy.server, legacy.entity) == []
    for column, value in [("seen", "0000-00-00 00:00:00"), ("day", "2025-00-15"), ("noted", "0000-00-00 00:00:00")]:
        record = legacy.store.get(insert(legacy, column, value, ANY_DATE))
        assert record.fields[column] is None
        assert mapping.record_from_item(legacy.entity, mapping.item_from_record(legacy.entity, record)) == record
    assert refusal(legacy, insert(legacy, "day", "2025-02-31", ANY_DATE)).field == "day"


def test_a_column_that_takes_no_null_cannot_have_zero_dates_as_null(make_own):
    legacy = make_own(
        "seen DATETIME(6) NOT NULL", {"seen": {"column": "seen", "type": "datetime", "zero_date": "null"}}
    )
    (problem,) = schema_check.problems(legacy.server, legacy.entity)
    assert problem.startswith("things.fields.seen.zero_date: ")


@pytest.fixture(scope="module")
def flags(make_own):
    fields = {
        "open": {"column": "open", "type": "boolean"},
        "bit": {"column": "bit", "type": "boolean"},
        "bits": {"column": "bits", "type": "boolean"},
        "stars": {"column": "stars", "type": "integer"},
    }
    return make_own("open TINYINT(1), bit BIT(1), bits BIT(8), stars TINYINT(1)", fields)


@pytest.mark.parametrize(("column", "value"), [("open", 7), ("open", -1), ("bits", 2), ("bits", 255)])
def test_a_number_that_is_no_boolean_is_refused_with_its_value(flags, insert, column, value):
    refused = refusal(flags, insert(flags, column, value))
    assert refused.field == column
    assert refused.problem == f"column {column}: expected 0 or 1, got '{value}'"


@pytest.mark.parametrize("column", ["open", "bit", "bits"])
@pytest.mark.parametrize("value", [0, 1])
def test_zero_and_one_are_false_and_true(flags, insert, column, value):
    assert flags.store.get(insert(flags, column, value)).fields[column] is bool(value)


def test_a_small_number_that_drivers_take_for_a_boolean_stays_a_number(flags, insert):
    assert flags.store.get(insert(flags, "stars", 7)).fields["stars"] == 7


@pytest.fixture(scope="module")
def documents(make_own):
    return make_own("doc JSON", {"doc": {"column": "doc", "type": "json"}})


INEXACT = ('{"a": 18446744073709551616}', '{"a": 0.12345678901234567891}', '{"a": [1e-400]}', '{"a": 1, "a": 2}')


@pytest.mark.parametrize("text", [*INEXACT, '{"a": 1, "": 2}', "[" * 30 + "]" * 30])
def test_a_document_that_an_item_cannot_hold_is_refused_with_the_reason(documents, insert, sandbox, text):
    if sandbox.database.title == "MySQL" and text in INEXACT:
        pytest.skip("MySQL itself keeps a double, or one of the two members")
    refused = refusal(documents, insert(documents, "doc", text))
    assert refused.field == "doc"
    assert refused.problem.startswith("column doc: expected ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 18446744073709551615),
        ("-9223372036854775808", -9223372036854775808),
        ("9007199254740993", 9007199254740993),
        ("0.1", 0.1),
        ("1E2", 100),
        ("1e100", 1e100),
    ],
)
def test_a_number_in_a_document_is_read_and_written_exactly(documents, insert, text, value):
    record = documents.store.get(insert(documents, "doc", f'{{"a": {text}}}'))
    assert record.fields["doc"] == {"a": value}
    item = mapping.item_from_record(documents.entity, record)
    again = mapping.record_from_item(documents.entity, item)
    assert documents.store.replace(record.key, again.fields) == documents.store.get(record.key) == record


def timed(make_own, **more):
    fields = {name: {"column": name, "type": "datetime", "fraction": 0, **more} for name in ("seen", "noted")}
    fields["noted"]["timestamp"] = True
    return make_own("seen DATETIME NULL, noted TIMESTAMP NULL, exact DATETIME(3)", fields, prepared=True)


@pytest.fixture(scope="module")
def seconds(make_own):
    return timed(make_own)


@pytest.fixture(scope="module")
def rounded(make_own):
    return timed(make_own, rounding="half_up")


def test_times_without_fractions_are_accepted_by_init_and_come_back_as_they_went_in(seconds):
    assert schema_check.problems(seconds.server, seconds.entity) == []
    body = {"seen": "2026-01-31T10:00:00Z", "noted": "2026-01-31T10:00:00.000Z"}
    made = seconds.store.create(None, mapping.fields_from_body(seconds.entity, body))
    assert seconds.store.get(made.key) == made
    assert made.fields["noted"] == "2026-01-31T10:00:00.000000Z"


def test_a_column_with_fewer_digits_than_its_field_is_refused_with_the_setting_to_write(make_own):
    fields = {name: {"column": name, "type": "datetime"} for name in ("seen", "exact")}
    legacy = make_own("seen DATETIME, exact DATETIME(3)", fields)
    assert [problem.split(": ")[0] for problem in schema_check.problems(legacy.server, legacy.entity)] == [
        "things.fields.seen.fraction",
        "things.fields.exact.fraction",
    ]
    assert schema_check.problems(legacy.server, legacy.entity)[1].endswith("write fraction = 3")


@pytest.mark.parametrize("text", ["2026-01-31T10:00:00.5Z", "2026-01-31T10:00:00.0000001+02:00"])
def test_more_digits_of_a_second_than_the_field_has_are_refused_from_each_writer(seconds, text):
    with pytest.raises(InvalidFieldError, match="at most 0 digits"):
        mapping.fields_from_body(seconds.entity, {"seen": text})
    with pytest.raises(UnmappableError, match="at most 0 digits"):
        mapping.record_from_item(seconds.entity, {"ThingId": {"S": "k"}, "seen": {"S": text}})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-31T10:00:00.499999Z", "2026-01-31T10:00:00.000000Z"),
        ("2026-01-31T10:00:00.5Z", "2026-01-31T10:00:01.000000Z"),
        ("2025-12-31T23:59:59.500000Z", "2026-01-01T00:00:00.000000Z"),
    ],
)
def test_a_field_that_rounds_does_so_alike_from_each_writer_and_as_the_column_would(
    rounded, database, sandbox, text, read
):
    fields = mapping.fields_from_body(rounded.entity, {"seen": text, "noted": text})
    item = {"ThingId": {"S": "k"}, "seen": {"S": text}, "noted": {"S": text}}
    made = rounded.store.create(None, fields)
    for limited in (True, False):
        assert mapping.record_from_item(rounded.entity, item, limited=limited).fields == fields
    assert rounded.store.get(made.key).fields == fields == {"seen": read, "noted": read}
    with database.cursor() as cursor:  # MariaDB cuts by default, MySQL rounds
        if sandbox.database.title == "MariaDB":
            cursor.execute("SET SESSION sql_mode = 'TIME_ROUND_FRACTIONAL'")
        cursor.execute("SELECT CAST(CAST(%s AS DATETIME) AS CHAR)", (text.rstrip("Z").replace("T", " "),))
        assert cursor.fetchone() == (read.replace("T", " ").removesuffix(".000000Z"),)


def test_a_row_with_more_digits_than_its_field_is_refused(make_own, insert):
    legacy = make_own("seen DATETIME(3)", {"seen": {"column": "seen", "type": "datetime", "fraction": 1}})
    assert schema_check.problems(legacy.server, legacy.entity) == []
    assert legacy.store.get(insert(legacy, "seen", "2026-01-31 10:00:00.5")).fields["seen"].endswith(".500000Z")
    assert "2026-01-31 10:00:00.501" in refusal(legacy, insert(legacy, "seen", "2026-01-31 10:00:00.501")).problem


SIZES = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


@pytest.fixture(scope="module")
def numbers(make_own):
    """A column of each integer type, signed and unsigned, each with the settings that fit it."""
    names = {f"{kind}{sign}": (f"{kind} {sign}", bits) for kind, bits in SIZES.items() for sign in ("", "unsigned")}
    columns = ", ".join(f"`{name}` {kind} NULL" for name, (kind, _) in names.items())
    fields = {
        name: {"column": name, "type": "integer", "bits": bits, "unsigned": kind.endswith("unsigned")}
        for name, (kind, bits) in names.items()
    }
    return make_own(columns, fields, prepared=True)


def test_every_integer_column_keeps_its_lowest_and_its_highest_number_from_each_writer(numbers, insert):
    assert schema_check.problems(numbers.server, numbers.entity) == []
    for name, described in numbers.entity.fields.items():
        for number in described.whole_numbers:
            found = numbers.store.get(insert(numbers, name, number))
            assert found.fields[name] == number
            body = json.loads(json.dumps(mapping.body_from_record(numbers.entity, found)))
            assert body.pop("id") == found.key
            made = numbers.store.create(None, mapping.fields_from_body(numbers.entity, body))
            item = mapping.item_from_record(numbers.entity, made)
            assert mapping.record_from_item(numbers.entity, item) == numbers.store.get(made.key) == made


def test_a_number_that_its_column_cannot_hold_is_refused_before_it_is_written(numbers):
    for name, described in numbers.entity.fields.items():
        lowest, highest = described.whole_numbers
        for number in (lowest - 1, highest + 1):
            with pytest.raises(InvalidFieldError, match=name):
                mapping.fields_from_body(numbers.entity, {name: number})
            with pytest.raises(UnmappableError, match=name):
                mapping.record_from_item(numbers.entity, {"ThingId": {"S": "k"}, name: {"N": str(number)}})


@pytest.mark.parametrize(
    ("column", "setting"),
    [
        ("BIGINT UNSIGNED", "bits = 64, unsigned = true"),
        ("INT", "bits = 32, unsigned = false"),
        ("TINYINT(3) UNSIGNED ZEROFILL", "bits = 8, unsigned = true"),
    ],
)
def test_an_integer_field_that_is_wider_than_its_column_is_refused_with_the_setting_to_write(
    make_own, insert, column, setting
):
    described = {"stars": {"column": "stars", "type": "integer"}}
    legacy = make_own(f"stars {column}", described)
    (problem,) = schema_check.problems(legacy.server, legacy.entity)
    assert problem.startswith("things.fields.stars.bits: ")
    assert problem.endswith(f"write {setting}")
    described["stars"] |= tomllib.loads(setting.replace(", ", "\n"))
    fitting = entities.parse({"things": {**vars_of(legacy), "fields": described}})["things"]
    assert schema_check.problems(legacy.server, fitting) == []
    assert legacy.store.get(insert(legacy, "stars", 7)).fields["stars"] == 7


def test_the_tables_that_init_makes_fit_their_fields(make_own, data_api):
    fields = {f"f{n}": {"type": "integer", "bits": bits, "unsigned": True} for n, bits in enumerate(SIZES.values())}
    fields |= {f"t{fraction}": {"type": "datetime", "fraction": fraction} for fraction in range(7)}
    legacy = make_own("x INT", {name: {"column": name, **described} for name, described in fields.items()})
    for statement in init.statements(
        made := replace(legacy.entity, legacy=replace(legacy.entity.legacy, table="made"))
    ):
        data_api().execute(statement)
    assert schema_check.problems(legacy.server, made) == []


def vars_of(legacy):
    return {"legacy": vars(legacy.entity.legacy), "modern": vars(legacy.entity.modern)}


def test_the_bridge_writes_the_highest_unsigned_number(numbers):
    highest = {"bigintunsigned": {"N": str(2**64 - 1)}}
    written = record("k", 1, ThingId="k", **highest)
    written["dynamodb"]["Keys"] = {"ThingId": {"S": "k"}}
    numbers.apply(written)
    assert numbers.quarantined.changes == {}
    assert numbers.store.get("k").fields["bigintunsigned"] == 2**64 - 1


def test_a_decimal_with_more_digits_than_an_item_has_is_refused(make_own, insert):
    legacy = make_own("price DECIMAL(65,30)", {"price": {"column": "price", "type": "decimal"}})
    assert schema_check.problems(legacy.server, legacy.entity) == []
    longest = "9" * 8 + "." + "1" * 30
    assert str(legacy.store.get(insert(legacy, "price", longest)).fields["price"]) == longest
    assert f"got 1{longest}" in refusal(legacy, insert(legacy, "price", f"1{longest}")).problem


@pytest.mark.parametrize(
    ("column", "field", "write"),
    [
        ("DECIMAL(6,2) UNSIGNED", {"type": "decimal", "precision": 6, "scale": 2}, "write unsigned = true"),
        ("TIMESTAMP", {"type": "datetime", "fraction": 0}, "write timestamp = true"),
        ("VARCHAR(40)", {"type": "string"}, "write max_length = 40"),
        ("TEXT", {"type": "string"}, "write max_length = 16383"),
        ("BLOB", {"type": "bytes"}, "write max_length = 65535"),
    ],
)
def test_a_column_that_holds_less_than_its_field_takes_is_refused_with_what_to_write(make_own, column, field, write):
    made = make_own(f"x {column} NULL", {"x": {"column": "x", **field}})
    [problem] = schema_check.problems(made.server, made.entity)
    assert problem.endswith(write)


@pytest.mark.parametrize(
    ("column", "field", "value", "fits"),
    [
        ("DECIMAL(6,2) UNSIGNED", {"type": "decimal", "precision": 6, "scale": 2, "unsigned": True}, "-0.01", False),
        ("DECIMAL(6,2) UNSIGNED", {"type": "decimal", "precision": 6, "scale": 2, "unsigned": True}, "-0.00", True),
        ("TIMESTAMP(6)", {"type": "datetime", "timestamp": True}, "1970-01-01T00:00:00.999999Z", False),
        ("TIMESTAMP(6)", {"type": "datetime", "timestamp": True}, "1970-01-01T00:00:01Z", True),
        ("TIMESTAMP(6)", {"type": "datetime", "timestamp": True}, "2038-01-19T03:14:07.999999Z", True),
        ("TIMESTAMP(6)", {"type": "datetime", "timestamp": True}, "2038-01-19T04:14:08+01:00", False),
    ],
)
def test_what_a_column_cannot_hold_is_refused_before_it_is_written(make_own, column, field, value, fits):
    made = make_own(f"x {column} NULL", {"x": {"column": "x", **field}})
    assert schema_check.problems(made.server, made.entity) == []
    if fits:
        fields = mapping.fields_from_body(made.entity, {"x": value})
        assert made.store.create(None, fields).fields == fields
    else:
        with pytest.raises(InvalidFieldError):
            mapping.fields_from_body(made.entity, {"x": value})
