"""`complete` on a system of its own: all on modern, no trace in Aurora, and no rollback."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from journal_states import force_phase, long_at_the_gate
from killed import killed_at
from sweep import BEFORE_FIRST, EVERY
from typer.testing import CliRunner

from functions.domain import names
from functions.domain.phase import Phase
from runbook import init as init_service
from runbook.aws import outputs as targets
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.http import path
from runbook.checks import heartbeat
from runbook.commands.cli import app
from runbook.cutover.command import Completion
from runbook.cutover.complete import Complete
from runbook.cutover.steps import Choices
from runbook.errors import PreconditionError
from runbook.journal.lock import held
from runbook.quarantine.store import EntryStore
from runbook.stack import Context
from runbook.status import run as status
from sandbox import lifecycle

CHEFS, SPECIMENS = "chefs", "specimens"
ENTITIES = Path(__file__).parents[1] / "entities.toml"
COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
JOURNAL_WRITE = "before-send.dynamodb.TransactWriteItems"
ROWS = 50
MODERN = Routes(reads=Side.MODERN, writes=Side.MODERN)


@pytest.fixture(scope="module")
def live(own_live):
    return own_live


@pytest.fixture(scope="module")
def before(system, live):
    """Each table's SHOW CREATE TABLE before `runbook init`."""
    return {name: _shown(system, live, name) for name in (CHEFS, SPECIMENS)}


@pytest.fixture(scope="module")
def runbook(system, tmp_path_factory):
    """Runs a command against it."""
    saved = tmp_path_factory.mktemp("complete") / "outputs.json"
    saved.write_text(json.dumps(dict(system.outputs)))

    def run(*arguments: str):
        command = [*arguments, "--outputs", str(saved)]
        return CliRunner().invoke(app, command, env={"COLUMNS": "200"})

    return run


def _done(result):
    assert result.exit_code == 0, result.output
    return result


def _shown(system, live, name: str) -> str:
    legacy = live.target.mapping[name].legacy
    with system.database.connect(database=legacy.database) as client, client.cursor() as cursor:
        cursor.execute(f"SHOW CREATE TABLE {legacy.table}")
        return COUNTER.sub("", cursor.fetchone()[1])


def _ours(system) -> list[str]:
    """Everything of streamback's that is left in the database server."""
    with system.database.connect() as client, client.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'streamback%%' "
            "UNION ALL SELECT column_name FROM information_schema.columns WHERE column_name LIKE 'streamback%%' "
            "UNION ALL SELECT routine_name FROM information_schema.routines WHERE routine_name LIKE 'streamback%%' "
            "UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_name LIKE 'streamback%%' "
            "UNION ALL SELECT user FROM mysql.user WHERE user = %s "
            "UNION ALL SELECT table_name FROM mysql.tables_priv WHERE user = %s",
            [names.BRIDGE_USER, names.BRIDGE_USER],
        )
        return [name for (name,) in cursor.fetchall()]


def _modern(live, name: str) -> None:
    """As after both cutovers, without them: those have tests of their own."""
    entity = live.target.entity(name)
    with held(live.journal, name, "a test", "x") as lease:
        force_phase(live, name, Phase.MODERN)
        live.journal.write(lease.lock, name, {"reads": 100})
        token = lease.next_token()
    init_service.run(live)
    event = {"action": "capture", "entity": name, "token": token}
    live.invoke(live.target.bridge_install_function, event)
    live.routing.route(entity, MODERN)
    functions = live.clients.functions
    if functions.get_event_source_mapping(UUID=entity.bridge_mapping_id)["State"] == "Disabled":
        functions.update_event_source_mapping(UUID=entity.bridge_mapping_id, Enabled=True)


def test_from_legacy_it_is_refused(live, before, runbook):
    _done(runbook("init"))
    result = runbook("complete", "--entity", CHEFS, "--execute")
    assert result.exit_code == 4
    assert "phase is legacy, expected modern" in result.stderr
    assert before


def test_after_the_complete_migration_no_trace_is_left_and_traffic_stays_modern(system, live, before, runbook):
    chefs = live.target.entity(CHEFS)
    with system.database.connect(database="chefdb") as client, client.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO cheftable (cheffirst, cheflast) VALUES (%s, 'x')", [(f"chef {n}",) for n in range(ROWS)]
        )
        client.commit()
    for words in (
        ("copy", "start"),
        ("copy", "watch", "--every", "0.2"),
        ("verify",),
        ("cutover", "reads", "--watch", "0", "--execute"),
        ("cutover", "writes", "--settle", "0", "--warm", "0", "--execute"),
    ):
        _done(runbook(*words, "--entity", CHEFS))
        if words == ("copy", "start"):
            long_at_the_gate(live, CHEFS)
    for n in range(20):
        assert live.api.request("POST", path(CHEFS), {"firstName": f"modern {n}"}).status == 201
    plan = _done(runbook("complete", "--entity", CHEFS))
    assert "no longer updated" in plan.stdout
    assert "Act with: runbook complete --entity chefs --execute" in plan.stdout
    result = _done(runbook("complete", "--entity", CHEFS, "--execute"))
    assert "The bridge stays deployed for specimens" in result.stdout
    assert _shown(system, live, CHEFS) == before[CHEFS]
    with system.database.connect(database="chefdb") as client, client.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM cheftable")
        assert cursor.fetchone() == (ROWS + 20,)
        cursor.execute("INSERT INTO cheftable (cheffirst) VALUES ('not stopped')")
    assert live.routing.routes(chefs) == MODERN
    assert set(live.schedule_states(chefs)) == {"DISABLED"}
    assert len(live.api.get(path(CHEFS), limit=1000).body["items"]) == ROWS + 20
    assert live.api.request("POST", path(CHEFS), {"firstName": "after"}).status == 201
    state = live.journal.state(CHEFS)
    assert (state.phase, state.operation, state.lock) == (Phase.COMPLETE, None, None)


@pytest.mark.parametrize(
    "words",
    [
        ("rollback", "--execute"),
        ("rollback", "--force", "--execute"),
        ("cutover", "writes", "--execute"),
        ("copy", "start"),
    ],
)
def test_what_would_go_back_is_refused_with_the_reason(runbook, words):
    result = runbook(*words, "--entity", CHEFS)
    assert result.exit_code == 4, result.output
    assert "complete" in result.stderr
    assert "gone" in result.stderr


def test_again_there_is_nothing_to_do_and_init_brings_nothing_back(system, live, before, runbook):
    found = json.loads(_done(runbook("complete", "--entity", CHEFS, "--execute", "--json")).stdout)
    assert (found["changed"], found["afterwards"]["waiting"]) == (False, [SPECIMENS])
    _done(runbook("init"))
    assert _shown(system, live, CHEFS) == before[CHEFS]
    assert _shown(system, live, SPECIMENS) != before[SPECIMENS]


def test_status_says_that_nothing_is_missing(live, runbook):
    found = status(live, live.target.entity(CHEFS), send_heartbeat=True, exact=False)
    assert (found.healthy, found.agree) == (None, True)
    assert "complete" in runbook("status", "--entity", CHEFS).stdout


def test_verify_compares_nothing_that_is_no_longer_kept_up_to_date(runbook):
    result = runbook("verify", "--entity", CHEFS)
    assert result.exit_code == 4, result.output
    assert "no longer kept up to date" in result.stderr


@pytest.fixture
def specimens(live):
    """Specimens on modern, ready for the end."""
    _modern(live, SPECIMENS)
    return live.target.entity(SPECIMENS)


def _complete(context: Context, name: str = SPECIMENS) -> None:
    Completion(context, context.target.entity(name), Choices()).execute()


@pytest.mark.sweep
def test_killed_at_any_boundary_the_same_command_again_ends_as_one_clean_run(system, live, before, monkeypatch):
    monkeypatch.setattr(Completion, "checks", lambda *_: [])  # they have tests of their own
    init_service.run(live)
    if live.journal.state(CHEFS).phase != Phase.COMPLETE:  # when this test runs alone
        _modern(live, CHEFS)
        _complete(live, CHEFS)
    count, killed = BEFORE_FIRST, True
    while killed:
        count += EVERY
        _modern(live, SPECIMENS)
        killed = killed_at(count, lambda: Context.of(live.target), ["dynamodb"], _complete, JOURNAL_WRITE)
        _complete(live)
        state = live.journal.state(SPECIMENS)
        assert (state.phase, state.operation, state.lock) == (Phase.COMPLETE, None, None), f"killed at {count}"
        assert _shown(system, live, SPECIMENS) == before[SPECIMENS], f"killed at {count}"
    assert count > 10
    assert _ours(system) == []


def test_with_reads_on_legacy_or_a_full_queue_or_quarantine_it_is_refused(live, specimens, runbook):
    legacy = live.target.mapping[SPECIMENS].legacy
    key = {"entity": {"S": SPECIMENS}, "item_key": {"S": "k"}}
    quarantine = live.target.quarantine_table

    def refused(word: str) -> None:
        result = runbook("complete", "--entity", SPECIMENS)
        assert result.exit_code == 4
        assert word in result.stdout
        with pytest.raises(PreconditionError, match=word):
            Completion(live, specimens, Choices()).execute()
        assert live.journal.state(SPECIMENS).phase == Phase.MODERN

    with held(live.journal, SPECIMENS, "a test", "x") as lease:
        live.journal.write(lease.lock, SPECIMENS, {"reads": 50})
    refused("reads")
    with held(live.journal, SPECIMENS, "a test", "x") as lease:
        live.journal.write(lease.lock, SPECIMENS, {"reads": 100})
    live.routing.send_reads(specimens, 40)
    refused("40% on modern, 100% by the journal")
    live.routing.send_reads(specimens, 100)
    live.clients.dynamodb.put_item(TableName=quarantine, Item=key)
    refused("quarantine")
    live.clients.dynamodb.delete_item(TableName=quarantine, Key=key)
    queue = f"INTO {names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) VALUES ('{SPECIMENS}', 0, 'k', NOW(6))"
    live.aurora.query(legacy.database, f"INSERT {queue}")
    refused("queue")
    live.aurora.query(legacy.database, f"DELETE FROM {names.CHANGES_TABLE}")


def test_what_the_bridge_cannot_apply_puts_everything_back(live, specimens, monkeypatch):
    legacy = live.target.mapping[SPECIMENS].legacy
    monkeypatch.setattr(Completion, "checks", lambda *_: [])
    live.aurora.query(legacy.database, f"RENAME TABLE {legacy.table} TO away")
    item = {
        "SpecimenId": {"S": "stuck"},
        "label": {"S": "x"},
        "price": {"N": "1"},
        "found": {"S": "2026-01-01T00:00:00Z"},
    }
    live.clients.dynamodb.put_item(TableName=specimens.modern_table, Item=item)
    try:
        with pytest.raises(PreconditionError, match="rolled back"):
            Completion(live, specimens, Choices(timeout=3)).execute()
    finally:
        live.aurora.query(legacy.database, f"RENAME TABLE away TO {legacy.table}")
    state = live.journal.state(SPECIMENS)
    assert (state.phase, state.operation) == (Phase.MODERN, None)
    mapping = live.clients.functions.get_event_source_mapping(UUID=specimens.bridge_mapping_id)
    assert mapping["State"] == "Enabled"


def _after_bridge_off(monkeypatch, act) -> None:
    """Do something once the mapping is off, as a client may."""
    real = Complete._switch

    def switch(steps, *, enabled):
        real(steps, enabled=enabled)
        if not enabled:
            act()

    monkeypatch.setattr(Complete, "_switch", switch)


def _put(live, specimens, key: str, label: str) -> None:
    item = {"label": label, "found": "2026-01-01T00:00:00Z"}
    described = live.target.mapping[SPECIMENS]
    typed = {name: {"S": value} for name, value in {described.modern.key: key, **item}.items()}
    live.clients.dynamodb.put_item(TableName=specimens.modern_table, Item={**typed, "price": {"N": "1"}})


def test_what_aurora_cannot_take_of_that_puts_everything_back(live, specimens, monkeypatch):
    monkeypatch.setattr(Completion, "checks", lambda *_: [])
    _after_bridge_off(monkeypatch, lambda: _put(live, specimens, "never", "x" * 5000))
    with pytest.raises(PreconditionError, match=r"rolled back: .*cannot take 1 of the last changes"):
        Completion(live, specimens, Choices()).execute()
    assert live.journal.state(SPECIMENS).phase == Phase.MODERN
    assert live.mapping_state(specimens) == "Enabled"
    place = {live.target.mapping[SPECIMENS].modern.key: {"S": "never"}}
    live.clients.dynamodb.delete_item(TableName=specimens.modern_table, Key=place)
    assert heartbeat.send(live, specimens).arrived  # the bridge has quarantined it too
    quarantine = EntryStore(live, specimens)
    quarantine.remove(quarantine.entries())


def test_what_comes_until_the_mapping_is_off_is_in_aurora_too(live, specimens, monkeypatch):
    legacy = live.target.mapping[SPECIMENS].legacy
    monkeypatch.setattr(Completion, "checks", lambda *_: [])
    _after_bridge_off(monkeypatch, lambda: _put(live, specimens, "late", "late"))
    Completion(live, specimens, Choices()).execute()
    rows = live.aurora.query(legacy.database, f"SELECT label FROM {legacy.table}")
    assert ["late"] in rows
    assert live.journal.state(SPECIMENS).phase == Phase.COMPLETE


def test_leftovers_of_a_complete_entity_are_taken_away_by_the_same_command(system, live, before, specimens):
    force_phase(live, SPECIMENS, Phase.COMPLETE)
    command = Completion(live, specimens, Choices())
    assert [step.name for step in command.plan().steps] == [
        "phase-complete",
        "route",
        "bridge-off",
        "copy-off",
        "remove",
    ]
    live.switch_schedules(specimens, enabled=True, check=lambda: None)
    assert command.execute().changed
    assert live.mapping_state(specimens) == "Disabled"
    assert set(live.schedule_states(specimens)) == {"DISABLED"}
    assert _shown(system, live, SPECIMENS) == before[SPECIMENS]
    assert _ours(system) == []
    assert not command.execute().changed


def test_the_last_one_names_the_setting_to_change(runbook):
    result = _done(runbook("complete", "--entity", SPECIMENS, "--execute"))
    assert "streamback:parts: [legacy, modern]" in result.stdout


def test_a_lane_that_is_called_afterwards_ends_at_once(live):
    live.wake_lanes(live.target.entity(CHEFS))
    event = json.dumps({"entity": CHEFS, "lane": 0, "alone": True}).encode()
    answer = live.clients.functions.invoke(FunctionName=live.target.copy_function, Payload=event)
    assert json.loads(answer["Payload"].read()) == {"stopped": True, "rows": 0}


def test_with_the_setting_changed_the_next_deploy_takes_the_bridge_down_and_traffic_stays(system, live):
    changed = lifecycle.up(system.name, {"parts": ["legacy", "modern"]}, entities=ENTITIES, current=False)
    assert "bridgeInstallFunction" not in changed.outputs
    after = Context.of(targets.parse(changed.outputs, "the sandbox"))
    assert after.routing.routes(after.target.entity(CHEFS)) == MODERN
    made = after.api.request("POST", path(CHEFS), {"firstName": "at last"})
    assert made.status == 201
    assert after.api.get(path(CHEFS, made.body["id"])).body == made.body
    assert "skipped" in {line.result for line in init_service.run(after)}
    assert status(after, after.target.entity(CHEFS), send_heartbeat=False, exact=False).agree
