"""What `runbook adopt` and its undo refuse, with the reason and the way round; nothing is changed then."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from adopted_world import ENTITY, ITEM, MAPPING, READS, STAGE, WRITES, World, adopt, kinds, undo
from typer.testing import CliRunner

from functions.domain import names
from functions.domain.phase import Phase
from runbook import status
from runbook.adopt import changes
from runbook.adopt.undo import AdoptUndo
from runbook.checks.adopted import routes
from runbook.commands.cli import app
from runbook.cutover import complete
from runbook.errors import LockLostError, PreconditionError
from runbook.journal import adopted as records
from runbook.journal import lock as locks

SPREAD = 12.5  # seconds
LAMBDA = {"type": "AWS_PROXY", "integrationHttpMethod": "POST"}


@pytest.fixture(scope="module")
def world(sandbox):
    return World(sandbox)


@pytest.fixture
def same(world):
    """What is there is the same afterwards."""
    before = world.artefacts()
    yield
    assert world.artefacts() == before


def refusal(world, **changes):
    """What adopt says with other outputs."""
    world.changes = changes
    try:
        for act in (adopt(world).plan, adopt(world).execute):
            with pytest.raises(PreconditionError, match="nothing was changed") as found:
                act()
        return found.value.message
    finally:
        world.changes = {}


def with_entity(world, **changes):
    world.context()
    return {"entities": {ENTITY: {**world.raw["entities"][ENTITY], **changes}}}


def test_an_integration_that_names_another_function_is_refused_with_both_names(world, same):
    text = refusal(world, **with_entity(world, legacyReadFunction=world.modern_reads))
    assert (
        f"{READS[0]}: its integration names {world.reads}, and legacyReads of {ENTITY} is {world.modern_reads}" in text
    )
    assert "set legacyReads of orders in streamback:adopt and `pulumi up`" in text


def test_the_alias_is_part_of_the_name(world, same):
    plain = world.reads.partition(":")[0]
    assert f"legacyReads of {ENTITY} is {plain};" in refusal(world, **with_entity(world, legacyReadFunction=plain))


def test_a_function_that_is_not_there_is_refused(world, same):
    text = refusal(world, **with_entity(world, writeFunction="gone"))
    assert f"{ENTITY}: there is no function gone" in text


def test_an_operation_that_the_api_has_not_is_refused(world, same):
    mapping = {ENTITY: {**MAPPING[ENTITY], "api": {"reads": READS, "writes": ["DELETE /v2/orders"]}}}
    assert "DELETE /v2/orders: the API has no such method" in refusal(world, mapping=mapping)


@pytest.mark.parametrize(
    ("integration", "reason"),
    [
        ({"type": "MOCK", "requestTemplates": {"application/json": "{}"}}, "its integration is MOCK"),
        ({"type": "HTTP_PROXY", "integrationHttpMethod": "GET", "uri": "https://x.invalid"}, "is HTTP_PROXY"),
        ({**LAMBDA, "type": "AWS"}, "is AWS, and only AWS_PROXY to Lambda"),
        (
            {**LAMBDA, "credentials": "arn:aws:iam::000000000000:role/r"},
            "with the role arn:aws:iam::000000000000:role/r",
        ),
        ({**LAMBDA, "uri": "arn:aws:apigateway:us-east-1:dynamodb:action/PutItem"}, "names no Lambda function"),
    ],
)
def test_an_integration_that_cannot_follow_a_variable_is_refused(world, integration, reason):
    before = world.artefacts()
    world.integrate(READS[0], world.reads, **integration)
    assert reason in refusal(world)
    world.gateway.put_integration(
        **world.place(READS[0]), **LAMBDA, uri=world.live_uri(READS[1])
    )  # as it was, and never deployed
    assert world.artefacts() == before


def test_a_path_that_has_only_the_method_any_is_refused(sandbox):
    world = World(sandbox)
    world.gateway.delete_method(**world.place(READS[0]))
    world.method(f"ANY {ITEM}", world.reads)
    world.deploy()
    assert f"{READS[0]}: the API has only the method ANY there" in refusal(world)


def test_a_stage_with_a_canary_or_such_a_variable_of_the_teams_is_refused(sandbox):
    world = World(sandbox)
    world.patch(("replace", f"/variables/{ENTITY}_reads", "theirs"), ("replace", "/canarySettings/percentTraffic", "5"))
    text = refusal(world)
    assert "the stage has a canary" in text
    assert f"the stage has a variable {ENTITY}_reads already, theirs" in text


def test_a_stream_with_another_view_is_refused(sandbox):
    world = World(sandbox)
    world.dynamodb.update_table(
        TableName=world.table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    assert "shows KEYS_ONLY, and the bridge needs NEW_AND_OLD_IMAGES" in refusal(world)


def test_changes_that_are_not_deployed_are_named_and_deployed_along_only_if_asked(sandbox):
    world = World(sandbox)
    world.method("GET /v2/news", world.writes)
    world.gateway.update_integration(
        **world.place("GET /v2/health"), patchOperations=[{"op": "replace", "path": "/timeoutInMillis", "value": "900"}]
    )
    text = refusal(world)
    assert "GET /v2/news is new; GET /v2/health is changed" in text
    assert "--deploy-pending" in text
    plan = adopt(world, pending=True).execute()
    assert plan.changes[-1].breaks == "goes live with it: GET /v2/news is new; GET /v2/health is changed"
    assert world.call("GET /v2/news") == (200, "writes")
    undo(world).execute()
    assert world.call("GET /v2/news") == (200, "writes"), "the deployment before has it not"


def _state(world, **changes):
    context = world.context()
    with context.held(context.target.entity(ENTITY), "a test") as lease:
        context.journal.write(lease.lock, ENTITY, changes)


@pytest.fixture
def adopted(world):
    adopt(world).execute()
    yield world
    _state(world, phase=Phase.LEGACY.value, reads=0, gated=False)
    world.context().clients.dynamodb.delete_item(
        TableName=world.journal, Key={"entity": {"S": ENTITY}, "record": {"S": names.COPY_RECORD}}
    )
    undo(world, pending=True).execute()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"phase": "modern"}, "orders is in phase modern: `runbook rollback --entity orders --execute` or `complete`"),
        ({"reads": 20}, "20% of the reads of orders are on modern"),
        ({"gated": True}, "`runbook copy stop --remove-triggers --entity orders` first"),
    ],
)
def test_undo_is_refused_while_an_entity_is_migrated(adopted, changes, reason):
    _state(adopted, **changes)
    before = adopted.artefacts()
    for act in (undo(adopted).plan, undo(adopted).execute):
        with pytest.raises(PreconditionError, match="nothing was changed") as found:
            act()
        assert reason in found.value.message
    assert adopted.artefacts() == before


def test_undo_is_refused_while_copy_runs(adopted):
    adopted.context().journal.put_record(ENTITY, names.COPY_RECORD, {"state": "running"})
    with pytest.raises(PreconditionError, match="copy of orders was started"):
        undo(adopted).plan()


def test_after_complete_undo_writes_moderns_functions_into_the_integrations(sandbox):
    world = World(sandbox)
    adopt(world).execute()
    _state(world, phase=Phase.COMPLETE.value, reads=100)
    for role in ("reads", "writes"):
        world.patch(("replace", f"/variables/{ENTITY}_{role}", getattr(world, f"modern_{role}")))
    plan = undo(world).execute()
    assert "orders is complete: its methods name" in plan.notes[0]
    assert world.modern_reads in plan.notes[0]
    assert {world.call(each) for each in READS} == {(200, "modern-reads")}
    assert {world.call(each) for each in WRITES} == {(200, "modern-writes")}
    assert world.live_uri(READS[0]).endswith(f":function:{world.modern_reads}/invocations")
    assert world.gateway.get_stage(restApiId=world.api, stageName=STAGE).get("variables", {}) == {}
    assert kinds(undo(world).plan()) == []
    context = world.context()
    entity = context.target.entity(ENTITY)
    assert complete.left_over(context, entity) == [], "`complete` again would add the stage variable again"
    assert status.run(context, entity, send_heartbeat=False, exact=False).agree


def test_a_canary_of_the_teams_is_left_alone_and_bars_every_switch_adopt_and_undo(adopted):
    adopted.patch(("replace", "/canarySettings/percentTraffic", "5"))
    context, canary = adopted.context(), adopted.gateway.get_stage(restApiId=adopted.api, stageName=STAGE)
    try:
        checks = routes(context, context.target.entity(ENTITY))
        assert [each.name for each in checks if not each.ok] == ["adopted stage's canary"]
        for command in (adopt(adopted), undo(adopted)):
            with pytest.raises(PreconditionError, match="a canary that is not streamback's"):
                command.plan()
        adopted.deploy()
        assert not context.routing.renew_canary()
        found = adopted.gateway.get_stage(restApiId=adopted.api, stageName=STAGE)["canarySettings"]
        assert found == canary["canarySettings"]
    finally:
        adopted.patch(("remove", "/canarySettings", None))


def test_undo_restores_what_is_recorded_although_entities_toml_names_it_no_longer(world):
    before = world.artefacts()
    adopt(world).execute()
    world.changes = {"mapping": {ENTITY: {**MAPPING[ENTITY], "api": {"reads": READS, "writes": WRITES[:1]}}}}
    try:
        undo(world).execute()
    finally:
        world.changes = {}
    assert world.artefacts() == before


def test_the_plan_names_other_stages_and_other_timeouts(sandbox):
    world = World(sandbox)
    world.gateway.create_deployment(restApiId=world.api, stageName="staging")
    patch = [{"op": "replace", "path": "/timeoutInMillis", "value": "3000"}]
    world.gateway.update_integration(**world.place(WRITES[0]), patchOperations=patch)
    world.deploy()
    stage, timeout = adopt(world).execute().notes
    assert stage.startswith("stage staging: the next deployment to it needs the variables orders_reads, orders_writes.")
    assert timeout == f"{WRITES[0]}: API Gateway waits 3 s for it. A switch holds requests: keep --hold well below that"
    served = world.gateway.get_stage(restApiId=world.api, stageName=STAGE)["deploymentId"]
    variables = [("orders_reads", world.reads), ("orders_writes", world.writes)]
    world.gateway.update_stage(
        restApiId=world.api,
        stageName="staging",
        patchOperations=[{"op": "replace", "path": f"/variables/{name}", "value": value} for name, value in variables]
        + [{"op": "replace", "path": "/deploymentId", "value": served}],
    )
    assert adopt(world).plan().notes == [timeout]
    undo(world).execute()
    assert world.gateway.get_stage(restApiId=world.api, stageName="staging")["deploymentId"] == served
    assert served in {each["id"] for each in world.gateway.get_deployments(restApiId=world.api)["items"]}


def test_what_is_put_right_may_have_let_requests_past_the_gate_so_the_next_switch_waits_for_them(adopted):
    _state(adopted, gated=True, gated_since=7)
    adopted.integrate(WRITES[0], adopted.writes)
    adopted.deploy()
    assert adopted.context().journal.state(ENTITY).gated_since == 7
    adopt(adopted).execute()
    assert adopted.context().journal.state(ENTITY).gated_since == 0


def test_who_slept_while_api_gateway_spread_the_deployment_removes_no_variable_of_a_newer_adoption(
    adopted, monkeypatch
):
    """Another operator has undone it and adopted again by the time that the sleeper goes on."""
    newer = []

    def slept(seconds):
        if seconds != SPREAD:
            return
        AdoptUndo(replace(adopted.context(), take_over=True), 0.0).execute()
        newer.append(kinds(adopt(adopted).execute()))

    monkeypatch.setattr(changes, "time", SimpleNamespace(sleep=slept))
    with pytest.raises(LockLostError):
        AdoptUndo(adopted.context(), SPREAD).execute()
    assert "variable" in newer[0]
    variables = adopted.gateway.get_stage(restApiId=adopted.api, stageName=STAGE)["variables"]
    assert set(variables) == {"orders_reads", "orders_writes"}
    assert {adopted.call(each) for each in READS} == {(200, "reads")}


def test_a_stream_that_a_mapping_reads_stays_on_until_it_is_gone(sandbox):
    world = World(sandbox)
    adopt(world).execute()
    stream = world.dynamodb.describe_table(TableName=world.table)["Table"]["LatestStreamArn"]
    mapping = world.functions.create_event_source_mapping(
        EventSourceArn=stream, FunctionName=world.gate, StartingPosition="LATEST"
    )["UUID"]
    assert f"stays on: {world.gate} reads it" in undo(world).execute().notes[0]
    assert world.dynamodb.describe_table(TableName=world.table)["Table"]["StreamSpecification"]["StreamEnabled"]
    world.functions.delete_event_source_mapping(UUID=mapping)
    assert kinds(undo(world).execute()) == ["stream"]
    assert records.parts(world.context().journal, ENTITY) is None


@pytest.fixture
def runbook(world, tmp_path):
    def run(*words, **changes):
        world.context()
        (tmp_path / "outputs.json").write_text(json.dumps({**world.raw, **changes}))
        command = [*words, "--outputs", str(tmp_path / "outputs.json")]
        return CliRunner().invoke(app, command, env={"COLUMNS": "80", "NO_COLOR": "1"})

    return run


def test_exit_codes_json_and_the_question_in_production(world, runbook, same):
    assert runbook("adopt", "--execute", production=True, stack="live").exit_code == 5
    assert runbook("adopt", "undo", "--entity", ENTITY).exit_code == 2
    assert runbook("adopt", "--settle", "3").exit_code == 2
    assert runbook("adopt", apiAdopted=False, entities={}).exit_code == 2
    missing = runbook("adopt", apiId="abcdef1234")
    assert missing.exit_code == 4
    assert "only REST APIs (v1)" in missing.stderr
    plan = json.loads(runbook("adopt", "--json").stdout)
    assert (plan["executed"], plan["changes"][-1]["kind"]) == (False, "deployment")
    uri = next(each for each in plan["changes"] if each["kind"] == "integration")
    assert uri["before"].endswith(f"{world.reads}/invocations")
    assert uri["after"].endswith("${stageVariables.orders_reads}/invocations")


def test_a_held_lock_is_refused_and_history_shows_what_was_done(world, runbook):
    context = world.context()
    records.begin(context.journal, ENTITY, "", "a test", "alice")
    with locks.held(context.journal, ENTITY, "alice", "something"):
        held = runbook("adopt", "--execute")
    assert held.exit_code == 5
    assert "alice" in held.stderr
    assert runbook("adopt", "--execute").exit_code == 0
    assert "Nothing to do." in runbook("adopt").stdout
    done = runbook("adopt", "undo", "--execute", "--settle", "0")
    assert "Done: adopt undo" in done.stdout
    events = json.loads(runbook("history", "--json").stdout)["events"]
    assert [each["command"] for each in events if each["result"] == "done"][:2] == ["adopt undo", "adopt"]
