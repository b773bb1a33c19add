"""The engine against a real MiniStack: what a program says is there, and nothing else."""

from __future__ import annotations

import json
import urllib.request

import pytest
from botocore.exceptions import ClientError

from sandbox import lifecycle
from sandbox.engine import provider
from sandbox.engine.registry import TYPES
from sandbox.errors import SandboxError

TABLE = """
    aws.dynamodb.Table("items", name="items", billing_mode="PAY_PER_REQUEST", hash_key="k",
        attributes=[{"name": "k", "type": "S"}], opts=ResourceOptions(protect=pulumi.Config().get_bool("protect")))
"""
ENDPOINT = """
api = aws.apigateway.RestApi("api", endpoint_configuration={"types": pulumi.Config().get("kind") or "EDGE"})
pulumi.export("api", api.id)
"""
LOGS = 'logs = aws.cloudwatch.LogGroup("logs", retention_in_days=pulumi.Config().get_int("days") or 7)\n'


@pytest.fixture
def up(programs, everything):
    return programs.up(everything)


def test_every_type_that_is_known_is_in_the_program_of_these_tests(programs, up):
    provider.load()
    assert {step.type for step in programs.steps} == TYPES.keys()


def test_what_was_made_answers(up):
    with urllib.request.urlopen(f"{up.outputs['url']}/words") as answer:
        assert answer.read() == b"served"
    mapping = up.client("lambda").get_event_source_mapping(UUID=up.outputs["mappingId"])
    assert mapping["EventSourceArn"] == up.outputs["streamArn"]
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"].endswith(up.outputs["bucket"])
    assert up.client("s3").get_public_access_block(Bucket=up.outputs["bucket"])["PublicAccessBlockConfiguration"][
        "BlockPublicAcls"
    ]


def test_outputs_are_the_true_ones_and_secrets_are_readable(up):
    assert up.outputs["where"] == "aws/us-east-1"
    assert up.outputs["account"] == "000000000000"
    assert up.outputs["nested"] == {"list": [1, 2.5, "three"], "password": "hidden"}
    secret = up.client("secretsmanager").get_secret_value(SecretId=up.outputs["secretArn"])
    assert json.loads(secret["SecretString"])["username"] == "admin"


def test_a_second_run_with_the_same_inputs_does_nothing(programs, everything, up):
    programs.up(everything)
    assert programs.changes.keys() == {"same"}


def test_the_kind_of_an_apis_endpoint_changes_in_place(programs):
    before = programs.up(ENDPOINT).outputs["api"]
    sandbox = programs.up(ENDPOINT, kind="REGIONAL")
    assert programs.done("update") == {"api"}
    found = sandbox.client("apigateway").get_rest_api(restApiId=before)
    assert found["endpointConfiguration"]["types"] == ["REGIONAL"]


def test_a_changed_tag_reaches_every_resource_and_replaces_none(programs, everything, up):
    sandbox = programs.up(everything, team="pantry")
    assert programs.changes.keys() == {"same", "update"}
    arn = sandbox.client("dynamodb").describe_table(TableName=sandbox.outputs["table"])["Table"]["TableArn"]
    tags = sandbox.client("dynamodb").list_tags_of_resource(ResourceArn=arn)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "pantry", "fixed": "yes"}


def test_a_new_deployment_never_reverts_a_moved_stage_variable(programs, everything, up):
    api, where = up.client("apigateway"), {"restApiId": up.outputs["api"], "stageName": "prod"}
    before = api.get_stage(**where)
    moved = [{"op": "replace", "path": "/variables/reads", "value": "modern"}]
    api.update_stage(**where, patchOperations=moved)
    programs.up(everything, routes="other")
    after = api.get_stage(**where)
    assert programs.done("replace") == {"api-routes"}
    assert after["deploymentId"] != before["deploymentId"]
    assert after["variables"] == {"reads": "modern"}


def paths(sandbox, api):
    return {each["path"] for each in sandbox.client("apigateway").get_resources(restApiId=api, limit=500)["items"]}


def test_the_routes_of_an_api_are_those_of_its_document(programs, everything, up):
    assert paths(up, up.outputs["document"]) == {"/", "/names"}
    programs.up(everything.replace("/names", "/titles/{id}"))
    assert programs.done("update") == {"document"}
    assert paths(up, up.outputs["document"]) == {"/", "/titles", "/titles/{id}"}


def test_what_the_program_no_longer_has_is_deleted(programs, everything, up):
    made = len(programs.steps)
    programs.up("pulumi.export('left', 'nothing')")
    assert programs.changes == {"delete": made}
    assert up.client("dynamodb").list_tables()["TableNames"] == []
    assert up.client("lambda").list_functions()["Functions"] == []
    assert up.client("apigateway").get_rest_apis()["items"] == []
    assert up.client("rds").describe_db_clusters()["DBClusters"] == []


def test_a_replacement_under_a_new_name_is_made_before_the_old_one_goes(programs):
    body = (
        't = aws.dynamodb.Table("t", billing_mode="PAY_PER_REQUEST", hash_key="KEY", '
        'attributes=[{"name": "KEY", "type": "S"}])\npulumi.export("name", t.name)'
    )
    first = programs.up(body).outputs["name"]
    second = programs.up(body.replace("KEY", "OTHER")).outputs["name"]
    assert first != second
    assert programs.done("replace") == {"t"}


def test_an_update_in_place_keeps_the_resource(programs):
    programs.up(LOGS)
    sandbox = programs.up(LOGS, days=30)
    assert programs.done("update") == {"logs"}
    assert sandbox.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 30


def test_an_unknown_resource_type_is_an_error_that_names_its_urn(programs):
    body = 'aws.sns.Topic("news")'
    with pytest.raises(
        SandboxError, match=r"urn:pulumi:sandbox::small::aws:sns/topic:Topic::news: .*does not know this"
    ):
        programs.up(body)


def test_an_unknown_property_is_an_error_that_names_the_urn_and_the_property(programs):
    body = 'aws.cloudwatch.LogGroup("logs", deletion_protection_enabled=True)'
    with pytest.raises(SandboxError, match=r"logGroup:LogGroup::logs: .*'deletionProtectionEnabled'"):
        programs.up(body)


def test_what_aws_refuses_is_an_error_that_names_the_urn_and_the_type(programs):
    with pytest.raises(SandboxError, match=r"::items: \(aws:dynamodb/table:Table\) .*ValidationException"):
        programs.up(TABLE.replace('hash_key="k"', 'hash_key="other"'))
    programs.up(TABLE)
    assert programs.done("create") == {"items"}


def test_the_same_urn_twice_is_an_error(programs):
    with pytest.raises(SandboxError, match="registers this URN twice"):
        programs.up(LOGS + LOGS)


def test_an_error_of_the_program_is_reported_in_its_own_words(programs):
    with pytest.raises(SandboxError, match=r"^the colour is missing$"):
        programs.up('raise pulumi.RunError("the colour is missing")')


def test_a_protected_resource_is_not_deleted(programs):
    programs.up(TABLE, protect="true")
    with pytest.raises(SandboxError, match="is protected"):
        programs.up("")
    programs.up(TABLE, protect="false")
    programs.up("")
    assert programs.done("delete") == {"items"}


def test_preview_lists_what_would_happen_and_makes_nothing(programs, everything):
    sandbox = programs.up(LOGS)
    before = sandbox.location.resources.read_text()
    steps = programs.preview(everything)
    assert {step.name: step.change.value for step in steps}["logs"] == "update"
    assert {step.change.value for step in steps if step.name != "logs"} == {"create"}
    assert sandbox.location.resources.read_text() == before
    assert sandbox.client("dynamodb").list_tables()["TableNames"] == []


def test_preview_needs_no_sandbox(programs, everything):
    program = programs.write(everything)
    steps = lifecycle.preview("test-never-up", program=program)
    assert {step.change.value for step in steps} == {"create"}
    assert "test-never-up" not in {status.name for status in lifecycle.statuses()}


def test_a_function_has_only_the_rights_of_its_role(programs):
    body = """
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        role = aws.iam.Role("role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
        code = "import boto3\\ndef handler(event, context):\\n    return boto3.client('dynamodb').list_tables()"
        function = aws.lambda_.Function("f", runtime="python3.13", handler="code.handler", role=role.arn,
            code=pulumi.AssetArchive({"code.py": pulumi.StringAsset(code)}))
        pulumi.export("name", function.name)
    """
    sandbox = programs.up(body)
    answer = sandbox.client("lambda").invoke(FunctionName=sandbox.outputs["name"])
    assert b"AccessDenied" in answer["Payload"].read()
    with pytest.raises(ClientError, match="security token"):
        type(sandbox)(sandbox.location, {**sandbox.outputs, "accessKeyId": "AKIAUNKNOWN"}).client("sqs").list_queues()
