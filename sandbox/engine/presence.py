"""How to ask each service whether a resource is still there: something else may have deleted it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sandbox.engine import change
from sandbox.engine.registry import Handler
from sandbox.engine.state import Record


@dataclass(frozen=True)
class Lookup:
    """One call that fails, or lists nothing, where the resource is absent.

    Args:
        client: the service's name in boto3.
        operation: what to call.
        arguments: with which arguments; each is `id`, a list of it as `[id]`, or the name of an input.
        listed: the member of the answer that is empty where the resource is absent; without one the call fails.
    """

    client: str
    operation: str
    arguments: Mapping[str, str]
    listed: str = ""


def _api(operation: str, **arguments: str) -> Lookup:
    return Lookup("apigateway", operation, {"restApiId": "restApi", **arguments})


PLACE = {"resourceId": "resourceId", "httpMethod": "httpMethod"}
LOOKUPS = {
    "aws:apigateway/deployment:Deployment": _api("get_deployment", deploymentId="id"),
    "aws:apigateway/integration:Integration": _api("get_integration", **PLACE),
    "aws:apigateway/method:Method": _api("get_method", **PLACE),
    "aws:apigateway/resource:Resource": _api("get_resource", resourceId="id"),
    "aws:apigateway/restApi:RestApi": _api("get_rest_api", restApiId="id"),
    "aws:apigateway/stage:Stage": _api("get_stage", stageName="stageName"),
    "aws:cloudwatch/logGroup:LogGroup": Lookup(
        "logs", "describe_log_groups", {"logGroupNamePrefix": "id"}, listed="logGroups"
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Lookup(
        "cloudwatch", "describe_alarms", {"AlarmNames": "[id]"}, listed="MetricAlarms"
    ),
    "aws:dynamodb/table:Table": Lookup("dynamodb", "describe_table", {"TableName": "id"}),
    "aws:ec2/securityGroup:SecurityGroup": Lookup("ec2", "describe_security_groups", {"GroupIds": "[id]"}),
    "aws:ec2/subnet:Subnet": Lookup("ec2", "describe_subnets", {"SubnetIds": "[id]"}),
    "aws:ec2/vpc:Vpc": Lookup("ec2", "describe_vpcs", {"VpcIds": "[id]"}),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": Lookup(
        "iam", "get_open_id_connect_provider", {"OpenIDConnectProviderArn": "id"}
    ),
    "aws:iam/policy:Policy": Lookup("iam", "get_policy", {"PolicyArn": "id"}),
    "aws:iam/role:Role": Lookup("iam", "get_role", {"RoleName": "id"}),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Lookup(
        "iam", "list_attached_role_policies", {"RoleName": "role"}
    ),
    "aws:iam/rolePolicy:RolePolicy": Lookup("iam", "get_role_policy", {"RoleName": "role", "PolicyName": "name"}),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Lookup("lambda", "get_event_source_mapping", {"UUID": "id"}),
    "aws:lambda/function:Function": Lookup("lambda", "get_function_configuration", {"FunctionName": "id"}),
    "aws:lambda/functionRecursionConfig:FunctionRecursionConfig": Lookup(
        "lambda", "get_function_configuration", {"FunctionName": "id"}
    ),
    "aws:lambda/permission:Permission": Lookup("lambda", "get_policy", {"FunctionName": "function"}),
    "aws:rds/cluster:Cluster": Lookup("rds", "describe_db_clusters", {"DBClusterIdentifier": "id"}),
    "aws:rds/clusterInstance:ClusterInstance": Lookup("rds", "describe_db_instances", {"DBInstanceIdentifier": "id"}),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": Lookup(
        "rds", "describe_db_cluster_parameter_groups", {"DBClusterParameterGroupName": "id"}
    ),
    "aws:rds/subnetGroup:SubnetGroup": Lookup("rds", "describe_db_subnet_groups", {"DBSubnetGroupName": "id"}),
    "aws:s3/bucket:Bucket": Lookup("s3", "get_bucket_location", {"Bucket": "id"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Lookup("s3", "get_public_access_block", {"Bucket": "id"}),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Lookup(
        "s3", "get_bucket_encryption", {"Bucket": "id"}
    ),
    "aws:scheduler/schedule:Schedule": Lookup("scheduler", "get_schedule", {"Name": "name"}),
    "aws:sfn/stateMachine:StateMachine": Lookup("stepfunctions", "describe_state_machine", {"stateMachineArn": "id"}),
    "aws:secretsmanager/secret:Secret": Lookup("secretsmanager", "describe_secret", {"SecretId": "id"}),
}


def is_there(worker: Handler, record: Record) -> bool:
    """Whether the service has the resource."""
    lookup = LOOKUPS[record.type]
    call: Callable[..., Mapping[str, Any]] = getattr(worker.aws.client(lookup.client), lookup.operation)
    try:
        answer = call(**{name: _value(source, record) for name, source in lookup.arguments.items()})
    except ClientError as error:
        if change.is_absent(error):
            return False
        raise
    return bool(answer[lookup.listed] if lookup.listed else True) and worker.has(record)


def _value(source: str, record: Record) -> Any:
    known = {"id": record.id, "[id]": [record.id]}
    return known[source] if source in known else record.inputs[source]
