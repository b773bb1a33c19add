"""Reads entities.toml, the one description of what moves, and reports every mistake in it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from functions.domain import contract, names, values
from functions.domain.contract import ApiContract
from functions.domain.errors import ValueProblemError
from functions.domain.moments import MICROSECONDS
from functions.domain.reader import Reader
from functions.domain.values import (
    DECIMAL_DIGITS,
    DECIMAL_SCALE,
    HALF_UP,
    LONGEST_BITS,
    MOST_DIGITS,
    NULL,
    REFUSE,
    TYPES,
    Field,
)

KEY_TYPES = ("integer", "string")
DIRECT, REPLAY = "direct", "replay"  # how the bridge brings a change to Aurora: by its SQL, or by legacy's function
COLUMN_BITS = (8, 16, 24, 32, 64)  # of TINYINT, SMALLINT, MEDIUMINT, INT and BIGINT
LONGEST_FIXED = 255  # characters of a CHAR, bytes of a BINARY
RESERVED_ENTITIES = frozenset({"aurora", "dynamo"})
ENTITY_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,63}")
TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")
ATTRIBUTE = re.compile(r"[^\s.\[\]#:]{1,255}")


class EntitiesError(ValueError):
    """entities.toml cannot be used; `problems` has one line per mistake, each beginning with its key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class LegacyTable:
    """Where the rows are: database, table, primary key column, and whether the key is counted or natural.

    `key_fixed` is of a natural key that is a CHAR, which drops spaces at the end.
    """

    database: str
    table: str
    key: str
    key_type: str = "integer"
    key_fixed: bool = False


@dataclass(frozen=True, kw_only=True)
class ModernTable:
    """Where the items are: table (without the stack's prefix) and partition key attribute."""

    table: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One kind of record that exists in both systems; `contract` is of an API that is not streamback's own."""

    name: str
    legacy: LegacyTable
    modern: ModernTable
    fields: Mapping[str, Field]
    contract: ApiContract | None = None
    bridge: str = DIRECT

    @property
    def replayed(self) -> bool:
        """Whether legacy's own write function brings changes to Aurora, while modern is the source of truth."""
        return self.bridge == REPLAY


@dataclass(frozen=True)
class Entities(Mapping[str, Entity]):
    """All entities by name; `raw` is the document they came from."""

    by_name: Mapping[str, Entity]
    raw: Mapping[str, Any] = field(repr=False)

    def __getitem__(self, name: str) -> Entity:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)


def load(path: Path) -> Entities:
    """Read and check entities.toml.

    Raises:
        EntitiesError: when it cannot be read, is not TOML, or has mistakes; all of them are listed.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EntitiesError([f"{path.name}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EntitiesError([f"{path.name}: is not TOML: {error}"]) from error
    return parse(raw)


def parse(raw: Mapping[str, Any]) -> Entities:
    """Check a document that has the form of entities.toml.

    Raises:
        EntitiesError: with every mistake, each line beginning with its key.
    """
    problems: list[str] = []
    if not raw:
        problems.append("entities.toml: names no entity; add a table such as [chefs]")
    found = {name: _entity(name, value, problems) for name, value in raw.items()}
    _unique(problems, "legacy", ((e.name, f"{e.legacy.database}.{e.legacy.table}") for e in found.values()))
    _unique(problems, "modern.table", ((e.name, e.modern.table) for e in found.values()))
    _unique(problems, "api", _operations(found.values()))
    if problems:
        raise EntitiesError(problems)
    return Entities(found, raw)


def _entity(name: str, value: Any, problems: list[str]) -> Entity:
    reader = Reader(name, value, problems)
    if not ENTITY_NAME.fullmatch(name):
        reader.problem("", f"expected a name like {ENTITY_NAME.pattern}")
    elif name in RESERVED_ENTITIES or name.startswith(names.RESERVED_PREFIX):
        reader.problem("", "this name is reserved")
    legacy, modern = _legacy(reader.table("legacy")), _modern(reader.table("modern"))
    fields = _fields(reader.table("fields"))
    bridge = reader.choice("bridge", (DIRECT, REPLAY), DIRECT)
    foreign = _contract(reader, legacy, fields)
    if bridge == REPLAY:
        _replay(reader, legacy, foreign)
    reader.close()
    _unique(problems, f"{name}.fields", ((f.name, f.column.lower()) for f in fields.values()))
    for each in fields.values():
        if each.column.lower() == legacy.key.lower():
            problems.append(f"{name}.fields.{each.name}.column: {each.column!r} is the legacy key")
        if each.name == modern.key:
            problems.append(f"{name}.fields.{each.name}: is the modern key")
    return Entity(name=name, legacy=legacy, modern=modern, fields=fields, contract=foreign, bridge=bridge)


def _contract(reader: Reader, legacy: LegacyTable, fields: Mapping[str, Field]) -> ApiContract | None:
    calls = reader.table("calls") if "calls" in reader.left else None
    if "api" in reader.left and legacy.key_type != "string":
        # what modern creates would get another key in the legacy table, which such a function does not know
        reader.problem("legacy.key_type", 'expected "string" beside a table api: a counted key is not the item\'s')
    if "api" in reader.left:
        return contract.read(reader.table("api"), calls, fields)
    if calls:
        reader.problem("calls", "expected only with a table api, which names the operations")
    return None


def _replay(reader: Reader, legacy: LegacyTable, foreign: ApiContract | None) -> None:
    """What replay needs: keys that are the items', and calls that carry them to a function of the team's."""
    if legacy.key_type != "string":
        reader.problem(
            "bridge", 'replay expects key_type = "string" in legacy: the function finds a row by its own key'
        )
    if foreign is None:
        reader.problem("bridge", f"replay expects tables [{reader.path}.api] and [{reader.path}.calls]")
        return
    for name in contract.CHANGING:
        call = foreign.calls.get(name)
        if call is None:
            reader.problem("bridge", f"replay expects a table [{reader.path}.calls.{name}]")
        elif call.operation not in foreign.writes:
            reader.problem(f"calls.{name}.call", f"replay expects one of writes, got {str(call.operation)!r}")
        elif contract.KEY not in call.carried:
            why = "a key that legacy assigns could not be the item's" if name == "create" else "it finds the row"
            reader.problem(f"calls.{name}", f"replay expects {{{contract.KEY}}} in path, query, headers or body: {why}")


def _operations(found: Iterable[Entity]) -> Iterator[tuple[str, str]]:
    for entity in found:
        for each in (*entity.contract.reads, *entity.contract.writes) if entity.contract else ():
            yield entity.name, str(each)


def _legacy(reader: Reader) -> LegacyTable:
    table = LegacyTable(
        database=reader.text("database", IDENTIFIER),
        table=reader.text("table", IDENTIFIER),
        key=reader.text("key", IDENTIFIER),
        key_type=reader.choice("key_type", KEY_TYPES, "integer"),
        key_fixed=reader.flag("key_fixed"),
    )
    if table.key_fixed and table.key_type != "string":
        reader.problem("key_fixed", 'expected only with key_type = "string"')
    reader.close()
    return table


def _modern(reader: Reader) -> ModernTable:
    table = ModernTable(table=reader.text("table", TABLE_NAME), key=reader.text("key", ATTRIBUTE))
    reader.close()
    return table


def _fields(reader: Reader) -> dict[str, Field]:
    fields = {
        name: _field(Reader(f"{reader.path}.{name}", value, reader.problems), name)
        for name, value in reader.left.items()
    }
    if not fields:
        reader.problem("", "has no field")
    return fields


def _field(reader: Reader, name: str) -> Field:
    if name == "id" or name.startswith(names.RESERVED_PREFIX) or not ATTRIBUTE.fullmatch(name):
        reader.problem("", "this name is reserved or not usable as a JSON and item name")
    kind = reader.choice("type", TYPES)
    made = Field(
        name=name,
        column=reader.text("column", IDENTIFIER),
        type=kind,
        required=reader.flag("required"),
        default=reader.left.pop("default", None),
        masked=reader.flag("masked"),
        **_settings(reader, kind),
    )
    reader.close()
    for setting in ("zero_date", "json_null"):
        if made.required and getattr(made, setting) == NULL:
            reader.problem(setting, f"{NULL!r} makes the field null, which required = true refuses")
    return _with_default(made, reader)


def _settings(reader: Reader, kind: str) -> dict[str, Any]:
    """The settings that only some types have."""
    readers: dict[str, tuple[Callable[[Reader], dict[str, Any]], ...]] = {
        "string": (_lengths, _choices),
        "bytes": (_lengths,),
        "integer": (_whole_numbers,),
        "decimal": (_digits,),
        "datetime": (_fraction, _zero_date),
        "date": (_zero_date,),
        "json": (_json_null,),
    }
    return {name: value for read in readers.get(kind, ()) for name, value in read(reader).items()}


def _digits(reader: Reader) -> dict[str, Any]:
    precision = reader.number("precision", 1, MOST_DIGITS, DECIMAL_DIGITS) or DECIMAL_DIGITS
    scale = reader.number("scale", 0, 30, min(DECIMAL_SCALE, precision))
    if scale is not None and scale > precision:
        reader.problem("scale", f"expected at most the precision, {precision}, got {scale}")
    return {"precision": precision, "scale": scale or 0, "unsigned": reader.flag("unsigned")}


def _lengths(reader: Reader) -> dict[str, Any]:
    length, fixed = reader.number("max_length", 1, 2**24 - 1, None), reader.flag("fixed")
    if fixed and (length is None or length > LONGEST_FIXED):
        reader.problem("fixed", f"expected max_length as the column has it, 1 to {LONGEST_FIXED}")
    return {"max_length": length, "fixed": fixed}


def _choices(reader: Reader) -> dict[str, Any]:
    found = reader.left.pop("choices", [])
    choices = cast("list[Any]", found) if isinstance(found, list) else [found]
    if not all(isinstance(each, str) for each in choices) or not isinstance(found, list):
        reader.problem("choices", f"expected a list of texts, got {found!r}")
        return {}
    return {"choices": tuple(choices)}


def _whole_numbers(reader: Reader) -> dict[str, Any]:
    bits = reader.left.pop("bits", LONGEST_BITS)
    if type(bits) is not int or bits not in COLUMN_BITS:
        reader.problem("bits", f"expected one of {', '.join(map(str, COLUMN_BITS))}, got {bits!r}")
        bits = LONGEST_BITS
    return {"bits": bits, "unsigned": reader.flag("unsigned")}


def _fraction(reader: Reader) -> dict[str, Any]:
    fraction = reader.number("fraction", 0, MICROSECONDS, MICROSECONDS)
    rounding = reader.choice("rounding", (REFUSE, HALF_UP), REFUSE)
    return {"fraction": fraction, "rounding": rounding, "timestamp": reader.flag("timestamp")}


def _zero_date(reader: Reader) -> dict[str, str]:
    return {"zero_date": reader.choice("zero_date", (REFUSE, NULL), REFUSE)}


def _json_null(reader: Reader) -> dict[str, str]:
    return {"json_null": reader.choice("json_null", (REFUSE, NULL), REFUSE)}


def _with_default(made: Field, reader: Reader) -> Field:
    if made.default is None or made.type not in TYPES:
        return made
    try:
        return replace(made, default=values.from_json(made, made.default))
    except ValueProblemError as problem:
        reader.problem("default", str(problem))
        return made


def _unique(problems: list[str], path: str, pairs: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for name, value in pairs:
        if value and value in seen:
            problems.append(f"{path}: {name} and {seen[value]} both name {value!r}")
        seen[value] = name
