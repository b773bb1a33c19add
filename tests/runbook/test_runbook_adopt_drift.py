"""Another tool has deployed over what `runbook adopt` has changed: found by the checks, and put right by adopt."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from adopted_world import ENTITY, ITEM, READS, STAGE, WRITES, World, adopt, kinds, undo

from functions.adopted.journal import AdoptionRecords
from functions.domain.phase import Phase
from runbook import status
from runbook.checks import plans
from runbook.checks.plans import CheckScope

SWITCHES = (CheckScope.CUTOVER, CheckScope.ROLLBACK, CheckScope.ROLLBACK_ALONE, CheckScope.COMPLETE)
CALLS = ("status", CheckScope.PREFLIGHT, *SWITCHES)


@pytest.fixture(scope="module")
def made(sandbox, prepared):
    """Its legacy table is that of chefs, which `init` has prepared."""
    assert prepared
    return World(sandbox)


@pytest.fixture
def world(made):
    adopt(made).execute()
    yield made
    adopt(made, pending=True).execute()
    undo(made, pending=True).execute()


def overwritten(world):
    world.integrate(READS[0], world.reads)
    world.deploy()


def overwritten_and_not_deployed(world):
    world.integrate(WRITES[1], world.writes)


def deployed_from_elsewhere(world):
    """A deployment of an API definition that knows nothing of streamback."""
    for operation in READS:
        world.integrate(operation, world.reads)
    for operation in WRITES:
        world.integrate(operation, world.writes)
    world.deploy()


def permission_dropped(world):
    policy = json.loads(world.functions.get_policy(FunctionName=world.modern_reads)["Policy"])
    world.functions.remove_permission(FunctionName=world.modern_reads, StatementId=policy["Statement"][0]["Sid"])


def stream_off(world):
    world.dynamodb.update_table(TableName=world.table, StreamSpecification={"StreamEnabled": False})


def alias_moved(world):
    name = world.reads.partition(":")[0]
    world.functions.update_function_configuration(FunctionName=name, Description=world.name)
    version = world.functions.publish_version(FunctionName=name)["Version"]
    world.functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)


DRIFTS = {
    overwritten: ("adopted integrations", f"{READS[0]} → ", ["integration", "deployment"], CALLS),
    overwritten_and_not_deployed: ("adopted integrations", f"PUT {ITEM} → ", ["integration"], CALLS),
    deployed_from_elsewhere: ("adopted integrations", " and 1 more", [*["integration"] * 4, "deployment"], CALLS),
    permission_dropped: ("adopted permissions", "modern-reads: not for GET", ["permission"], CALLS),
    stream_off: ("adopted table's stream", "off", ["stream"], ("status", CheckScope.PREFLIGHT)),
    alias_moved: (
        "adopted aliases",
        "was 1",
        ["alias"],
        ("status", CheckScope.PREFLIGHT, CheckScope.CUTOVER, CheckScope.COMPLETE),
    ),
}


def red(world):
    """The checks of an adopted system that do not hold, in `status` and in each scope."""
    context = world.context()
    entity, state = context.target.entity(ENTITY), context.journal.state(ENTITY)
    found = {"status": status.run(context, entity, send_heartbeat=False, exact=False).adoption}
    for scope in (CheckScope.PREFLIGHT, *SWITCHES):
        there = replace(state, phase=Phase.MODERN) if scope == CheckScope.COMPLETE else state
        found[scope] = plans.checks(context, entity, scope, there, quick=True, send_heartbeat=False)
    return {
        where: {check.name: check for check in checks if not check.ok and check.name.startswith("adopted ")}
        for where, checks in found.items()
    }


QUICK = {overwritten, permission_dropped}  # the others in `make sweep`


@pytest.mark.parametrize(
    "drift", [pytest.param(each, id=each.__name__, marks=() if each in QUICK else pytest.mark.long) for each in DRIFTS]
)
def test_drift_is_found_by_status_preflight_and_before_every_switch_and_put_right(world, drift):
    name, value, changes, places = DRIFTS[drift]
    assert not any(red(world).values())
    drift(world)
    found = red(world)
    assert {where for where, checks in found.items() if checks} == set(places)
    for where in places:
        assert list(found[where]) == [name], where
        assert value in found[where][name].value
        assert f"runbook adopt --entity {ENTITY} --execute" in found[where][name].remedy
    assert kinds(adopt(world).execute()) == changes
    assert not any(red(world).values())


def test_the_alarms_function_reads_of_the_journal_what_adopt_has_noted(world):
    records = AdoptionRecords(world.dynamodb, world.journal)
    noted = records.read(ENTITY, api=True)
    assert (noted.adopted, noted.complete, noted.busy) == (True, False, False)
    assert noted.versions == world_versions(world)
    alias_moved(world)
    adopt(world).execute()
    after = records.read(ENTITY, api=True)
    assert after.versions == world_versions(world) != noted.versions
    assert after.token > noted.token
    undo(world).execute()
    assert not records.read(ENTITY, api=True).adopted


def world_versions(world):
    name, _, alias = world.reads.partition(":")
    return {world.reads: world.functions.get_alias(FunctionName=name, Name=alias)["FunctionVersion"]}


def test_a_variable_that_another_tool_removed_is_set_again_by_the_journal(world):
    world.patch(("remove", f"/variables/{ENTITY}_writes", None))
    assert kinds(adopt(world).execute()) == ["variable"]
    assert world.call(WRITES[0]) == (200, "writes")


def test_what_another_tool_deployed_meanwhile_is_served_after_undo(world):
    world.method("GET /v2/news", world.writes)
    world.deploy()
    before = world.gateway.get_stage(restApiId=world.api, stageName=STAGE)["deploymentId"]
    undo(world).execute()
    assert world.call("GET /v2/news") == (200, "writes")
    assert world.gateway.get_stage(restApiId=world.api, stageName=STAGE)["deploymentId"] != before
    assert {world.call(each) for each in (*READS, *WRITES)} == {(200, "reads"), (200, "writes")}


def test_an_integration_that_another_tool_has_set_is_not_undone(world):
    world.integrate(READS[0], world.writes)
    world.permit(world.writes, READS[0])
    world.deploy()
    undo(world).execute()
    assert world.call(READS[0]) == (200, "writes")
    world.integrate(READS[0], world.reads)
    world.deploy()


@pytest.mark.parametrize("variable", ["reads", "writes"])
def test_where_traffic_goes_stays_when_an_integration_is_put_right(world, variable):
    """In the middle of a migration the variable names modern; adopt must not send traffic back."""
    world.patch(("replace", f"/variables/{ENTITY}_{variable}", getattr(world, f"modern_{variable}")))
    overwritten(world)
    overwritten_and_not_deployed(world)
    assert set(kinds(adopt(world).execute())) == {"integration", "deployment"}
    assert world.call((READS if variable == "reads" else WRITES)[0]) == (200, f"modern-{variable}")
