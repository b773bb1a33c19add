"""Rows that would be items over DynamoDB's limit: ruled out by the columns' types, or looked for in a sample."""

from functions.domain import names
from functions.domain.mapping import ITEM_LIMIT
from functions.domain.values import Field
from runbook.aws.aurora import Aurora
from runbook.checks.check import Check
from runbook.checks.schema import ColumnFacts, Facts

SAMPLE = 10_000  # rows: half with the lowest keys, half with the highest
SAMPLE_BYTES = 128 * 2**20  # of rows, by InnoDB's own estimate of their size
SMALL = 40  # bytes of any number, date or boolean in an item, from above
CHARACTER = 4  # bytes of UTF-8, at most


def checks(aurora: Aurora, facts: Facts) -> list[Check]:
    """How large items can be, or how large those of the sample are."""
    limit = f"{ITEM_LIMIT // 1024} KB"
    most = _most(facts)
    if most <= ITEM_LIMIT and _key_bytes(facts) <= names.KEY_BYTES:
        value = f"{_kilobytes(most)} at most, by the columns' types"
        return [Check(name="item size", ok=True, value=value, limit=limit)]
    return _sampled(aurora, facts, limit)


def _most(facts: Facts) -> int:
    fields = facts.entity.fields
    of_values = [_bytes(fields[name], column) for name, column in facts.mapped.items()]
    of_names = sum(len(name.encode()) for name in (facts.entity.modern.key, *fields))
    return of_names + names.KEY_BYTES + sum(of_values)


def _bytes(field: Field, column: ColumnFacts) -> int:
    if field.type == "bytes":
        return column.length
    if field.type in {"string", "json"}:
        return column.length * CHARACTER if column.length else ITEM_LIMIT + 1  # JSON has no length of its own
    return SMALL


def _key_bytes(facts: Facts) -> int:
    if facts.entity.legacy.key_type == "integer" or facts.key is None:
        return 0
    return facts.key.length * (CHARACTER if facts.key.charset == "utf8mb4" else 1)


def _sampled(aurora: Aurora, facts: Facts, limit: str) -> list[Check]:
    rows = aurora.query("", _statement(facts, _half(facts)))
    count, size, key, longest = (
        (int(rows[0][0]), int(rows[0][1]), rows[0][2], int(rows[0][3])) if rows else (0, 0, "", 0)
    )
    value = f"{_kilobytes(size)} the largest of {count:,} rows looked at, {key}" if rows else "no rows"
    remedy = "Shorten it, or keep the large value elsewhere: copy quarantines such rows (`runbook quarantine list`)."
    found = Check(name="item size", ok=size <= ITEM_LIMIT, value=value, limit=limit, remedy=remedy)
    if facts.entity.legacy.key_type == "integer":
        return [found]
    value, limit = f"{longest} bytes the longest of {count:,}", f"{names.KEY_BYTES} bytes"
    remedy = f"Give such rows a shorter key: an item's key has 1 to {names.KEY_BYTES} bytes. Copy leaves them out."
    ok = longest <= names.KEY_BYTES
    return [found, Check(name="key length", ok=ok, value=value, limit=limit, remedy=remedy)]


def _half(facts: Facts) -> int:
    size = max(facts.table.row_bytes if facts.table else 0, 1)
    return max(min(SAMPLE, SAMPLE_BYTES // size) // 2, 1)


def _statement(facts: Facts, half: int) -> str:
    """Counts the sample and shows its largest row and its longest key."""
    key = f"`{facts.entity.legacy.key}`"
    fixed = sum(len(name.encode()) for name in (facts.entity.modern.key, *facts.entity.fields))
    sizes = " + ".join([str(fixed), _length(key), *(_of(facts.entity.fields[n], c) for n, c in facts.mapped.items())])
    select = f"SELECT {key} AS pk, {sizes} AS bytes, {_length(key)} AS key_bytes FROM {facts.quoted}"  # noqa: S608
    ends = f"({select} ORDER BY {key} LIMIT {half}) UNION ({select} ORDER BY {key} DESC LIMIT {half})"
    return (
        "SELECT COUNT(*) OVER (), bytes, CAST(pk AS CHAR), MAX(key_bytes) OVER () "  # noqa: S608  # checked names
        f"FROM ({ends}) looked_at ORDER BY bytes DESC LIMIT 1"
    )


def _of(field: Field, column: ColumnFacts) -> str:
    name = f"`{column.name}`"
    if field.type == "bytes":
        return f"COALESCE(LENGTH({name}), 1)"
    return f"COALESCE({_length(name)}, 1)"


def _length(name: str) -> str:
    return f"LENGTH(CONVERT({name} USING utf8mb4))"


def _kilobytes(size: int) -> str:
    return f"{size / 1024:,.1f} KB"
