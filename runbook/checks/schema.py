"""What the dictionary of the legacy database says of an entity's table, in a few statements that read no row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain import names
from functions.domain.entities import Entity
from functions.install import schema_check as differences
from runbook.aws.aurora import Aurora


@dataclass(frozen=True)
class TableFacts:
    """The table itself; `rows` and `row_bytes` are InnoDB's estimates."""

    kind: str
    engine: str
    options: str
    rows: int
    row_bytes: int

    @property
    def partitioned(self) -> bool:
        return "partitioned" in self.options


@dataclass(frozen=True)
class ColumnFacts:
    """One column.

    `type` is e.g. `int(10) unsigned`, `kind` e.g. `int`; `length` is in characters, or bytes where it holds bytes.
    `expression` is empty unless the database computes the column.
    """

    name: str
    type: str
    kind: str
    length: int
    charset: str
    collation: str
    extra: str
    expression: str

    @property
    def generated(self) -> bool:
        return bool(self.expression)

    @property
    def own(self) -> bool:
        return self.name.startswith(names.RESERVED_PREFIX)


@dataclass(frozen=True)
class TriggerFacts:
    name: str
    timing: str
    event: str
    body: str


@dataclass(frozen=True)
class ForeignKeyFacts:
    """One foreign key that begins or ends at the table; tables are written with their database."""

    name: str
    child: str
    parent: str
    on_delete: str
    on_update: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that is read of the table.

    Attributes:
        table: None when there is no such table; the rest is then empty.
        columns: by name in lower case.
        unique: the columns of each unique index besides the primary key and streamback's, by index.
        indexes: the names of all indexes.
        helpers: which of streamback's own tables the database has.
        offline: indexes with which MySQL changes the table only while writers wait: of text, places, virtual columns.
        differences: where the table is not what entities.toml says, as `runbook init` reports it.
    """

    entity: Entity
    table: TableFacts | None
    columns: Mapping[str, ColumnFacts]
    triggers: tuple[TriggerFacts, ...]
    foreign_keys: tuple[ForeignKeyFacts, ...]
    unique: Mapping[str, tuple[str, ...]]
    indexes: frozenset[str]
    offline: tuple[str, ...]
    helpers: frozenset[str]
    differences: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.entity.legacy.database}.{self.entity.legacy.table}"

    @property
    def quoted(self) -> str:
        return f"`{self.entity.legacy.database}`.`{self.entity.legacy.table}`"

    @property
    def key(self) -> ColumnFacts | None:
        """The primary key's column, where it is as entities.toml says."""
        return self.columns.get(self.entity.legacy.key.lower())

    @property
    def mapped(self) -> Mapping[str, ColumnFacts]:
        found = {field.name: self.columns.get(field.column.lower()) for field in self.entity.fields.values()}
        return {name: column for name, column in found.items() if column}

    def problems(self, path: str) -> list[str]:
        """The differences whose key in entities.toml begins with a path below the entity."""
        start = f"{self.entity.name}.{path}"
        return [text.removeprefix(f"{self.entity.name}.") for text in self.differences if text.startswith(start)]


def read(aurora: Aurora, entity: Entity) -> Facts:
    """Ask the database: eight statements on its dictionary."""
    reader = _Reader(aurora, entity)
    indexes = reader.indexes()
    secondary = {name: columns for name, (unique, columns) in indexes.items() if unique and name != "PRIMARY"}
    return Facts(
        entity=entity,
        table=reader.table(),
        columns=reader.columns(),
        triggers=reader.triggers(),
        foreign_keys=reader.foreign_keys(),
        unique={name: columns for name, columns in secondary.items() if name != names.KEY_COLUMN},
        indexes=frozenset(indexes),
        offline=reader.offline(),
        helpers=reader.helpers(),
        differences=tuple(differences.problems(aurora.database(), entity)),
    )


class _Reader:
    def __init__(self, aurora: Aurora, entity: Entity) -> None:
        self._aurora = aurora
        self._place = {"database": entity.legacy.database, "table": entity.legacy.table}

    def _query(self, sql: str) -> list[list[str]]:
        used = {name: value for name, value in self._place.items() if f":{name}" in sql}
        return [[text(cell) for cell in row] for row in self._aurora.query("", sql, used)]

    def table(self) -> TableFacts | None:
        rows = self._query(
            "SELECT table_type, engine, create_options, COALESCE(table_rows, 0), COALESCE(avg_row_length, 0) "
            "FROM information_schema.tables WHERE table_schema = :database AND table_name = :table"
        )
        for kind, engine, options, count, size in rows:
            return TableFacts(kind, engine, options.lower(), int(count), int(size))
        return None

    def columns(self) -> dict[str, ColumnFacts]:
        rows = self._query(
            "SELECT column_name, column_type, data_type, COALESCE(character_maximum_length, 0), "
            "character_set_name, collation_name, extra, generation_expression FROM information_schema.columns "
            "WHERE table_schema = :database AND table_name = :table ORDER BY ordinal_position"
        )
        found = [
            ColumnFacts(name, full.lower(), kind.lower(), int(length), charset, collation, extra.lower(), expression)
            for name, full, kind, length, charset, collation, extra, expression in rows
        ]
        return {column.name.lower(): column for column in found}

    def triggers(self) -> tuple[TriggerFacts, ...]:
        rows = self._query(
            "SELECT trigger_name, action_timing, event_manipulation, action_statement "
            "FROM information_schema.triggers "
            "WHERE event_object_schema = :database AND event_object_table = :table ORDER BY trigger_name"
        )
        return tuple(TriggerFacts(*row) for row in rows)

    def foreign_keys(self) -> tuple[ForeignKeyFacts, ...]:
        rows = self._query(
            "SELECT constraint_name, CONCAT(constraint_schema, '.', table_name), "
            "CONCAT(unique_constraint_schema, '.', referenced_table_name), delete_rule, update_rule "
            "FROM information_schema.referential_constraints "
            "WHERE (constraint_schema = :database AND table_name = :table) "
            "OR (unique_constraint_schema = :database AND referenced_table_name = :table) "
            "ORDER BY constraint_name"
        )
        return tuple(ForeignKeyFacts(*row) for row in rows)

    def offline(self) -> tuple[str, ...]:
        rows = self._query(
            "SELECT DISTINCT s.index_name FROM information_schema.statistics s LEFT JOIN information_schema.columns c "
            "ON c.table_schema = s.table_schema AND c.table_name = s.table_name AND c.column_name = s.column_name "
            "WHERE s.table_schema = :database AND s.table_name = :table "
            "AND (s.index_type IN ('FULLTEXT', 'SPATIAL') OR c.extra LIKE '%VIRTUAL%')"
        )
        return tuple(sorted(name for (name,) in rows))

    def indexes(self) -> dict[str, tuple[bool, tuple[str, ...]]]:
        rows = self._query(
            "SELECT index_name, non_unique, COALESCE(column_name, 'an expression') FROM information_schema.statistics "
            "WHERE table_schema = :database AND table_name = :table ORDER BY index_name, seq_in_index"
        )
        found: dict[str, tuple[bool, tuple[str, ...]]] = {}
        for name, repeated, column in rows:
            columns = found.get(name, (False, ()))[1]
            found[name] = (repeated == "0", (*columns, column))
        return found

    def helpers(self) -> frozenset[str]:
        rows = self._query(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = :database AND LEFT(table_name, 11) = 'streamback_'"
        )
        return frozenset(name for (name,) in rows)


def text(cell: Any) -> str:
    """A cell as text; nothing for NULL. The dictionary gives some of its texts as bytes."""
    if cell is None:
        return ""
    return cell.decode() if isinstance(cell, bytes) else str(cell)
