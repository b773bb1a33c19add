"""Each check of preflight turns red for its hazard, on the real MariaDB and MiniStack, and is green without it."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from preflight_world import ENTITY, KEY, NAMES, TABLE, World, aimed, entity_aimed, looked
from typer.testing import CliRunner

from functions.aws.quarantine import Quarantine
from functions.domain import names
from functions.install import triggers
from runbook.aws.failure_bucket import prefix
from runbook.checks import deployment, grants, plans, routes, schema, server
from runbook.checks import triggers as capture
from runbook.checks.grants import Grant
from runbook.checks.plans import CheckScope
from runbook.commands.cli import app
from runbook.journal.journal import Operation, Phase, State

GUARD = f"IF SUBSTRING_INDEX(USER(), '@', 1) <> '{names.BRIDGE_USER}' THEN SET NEW.cheffirst = 'x'; END IF"
NATURAL = "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE {} NOT NULL PRIMARY KEY"


def natural(key: str) -> dict[str, Any]:
    """A table with a natural key of this type."""
    return {"table": f"CREATE TABLE chefs (id {key}, {NAMES})", "more": {"key_type": "string"}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table with a hazard; `then` is done to it after `runbook init`."""

    check: str
    says: str
    table: str = TABLE
    then: tuple[str, ...] = ()
    prepared: bool = True
    more: dict[str, Any] = field(default_factory=dict)


PARENT = (
    "CREATE TABLE kitchens (id INT PRIMARY KEY)",
    "ALTER TABLE chefs ADD kitchen INT, ADD CONSTRAINT of_kitchen FOREIGN KEY (kitchen) REFERENCES kitchens (id)",
)
HAZARDS = [
    Case(check="legacy table", says="no preflight_", then=("DROP TABLE chefs",)),
    Case(check="legacy table", says="MyISAM", table=f"{TABLE} ENGINE = MyISAM"),
    Case(check="legacy table", says="view", table="CREATE VIEW chefs AS SELECT 1 AS id", prepared=False),
    Case(
        check="partitions",
        says="partitioned",
        table=f"{TABLE} PARTITION BY HASH (id) PARTITIONS 2",
        prepared=False,
    ),
    Case(check="bridge's columns", says="streamback_key is missing", prepared=False),
    Case(
        check="bridge's columns",
        says="streamback_stamp is visible",
        then=("ALTER TABLE chefs MODIFY streamback_stamp INT NULL",),
    ),
    Case(
        check="bridge's columns",
        says="streamback_key has no unique index",
        then=("ALTER TABLE chefs DROP INDEX streamback_key",),
    ),
    Case(check="helper tables", says="no streamback_probes", then=("DROP TABLE streamback_probes",)),
    Case(check="helper tables", says="no streamback_changes", prepared=False),
    Case(
        check="cascades",
        says="of_kitchen: ON DELETE CASCADE",
        then=(PARENT[0], f"{PARENT[1]} ON DELETE CASCADE"),
    ),
    Case(
        check="cascades",
        says="ON DELETE SET NULL",
        then=(PARENT[0], f"{PARENT[1]} ON DELETE SET NULL"),
    ),
    Case(check="cascades", says="ON UPDATE CASCADE", then=(PARENT[0], f"{PARENT[1]} ON UPDATE CASCADE")),
    Case(
        check="triggers",
        says="tidy (BEFORE UPDATE) sets cheffirst, cheflast",
        then=("CREATE TRIGGER tidy BEFORE UPDATE ON chefs FOR EACH ROW SET NEW.cheflast = 'x', NEW.cheffirst = 'y'",),
    ),
    Case(
        check="triggers",
        says="tidy (BEFORE INSERT) sets streamback_key",
        then=("CREATE TRIGGER tidy BEFORE INSERT ON chefs FOR EACH ROW SET NEW.streamback_key = 'x'",),
    ),
    Case(
        check="triggers",
        says="streamback_stray has streamback's name",
        then=("CREATE TRIGGER streamback_stray AFTER DELETE ON chefs FOR EACH ROW DO 1",),
    ),
    Case(
        check="primary key",
        says="must be the whole primary key",
        table=f"CREATE TABLE chefs (id BIGINT AUTO_INCREMENT, place INT, {NAMES}, PRIMARY KEY (id, place))",
    ),
    Case(
        check="primary key",
        says="expects an AUTO_INCREMENT column",
        table=f"CREATE TABLE chefs (id BIGINT PRIMARY KEY, {NAMES})",
    ),
    Case(check="key range", says="-5 to -5", then=("INSERT INTO chefs (id) VALUES (-5)",)),
    Case(
        check="key range",
        says="120 of 127",
        table=f"CREATE TABLE chefs ({KEY.replace('BIGINT', 'TINYINT')}, {NAMES})",
        then=("INSERT INTO chefs (id) VALUES (120)",),
    ),
    Case(check="key collation", says="case, accents", **natural(NATURAL.format("utf8mb4_unicode_520_ci"))),
    Case(check="key collation", says="emoji", **natural(NATURAL.format("utf8mb4_general_ci"))),
    Case(
        check="key collation",
        says="latin1 cannot write",
        **natural("VARCHAR(40) CHARACTER SET latin1 NOT NULL PRIMARY KEY"),
    ),
    Case(check="key collation", says="pads keys", **natural("BINARY(16) NOT NULL PRIMARY KEY")),
    Case(
        check="empty key",
        says="one row",
        then=("INSERT INTO chefs (id) VALUES ('')",),
        **natural(NATURAL.format("utf8mb4_bin")),
    ),
    Case(
        check="key length",
        says="260 bytes",
        then=("INSERT INTO chefs (id) VALUES (REPEAT('k', 260))",),
        **natural("VARCHAR(300) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL PRIMARY KEY"),
    ),
    Case(
        check="fields",
        says="no column stars",
        more={"fields": {"stars": {"column": "stars", "type": "integer"}}},
    ),
    Case(check="fields", says="max_length", table=f"CREATE TABLE chefs ({KEY}, {NAMES.replace('255', '20')})"),
    Case(check="unmapped columns", says="stars is NOT NULL", table=f"{TABLE[:-1]}, stars INT NOT NULL)"),
    Case(
        check="generated columns",
        says="mapped: firstName (cheffirst)",
        table=f"CREATE TABLE chefs ({KEY}, cheffirst VARCHAR(255) AS (UPPER(cheflast)), cheflast VARCHAR(255))",
    ),
    Case(
        check="item size",
        says="the largest of 2 rows looked at, 2",
        table=f"CREATE TABLE chefs ({KEY}, {NAMES.replace('VARCHAR(255)', 'LONGTEXT')})",
        then=("INSERT INTO chefs (cheffirst) VALUES ('small'), (REPEAT('x', 410000))",),
    ),
    Case(check="fence", says="up", then=("UPDATE streamback_control SET fenced = 1",)),
    Case(check="fence", says="no row", then=("DELETE FROM streamback_control",)),
    Case(check="noted stream", says="Aurora notes none", then=("DELETE FROM streamback_streams",)),
    Case(
        check="noted stream",
        says="Aurora notes another",
        then=("UPDATE streamback_streams SET stream_arn = 'table/stream/another'",),
    ),
]


@pytest.fixture(scope="module")
def context(prepared):
    """The sandbox's own chefs and specimens, prepared."""
    return prepared


@pytest.fixture
def world(sandbox, database, context):
    made = World(sandbox, database, context.clients)
    yield made
    made.tidy()


def red(found):
    """The names of the checks that do not hold."""
    return [name for name, check in found.items() if not check.ok]


@pytest.mark.parametrize("entity", ["chefs", "specimens"])
def test_everything_holds_in_a_fresh_sandbox(context, entity):
    found = plans.checks(context, context.target.entity(entity), CheckScope.PREFLIGHT)
    assert [(check.name, check.value) for check in found if not check.ok] == []
    assert len({check.name for check in found}) == len(found)


def test_everything_holds_with_copys_own_triggers_there(world):
    context = world.context()
    triggers.install(context.aurora.database(), context.target.mapping[ENTITY])
    found = looked(context)
    assert red(found) == []
    assert found["triggers"].value == "none of the owner's"


@pytest.mark.parametrize("case", HAZARDS, ids=lambda case: f"{case.check}: {case.says}")
def test_a_hazard_of_the_table_turns_its_check_red(world, case):
    context = world.context(case.table, prepared=case.prepared, **case.more)
    world.sql(*case.then)
    check = looked(context)[case.check]
    assert check.ok is False
    assert case.says in check.value
    assert check.remedy


def test_a_missing_table_leaves_the_rest_unlooked_at(world):
    context = world.context()
    world.sql("DROP TABLE chefs")
    found = looked(context)
    assert red(found) == ["legacy table", "the rest"]
    assert found["the rest"].ok is None


def test_what_only_informs_is_told_and_stays_green(world):
    context = world.context(
        f"{TABLE[:-1]}, nick VARCHAR(9) CHARACTER SET latin1 UNIQUE, badge INT DEFAULT 7, loud TEXT AS (UPPER(nick)))",
        fields={"nick": {"column": "nick", "type": "string"}},
    )
    world.sql(
        *PARENT,
        "CREATE TABLE dishes (id INT PRIMARY KEY, chef BIGINT, CONSTRAINT by_chef FOREIGN KEY (chef) "
        "REFERENCES chefs (id))",
        "CREATE TABLE awards (id INT PRIMARY KEY, chef BIGINT, CONSTRAINT to_chef FOREIGN KEY (chef) "
        "REFERENCES chefs (id) ON DELETE CASCADE)",
        "CREATE TRIGGER audit AFTER UPDATE ON chefs FOR EACH ROW DO 1",
        f"CREATE TRIGGER tidy BEFORE UPDATE ON chefs FOR EACH ROW BEGIN {GUARD}; END",
        "CREATE TRIGGER compares BEFORE INSERT ON chefs FOR EACH ROW "
        "BEGIN IF NEW.cheffirst = 'SET' THEN SET @seen = 1; END IF; END",
    )
    found = looked(context)
    assert red(found) == []
    assert found["unmapped columns"].value.startswith("badge, kitchen: not copied")
    assert "nick (nick): DynamoDB accepts duplicates" in found["unique indexes"].value
    assert found["character sets"].value.startswith("nick (latin1)")
    assert found["generated columns"].value.startswith("loud: not mapped")
    assert "audit (AFTER UPDATE), compares (BEFORE INSERT), tidy (BEFORE UPDATE)" in found["triggers"].value
    told = found["foreign keys"].value
    assert "of_kitchen needs its row" in told
    assert "awards (to_chef, CASCADE)" in told
    assert "goes to quarantine while" in told


@pytest.mark.parametrize("collation", ["utf8mb4_bin", "utf8mb4_nopad_bin"])
def test_a_natural_key_that_compares_bytes_is_fine(world, collation):
    found = looked(world.context(**_spread(natural(NATURAL.format(collation)))))
    assert red(found) == []
    assert ("trailing spaces" in found["key collation"].value) == (collation == "utf8mb4_bin")


def test_a_natural_key_of_bytes_is_fine(world):
    found = looked(world.context(**_spread(natural("VARBINARY(40) NOT NULL PRIMARY KEY"))))
    assert red(found) == []


def _spread(case: dict[str, Any]) -> dict[str, Any]:
    return {"table": case["table"], **case["more"]}


def test_a_quick_look_reads_no_rows(world):
    context = world.context(f"CREATE TABLE chefs ({KEY}, {NAMES.replace('VARCHAR(255)', 'LONGTEXT')})")
    assert "item size" not in looked(context, quick=True)
    assert "item size" in looked(context)


def test_rows_at_both_ends_are_looked_at_and_each_counts_once(world, monkeypatch):
    context = world.context(f"CREATE TABLE chefs ({KEY}, {NAMES.replace('VARCHAR(255)', 'LONGTEXT')})")
    world.sql("INSERT INTO chefs (cheffirst) VALUES (REPEAT('é', 1000)), ('b'), ('c')")
    assert looked(context)["item size"].value == "2.0 KB the largest of 3 rows looked at, 1"
    monkeypatch.setattr("runbook.checks.sizes.SAMPLE", 2)
    assert looked(context)["item size"].value == "2.0 KB the largest of 2 rows looked at, 1"


def test_a_master_user_without_rights_is_named_with_what_it_lacks(world):
    context = world.context()
    database = context.target.mapping[ENTITY].legacy.database
    granted = f"SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON {database}.*"
    lacking = looked(world.user(context, granted, ""))["rights"]
    assert lacking.ok is False
    assert "lacks TRIGGER, CREATE ROUTINE, ALTER ROUTINE, EXECUTE, GRANT OPTION, CREATE USER" in lacking.value
    assert looked(world.user(context))["rights"].ok


@pytest.fixture
def captured(world):
    """Chefs with copy's triggers, and what says whether they are whole."""
    context = world.context()
    triggers.install(context.aurora.database(), context.target.mapping[ENTITY])

    def look():
        aurora, entity = context.aurora, context.target.mapping[ENTITY]
        return {check.name: check for check in (capture.installed(aurora, entity), capture.procedure(aurora, entity))}

    assert all(check.ok for check in look().values())
    return look


def test_a_trigger_that_is_dropped_or_changed_is_named(world, captured):
    world.sql(
        "DROP TRIGGER streamback_fence_i_chefs",
        "DROP TRIGGER streamback_capture_d_chefs",
        "CREATE TRIGGER streamback_capture_d_chefs AFTER DELETE ON chefs FOR EACH ROW DO 1",
    )
    found = captured()["streamback's triggers"]
    assert found.value == "streamback_fence_i_chefs is missing, streamback_capture_d_chefs is another"
    assert "runbook copy start" in found.remedy


def test_triggers_that_went_with_a_swapped_table_are_missed(world, captured):
    world.sql("CREATE TABLE new LIKE chefs", "RENAME TABLE chefs TO old, new TO chefs")
    assert "streamback_fence_u_chefs is on old" in captured()["streamback's triggers"].value


@pytest.mark.parametrize(
    ("again", "says"), [("", "missing"), ("CREATE PROCEDURE streamback_fence() DO 1", "another text")]
)
def test_a_fence_without_its_procedure_is_found(world, captured, again, says):
    world.sql("DROP PROCEDURE streamback_fence", *([again] if again else []))
    found = captured()["fence's procedure"]
    assert (found.ok, found.value, found.remedy) == (False, says, "Run `runbook init`.")


@pytest.fixture
def settings(database):
    """Changes global variables until the test ends."""
    changed: list[tuple[str, str]] = []
    with database.cursor() as cursor:

        def change(name: str, value: str) -> None:
            cursor.execute(f"SELECT @@GLOBAL.{name}")
            changed.append((name, cursor.fetchone()[0]))
            cursor.execute(f"SET GLOBAL {name} = %s", (value,))

        yield change
        for name, value in reversed(changed):
            cursor.execute(f"SET GLOBAL {name} = %s", (value,))


def test_sessions_that_are_not_strict_are_red(world, settings):
    settings("sql_mode", "NO_ENGINE_SUBSTITUTION")
    check = looked(world.user(world.context()))["sql mode"]
    assert check.ok is False
    assert "not strict" in check.value


def test_a_zone_other_than_utc_is_red_where_a_timestamp_is_mapped(world, settings):
    born = {"born": {"column": "born", "type": "datetime"}}
    stamped = world.context(f"{TABLE[:-1]}, born TIMESTAMP(6) NULL)", fields=born)
    plain = world.context(f"{TABLE[:-1]}, born DATETIME(6) NULL)", fields=born)
    assert looked(stamped)["time zone"].ok
    settings("time_zone", "+02:00")
    assert looked(world.user(stamped))["time zone"].ok is False
    kept = looked(world.user(plain))["time zone"]
    assert kept.ok
    assert "born: DATETIME, taken for UTC" in kept.value


def test_the_bridges_user_must_get_in_and_may_write(world, settings):
    context = world.context()
    database = context.target.mapping[ENTITY].legacy.database
    assert looked(context)["bridge's user"].ok
    world.sql(f"REVOKE DELETE ON {database}.* FROM {names.BRIDGE_USER}@'%'")
    assert "no DELETE on chefs" in looked(context)["bridge's user"].value
    another = aimed(context, bridge_secret_arn=context.target.master_secret_arn)
    assert "its secret is of" in looked(another)["bridge's user"].value
    shut = world.user(context)
    world.sql(f"SET PASSWORD FOR {_user(world)}@'%' = PASSWORD('changed')")
    locked = aimed(context, bridge_secret_arn=shut.target.master_secret_arn)
    assert looked(locked)["bridge's user"].ok is False
    settings("sql_mode", "")
    settings("time_zone", "+02:00")
    loose = aimed(context, bridge_secret_arn=world.user(context).target.master_secret_arn)
    assert "not strict; its sessions are in +02:00" in looked(loose)["bridge's user"].value


def _user(world: World) -> str:
    return world._undo[-1].split()[2].split("@")[0]


# why not real: the sandbox's server has no binary log, and is not Aurora
@pytest.mark.parametrize(
    ("name", "changes", "embedded"),
    [
        ("creating triggers", {"log_bin": True, "trusts_creators": False, "grants": ()}, True),
        ("server", {"version": "10.11.6-MariaDB"}, False),
        ("server", {"version": "5.7.12"}, False),
    ],
)
def test_a_server_that_cannot_serve_is_red(context, name, changes, embedded):
    session = server.read(context.aurora)
    known = schema.read(context.aurora, context.target.mapping[ENTITY])
    found = {each.name: each for each in server.checks(replace(session, **changes), known, sandbox=embedded)}
    assert found[name].ok is False
    assert found[name].remedy
    aurora = replace(session, version="8.0.42", log_bin=True, trusts_creators=True)
    assert all(each.ok for each in server.checks(aurora, known, sandbox=False))


@pytest.fixture
def old_cluster(context):
    """The ARN of a cluster with an old engine and no Data API."""
    name = f"old-{uuid.uuid4().hex[:8]}"
    made = context.clients.rds.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-mysql",
        EngineVersion="8.0.mysql_aurora.3.04.0",
        MasterUsername="admin",
        MasterUserPassword="long enough",
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 1},
    )
    yield made["DBCluster"]["DBClusterArn"]
    context.clients.rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_an_old_cluster_without_the_data_api_is_red_and_no_sql_is_tried(context, old_cluster):
    found = looked(aimed(context, cluster_arn=old_cluster))
    assert found["engine"].ok is False
    assert found["engine"].limit.startswith("aurora-mysql 3.07")
    assert (found["data api"].ok, found["data api"].value) == (False, "off")
    assert found["the rest"].ok is None
    assert "sql mode" not in found


def test_a_cluster_that_is_not_there_is_red(context):
    found = looked(aimed(context, cluster_arn=f"{context.target.cluster_arn}-gone"))
    assert found["data api"].ok is False


def test_a_cluster_that_pauses_needs_a_newer_engine(context):
    found = {each.name: each for each in server.cluster(context.clients, context.target)}
    assert found["engine"].limit.startswith("aurora-mysql 3.08")


def test_clocks_that_differ_are_red(context, monkeypatch):
    chefs = context.target.entity(ENTITY)
    assert deployment.clocks(context, chefs).ok
    monkeypatch.setattr(deployment, "now", lambda: datetime.now(UTC) + timedelta(seconds=10))
    found = deployment.clocks(context, chefs)
    assert found.ok is False
    assert found.value.startswith("Aurora -")
    assert "DynamoDB -" in found.value


@pytest.mark.parametrize(
    ("told", "step", "expected"),
    [(3, 0, 0), (7, 0, 2), (-2, 0, -2), (-2, 1, -1), (-0.5, 1, 0), (0, 0, 0), (5, 0, 0)],
)
def test_a_slow_answer_is_not_taken_for_a_skewed_clock(told, step, expected):
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    answer = deployment.skew(begin, begin + timedelta(seconds=told), begin + timedelta(seconds=5), step)
    assert answer == pytest.approx(expected)


def test_an_entity_that_init_has_not_seen_or_that_is_complete_is_red():
    assert routes.known(None).ok is False
    assert routes.known(State(entity=ENTITY, phase=Phase.COMPLETE)).ok is False
    assert routes.known(State(entity=ENTITY, phase=Phase.MODERN)).ok


def test_of_a_complete_entity_nothing_else_is_looked_at(context, monkeypatch):
    monkeypatch.setattr("runbook.journal.journal.Journal.find", lambda *_: State(entity=ENTITY, phase=Phase.COMPLETE))
    assert red(looked(context)) == ["phase"]


def test_a_fence_is_no_hazard_while_a_switch_is_under_way(world):
    context = world.context()
    world.sql("UPDATE streamback_control SET fenced = 1")
    entity = context.target.mapping[ENTITY]
    operation = Operation(id="1", command="cutover writes", arguments={}, operator="me", started_at="now", step="fence")
    legacy = State(entity=ENTITY, phase=Phase.LEGACY)
    assert deployment.fence(context, entity, legacy).ok is False
    assert deployment.fence(context, entity, replace(legacy, operation=operation)).ok
    assert deployment.fence(context, entity, replace(legacy, phase=Phase.MODERN)).ok


@pytest.fixture
def sorted_table(context):
    """A DynamoDB table with a sort key and no stream."""
    name = f"sorted-{uuid.uuid4().hex[:8]}"
    keys = ("ChefId", "HASH"), ("Day", "RANGE")
    context.clients.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
    )
    yield name
    context.clients.dynamodb.delete_table(TableName=name)


def test_another_modern_table_is_red_in_each_check_about_it(context, sorted_table):
    found = looked(entity_aimed(context, modern_table=sorted_table))
    assert red(found) == ["stream", "stream view", "modern table", "noted stream"]
    assert "Day RANGE" in found["modern table"].value


MAPPING_CHANGES = {
    "does not bisect": {"BisectBatchOnFunctionError": False},
    "tries 3 times": {"MaximumRetryAttempts": 3},
    "keeps a record for 86400 s": {"MaximumRecordAgeInSeconds": 86400},
}


@pytest.fixture
def changed_mapping(context):
    """Changes chefs' mapping until the test ends."""
    uuid_, functions = context.target.entity(ENTITY).bridge_mapping_id, context.clients.functions
    before = functions.get_event_source_mapping(UUID=uuid_)
    kept = (
        "BisectBatchOnFunctionError",
        "MaximumRetryAttempts",
        "MaximumRecordAgeInSeconds",
        "FilterCriteria",
    )
    yield lambda **changes: functions.update_event_source_mapping(UUID=uuid_, **changes)
    functions.update_event_source_mapping(UUID=uuid_, Enabled=True, **{name: before[name] for name in kept})


@pytest.mark.parametrize("says", MAPPING_CHANGES)
def test_a_mapping_that_would_lose_records_is_red(context, changed_mapping, says):
    changed_mapping(**MAPPING_CHANGES[says])
    check = looked(context)["batches"]
    assert check.ok is False
    assert says in check.value


def test_a_mapping_to_another_function_or_failure_bucket_is_red(context):
    context.clients.s3.create_bucket(Bucket="elsewhere")
    other = entity_aimed(aimed(context, failure_bucket="elsewhere"), bridge_function="another")
    check = looked(other)["batches"]
    assert check.ok is False
    assert "calls arn:" in check.value
    assert "dead-letters to arn:aws:s3:::" in check.value
    context.clients.s3.delete_bucket(Bucket="elsewhere")


def test_a_mapping_that_is_off_filters_otherwise_or_is_gone_is_red(context, changed_mapping):
    changed_mapping(Enabled=False)
    assert looked(context)["mapping"].ok is False
    changed_mapping(FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]})
    assert looked(context)["filter"].ok is False
    assert looked(entity_aimed(context, bridge_mapping_id=str(uuid.uuid4())))["mapping"].value == "missing"
    assert looked(entity_aimed(context, bridge_mapping_id=""))["bridge"].ok is False


def _await(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_bridge_whose_last_batch_failed_is_red(context, database):
    chefs, known = (
        context.target.entity(ENTITY),
        "UPDATE chefdb.streamback_streams SET stream_arn = %s WHERE entity = %s",
    )
    item = {"ChefId": {"S": f"preflight-{uuid.uuid4().hex}"}}
    with database.cursor() as cursor:
        cursor.execute(known, ("another", ENTITY))
        try:
            context.clients.dynamodb.put_item(TableName=chefs.modern_table, Item=item)
            _await(lambda: looked(context, quick=True)["last batch"].ok is False)
            assert red(looked(context, quick=True)) == ["last batch", "noted stream"]
        finally:
            cursor.execute(known, (chefs.stream_arn, ENTITY))
            context.clients.dynamodb.delete_item(TableName=chefs.modern_table, Key=item)
        _await(lambda: not red(looked(context, quick=True)))


def test_what_waits_in_quarantine_is_red(context):
    target, place = context.target, {"entity": {"S": ENTITY}, "item_key": {"S": "preflight"}}
    Quarantine(context.clients.dynamodb, target.quarantine_table, "a test", "").park(ENTITY, "x", "preflight", "why")
    name = f"{prefix(target.entity(ENTITY).bridge_mapping_id)}preflight"
    context.clients.s3.put_object(Bucket=target.failure_bucket, Key=name, Body=b"{}")
    try:
        assert red(looked(context)) == ["quarantine", "dead-lettered"]
    finally:
        context.clients.dynamodb.delete_item(TableName=target.quarantine_table, Key=place)
        context.clients.s3.delete_object(Bucket=target.failure_bucket, Key=name)


@pytest.mark.parametrize(
    ("function", "says"), [("", "not deployed"), ("gone", "gone is missing"), ("read", "does not know chefs")]
)
def test_a_copy_or_gate_function_that_cannot_serve_the_entity_is_red(context, function, says):
    name = context.target.legacy_read_function if function == "read" else function
    found = looked(aimed(context, copy_function=name, gate_function=name))
    assert [found[each].ok for each in ("copy function", "gate function")] == [False, False]
    assert found["copy function"].value == found["gate function"].value == says


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "GRANT SELECT (`a`, `b`), INSERT ON `db`.`t` TO `u`@`%`",
            Grant(frozenset({"INSERT"}), "db", "t"),
        ),
        (
            "GRANT ALL PRIVILEGES ON `chef\\_%`.* TO `u`@`%` IDENTIFIED BY PASSWORD '*x' WITH GRANT OPTION",
            Grant(frozenset({"ALL PRIVILEGES", "GRANT OPTION"}), "chef\\_%", "*"),
        ),
        ("GRANT `rds_superuser_role`@`%` TO `admin`@`%`", None),
        ("GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION", None),
    ],
)
def test_a_line_of_show_grants_is_read(line, expected):
    assert grants.parse(line) == expected


def test_a_grant_covers_what_its_pattern_means():
    everything = [Grant(frozenset({"ALL PRIVILEGES"}), "chef\\_%", "*")]
    assert grants.missing(everything, ["TRIGGER", "GRANT OPTION"], "chef_db", "t") == ["GRANT OPTION"]
    assert grants.missing(everything, ["TRIGGER"], "chefxdb", "t") == ["TRIGGER"]
    assert grants.missing(everything, ["CREATE USER"], "*", "*") == ["CREATE USER"]
    assert grants.missing([Grant(frozenset({"SELECT"}), "db", "t")], ["SELECT"], "db", "u") == ["SELECT"]
    assert grants.missing([Grant(frozenset({"SELECT"}), "*", "*")], ["SELECT"], "db", "u") == []


def test_roles_are_asked_for_what_they_grant():
    asked: list[str] = []

    class Server:
        """MySQL, of which MariaDB's roles differ."""

        def query(self, _database: str, sql: str):
            asked.append(sql)
            if "USING" in sql:
                return [["GRANT TRIGGER ON *.* TO `admin`@`%`"]]
            return [["GRANT USAGE ON *.* TO `admin`@`%`"], ["GRANT `rds_superuser_role`@`%` TO `admin`@`%`"]]

    found = grants.read(Server())
    assert asked[1] == "SHOW GRANTS FOR CURRENT_USER() USING `rds_superuser_role`@`%`"
    assert grants.missing(found, ["TRIGGER"], "db", "t") == []


@pytest.fixture
def run():
    """Runs `runbook preflight …`."""

    def of(*arguments: str):
        return CliRunner().invoke(app, ["preflight", *arguments], env={"COLUMNS": "200"})

    return of


def test_the_command_ends_well_in_a_fresh_sandbox(context, sandbox, run):
    where = ("--outputs", str(sandbox.location.outputs))
    shown = run(*where)
    assert shown.exit_code == 0
    assert "chefs" in shown.stdout
    assert "checks hold" in shown.stdout
    document = json.loads(run(*where, "--entity", "chefs", "--json").stdout)
    assert document["green"] is True
    assert set(document["entities"]) == {"chefs"}
    assert {"name", "ok", "value", "limit", "remedy"} == set(document["entities"]["chefs"][0])


def test_the_command_exits_with_4_and_tells_every_remedy(world, run, tmp_path):
    raw = world.raw(f"{TABLE} ENGINE = MyISAM")
    world.sql(
        "CREATE TRIGGER tidy BEFORE UPDATE ON chefs FOR EACH ROW SET NEW.cheffirst = 'x'",
        "UPDATE streamback_control SET fenced = 1",
    )
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(raw))
    arguments = ("--entity", "chefs", "--outputs", str(outputs))
    shown = run(*arguments)
    assert shown.exit_code == 4
    assert "3 of 39 checks do not hold" in shown.stdout
    for remedy in (
        "ENGINE = InnoDB",
        "Put its work into IF",
        "`runbook rollback writes --entity chefs --execute` lowers it",
    ):
        assert remedy in " ".join(shown.stdout.split())
    answer = run(*arguments, "--json")
    assert answer.exit_code == 4
    found = json.loads(answer.stdout)
    assert not found["green"]
    assert [each["name"] for each in found["entities"]["chefs"] if not each["ok"]] == [
        "legacy table",
        "triggers",
        "fence",
    ]


def test_the_help_states_the_cost(run):
    text = " ".join(run("--help").stdout.split())
    assert "at most 10,000 and about 128 MB" in text
