"""The server and its users' sessions: what it is, what its users may do, strictness, time zone."""

from __future__ import annotations

from dataclasses import dataclass

from functions.domain import names
from functions.domain.entities import Entity
from functions.install import tables
from runbook.aws.aurora import Aurora
from runbook.checks import grants
from runbook.checks.check import Check
from runbook.checks.schema import Facts, text
from runbook.errors import RunbookError

STRICT = frozenset({"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"})
UTC = frozenset({"UTC", "+00:00", "Etc/UTC", "Universal", "Zulu"})  # not GMT names: some have summer time
ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
ROUTINES = ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")  # the fence's procedure
MASTER = (*ROWS, "CREATE", "ALTER", "INDEX", "DROP", "TRIGGER", *ROUTINES, grants.GRANT_OPTION)
PARAMETER = "in the cluster's parameter group"


@dataclass(frozen=True, kw_only=True)
class Session:
    """What the server tells one of its users."""

    user: str
    version: str
    log_bin: bool
    trusts_creators: bool
    sql_mode: frozenset[str]
    time_zone: str
    lock_mode: str
    grants: tuple[grants.Grant, ...]


def read(aurora: Aurora) -> Session:
    """Ask: two statements."""
    sql = (
        "SELECT CURRENT_USER(), VERSION(), @@log_bin, @@log_bin_trust_function_creators, @@sql_mode, "
        "IF(@@time_zone = 'SYSTEM', @@system_time_zone, @@time_zone), @@innodb_autoinc_lock_mode"
    )
    user, version, log, trust, mode, zone, lock = (text(cell) for cell in aurora.query("", sql)[0])
    return Session(
        user=user,
        version=version,
        log_bin=log in {"1", "True"},
        trusts_creators=trust in {"1", "True"},
        sql_mode=frozenset(mode.split(",")),
        time_zone=zone,
        lock_mode=lock,
        grants=tuple(grants.read(aurora)),
    )


def checks(session: Session, facts: Facts, *, sandbox: bool) -> list[Check]:
    """What holds for the master user's session."""
    return [
        _product(session, sandbox=sandbox),
        _rights(session, facts.entity),
        _trust(session),
        _strict(session),
        _zone(session, facts),
        _lock_mode(session),
    ]


def bridge(aurora: Aurora, entity: Entity) -> Check:
    """Whether the bridge's own user gets in and may do what it needs to, with sessions as strict."""
    name, limit = "bridge's user", "gets in, may write, strict sessions in UTC"
    remedy = "Run `runbook init`: it makes the user and its rights. You need to read the bridge's secret, too."
    try:
        session = read(aurora)
    except RunbookError as error:
        return Check(name=name, ok=False, value=error.message, limit=limit, remedy=remedy)
    problems = [f"no {', '.join(lost)} on {table}" for table, lost in _lost(session, entity).items()]
    problems += [] if session.sql_mode & STRICT else ["its sessions are not strict"]
    problems += [] if session.time_zone in UTC else [f"its sessions are in {session.time_zone}"]
    ours = session.user.startswith(f"{names.BRIDGE_USER}@")
    problems += [] if ours else [f"its secret is of {session.user}"]
    return Check(name=name, ok=not problems, value="; ".join(problems) or session.user, limit=limit, remedy=remedy)


def _lost(session: Session, entity: Entity) -> dict[str, list[str]]:
    database = entity.legacy.database
    found = {
        table: grants.missing(session.grants, ROWS, database, table) for table in (entity.legacy.table, *tables.TABLES)
    }
    return {table: lost for table, lost in found.items() if lost}


def _product(session: Session, *, sandbox: bool) -> Check:
    mariadb = "mariadb" in session.version.lower()
    return Check(
        name="server",
        ok=sandbox or (not mariadb and session.version.startswith("8.")),
        value=session.version + (", in Aurora's place" if mariadb else ""),
        limit="MySQL 8" + (", or the sandbox's MariaDB" if sandbox else ""),
        remedy="Is that the cluster of this stack? Invisible columns need MySQL 8.0.23.",
    )


def _rights(session: Session, entity: Entity) -> Check:
    legacy = entity.legacy
    lost = grants.missing(session.grants, MASTER, legacy.database, legacy.table)
    lost += grants.missing(session.grants, ["CREATE USER"], "*", "*")
    return Check(
        name="rights",
        ok=not lost,
        value=f"{session.user} lacks {', '.join(lost)}" if lost else f"{session.user} has them",
        limit="triggers, columns, tables, procedures, users",
        remedy=f"As an administrator: GRANT {', '.join(lost)} … TO {session.user}, or deploy with the master's secret.",
    )


def _trust(session: Session) -> Check:
    super_user = not grants.missing(session.grants, ["SUPER"], "*", "*")
    log = f"binary log {'on' if session.log_bin else 'off'}"
    trust = f"log_bin_trust_function_creators {int(session.trusts_creators)}"
    return Check(
        name="creating triggers",
        ok=not session.log_bin or session.trusts_creators or super_user,
        value=f"{log}, {trust}",
        limit="allowed",
        remedy=f"Set log_bin_trust_function_creators = 1 {PARAMETER}; it needs no restart.",
    )


def _strict(session: Session) -> Check:
    strict = session.sql_mode & STRICT
    return Check(
        name="sql mode",
        ok=bool(strict),
        value=", ".join(sorted(strict)) or "not strict: values that do not fit are cut",
        limit="strict",
        remedy=f"Add STRICT_TRANS_TABLES to sql_mode {PARAMETER}.",
    )


def _zone(session: Session, facts: Facts) -> Check:
    """DATETIME is what it is; TIMESTAMP is turned into the session's zone and must come out as UTC."""
    columns = facts.mapped.values()
    turned = [column.name for column in columns if column.kind == "timestamp"]
    kept = [column.name for column in columns if column.kind == "datetime"]
    notes = [f"{', '.join(kept)}: DATETIME, taken for UTC as it stands"] if kept else []
    notes += [f"{', '.join(turned)}: TIMESTAMP, which ends in 2038"] if turned else []
    return Check(
        name="time zone",
        ok=session.time_zone in UTC or not turned,
        value="; ".join([session.time_zone, *notes]),
        limit="UTC where TIMESTAMP is mapped",
        remedy=f"Set time_zone = UTC {PARAMETER}, or change {', '.join(turned)} to DATETIME(6) in UTC.",
    )


def _lock_mode(session: Session) -> Check:
    """Informs only: an insert of the bridge takes one key, in any mode."""
    return Check(name="auto-increment", ok=True, value=f"lock mode {session.lock_mode}", limit="any")
