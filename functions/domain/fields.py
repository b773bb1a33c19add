"""What entities.toml says of one field."""

from dataclasses import dataclass
from typing import Any

TYPES = ("string", "integer", "decimal", "boolean", "datetime", "date", "bytes", "json")
DECIMAL_DIGITS, DECIMAL_SCALE, MOST_DIGITS = 38, 10, 38  # DynamoDB keeps 38 significant digits


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a record: its JSON and item name, its column, its type and its limits."""

    name: str
    column: str
    type: str
    required: bool = False
    default: Any = None
    max_length: int | None = None
    precision: int = DECIMAL_DIGITS
    scale: int = DECIMAL_SCALE
    masked: bool = False
