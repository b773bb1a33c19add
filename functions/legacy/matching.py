"""Whether the rows of some records are equal to them, as the database itself finds: no row's values are sent.

It compares exact texts and bytes, as `functions.legacy.selecting` reads them. So it may call two equal values
different, such as -0 and 0. It never calls two different ones equal.
"""

from collections.abc import Sequence

from functions.aws import json_rows
from functions.aws.data_api import DataApi, cell_text
from functions.aws.json_rows import Cells
from functions.aws.mysql_errors import DataApiError, TransientError
from functions.domain import mapping, names
from functions.domain.entities import Entity
from functions.domain.mapping import Record
from functions.domain.values import Field
from functions.legacy.selecting import AS_TEXT, exact
from functions.legacy.table import is_counted_key

WITHOUT_ZEROS = frozenset({"datetime", "decimal"})  # whose columns may add zeros at the end
TYPES = AS_TEXT | {"bytes", "string"}  # a JSON document has many texts


class Matching:
    """The rows of one entity.

    Args:
        database: the Data API, on the entity's database.

    Attributes:
        possible: whether the database can compare its rows: whole numbers are its keys, and no field is JSON.
    """

    def __init__(self, entity: Entity, database: DataApi) -> None:
        self._entity = entity
        self._database = database
        fields = list(entity.fields.values())
        self.possible = entity.legacy.key_type == "integer" and all(field.type in TYPES for field in fields)
        columns = ["wanted", "counted", *(f"f{i}" for i in range(len(fields)))]
        same = " AND ".join(_same(field, f"`{entity.legacy.table}`", f"f{i}") for i, field in enumerate(fields))
        found = f"{json_rows.cell('wanted')} AS wanted, {same} AS same"
        rows = f"{json_rows.source(columns)} STRAIGHT_JOIN `{entity.legacy.table}`"
        number = f"`{entity.legacy.table}`.`{entity.legacy.key}` = CAST({json_rows.cell('counted')} AS SIGNED)"
        item_key = f"{names.KEY_COLUMN} = {json_rows.binary('wanted')}"
        self._sql = (
            "SELECT CONCAT_WS(' ', COUNT(*), COUNT(DISTINCT CAST(wanted AS BINARY)), COALESCE(SUM(same), 0)) FROM ("  # noqa: S608
            f"SELECT {found} FROM {rows} ON {number} WHERE {names.KEY_COLUMN} IS NULL "
            f"UNION ALL SELECT {found} FROM {rows} ON {item_key}) AS pairs"
        )

    def all_equal(self, records: Sequence[Record]) -> bool:
        """Whether each record has one row, which is equal to it; False also where the database cannot say.

        Raises:
            TransientError: try again later.
        """
        rows = [self._cells(record) for record in records]
        try:
            return self.possible and all(self._equal([rows[i] for i in run]) for run in json_rows.runs(rows))
        except TransientError:
            raise
        except DataApiError:  # no column of ours, or a value that it cannot compare; reading the rows shows which
            return False

    def _equal(self, rows: Sequence[Cells]) -> bool:
        found = self._database.query(self._sql, json_rows.parameter(rows))
        return cell_text(found[0][0]).split(" ") == [str(len(rows))] * 3

    def _cells(self, record: Record) -> Cells:
        values = mapping.row_from_record(self._entity, record).values()
        return [record.key, record.key if is_counted_key(record.key) else None, *map(json_rows.written, values)]


def _same(field: Field, table: str, column: str) -> str:
    """Whether a column and a cell have the same bytes; NULL is equal to NULL alone."""
    if field.type == "bytes":
        return f"({_bytes(field, exact(field, table))} <=> CAST({json_rows.decoded(column)} AS BINARY))"
    return f"({_bytes(field, exact(field, table))} <=> {_bytes(field, json_rows.cell(column))})"


def _bytes(field: Field, value: str) -> str:
    if field.type in WITHOUT_ZEROS:
        short = f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {value}))"
        value = f"IF(LOCATE('.', {value}) AND NOT LOCATE('e', {value}), {short}, {value})"
    return f"CAST(IF(COLLATION({value}) = 'binary', {value}, CONVERT({value} USING utf8mb4)) AS BINARY)"
