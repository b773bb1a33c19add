"""Pulumi's engine where something goes wrong or must not go through: failures, protection, secrets, destroy."""

from __future__ import annotations

import psutil
import pytest
from pulumi_stacks import changes, pulumi

from sandbox import lifecycle
from sandbox.errors import SandboxError
from sandbox.kinds import Engine
from sandbox.pulumi_cli import checkpoint
from sandbox.state import PROJECT, Folder

POLICY = str(PROJECT / "policy")
HIDDEN = "correct horse battery staple"
LOGS = 'logs = aws.cloudwatch.LogGroup("logs", retention_in_days=7)\n'
TABLE = """
aws.dynamodb.Table("items", name="items", billing_mode="PAY_PER_REQUEST", hash_key="KEY",
    attributes=[{"name": "k", "type": "S"}], opts=ResourceOptions(depends_on=[logs]))
aws.cloudwatch.LogGroup("more", retention_in_days=7, opts=ResourceOptions(depends_on=[logs]))
"""
SECRET = f"""
trust = {{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {{"Service": "lambda.amazonaws.com"}}}}
role = aws.iam.Role("role", assume_role_policy=json.dumps({{"Version": "2012-10-17", "Statement": [trust]}}))
function = aws.lambda_.Function("f", runtime="python3.13", handler="code.handler", role=role.arn,
    environment={{"variables": {{"WORD": pulumi.Output.secret("{HIDDEN}")}}}},
    code=pulumi.AssetArchive({{"code.py": pulumi.StringAsset("handler = None")}}))
pulumi.export("name", function.name)
pulumi.export("word", function.environment.apply(lambda found: found.variables["WORD"]))
"""
UNKNOWN = 'aws.cloudwatch.LogGroup("logs", deletion_protection_enabled=True)'


@pytest.fixture(autouse=True)
def _emptied(programs, name):
    yield
    if checkpoint.resources(Folder.of(name)):
        programs.up("")


def test_what_aws_refuses_is_an_error_with_the_urn_and_the_next_up_makes_the_rest(programs):
    with pytest.raises(SandboxError, match=r"dynamodb/table:Table::items: .*ValidationException"):
        programs.up(LOGS + TABLE.replace("KEY", "other"))
    assert "logs" in programs.done("create")
    programs.up(LOGS + TABLE.replace("KEY", "k"))
    assert "items" in programs.done("create")
    assert "logs" not in programs.done("create")
    assert programs.done("replace") == set()


@pytest.mark.long
def test_an_unknown_property_is_an_error_that_names_the_urn_and_the_property(programs):
    with pytest.raises(SandboxError, match=r"logGroup:LogGroup::logs: .*deletionProtectionEnabled"):
        programs.up(UNKNOWN)


@pytest.mark.long
def test_an_unknown_resource_type_is_an_error_that_names_its_urn(programs):
    with pytest.raises(SandboxError, match=r"aws:sns/topic:Topic::news: .*does not know this resource type"):
        programs.up('aws.sns.Topic("news")')


@pytest.mark.long
def test_an_error_of_the_program_is_reported_in_its_own_words(programs):
    with pytest.raises(SandboxError, match="the colour is missing"):
        programs.up('raise pulumi.RunError("the colour is missing")')


def test_a_secret_stays_one_from_input_to_state_and_output(programs):
    sandbox = programs.up(SECRET)
    assert sandbox.outputs["word"] == HIDDEN
    assert HIDDEN not in checkpoint.find(checkpoint.home(sandbox.location)).read_text()
    assert HIDDEN not in pulumi(sandbox.name, "stack", "output").stdout
    assert HIDDEN not in sandbox.location.engine_log.read_text()
    function = sandbox.client("lambda").get_function_configuration(FunctionName=sandbox.outputs["name"])
    assert function["Environment"]["Variables"]["WORD"] == HIDDEN


@pytest.mark.long
def test_a_name_is_made_once_and_another_one_for_a_replacement(programs):
    body = (
        't = aws.dynamodb.Table("t", billing_mode="PAY_PER_REQUEST", hash_key="KEY", '
        'attributes=[{"name": "KEY", "type": "S"}])\npulumi.export("name", t.name)'
    )
    first, again = programs.up(body).outputs["name"], programs.up(body).outputs["name"]
    assert first == again
    other = programs.up(body.replace("KEY", "OTHER")).outputs["name"]
    assert other != first
    assert programs.done("replace") == {"t"}


@pytest.mark.long
def test_preview_lists_what_would_happen_and_makes_nothing(programs, everything):
    sandbox = programs.up(LOGS)
    before = checkpoint.find(checkpoint.home(sandbox.location)).read_text()
    steps = programs.preview(everything)
    assert {change for change, _ in changes(steps)} == {"create", "update"}
    assert checkpoint.find(checkpoint.home(sandbox.location)).read_text() == before
    assert sandbox.client("dynamodb").list_tables()["TableNames"] == []


@pytest.mark.long
def test_the_policy_pack_stops_a_stack_that_breaks_a_rule_and_no_process_of_it_stays(programs, name):
    programs.up(LOGS)
    refused = pulumi(name, "preview", "--policy-pack", POLICY)
    assert refused.returncode != 0
    assert "[mandatory]  resources-have-the-stacks-tag" in refused.stdout
    started = [each for each in psutil.process_iter(["cmdline"]) if POLICY in (each.info["cmdline"] or [])]
    assert psutil.wait_procs(started, timeout=10)[1] == []


@pytest.mark.long
def test_preview_needs_no_sandbox(programs, everything):
    program = programs.write(everything)
    steps = lifecycle.preview("test-never-up", program=program, engine=Engine.PULUMI)
    assert {change for change, _ in changes(steps)} == {"create"}
    assert "test-never-up" not in {status.name for status in lifecycle.statuses()}
