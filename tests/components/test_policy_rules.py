"""The policy pack's rules: the real program keeps each, and each has a counter-example that it reports."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from delivered import DELIVERY

from policy import pack
from policy.rights import FORCED, OF_PEOPLE, WITHOUT_RESOURCE
from policy.rules import RULES, UNKNOWN, Resource, violations

assert pack  # declares the rules

SHAPES = {
    "legacy": {"parts": '["legacy"]'},
    "modern": {"parts": '["legacy", "modern"]'},
    "all": {},
    "open": {"apiAuth": "NONE"},
    "two entities": {"entitiesFile": "tests/entities.toml"},
    "production": {"production": "true", "tags": '{"owner": "kitchen"}'},
    "production, with roles": {"production": "true", **DELIVERY},
    "production, legacy": {"production": "true", "parts": '["legacy"]'},
}


def resources(stack):
    return [
        Resource(
            type=each["type"],
            urn=each["urn"],
            name=each["name"],
            properties=each["inputs"],
            protect=each["protect"],
            dependencies=frozenset(each["depends"]),
        )
        for each in stack.resources
    ]


def changed(kind, name="", **properties):
    """A stack in which the first such resource has other properties; None takes one away."""

    def change(found):
        index = next(i for i, each in enumerate(found) if each.type.endswith(kind) and name in each.name)
        merged = {key: value for key, value in {**found[index].properties, **properties}.items() if value is not None}
        return [*found[:index], replace(found[index], properties=merged), *found[index + 1 :]]

    return change


def without(kind, name=""):
    return lambda found: [each for each in found if not (each.type.endswith(kind) and name in each.name)]


def unprotected(kind):
    return lambda found: [replace(each, protect=False) if each.type.endswith(kind) else each for each in found]


def policy(action, resource, **more):
    return json.dumps({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]})


def api(**operation):
    return {"body": json.dumps({"paths": {"/chefs": {"get": operation}}})}


ANYONE = json.dumps({"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}})
AWS_POLICY = "arn:aws:iam::aws:policy/AdministratorAccess"


def signed_in(operator="StringEquals", **asked):
    """A trust policy for GitHub's tokens with a condition."""
    condition = {operator: {f"token.actions.githubusercontent.com:{key}": value for key, value in asked.items()}}
    principal = {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}
    one = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity"}
    return json.dumps({"Statement": [{**one, "Condition": condition}]})


JOBS = "roles-for-an-identity-provider-name-the-job"
INTERNET = [{"protocol": "tcp", "fromPort": 3306, "toPort": 3306, "cidrBlocks": ["0.0.0.0/0"]}]
BROKEN = [
    ("rights-are-named", changed("rolePolicy:RolePolicy", policy=policy("dynamodb:*", "arn:aws:x"))),
    ("rights-are-named", changed("rolePolicy:RolePolicy", policy=policy(["dynamodb:GetItem"], ["*"]))),
    ("rights-are-named", changed("rolePolicy:RolePolicy", policy=policy("s3:PutObject", "*"))),
    ("rights-are-named", changed("rolePolicy:RolePolicy", policy=policy("s3:PutObject", [], NotResource="arn:a"))),
    ("roles-name-who-takes-them-on", changed("role:Role", assumeRolePolicy=ANYONE)),
    ("rights-are-named", changed("iam/policy:Policy", policy=policy("iam:CreateRole", "arn:aws:iam::1:role/*"))),
    ("rights-are-named", changed("iam/policy:Policy", policy=policy("iam:DeleteUser", "*"))),
    (JOBS, changed("role:Role", "deploy", assumeRolePolicy=signed_in(sub="repo:kitchen/recipes:pull_request"))),
    (JOBS, changed("role:Role", "deploy", assumeRolePolicy=signed_in(aud="sts.amazonaws.com"))),
    (JOBS, changed("role:Role", "deploy", assumeRolePolicy=signed_in(aud="x", sub=["repo:kitchen/*"]))),
    (JOBS, changed("role:Role", "deploy", assumeRolePolicy=signed_in("StringLike", aud="x", sub="repo:a/b:c"))),
    ("roles-have-no-policy-of-awss", changed("RolePolicyAttachment", policyArn=AWS_POLICY)),
    ("roles-have-no-policy-of-awss", changed("role:Role", managedPolicyArns=["arn:aws:iam::aws:policy/ReadOnly"])),
    ("tables-can-be-restored", changed("table:Table", pointInTimeRecovery=None)),
    ("tables-can-be-restored", changed("table:Table", pointInTimeRecovery={"enabled": False})),
    ("streams-have-both-images", changed("table:Table", "chefs", streamViewType="NEW_IMAGE")),
    ("databases-are-encrypted", changed("cluster:Cluster", storageEncrypted=None)),
    ("buckets-are-encrypted", without("BucketServerSideEncryptionConfiguration")),
    ("databases-are-backed-up", changed("cluster:Cluster", backupRetentionPeriod=0)),
    ("production-databases-keep-backups-for-a-week", changed("cluster:Cluster", backupRetentionPeriod=3)),
    ("production-data-is-protected", unprotected("table:Table")),
    ("production-data-is-protected", unprotected("bucket:Bucket")),
    ("production-data-is-protected", unprotected("cluster:Cluster")),
    ("production-data-is-protected", unprotected("clusterInstance:ClusterInstance")),
    ("production-data-cannot-be-deleted", changed("table:Table", deletionProtectionEnabled=False)),
    ("production-data-cannot-be-deleted", changed("cluster:Cluster", deletionProtection=None)),
    ("production-data-cannot-be-deleted", changed("bucket:Bucket", forceDestroy=True)),
    ("production-databases-leave-a-snapshot", changed("cluster:Cluster", skipFinalSnapshot=True)),
    ("logs-end", changed("logGroup:LogGroup", retentionInDays=None)),
    ("functions-have-their-log-group", without("logGroup:LogGroup", "chefs-writer")),
    ("functions-have-their-log-group", changed("function:Function", loggingConfig=None)),
    ("mappings-start-at-the-beginning", changed("EventSourceMapping", startingPosition="LATEST")),
    ("mappings-keep-what-failed", changed("EventSourceMapping", destinationConfig=None)),
    ("bridge-writers-have-alarms", without("metricAlarm:MetricAlarm", "late")),
    ("bridge-writers-have-alarms", without("metricAlarm:MetricAlarm", "failing")),
    ("bridge-writers-have-alarms", without("metricAlarm:MetricAlarm", "quarantined")),
    ("resources-have-the-stacks-tag", changed("vpc:Vpc", tags={"Name": "x"})),
    ("buckets-are-private", without("BucketPublicAccessBlock")),
    ("buckets-are-private", changed("BucketPublicAccessBlock", blockPublicPolicy=False)),
    ("databases-are-private", changed("clusterInstance:ClusterInstance", publiclyAccessible=True)),
    ("security-groups-let-no-network-in", changed("securityGroup:SecurityGroup", ingress=INTERNET)),
    ("callers-of-functions-are-named", changed("permission:Permission", principal="*")),
    ("callers-of-functions-are-named", changed("permission:Permission", sourceArn=None)),
    ("production-apis-ask-who-calls", changed("restApi:RestApi", **api())),
    ("production-apis-ask-who-calls", changed("restApi:RestApi", **api(security=[]))),
    (
        "production-apis-ask-who-calls",
        changed("restApi:RestApi", **api(security=[{"sigv4": []}], **{"x-amazon-apigateway-auth": {"type": "NONE"}})),
    ),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_program_keeps_every_rule_in_every_shape(describe, shape):
    settings = SHAPES[shape]
    assert violations(resources(describe(**settings)), production=settings.get("production") == "true") == []


@pytest.mark.parametrize(("rule", "broken"), BROKEN, ids=[f"{i}-{rule}" for i, (rule, _) in enumerate(BROKEN)])
def test_a_rule_reports_its_counter_example_and_no_other_does(production, rule, broken):
    found = violations(broken(resources(production)), production=rule.startswith("production-"))
    assert {each.rule for each in found} == {rule}
    assert all(each.text and each.urn.startswith("urn:pulumi:") for each in found)


def test_every_rule_has_a_counter_example_and_says_what_it_asks():
    assert {each.name for each in RULES} == {rule for rule, _ in BROKEN}
    assert all(each.says.endswith(".") for each in RULES)


def test_the_docs_list_every_rule():
    page = (Path(__file__).parents[2] / "docs/policy.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \|$", page, re.MULTILINE)
    assert sorted(rows) == sorted((each.name, each.says) for each in RULES)


def test_a_stack_for_trying_things_on_may_be_deleted_and_open(describe):
    made = resources(describe(apiAuth="NONE"))
    assert violations(made, production=False) == []
    assert {each.rule for each in violations(made, production=True)} == {
        each.name for each in RULES if each.name.startswith("production-")
    }


def test_what_a_preview_does_not_know_breaks_no_rule(production):
    unknown = changed("rolePolicy:RolePolicy", policy=UNKNOWN)(resources(production))
    unknown = changed("restApi:RestApi", body=UNKNOWN)(unknown)
    assert violations(unknown, production=True) == []


def test_a_signed_api_described_by_a_document_keeps_the_rule(production):
    for signed in ({"security": [{"sigv4": []}]}, {"x-amazon-apigateway-auth": {"type": "AWS_IAM"}}):
        made = changed("restApi:RestApi", **api(**signed))(resources(production))
        assert violations(made, production=True) == []


def test_every_forced_wildcard_has_its_reason_and_is_used(stack):
    allowed = {
        action
        for each in stack.of("rolePolicy:RolePolicy")
        for statement in json.loads(each["inputs"]["policy"])["Statement"]
        if any("*" in resource for resource in statement["Resource"])
        for action in statement["Action"]
    }
    assert allowed == set(FORCED)
    assert all(len(each.reason.split()) >= 3 for each in FORCED.values())


def test_every_wildcard_of_the_roles_around_a_stack_has_its_reason_and_is_used(production):
    statements = [
        one for each in production.of("iam/policy:Policy") for one in json.loads(each["inputs"]["policy"])["Statement"]
    ]
    wide = {resource for each in statements for resource in each["Resource"] if "*" in resource} - {"*"}
    for each in OF_PEOPLE:
        assert any(re.fullmatch(each.resource, resource) for resource in wide), each
        assert len(each.reason.split()) >= 3
    assert {action for each in statements if "*" in each["Resource"] for action in each["Action"]} == WITHOUT_RESOURCE
