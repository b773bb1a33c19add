"""What a MySQL user may do, from SHOW GRANTS, which quotes names by " where sql_mode has ANSI_QUOTES."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runbook.aws.aurora import Aurora

NAME = r"""(\*|`(?:[^`]|``)+`|"(?:[^"]|"")+")"""
GRANT = re.compile(rf"GRANT (?P<privileges>.+?) ON (?:TABLE )?{NAME}\.{NAME} TO (?P<rest>.*)", re.DOTALL)
ROLES = re.compile(
    r"""GRANT ((?:([`"])[^`"]+\2@\2[^`"]*\2(?:, ?)?)+) TO """
)  # MySQL's; MariaDB lists a role's grants by itself
OF_COLUMNS = re.compile(r"[A-Z ]+\([^)]*\)")
EVERYTHING = "ALL PRIVILEGES"
GRANT_OPTION = "GRANT OPTION"


@dataclass(frozen=True)
class MysqlGrant:
    """Privileges on what a pattern names; `*` is everything."""

    privileges: frozenset[str]
    database: str
    table: str

    def covers(self, database: str, table: str) -> bool:
        """Whether it is about this table; `*` as the name asks for the whole database, or all of them."""
        return _matches(self.database, database, pattern=True) and _matches(self.table, table, pattern=False)


def read(aurora: Aurora) -> list[MysqlGrant]:
    """The grants of the user that asks, those of its roles included."""
    lines = _lines(aurora, "SHOW GRANTS")
    roles = ", ".join(match[1] for line in lines if (match := ROLES.match(line)))
    if roles:
        lines = _lines(aurora, f"SHOW GRANTS FOR CURRENT_USER() USING {roles}")
    return [grant for line in lines if (grant := parse(line))]


def _lines(aurora: Aurora, sql: str) -> list[str]:
    return [str(row[0]) for row in aurora.query("", sql)]


def parse(line: str) -> MysqlGrant | None:
    """One line of SHOW GRANTS; None for one about roles, proxies or routines. Rights on columns do not count."""
    match = GRANT.match(line)
    if not match:
        return None
    whole = OF_COLUMNS.sub("", match["privileges"])
    privileges = {word.strip().upper() for word in whole.split(",")} - {""}
    if "WITH GRANT OPTION" in match["rest"]:
        privileges.add(GRANT_OPTION)
    return MysqlGrant(frozenset(privileges), _plain(match[2]), _plain(match[3]))


def missing(grants: Sequence[MysqlGrant], wanted: Iterable[str], database: str, table: str) -> list[str]:
    """Those of the wanted privileges that no grant gives on this table, in their order."""
    held = {word for grant in grants if grant.covers(database, table) for word in grant.privileges}
    return [word for word in wanted if word not in held and (word == GRANT_OPTION or EVERYTHING not in held)]


def _plain(name: str) -> str:
    return name if name == "*" else name[1:-1].replace(name[0] * 2, name[0])


def _matches(granted: str, wanted: str, *, pattern: bool) -> bool:
    if granted in {"*", wanted}:
        return True
    if not pattern or wanted == "*":
        return False
    parts: list[str] = re.findall(r"\\.|.", granted, re.DOTALL)  # of LIKE
    wild: dict[str, str] = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(expression, wanted, re.DOTALL) is not None
