"""The legacy table: its kind, what streamback added to it, foreign keys, and the owner's triggers."""

import re

from functions.domain import names
from functions.install import read_only, tables, triggers
from runbook.checks.check import Check
from runbook.checks.schema import Facts, ForeignKeyFacts, TriggerFacts

INIT = "Run `runbook init`."
COPY_SECONDS = 2.3e-5  # for a row, as measured with MySQL 9 and short rows
INNODB, BASE = "InnoDB", "BASE TABLE"
UNSEEN = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})  # what a foreign key does to rows without any trigger
ASSIGNMENTS = re.compile(r"\bSET\b(.*?)(?:;|$)", re.IGNORECASE | re.DOTALL)
ASSIGNED = re.compile(r"(?:^|,)\s*NEW\s*\.\s*`?(\w+)`?\s*:?=", re.IGNORECASE)


def checks(facts: Facts) -> list[Check]:
    return [
        exists(facts),
        _partitions(facts),
        _own_columns(facts),
        _own_tables(facts),
        _online(facts),
        _cascades(facts),
        _references(facts),
        _triggers(facts),
        _read_only(facts),
    ]


def exists(facts: Facts) -> Check:
    """Whether there is a table with transactions and row locks."""
    table = facts.table
    if table is None:
        remedy = "Correct `legacy` in entities.toml, or let `runbook init --create-tables` make the table."
        return Check(name="legacy table", ok=False, value=f"no {facts.place}", limit=f"{INNODB} table", remedy=remedy)
    right = table.kind == BASE and table.engine == INNODB
    value = table.engine if table.kind == BASE else table.kind.lower()
    remedy = (
        f"ALTER TABLE {facts.place} ENGINE = {INNODB}; fence and copy need transactions. "
        "Map the table behind a view, not the view."
    )
    return Check(name="legacy table", ok=right, value=f"{facts.place}, {value}", limit=f"{INNODB} table", remedy=remedy)


def _partitions(facts: Facts) -> Check:
    """MySQL demands the partitioning columns in every unique index; the bridge's index has its key only."""
    partitioned = bool(facts.table and facts.table.partitioned)
    value = "partitioned" if partitioned else "none"
    remedy = f"ALTER TABLE {facts.place} REMOVE PARTITIONING: the unique index of item keys cannot be made with it."
    return Check(name="partitions", ok=not partitioned, value=value, limit="none", remedy=remedy)


def _own_columns(facts: Facts) -> Check:
    missing = [name for name in tables.COLUMNS if name not in facts.columns]
    visible = [
        name for name in tables.COLUMNS if name in facts.columns and "invisible" not in facts.columns[name].extra
    ]
    wrong = [f"{name} is missing" for name in missing] + [f"{name} is visible" for name in visible]
    wrong += [] if names.KEY_COLUMN in facts.indexes else [f"{names.KEY_COLUMN} has no unique index"]
    show = ", ".join(f"ALTER COLUMN {name} SET INVISIBLE" for name in visible)
    value = "; ".join(wrong) or f"{len(tables.COLUMNS)}, invisible"
    limit = f"{len(tables.COLUMNS)}, invisible"
    remedy = f"ALTER TABLE {facts.place} {show}." if visible else INIT
    return Check(name="bridge's columns", ok=not wrong, value=value, limit=limit, remedy=remedy)


def _own_tables(facts: Facts) -> Check:
    wanted = tables.helpers(facts.entity)
    missing = sorted(set(wanted) - facts.helpers)
    value = f"no {', '.join(missing)}" if missing else f"{len(wanted)} in {facts.entity.legacy.database}"
    return Check(name="helper tables", ok=not missing, value=value, limit=f"{len(wanted)}", remedy=INIT)


def _online(facts: Facts) -> Check:
    """Never red: `init` and `complete` refuse by themselves, unless they are allowed to block."""
    value = "columns are added and dropped while writers write"
    if facts.offline:
        seconds = COPY_SECONDS * (facts.table.rows if facts.table else 0)
        value = (
            f"index {', '.join(facts.offline)}: `init` and `complete` need --block-writers. MySQL then "
            f"copies the table, about {seconds:.0f} s in which its writers wait"
        )
    return Check(name="online changes", ok=True, value=value, limit="any")


def _cascades(facts: Facts) -> Check:
    """A cascade changes rows and fires no trigger: copy would miss them, and no fence stops it."""
    found = [
        f"{key.name}: ON DELETE {key.on_delete}, ON UPDATE {key.on_update} from {key.parent}"
        for key in facts.foreign_keys
        if _same(key.child, facts.place) and UNSEEN & {key.on_delete, key.on_update}
    ]
    value = "; ".join(found) or "none"
    remedy = (
        "Make it ON DELETE RESTRICT ON UPDATE RESTRICT, and let the application delete these rows before the parent."
    )
    return Check(name="cascades", ok=not found, value=value, limit="none into the table", remedy=remedy)


def _references(facts: Facts) -> Check:
    """Never red: foreign keys stay, and DynamoDB has none."""
    notes = [_reference(key, facts.place) for key in facts.foreign_keys]
    return Check(name="foreign keys", ok=True, value="; ".join(notes) or "none", limit="any")


def _reference(key: ForeignKeyFacts, place: str) -> str:
    if _same(key.child, place):
        return f"{key.name} needs its row in {key.parent}: what DynamoDB has without it goes to quarantine"
    if key.on_delete in UNSEEN:
        return f"a delete in DynamoDB also reaches {key.child} ({key.name}, {key.on_delete})"
    return f"a delete in DynamoDB goes to quarantine while {key.child} refers to the row ({key.name})"


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()  # some servers store names in lower case


def _triggers(facts: Facts) -> Check:
    ours = triggers.bodies(facts.entity)
    others = [each for each in facts.triggers if each.name not in ours and not _refuses(each)]
    strays = [each.name for each in others if each.name.startswith(names.RESERVED_PREFIX)]
    wrong = [f"{name} has streamback's name and is not one of its triggers for this entity" for name in strays]
    wrong += [
        f"{each.name} (BEFORE {each.event}) sets {', '.join(columns)}, in what the bridge writes, too"
        for each in others
        if (columns := _rewritten(each, facts))
    ]
    listed = ", ".join(f"{each.name} ({each.timing} {each.event})" for each in others)
    others_only = f"{listed}: for what the bridge writes, too" if listed else "none of the owner's"
    user = f"SUBSTRING_INDEX(USER(), '@', 1) <> '{names.BRIDGE_USER}'"
    limit = "none that changes what the bridge writes"
    remedy = f"Put its work into IF {user} THEN … END IF, or both sides will differ; drop a stray streamback one."
    return Check(name="triggers", ok=not wrong, value="; ".join(wrong) or others_only, limit=limit, remedy=remedy)


def _refuses(trigger: TriggerFacts) -> bool:
    return trigger.name.startswith(read_only.PREFIX)


def _read_only(facts: Facts) -> Check:
    """What `complete` of an earlier migration has left: no writer of either system could write the table."""
    found = [each.name for each in facts.triggers if _refuses(each)]
    remedy = f"`complete` of an earlier migration left them. Let writers in: {read_only.removal(facts.entity, found)}"
    value = ", ".join(found) or "none"
    return Check(name="read-only triggers", ok=not found, value=value, limit="none", remedy=remedy)


def _rewritten(trigger: TriggerFacts, facts: Facts) -> list[str]:
    """The mapped columns that it sets for every writer; one that names the bridge's user is trusted to exempt it."""
    if trigger.timing != "BEFORE" or names.BRIDGE_USER in trigger.body:
        return []
    body = re.sub(r"/\*.*?\*/|(?:--\s|#)[^\n]*", " ", trigger.body, flags=re.DOTALL)
    parts = ASSIGNMENTS.findall(body)
    assigned = {name.lower() for part in parts for name in ASSIGNED.findall(part)}
    watched = {column.name for column in facts.mapped.values()} | {facts.entity.legacy.key, *tables.COLUMNS}
    return sorted(name for name in watched if name.lower() in assigned)
