"""What `runbook quarantine` shows, refuses and drops."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from quarantine_world import TOO_LONG, park_what_is_gone
from typer.testing import CliRunner
from writes_world import bridge_checks

from functions.domain.errors import shown
from functions.domain.masking import MASKED, without_masked
from functions.domain.phase import Phase
from runbook.commands.cli import app
from runbook.journal.lock import held
from runbook.quarantine.resolve import pairs


def test_list_shows_everything_known_of_an_entry(world, run):
    key = world.poisoned()
    code, said = run("list")
    (entry,) = said["entries"]
    assert code == 0
    assert (entry["key"], entry["kind"], entry["table"], entry["objects"]) == (key, "upsert", True, [])
    assert "firstName" in entry["reason"]
    assert int(entry["sequence"]) > 0
    assert entry["stream"].startswith("arn:aws:dynamodb")
    assert entry["at"].endswith("Z")


def test_show_puts_both_sides_side_by_side_and_says_what_replay_would_do(world, run):
    key = world.quarantined()
    world.phase(Phase.MODERN)
    _, said = run("show", key)
    (entry,) = said["entries"]
    assert entry["action"] == "write_row"
    assert entry["fields"][0] == {"field": "firstName", "legacy": "old", "modern": TOO_LONG, "same": False}
    code, said = run("show", "no-such-key")
    assert (code, said["error"]["exit"]) == (4, 4)


def test_another_operator_keeps_replay_and_drop_out(world, run, context):
    key = world.quarantined()
    with held(context.journal, "chefs", "somebody", "copy start"):
        assert run("replay", key, "--execute")[0] == run("drop", key, "--execute")[0] == 5
    assert world.entry(key)


@pytest.mark.parametrize("verb", ["show", "replay", "drop"])
def test_either_keys_or_all_must_be_given(run, verb):
    assert run(verb)[0] == run(verb, "a-key", "--all")[0] == 2


def test_drop_shows_its_plan_then_removes_the_entry_and_records_it(world, run, context):
    key = world.quarantined()
    code, plan = run("drop", key)
    assert (code, plan["executed"], plan["entries"][0]["key"]) == (0, False, key)
    assert world.entry(key)
    assert run("drop", key, "--execute")[1]["resolved"] == 1
    assert (world.entry(key), world.row(key), world.name(key)) == (None, "old", TOO_LONG)
    done, begun = context.journal.events("chefs", 2)
    assert (done.command, done.result, begun.result) == ("quarantine drop", "1 dropped, 0 stay", "dropping 1")
    assert key in begun.details["keys"][0]


def test_a_masked_field_shows_no_value_and_no_reason_quotes_one(context, chefs):
    described = context.target.mapping["chefs"]
    fields = {name: replace(field, masked=True) for name, field in described.fields.items()}
    entity = replace(described, fields=fields)
    item = {"ChefId": {"S": "1"}, "firstName": {"S": "secret"}, "lastName": {"S": "x"}}
    (first, _) = pairs(entity, item, None)
    assert (first.legacy, first.modern, first.same) == ("(none)", MASKED, False)
    reason = "Incorrect string value: 'secret' for column 'cheffirst' at row 1"
    assert without_masked(entity, reason) == reason.replace("secret", "***")
    assert without_masked(described, reason) == reason
    for quoted in ("secret", "it's secret", "secret " * 20, 12):
        said = without_masked(entity, f"firstName: expected a string, got {shown(quoted)}, in the item 'k'")
        assert said.startswith("firstName: expected a string, got '***', in the item")


@pytest.mark.parametrize("arguments", [["replay"], ["replay", "--execute"], ["drop"], ["drop", "--execute"]])
def test_a_key_that_is_not_there_is_reported_and_nothing_is_done(world, run, arguments):
    key = world.quarantined()
    code, said = run(arguments[0], key, "typo", *arguments[1:])
    assert (code, said["error"]["message"]) == (4, "not in quarantine: typo")
    assert world.entry(key)


def test_the_history_shows_the_keys_that_were_dropped(world, run, sandbox):
    key = world.quarantined()
    assert run("drop", key, "--execute")[0] == 0
    command = ["history", "--entity", "chefs", "--limit", "5", "--outputs", str(sandbox.location.outputs)]
    assert key in CliRunner().invoke(app, command, env={"COLUMNS": "250"}).stdout


def test_all_entities_leaves_out_those_without_entries_or_complete(world, everywhere):
    key = world.quarantined()
    code, said = everywhere("replay", "--all")
    assert (code, key in said) == (0, True)
    assert "specimens has nothing in quarantine" in said
    world.phase(Phase.COMPLETE)
    park_what_is_gone(world)
    code, said = everywhere("replay", "--all", "--execute")
    assert (code, "gone-1" in said) == (0, True), said
    assert "`runbook quarantine drop --all --entity chefs --execute`" in said
    assert everywhere("show", "--all")[0] == 0
    assert world.entry(key)


def test_what_was_done_for_one_entity_is_reported_when_another_is_refused(world, everywhere):
    world.quarantined()
    world.phase(Phase.SWITCHING)
    park_what_is_gone(world)
    code, said = everywhere("replay", "--all", "--execute", "--json")
    document = json.loads(said)
    assert (code, document["resolved"], document["entries"][0]["key"]) == (4, 1, "gone-1")
    assert [(each["entity"], each["exit"]) for each in document["problems"]] == [("chefs", 4)]


def test_without_json_every_command_prints_a_table(world, sandbox):
    key = world.quarantined()
    for arguments in (["list"], ["show", key], ["replay", key], ["drop", "--all"]):
        command = ["quarantine", *arguments, "--entity", "chefs", "--outputs", str(sandbox.location.outputs)]
        result = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        assert key in result.stdout
    assert "--execute" in result.stdout


def test_the_remedies_of_status_name_the_commands(world, context, chefs):
    world.quarantined()
    (check,) = (c for c in bridge_checks(context, chefs) if c.name == "quarantine")
    assert "runbook quarantine list --entity chefs" in check.remedy
