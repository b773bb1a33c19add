"""The primary key: whether it is one column, keeps apart what DynamoDB keeps apart, and has room left."""

import re

from functions.domain import names
from functions.legacy.table import HIGHEST_KEY
from runbook.aws.aurora import Aurora
from runbook.checks.check import Check
from runbook.checks.schema import ColumnFacts, Facts

FULL = 0.9  # share of the key's range in use
BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
CHARSET_NAME = re.compile(r"[A-Za-z0-9_]+")
# What a collation may take for one though DynamoDB keeps it apart; the last is never red (see `_collation`).
TRAILING = "trailing spaces"
PAIRS = (
    ("case", "a", "A"),
    ("accents", "e", "é"),
    ("composed letters", "é", "e\u0301"),
    ("ß and ss", "ß", "ss"),
    ("width", "a", "\uff41"),
    ("kana", "あ", "ア"),
    ("emoji", "🍕", "🍔"),
    ("invisible characters", "a", "a\u200b"),
    (TRAILING, "a", "a "),
)


def checks(aurora: Aurora, facts: Facts) -> list[Check]:
    problems, key = facts.problems("legacy.key:"), facts.key
    primary = Check(
        name="primary key",
        ok=not problems,
        value="; ".join(problems) or (key.name if key else "") + f", {facts.entity.legacy.key_type}",
        limit="one column, as mapped",
        remedy="Correct legacy.key or key_type in entities.toml, or give the table such a key.",
    )
    if problems or key is None:
        return [primary]
    if facts.entity.legacy.key_type == "integer":
        return [primary, _room(aurora, facts, key)]
    return [primary, _collation(aurora, facts, key), _empty(aurora, facts, key)]


def _room(aurora: Aurora, facts: Facts, key: ColumnFacts) -> Check:
    """Every record made in DynamoDB takes the next counted key; keys below one have no item key."""
    low, high = aurora.query("", f"SELECT MIN(`{key.name}`), MAX(`{key.name}`) FROM {facts.quoted}")[0]  # noqa: S608
    bits = BITS[key.kind] - ("unsigned" not in key.type)
    most = min(2**bits - 1, HIGHEST_KEY)
    lowest, highest = int(low or 1), int(high or 0)
    right = lowest >= 1 and highest <= most * FULL
    value = f"{lowest:,} to {highest:,} of {most:,}" if high is not None else f"none of {most:,} used"
    remedy = (
        f"ALTER TABLE {facts.place} MODIFY `{key.name}` BIGINT NOT NULL AUTO_INCREMENT gives room; "
        "give rows with a key below 1 another."
    )
    return Check(name="key range", ok=right, value=value, limit=f"1 and up, {FULL:.0%} used at most", remedy=remedy)


def _collation(aurora: Aurora, facts: Facts, key: ColumnFacts) -> Check:
    """Keys that are one in MySQL are one row for two items.

    Trailing spaces are never red: hardly a collation of MySQL before 0900 distinguishes them, streamback's own keys
    included, and the bridge quarantines the second key instead of overwriting the first one's row.
    """
    same = _taken_for_one(aurora, key)
    bad = [name for name in same if name != TRAILING]
    padded = key.kind == "binary"
    notes = [f"takes for one: {', '.join(bad)}"] if bad else []
    notes += ["pads keys with zero bytes"] if padded else []
    notes += ["of keys that differ in trailing spaces only, the later is quarantined"] if same == [TRAILING] else []
    notes += [] if key.charset in {"", "utf8mb4"} else [f"keys that {key.charset} cannot write are quarantined"]
    kind = f"VARCHAR({key.length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    value = "; ".join([key.collation or "bytes", *notes])
    limit = "keeps apart what DynamoDB does"
    remedy = f"ALTER TABLE {facts.place} MODIFY `{key.name}` {kind} NOT NULL."
    return Check(name="key collation", ok=not bad and not padded, value=value, limit=limit, remedy=remedy)


def _taken_for_one(aurora: Aurora, key: ColumnFacts) -> list[str]:
    """The kinds of difference that the key's collation ignores, tried on the server."""
    if not (CHARSET_NAME.fullmatch(key.charset) and CHARSET_NAME.fullmatch(key.collation)):
        return []
    values: dict[str, str] = {}
    tried: list[str] = []
    for number, (_, one, other) in enumerate(PAIRS):
        values |= {f"a{number}": one, f"b{number}": other}
        left, right = (f"CONVERT(:{side}{number} USING {key.charset})" for side in "ab")
        # why the first two: what the character set cannot write becomes a question mark
        tried.append(
            f"BINARY CONVERT({left} USING utf8mb4) = BINARY CONVERT(:a{number} USING utf8mb4) "
            f"AND BINARY CONVERT({right} USING utf8mb4) = BINARY CONVERT(:b{number} USING utf8mb4) "
            f"AND {left} COLLATE {key.collation} = {right} COLLATE {key.collation}"
        )
    row = aurora.query("", f"SELECT {', '.join(tried)}", values)[0]
    return [name for (name, _, _), same in zip(PAIRS, row, strict=True) if int(same or 0)]


def _empty(aurora: Aurora, facts: Facts, key: ColumnFacts) -> Check:
    sql = f"SELECT 1 FROM {facts.quoted} WHERE `{key.name}` = '' LIMIT 1"  # noqa: S608  # from the dictionary
    found = bool(aurora.query("", sql))
    value = "one row has it" if found else "none"
    remedy = f"Give that row another key: an item's key has 1 to {names.KEY_BYTES} bytes. Copy leaves it out."
    return Check(name="empty key", ok=not found, value=value, limit="none", remedy=remedy)
