"""A refresh sees what something else changed of a resource, and nothing where nothing was changed."""

from __future__ import annotations

import copy
import json

from sandbox import lifecycle
from sandbox.engine import presence, provider
from sandbox.engine.aws import Aws
from sandbox.engine.plan import differences
from sandbox.engine.registry import TYPES
from sandbox.engine.state import State

provider.load()


OTHER = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
OPEN = json.dumps(OTHER)
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
    }
)


class Drifting:
    """A sandbox with every type, which something else than the program changes."""

    def __init__(self, sandbox):
        self.client = sandbox.client
        self._aws = Aws(sandbox.outputs["endpointUrl"])
        self._path = sandbox.location.resources

    def records(self):
        return {record.urn.rsplit("::", 1)[-1]: record for record in State.load(self._path).records}

    def differences(self):
        """{resource: the inputs that a refresh finds to be otherwise}."""
        return {name: found for name, record in self.records().items() if (found := self._different(record))}

    def unobserved(self):
        """{type: what the program can change of it in place, and a refresh does not look at}."""
        found = {}
        for record in self.records().values():
            worker = TYPES[record.type](self._aws)
            found.setdefault(record.type.rsplit(":", 1)[-1], set()).update(
                (record.inputs.keys() & worker.updates) - worker.observed(record).keys()
            )
        return {kind: names for kind, names in found.items() if names}

    def _different(self, record):
        worker, before = TYPES[record.type](self._aws), copy.deepcopy(record.inputs)
        if not presence.is_there(worker, record):
            return {"gone"}
        worker.refresh(record)
        return set(differences(before, record.inputs))


def change(drifting):
    """Change something of everything; what a refresh should find."""
    ids = {name: record.id for name, record in drifting.records().items()}
    calls = drifting.client
    dynamodb, functions, iam = calls("dynamodb"), calls("lambda"), calls("iam")
    table, function, role = ids["items"], ids["function"], ids["role"]
    recovery = {"PointInTimeRecoveryEnabled": False}
    dynamodb.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=recovery)
    functions.update_function_configuration(
        FunctionName=function, Timeout=3, MemorySize=128, Environment={"Variables": {"WORD": "served", "MORE": "1"}}
    )
    functions.put_function_recursion_config(FunctionName=function, RecursiveLoop="Terminate")
    functions.remove_permission(FunctionName=function, StatementId=ids["api-may-call"])
    functions.update_event_source_mapping(UUID=ids["mapping"], BatchSize=7, DestinationConfig={})
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=TRUST)
    iam.put_role_policy(RoleName=role, PolicyName=ids["role-rights"].partition(":")[2], PolicyDocument=OPEN)
    iam.detach_role_policy(RoleName=role, PolicyArn=ids["managed"])
    iam.create_policy_version(PolicyArn=ids["managed"], PolicyDocument=OPEN, SetAsDefault=True)
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=ids["github"], ClientID="other")
    calls("logs").put_retention_policy(logGroupName=ids["logs"], retentionInDays=1)
    (alarm,) = calls("cloudwatch").describe_alarms(AlarmNames=[ids["alarm"]])["MetricAlarms"]
    kept = {"ComparisonOperator", "EvaluationPeriods", "MetricName", "Namespace", "Period", "Statistic", "Dimensions"}
    kept |= {"AlarmName", "TreatMissingData"}
    calls("cloudwatch").put_metric_alarm(**{name: alarm[name] for name in kept}, Threshold=5)
    calls("s3").put_public_access_block(
        Bucket=ids["failures"],
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "BlockPublicPolicy": False,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    )
    by_key = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    calls("s3").put_bucket_encryption(Bucket=ids["failures"], ServerSideEncryptionConfiguration=by_key)
    rds = calls("rds")
    rds.modify_db_cluster(
        DBClusterIdentifier=ids["db"], ServerlessV2ScalingConfiguration={"MinCapacity": 1, "MaxCapacity": 2}
    )
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName=ids["db-parameters"],
        Parameters=[
            {"ParameterName": "log_bin_trust_function_creators", "ParameterValue": "0", "ApplyMethod": "immediate"}
        ],
    )
    api = calls("apigateway")
    (names,) = (each for each in api.get_resources(restApiId=ids["document"])["items"] if each["path"] == "/names")
    api.delete_method(restApiId=ids["document"], resourceId=names["id"], httpMethod="GET")
    calls("ec2").modify_vpc_attribute(VpcId=ids["net"], EnableDnsHostnames={"Value": False})
    ingress = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    calls("ec2").authorize_security_group_ingress(GroupId=ids["net-group"], IpPermissions=[ingress])
    schedule = calls("scheduler").get_schedule(Name=drifting.records()["schedule"].inputs["name"])
    place = {name: schedule[name] for name in ("Name", "FlexibleTimeWindow")}
    target = {name: schedule["Target"][name] for name in ("Arn", "RoleArn")}
    calls("scheduler").update_schedule(**place, ScheduleExpression="rate(2 days)", Target=target)
    ended = json.dumps({"StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}})
    calls("stepfunctions").update_state_machine(stateMachineArn=ids["machine"], definition=ended)
    return {
        "items": {"pointInTimeRecovery"},
        "function": {"timeout", "memorySize", "environment"},
        "function-recursion": {"recursiveLoop"},
        "api-may-call": {"gone"},
        "mapping": {"batchSize", "destinationConfig"},
        "role": {"assumeRolePolicy"},
        "role-rights": {"policy"},
        "managed": {"policy"},
        "managed-of-role": {"gone"},
        "github": {"clientIdLists"},
        "logs": {"retentionInDays"},
        "alarm": {"threshold"},
        "failures-private": {"blockPublicPolicy"},
        "failures-encryption": {"rules"},
        "db": {"serverlessv2ScalingConfiguration"},
        "db-parameters": {"parameters"},
        "document": {"body"},
        "net": {"enableDnsHostnames"},
        "net-group": {"ingress"},
        "schedule": {"scheduleExpression", "target"},
        "machine": {"definition"},
    }


UNOBSERVED = {
    "Bucket": {"forceDestroy"},  # these are for Pulumi itself
    "Cluster": {"applyImmediately", "manageMasterUserPassword", "skipFinalSnapshot"},
    "ClusterInstance": {"autoMinorVersionUpgrade", "copyTagsToSnapshot"},  # the sandbox keeps neither
    "Function": {"layers"},  # nor these
    "Stage": {"variables"},  # the runbook owns them
}


def test_a_refresh_looks_at_all_that_the_program_sets(sandbox):
    assert Drifting(sandbox).unobserved() == UNOBSERVED


def test_a_refresh_finds_each_change_and_an_up_puts_it_right(programs, everything):
    drifting = Drifting(programs.up(everything))
    assert drifting.differences() == {}
    expected = change(drifting)
    assert drifting.differences() == expected
    lifecycle.up(programs.name, program=programs.write(everything), current=False, refresh=True)
    assert drifting.differences() == {}


def test_what_the_runbook_owns_is_left_alone(programs, everything):
    sandbox = programs.up(everything)
    place = {"restApiId": sandbox.outputs["api"], "stageName": "prod"}
    moved = [{"op": "replace", "path": "/variables/reads", "value": "modern"}]
    sandbox.client("apigateway").update_stage(**place, patchOperations=moved)
    assert Drifting(sandbox).differences() == {}
