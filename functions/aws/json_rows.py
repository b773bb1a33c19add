"""Rows that one statement takes as one parameter: a JSON array of arrays of texts, joined as a table.

Every cell is a text or null, and every column of JSON_TABLE is wide text; what it means is said by a CAST outside.
MariaDB makes NULL of what JSON_TABLE itself cannot convert, where MySQL raises.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Cells = Sequence[str | None]  # of one row, in the order of the table's columns

ALIAS = "streamback_rows"  # of the table in a statement; no table or column of a user's has such a name
MOST_ROWS = 5000  # in one statement, so that no lock is held for long
MOST_BYTES = 3 * 2**20  # of rows in one request; the Data API's limit is 4 MiB


def source(columns: Sequence[str]) -> str:
    """The table of the parameter `:rows`, for FROM; a row may have more cells than there are columns."""
    paths = ", ".join(f"{name} LONGTEXT CHARACTER SET utf8mb4 PATH '$[{i}]'" for i, name in enumerate(columns))
    return f"JSON_TABLE(:rows, '$[*]' COLUMNS ({paths})) AS {ALIAS}"


def cell(column: str) -> str:
    """A cell as the text that it is."""
    return f"{ALIAS}.{column}"


def whole_number(column: str) -> str:
    """A cell as the whole number it spells, of any size; a plain text would make another value in BIT and YEAR."""
    return f"CAST({cell(column)} AS DECIMAL(65,0))"


def binary(column: str) -> str:
    """A cell as the bytes of its text in UTF-8."""
    return f"CAST({cell(column)} AS BINARY)"


def decoded(column: str) -> str:
    """A cell in base64 as the bytes that it stands for."""
    return f"FROM_BASE64({cell(column)})"


def collated(column: str, collation: str) -> str:
    """A cell in a column's own character set and collation, so that the column's index finds it."""
    if collation == "binary":
        return binary(column)
    return f"CONVERT({cell(column)} USING {collation.split('_', 1)[0]}) COLLATE {collation}"


def written(value: Mapping[str, Any]) -> str | None:
    """A parameter's typed value as a cell; bytes in base64."""
    if value.get("isNull"):
        return None
    content = next(iter(value.values()))
    return base64.b64encode(content).decode() if isinstance(content, bytes) else str(content)


def parameter(rows: Sequence[Cells]) -> dict[str, dict[str, Any]]:
    """The parameter `:rows`."""
    return {"rows": {"stringValue": _written(rows)}}


def runs(rows: Sequence[Cells]) -> Iterator[range]:
    """The indexes of rows in runs that one statement takes."""
    first, size = 0, 0
    for index, row in enumerate(rows):
        weight = _weight(row)
        if index > first and (size + weight > MOST_BYTES or index - first >= MOST_ROWS):
            yield range(first, index)
            first, size = index, 0
        size += weight
    if rows:
        yield range(first, len(rows))


def _weight(row: Cells) -> int:
    """Bytes of a row in the request, which is JSON in turn."""
    return len(json.dumps(_written(row))) + 1


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
