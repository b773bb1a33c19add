"""Random tables, and random contents for them, as an owner and its clients may have made them."""

from __future__ import annotations

import datetime as dt
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
CHARSETS = ("utf8mb4", "utf8mb3", "latin1", "ascii", "utf16", "koi8r", "gbk", "cp932")
TEXTS = ("", " ", "a ", "'\\\"`", "\x00\x01", "é", "ж", "漢字", "👩‍🍳", "x" * 30, "~\\¥", "NULL", "0")
ODD_DATES = ("0000-00-00", "2025-02-31", "2025-00-15", "1000-01-01", "9999-12-31", "2024-02-29")
UNSUPPORTED = {"FLOAT": "decimal", "TIME": "datetime", "YEAR": "integer", "SET('a','b')": "string", "DOUBLE": "decimal"}
DOCUMENTS = (
    "null",
    "[true, 1, 1.0]",
    '{"a": 18446744073709551615}',
    '{"a": 18446744073709551616}',
    '{"": 1}',
    '{"a": 1, "a": 2}',
    "[0.1, 1e100, -0.0]",
    "[0.30000000000000004441]",
    '"\\ud83d\\ude00"',
    '"\\ud800"',
)


@dataclass(frozen=True)
class RandomColumn:
    """A column: its DDL without the name, the type that a field of it has, and what makes its contents."""

    ddl: str
    type: str
    raw: Callable[[Random], Any]


def column(random: Random) -> RandomColumn:
    makers = (_integer, _integer, _boolean, _decimal, _text, _text, _fixed, _enum, _bytes, _moment, _moment, _document)
    made = random.choice((*makers, _unsupported))(random)
    return RandomColumn(f"{made.ddl} {random.choice(('NULL', 'NULL', 'NOT NULL'))}", made.type, made.raw)


def _integer(random: Random) -> RandomColumn:
    kind, bits = random.choice(list(INTEGERS.items()))
    sign = random.choice(("", " UNSIGNED", " UNSIGNED ZEROFILL"))
    low, high = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return RandomColumn(f"{kind}{sign}", "integer", lambda r: r.choice((low, high, r.randint(low, high), 0, 7)))


def _boolean(random: Random) -> RandomColumn:
    kind = random.choice(("TINYINT(1)", "BIT(1)", "BIT(8)", "TINYINT"))
    return RandomColumn(kind, "boolean", lambda r: r.choice((0, 1, 1) if kind == "BIT(1)" else (0, 1, 7, 100)))


def _decimal(random: Random) -> RandomColumn:
    precision = random.randint(1, 65)
    scale = random.randint(0, min(30, precision))

    def raw(r: Random) -> Decimal:
        digits = "".join(r.choices("0123456789", k=r.randint(1, precision)))
        return Decimal(r.choice((digits, f"-{digits}"))).scaleb(-scale)

    return RandomColumn(f"DECIMAL({precision},{scale})", "decimal", raw)


def _text(random: Random) -> RandomColumn:
    kind = random.choice((f"VARCHAR({random.randint(1, 60)})", "TINYTEXT", "TEXT", "MEDIUMTEXT"))
    return RandomColumn(f"{kind} CHARACTER SET {random.choice(CHARSETS)}", "string", lambda r: r.choice(TEXTS))


def _fixed(random: Random) -> RandomColumn:
    size = random.randint(1, 40)
    if random.random() < 0.5:
        return RandomColumn(
            f"CHAR({size}) CHARACTER SET {random.choice(CHARSETS)}", "string", lambda r: r.choice(TEXTS)
        )
    return RandomColumn(f"BINARY({size})", "bytes", lambda r: r.randbytes(r.randint(0, size)))


def _enum(_: Random) -> RandomColumn:
    return RandomColumn(
        "ENUM('small', 'l''arge', '', 'ß', '2')", "string", lambda r: r.choice(("small", "ß", "", "2", "x"))
    )


def _bytes(random: Random) -> RandomColumn:
    kind = random.choice((f"VARBINARY({random.randint(1, 60)})", "TINYBLOB", "BLOB", "MEDIUMBLOB"))
    return RandomColumn(kind, "bytes", lambda r: r.randbytes(r.randint(0, 60)))


def _moment(random: Random) -> RandomColumn:
    kind = random.choice(("DATE", f"DATETIME({random.randint(0, 6)})", f"TIMESTAMP({random.randint(0, 6)})"))
    first = 1970 if kind.startswith("TIMESTAMP") else 1000
    last = 2037 if kind.startswith("TIMESTAMP") else 9999

    def raw(r: Random) -> str:
        day = dt.datetime(r.randint(first, last), r.randint(1, 12), r.randint(2, 28), tzinfo=dt.UTC)
        moment = day + dt.timedelta(microseconds=r.choice((0, 500_000, r.randrange(10**6))))
        usual = moment.replace(tzinfo=None).isoformat(" ")
        odd = "0000-00-00" if kind.startswith("TIMESTAMP") else r.choice(ODD_DATES)
        return r.choice((usual, usual, odd))

    return RandomColumn(kind, "date" if kind == "DATE" else "datetime", raw)


def _document(_: Random) -> RandomColumn:
    return RandomColumn("JSON", "json", lambda r: r.choice(DOCUMENTS))


def _unsupported(random: Random) -> RandomColumn:
    kind, field = random.choice(list(UNSUPPORTED.items()))
    return RandomColumn(kind, field, lambda _: None)


def sent(random: Random, kind: str) -> Any:
    """What a client may send for a type, good or bad."""
    day = f"{random.randint(999, 9999):04}-02-{random.randint(1, 29):02}"
    fraction = random.choice(("", ".5", ".123456", ".9999999", ".000"))
    return {
        "integer": lambda: random.choice((0, 7, -1, 255, 2**31, 2**63, 2**64 - 1, 2**64, Decimal("1e3"))),
        "boolean": lambda: random.choice((True, False, 1)),
        "decimal": lambda: str(Decimal(random.randint(-(10**40), 10**40)).scaleb(-random.randint(0, 40))),
        "string": lambda: random.choice(TEXTS),
        "bytes": lambda: random.choice(("", "AQ==", "AQIDBA==", "A" * 40)),
        "datetime": lambda: f"{day}T{random.randint(0, 23):02}:59:59{fraction}{random.choice(('Z', '+05:30'))}",
        "date": lambda: day,
        "json": lambda: json.loads(random.choice(DOCUMENTS), parse_float=Decimal),
    }[kind]()


def settings(problem: str) -> dict[str, Any]:
    """The settings that a problem of the schema check says to write; none if it has no such remedy."""
    _, found, text = problem.rpartition("; write ")
    lines = text.removesuffix(", or fewer of them")
    return tomllib.loads(lines if "[" in lines else lines.replace(", ", "\n")) if found else {}
