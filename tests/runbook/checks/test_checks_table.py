"""Each check of the legacy table turns red for its cause, on the real MariaDB, and is green without it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from own_table import ENTITY, KEY, NAMES, TABLE, looked, red

from functions.domain import names
from functions.install import read_only, triggers
from runbook.checks import triggers as capture

GUARD = f"IF SUBSTRING_INDEX(USER(), '@', 1) <> '{names.BRIDGE_USER}' THEN SET NEW.cheffirst = 'x'; END IF"
NATURAL = "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE {} NOT NULL PRIMARY KEY"


def natural(key: str) -> dict[str, Any]:
    """A table with a natural key of this type."""
    return {"table": f"CREATE TABLE chefs (id {key}, {NAMES})", "more": {"key_type": "string"}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table that turns one check red; `then` is done to it after `runbook init`."""

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
RED_CASES = [
    Case(check="legacy table", says="no preflight_", then=("DROP TABLE chefs",)),
    Case(check="legacy table", says="MyISAM", table=f"{TABLE} ENGINE = MyISAM"),
    Case(check="legacy table", says="view", table="CREATE VIEW chefs AS SELECT 1 AS id", prepared=False),
    Case(check="partitions", says="partitioned", table=f"{TABLE} PARTITION BY HASH (id) PARTITIONS 2", prepared=False),
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
    Case(check="cascades", says="of_kitchen: ON DELETE CASCADE", then=(PARENT[0], f"{PARENT[1]} ON DELETE CASCADE")),
    Case(check="cascades", says="ON DELETE SET NULL", then=(PARENT[0], f"{PARENT[1]} ON DELETE SET NULL")),
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
    Case(check="fields", says="no column stars", more={"fields": {"stars": {"column": "stars", "type": "integer"}}}),
    Case(check="fields", says="max_length", table=f"CREATE TABLE chefs ({KEY}, {NAMES.replace('255', '20')})"),
    Case(
        check="fields",
        says="write fixed = true, max_length = 255",
        table=f"CREATE TABLE chefs ({KEY}, {NAMES.replace('VARCHAR(255)', 'CHAR(255)')})",
    ),
    Case(
        check="fields",
        says="write bits = 64, unsigned = true",
        table=f"{TABLE[:-1]}, stars BIGINT UNSIGNED)",
        more={"fields": {"stars": {"column": "stars", "type": "integer"}}},
    ),
    Case(
        check="fields",
        says="write fraction = 0",
        table=f"{TABLE[:-1]}, seen TIMESTAMP NULL)",
        more={"fields": {"seen": {"column": "seen", "type": "datetime"}}},
    ),
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


@pytest.mark.parametrize("case", RED_CASES, ids=lambda case: f"{case.check}: {case.says}")
def test_a_fault_of_the_table_turns_its_check_red(world, case):
    context = world.context(case.table, prepared=case.prepared, **case.more)
    world.sql(*case.then)
    check = looked(context)[case.check]
    assert check.ok is False
    assert case.says in check.value
    assert check.remedy


def test_without_a_table_the_rest_is_not_checked(world):
    context = world.context()
    world.sql("DROP TABLE chefs")
    found = looked(context)
    assert red(found) == ["legacy table", "the rest"]
    assert found["the rest"].ok is None


def test_a_check_that_only_informs_stays_green(world):
    context = world.context(
        f"{TABLE[:-1]}, nick VARCHAR(9) CHARACTER SET latin1 UNIQUE, badge INT DEFAULT 7, loud TEXT AS (UPPER(nick)))",
        fields={"nick": {"column": "nick", "type": "string", "max_length": 9}},
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
    said = found["foreign keys"].value
    assert "of_kitchen needs its row" in said
    assert "awards (to_chef, CASCADE)" in said
    assert "goes to quarantine while" in said


@pytest.mark.parametrize("padded", [True, False])
def test_a_natural_key_that_compares_bytes_is_fine(world, database, padded):
    collation = "utf8mb4_bin" if padded else _unpadded(database)
    found = looked(world.context(**_spread(natural(NATURAL.format(collation)))))
    assert red(found) == []
    assert ("trailing spaces" in found["key collation"].value) == padded


def _unpadded(database):
    """The collation that compares bytes and trailing spaces, too: the products name it differently."""
    names = ("utf8mb4_0900_bin", "utf8mb4_nopad_bin")
    with database.cursor() as cursor:
        cursor.execute("SELECT collation_name FROM information_schema.collations WHERE collation_name IN %s", [names])
        return cursor.fetchone()[0]


def test_a_natural_key_of_bytes_is_fine(world):
    found = looked(world.context(**_spread(natural("VARBINARY(40) NOT NULL PRIMARY KEY"))))
    assert red(found) == []


def _spread(case: dict[str, Any]) -> dict[str, Any]:
    return {"table": case["table"], **case["more"]}


def test_quick_reads_no_rows(world):
    context = world.context(f"CREATE TABLE chefs ({KEY}, {NAMES.replace('VARCHAR(255)', 'LONGTEXT')})")
    assert "item size" not in looked(context, quick=True)
    assert "item size" in looked(context)


def test_the_sample_takes_rows_at_both_ends_and_counts_each_once(world, monkeypatch):
    context = world.context(f"CREATE TABLE chefs ({KEY}, {NAMES.replace('VARCHAR(255)', 'LONGTEXT')})")
    world.sql("INSERT INTO chefs (cheffirst) VALUES (REPEAT('é', 1000)), ('b'), ('c')")
    assert looked(context)["item size"].value == "2.0 KB the largest of 3 rows looked at, 1"
    monkeypatch.setattr("runbook.checks.sizes.SAMPLE", 2)
    assert looked(context)["item size"].value == "2.0 KB the largest of 2 rows looked at, 1"


def test_a_master_user_without_rights_is_red_with_what_it_lacks(world):
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


def test_triggers_that_left_with_a_swapped_table_are_missing(world, captured):
    world.sql("CREATE TABLE new LIKE chefs", "RENAME TABLE chefs TO old, new TO chefs")
    assert "streamback_fence_u_chefs is on old" in captured()["streamback's triggers"].value


def test_what_complete_of_an_earlier_migration_left_is_named_with_the_line_that_removes_it(world):
    context = world.context()
    described = context.target.mapping[ENTITY]
    before = replace(described, name="cooks")  # it may have had another name
    for name in read_only.bodies(before):
        read_only.add(context.aurora.database(), before, name)
    found = looked(context)
    assert red(found) == ["read-only triggers"]
    check = found["read-only triggers"]
    assert check.value == "streamback_read_only_d_cooks, streamback_read_only_i_cooks, streamback_read_only_u_cooks"
    line = check.remedy.partition("Let writers in: ")[2]
    world.sql(*[statement for statement in line.split(";") if statement.strip()])
    assert looked(context)["read-only triggers"].ok


@pytest.mark.parametrize(
    ("again", "says"), [("", "missing"), ("CREATE PROCEDURE streamback_fence() DO 1", "another text")]
)
def test_a_fence_without_its_procedure_is_found(world, captured, again, says):
    world.sql("DROP PROCEDURE streamback_fence", *([again] if again else []))
    found = captured()["fence's procedure"]
    assert (found.ok, found.value, found.remedy) == (False, says, "Run `runbook init`.")
