"""Hypothesis strategies for the values of every type."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

from functions.domain.values import Field

text = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60)
awkward = st.sampled_from(
    ["", " ", "a ", "'\"`\\;--", "%s :name", "\x00\x01", "👩‍🍳", "𒀀" * 20, "ß" * 60, "\u200f\u202e", "x" * 60, "\ufffe"]
)
strings = text | awkward
integers = st.integers(-(2**63), 2**63 - 1)
unsigned = st.integers(2**63, 2**64 - 1)
doubles = st.floats(-1e100, 1e100, allow_subnormal=False).filter(lambda value: not 0 < abs(value) < 1e-100)
leaves = st.none() | st.booleans() | integers | unsigned | doubles | strings
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strings.filter(bool), inner, max_size=4),
    max_leaves=12,
)
moments = st.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC))  # noqa: DTZ001  # bounds

BY_TYPE = {
    "string": strings,
    "integer": integers,
    "decimal": st.decimals(Decimal("-1e13"), Decimal("1e13"), allow_nan=False, places=6).map(str),
    "boolean": st.booleans(),
    "datetime": moments.map(dt.datetime.isoformat),
    "date": st.dates(dt.date(1000, 1, 1)).map(dt.date.isoformat),
    "bytes": st.binary(max_size=200),
    "json": documents,
}


def values_of(field: Field) -> st.SearchStrategy:
    """What a client may send for a field; bytes as bytes."""
    if field.choices:
        return st.sampled_from(field.choices)
    if field.fixed and field.type == "bytes":
        return st.binary(min_size=field.max_length or 0, max_size=field.max_length)
    if field.fixed:
        return strings.map(lambda text: text[: field.max_length].rstrip(" "))
    if field.type == "integer":
        return st.integers(*field.whole_numbers)
    return BY_TYPE[field.type]
