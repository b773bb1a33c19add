"""Item keys in legacy's table: which are AUTO_INCREMENT numbers (a UUID is not), and the IN list that selects them."""

import re
from collections.abc import Sequence
from typing import Any

HIGHEST_KEY, KEY_DIGITS = 2**63 - 1, 19
COUNTED = re.compile("[1-9][0-9]*")


def is_counted_key(key: str) -> bool:
    """Whether a key can be an AUTO_INCREMENT value in its one decimal spelling."""
    return len(key) <= KEY_DIGITS and COUNTED.fullmatch(key) is not None and int(key) <= HIGHEST_KEY


def within(column: str, cells: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """`column IN (…)` for some values, and its parameters."""
    values = {f"k{i}": cell for i, cell in enumerate(cells)}
    return f"{column} IN ({', '.join(f':{name}' for name in values)})", values
