"""The legacy server: the cluster as AWS describes it, and what the server says of itself, its users and sessions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from functions.domain import names
from functions.domain.entities import Entity
from functions.install import tables
from runbook.aws.aurora import Aurora
from runbook.aws.clients import Clients
from runbook.aws.outputs import Target
from runbook.checks import grants
from runbook.checks.check import Check
from runbook.checks.schema import Facts, text
from runbook.errors import RunbookError

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

STRICT = frozenset({"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"})
UTC = frozenset({"UTC", "+00:00", "Etc/UTC", "Universal", "Zulu"})  # not GMT names: some have summer time
ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
ROUTINES = ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")  # the fence's procedure
MASTER = (*ROWS, "CREATE", "ALTER", "INDEX", "DROP", "TRIGGER", *ROUTINES, grants.GRANT_OPTION)
PARAMETER = "in the cluster's parameter group"
ENGINE, INSTANCE_ENGINE = "aurora-mysql", "mysql"
WITH_INVISIBLE_COLUMNS = (8, 0, 23)  # MySQL's
REACHED_SECONDS = 20.0  # that preflight waits for the database behind a function
ROW_FORMAT = "ROW"  # of the binary log
VERSION = re.compile(r"mysql_aurora\.(\d+)\.(\d+)")
WITH_DATA_API = (3, 7)  # AWS: the Data API for Aurora MySQL on Serverless v2 and provisioned instances
WITH_PAUSE = (3, 8)  # AWS: a minimum capacity of zero
UPGRADE = "Upgrade the cluster: the setting `engineVersion`, then `pulumi up` (docs/settings.md)."


def database(clients: Clients, aurora: Aurora, target: Target) -> list[Check]:
    """Engine and way to the database, in this order; one that is missing or cannot be described is one red check."""
    if not target.statement_function:
        return cluster(clients, target)
    name, kind = target.cluster_arn.rpartition(":")[2], target.cluster_arn.split(":")[5]
    try:
        if kind == "db":
            instance = clients.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
            engine = _mysql(instance.get("Engine", ""), instance.get("EngineVersion", ""))
        else:
            described = clients.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
            engine = _aurora(described.get("Engine", ""), described.get("EngineVersion", ""), (3, 0))
    except (ClientError, IndexError) as error:
        remedy = "Are these the outputs of a stack that is deployed? You need rds:DescribeDBInstances and DBClusters."
        return [Check(name="database", ok=False, value=str(error), limit="there", remedy=remedy)]
    return [engine, _reached(aurora, target.statement_function)]


def _mysql(engine: str, version: str) -> Check:
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    ok = engine == INSTANCE_ENGINE and numbers >= WITH_INVISIBLE_COLUMNS
    limit = f"{INSTANCE_ENGINE} {'.'.join(map(str, WITH_INVISIBLE_COLUMNS))} or newer"
    return Check(name="engine", ok=ok, value=f"{engine} {version}", limit=limit, remedy="Upgrade the instance.")


def _reached(aurora: Aurora, function: str) -> Check:
    """Whether the function in the database's network answers for the database."""
    try:
        aurora.query("", "SELECT 1", timeout=REACHED_SECONDS)
    except RunbookError as error:
        remedy = (
            "Let the functions' security group into the database's, on its port, and their subnets reach Secrets "
            f"Manager; {function}'s log has more (docs/adopt.md, a database without the Data API)."
        )
        return Check(name="connection", ok=False, value=error.message, limit="answers", remedy=remedy)
    return Check(name="connection", ok=True, value=f"answers by {function}", limit="answers")


def cluster(clients: Clients, target: Target) -> list[Check]:
    """Engine and Data API of a cluster that has one, in this order."""
    name = target.cluster_arn.rpartition(":")[2]
    try:
        found = clients.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    except ClientError as error:
        return [_unknown(str(error))]
    return [_engine(found[0]), _data_api(found[0])] if found else [_unknown(f"there is no cluster {name}")]


def _unknown(why: str) -> Check:
    remedy = "Are these the outputs of a stack that is deployed? You need rds:DescribeDBClusters."
    return Check(name="data api", ok=False, value=why, limit="on", remedy=remedy)


def _engine(described: DBClusterTypeDef) -> Check:
    least = WITH_PAUSE if _pauses(described) else WITH_DATA_API
    return _aurora(described.get("Engine", ""), described.get("EngineVersion", ""), least)


def _aurora(engine: str, version: str, least: tuple[int, int]) -> Check:
    match = VERSION.search(version)
    numbers = tuple(map(int, match.groups())) if match else ()
    ok = engine == ENGINE and numbers >= least
    limit = f"{ENGINE} 3.{least[1]:02} or newer"
    return Check(name="engine", ok=ok, value=f"{engine} {version}", limit=limit, remedy=UPGRADE)


def _pauses(described: DBClusterTypeDef) -> bool:
    return described.get("ServerlessV2ScalingConfiguration", {}).get("MinCapacity") == 0


def _data_api(described: DBClusterTypeDef) -> Check:
    on = described.get("HttpEndpointEnabled", False)
    remedy = "`aws rds enable-http-endpoint --resource-arn ARN`; `pulumi up` does it too."
    return Check(name="data api", ok=on, value="on" if on else "off", limit="on", remedy=remedy)


@dataclass(frozen=True, kw_only=True)
class SqlSession:
    user: str
    version: str
    log_bin: bool
    trusts_creators: bool
    binlog_format: str
    sql_mode: frozenset[str]
    time_zone: str
    lock_mode: str
    grants: tuple[grants.MysqlGrant, ...]

    @property
    def is_mariadb(self) -> bool:
        return "mariadb" in self.version.lower()

    @property
    def refuses_misfits(self) -> bool:
        """Whether the bridge's statements are refused where a value does not fit: on MySQL they set the mode."""
        return bool(self.sql_mode & STRICT) or not self.is_mariadb


def read(aurora: Aurora) -> SqlSession:
    """Ask: two statements."""
    sql = (
        "SELECT CURRENT_USER(), VERSION(), @@log_bin, @@log_bin_trust_function_creators, @@binlog_format, @@sql_mode, "
        "IF(@@time_zone = 'SYSTEM', @@system_time_zone, @@time_zone), @@innodb_autoinc_lock_mode"
    )
    user, version, log, trust, form, mode, zone, lock = (text(cell) for cell in aurora.query("", sql)[0])
    return SqlSession(
        user=user,
        version=version,
        log_bin=log in {"1", "True"},
        trusts_creators=trust in {"1", "True"},
        binlog_format=form.upper(),
        sql_mode=frozenset(mode.split(",")),
        time_zone=zone,
        lock_mode=lock,
        grants=tuple(grants.read(aurora)),
    )


def checks(session: SqlSession, facts: Facts, *, sandbox: bool) -> list[Check]:
    return [
        _product(session, sandbox=sandbox),
        _rights(session, facts.entity),
        _trust(session),
        _binary_log(session),
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
    problems += [] if session.refuses_misfits else ["its sessions are not strict"]
    problems += [] if session.time_zone in UTC else [f"its sessions are in {session.time_zone}"]
    ours = session.user.startswith(f"{names.BRIDGE_USER}@")
    problems += [] if ours else [f"its secret is of {session.user}"]
    return Check(name=name, ok=not problems, value="; ".join(problems) or session.user, limit=limit, remedy=remedy)


def _lost(session: SqlSession, entity: Entity) -> dict[str, list[str]]:
    database, wanted = entity.legacy.database, (entity.legacy.table, *tables.helpers(entity))
    found = {table: grants.missing(session.grants, ROWS, database, table) for table in wanted}
    return {table: lost for table, lost in found.items() if lost}


def _product(session: SqlSession, *, sandbox: bool) -> Check:
    ok = sandbox or (not session.is_mariadb and session.version.startswith("8."))
    value = session.version + (", in Aurora's place" if session.is_mariadb else "")
    limit = "MySQL 8" + (", or the sandbox's MariaDB" if sandbox else "")
    remedy = "Is that the cluster of this stack? Invisible columns need MySQL 8.0.23."
    return Check(name="server", ok=ok, value=value, limit=limit, remedy=remedy)


def _rights(session: SqlSession, entity: Entity) -> Check:
    legacy = entity.legacy
    lost = grants.missing(session.grants, MASTER, legacy.database, legacy.table)
    lost += grants.missing(session.grants, ["CREATE USER"], "*", "*")
    value = f"{session.user} lacks {', '.join(lost)}" if lost else f"{session.user} has them"
    limit = "triggers, columns, tables, procedures, users"
    remedy = f"As an administrator: GRANT {', '.join(lost)} … TO {session.user}, or deploy with the master's secret."
    return Check(name="rights", ok=not lost, value=value, limit=limit, remedy=remedy)


def _trust(session: SqlSession) -> Check:
    super_user = not grants.missing(session.grants, ["SUPER"], "*", "*")
    log = f"binary log {'on' if session.log_bin else 'off'}"
    trust = f"log_bin_trust_function_creators {int(session.trusts_creators)}"
    ok = not session.log_bin or session.trusts_creators or super_user
    remedy = f"Set log_bin_trust_function_creators = 1 {PARAMETER}; it needs no restart."
    return Check(name="creating triggers", ok=ok, value=f"{log}, {trust}", limit="allowed", remedy=remedy)


def _binary_log(session: SqlSession) -> Check:
    """With statements in the log, what a trigger reads is locked, and legacy's writers wait for each other."""
    ok = not session.log_bin or session.binlog_format == ROW_FORMAT
    value = f"on, {session.binlog_format}" if session.log_bin else "off"
    remedy = f"Set binlog_format = {ROW_FORMAT} {PARAMETER}; sessions that are open keep the old one."
    return Check(name="binary log", ok=ok, value=value, limit=f"{ROW_FORMAT} or off", remedy=remedy)


def _strict(session: SqlSession) -> Check:
    cut = "the bridge's statements are" if session.refuses_misfits else "values that do not fit are cut"
    value = ", ".join(sorted(session.sql_mode & STRICT)) or f"not strict: {cut}"
    remedy = f"Add STRICT_TRANS_TABLES to sql_mode {PARAMETER}."
    return Check(name="sql mode", ok=session.refuses_misfits, value=value, limit="strict, or MySQL", remedy=remedy)


def _zone(session: SqlSession, facts: Facts) -> Check:
    """DATETIME is what it is; TIMESTAMP is turned into the session's zone and must come out as UTC."""
    columns = facts.mapped.values()
    turned = [column.name for column in columns if column.kind == "timestamp"]
    kept = [column.name for column in columns if column.kind == "datetime"]
    notes = [f"{', '.join(kept)}: DATETIME, taken for UTC as it stands"] if kept else []
    notes += [f"{', '.join(turned)}: TIMESTAMP, which ends in 2038"] if turned else []
    ok = session.time_zone in UTC or not turned
    value = "; ".join([session.time_zone, *notes])
    remedy = f"Set time_zone = UTC {PARAMETER}, or change {', '.join(turned)} to DATETIME(6) in UTC."
    return Check(name="time zone", ok=ok, value=value, limit="UTC where TIMESTAMP is mapped", remedy=remedy)


def _lock_mode(session: SqlSession) -> Check:
    """Never red: it says how many keys the bridge's inserts use (docs/preflight.md)."""
    return Check(name="auto-increment", ok=True, value=f"lock mode {session.lock_mode}", limit="any")
