"""A Pulumi program with every resource type that the sandbox knows.

`team` changes a tag of all that have tags, and `other` what else can be changed in place.
"""

import json

import pulumi
import pulumi_aws as aws
from pulumi import Output, ResourceOptions

TAGS = {"team": pulumi.Config().get("team") or "kitchen", "fixed": "yes"}
OTHER = pulumi.Config().get_bool("other")
HANDLER = "import os\n\n\ndef handler(event, context):\n    return {'statusCode': 200, 'body': os.environ['WORD']}\n"
ROOT = "arn:aws:iam::000000000000:root"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


zones = aws.get_availability_zones(state="available")
region, partition = aws.get_region(), aws.get_partition()
identity = aws.get_caller_identity_output()
trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}})

vpc = aws.ec2.Vpc("net", cidr_block="10.0.0.0/16", enable_dns_hostnames=True, enable_dns_support=True, tags=TAGS)
subnets = [
    aws.ec2.Subnet(
        f"net-{number}",
        vpc_id=vpc.id,
        cidr_block=f"10.0.{number}.0/24",
        availability_zone=zones.names[number],
        tags=TAGS,
    )
    for number in range(2)
]
group = aws.ec2.SecurityGroup(
    "net-group",
    vpc_id=vpc.id,
    description="database",
    ingress=[{"protocol": "tcp", "from_port": 3306, "to_port": 3306, "cidr_blocks": ["10.0.0.0/16"]}],
    tags=TAGS,
)

subnet_group = aws.rds.SubnetGroup("db-subnets", subnet_ids=[subnet.id for subnet in subnets], tags=TAGS)
parameters = aws.rds.ClusterParameterGroup(
    "db-parameters",
    family="aurora-mysql8.0",
    parameters=[{"name": "log_bin_trust_function_creators", "value": "1"}],
    tags=TAGS,
)
cluster = aws.rds.Cluster(
    "db",
    engine="aurora-mysql",
    engine_mode="provisioned",
    engine_version="8.0.mysql_aurora.3.10.3",
    master_username="admin",
    manage_master_user_password=True,
    enable_http_endpoint=True,
    storage_encrypted=True,
    db_subnet_group_name=subnet_group.name,
    vpc_security_group_ids=[group.id],
    db_cluster_parameter_group_name=parameters.name,
    serverlessv2_scaling_configuration={"min_capacity": 0, "max_capacity": 16, "seconds_until_auto_pause": 300},
    skip_final_snapshot=True,
    tags=TAGS,
)
aws.rds.ClusterInstance(
    "db-writer",
    cluster_identifier=cluster.cluster_identifier,
    engine=cluster.engine,
    engine_version=cluster.engine_version,
    instance_class="db.serverless",
    tags=TAGS,
)

table = aws.dynamodb.Table(
    "items",
    billing_mode="PAY_PER_REQUEST",
    hash_key="entity",
    range_key="record",
    attributes=[{"name": "entity", "type": "S"}, {"name": "record", "type": "S"}],
    stream_enabled=True,
    stream_view_type="NEW_AND_OLD_IMAGES",
    point_in_time_recovery={"enabled": True},
    server_side_encryption={"enabled": True},
    ttl={"attribute_name": "expires", "enabled": True},
    tags=TAGS,
)
secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=0, tags=TAGS)

bucket = aws.s3.Bucket("failures", force_destroy=True, tags=TAGS)
aws.s3.BucketPublicAccessBlock(
    "failures-private",
    bucket=bucket.id,
    block_public_acls=True,
    block_public_policy=not OTHER,
    ignore_public_acls=True,
    restrict_public_buckets=True,
)
aws.s3.BucketServerSideEncryptionConfiguration(
    "failures-encryption",
    bucket=bucket.id,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms" if OTHER else "AES256"}}],
)

role = aws.iam.Role("role", assume_role_policy=trust, tags=TAGS)
github = aws.iam.OpenIdConnectProvider(
    "github",
    url="https://token.actions.githubusercontent.com",
    client_id_lists=["sts.amazonaws.com"],
    tags=TAGS,
    opts=ResourceOptions(delete_before_replace=True),
)
managed = aws.iam.Policy(
    "managed",
    path="/words/",
    policy=policy({"Effect": "Allow", "Action": "iam:GetRole", "Resource": "arn:aws:iam::000000000000:role/*"}),
    tags=TAGS,
)
aws.iam.RolePolicyAttachment("managed-of-role", role=role.name, policy_arn=managed.arn)
logs = aws.cloudwatch.LogGroup("logs", retention_in_days=7, tags=TAGS)
rights = aws.iam.RolePolicy(
    "role-rights",
    role=role.name,
    policy=Output.all(table.stream_arn, bucket.arn).apply(
        lambda arns: policy(
            {
                "Effect": "Allow",
                "Action": [
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                    "dynamodb:DescribeStream",
                    "dynamodb:ListStreams",
                    *(["dynamodb:DescribeTable"] if OTHER else []),
                ],
                "Resource": arns[0],
            },
            {"Effect": "Allow", "Action": ["s3:PutObject", "s3:ListBucket"], "Resource": [arns[1], f"{arns[1]}/*"]},
        )
    ),
)
function = aws.lambda_.Function(
    "function",
    runtime="python3.13",
    architectures=["arm64"],
    handler="code.word.handler",
    role=role.arn,
    timeout=10,
    memory_size=256,
    layers=["arn:aws:lambda:us-east-1:000000000000:layer:absent:1"],
    environment={"variables": {"WORD": "served"}},
    logging_config={"log_format": "JSON", "log_group": logs.name},
    reserved_concurrent_executions=5,
    code=pulumi.AssetArchive(
        {"code/__init__.py": pulumi.StringAsset("#"), "code/word.py": pulumi.StringAsset(HANDLER)}
    ),
    tags=TAGS,
)
aws.lambda_.FunctionRecursionConfig(
    "function-recursion", function_name=function.name, recursive_loop="Terminate" if OTHER else "Allow"
)
mapping = aws.lambda_.EventSourceMapping(
    "mapping",
    event_source_arn=table.stream_arn,
    function_name=function.arn,
    starting_position="TRIM_HORIZON",
    batch_size=100,
    maximum_batching_window_in_seconds=1,
    parallelization_factor=10,
    bisect_batch_on_function_error=True,
    maximum_record_age_in_seconds=43200,
    maximum_retry_attempts=-1,
    destination_config={"on_failure": {"destination_arn": bucket.arn}},
    filter_criteria={"filters": [{"pattern": json.dumps({"eventName": ["REMOVE"]})}]},
    tags=TAGS,
    opts=ResourceOptions(depends_on=[rights]),
)

api = aws.apigateway.RestApi("api", endpoint_configuration={"types": "EDGE" if OTHER else "REGIONAL"}, tags=TAGS)
resource = aws.apigateway.Resource("api-words", rest_api=api.id, parent_id=api.root_resource_id, path_part="words")
method = aws.apigateway.Method(
    "api-get",
    rest_api=api.id,
    resource_id=resource.id,
    http_method="GET",
    authorization="NONE",
    operation_name="words" if OTHER else None,
)
integration = aws.apigateway.Integration(
    "api-call",
    rest_api=api.id,
    resource_id=resource.id,
    http_method=method.http_method,
    type="AWS_PROXY",
    integration_http_method="POST",
    uri=function.invoke_arn,
    timeout_milliseconds=20_000 if OTHER else None,
)
described = {"paths": {"/names": {"get": {"responses": {}, "x-amazon-apigateway-integration": {"type": "mock"}}}}}
document = aws.apigateway.RestApi("document", body=json.dumps(described), tags=TAGS)
deployment = aws.apigateway.Deployment(
    "api-routes",
    rest_api=api.id,
    triggers={"routes": pulumi.Config().get("routes") or "1"},
    description="other" if OTHER else None,
    opts=ResourceOptions(depends_on=[integration]),
)
stage = aws.apigateway.Stage(
    "api-prod",
    rest_api=api.id,
    deployment=deployment.id,
    stage_name="prod",
    variables={"reads": "legacy"},
    tags=TAGS,
    opts=ResourceOptions(ignore_changes=["variables", "canarySettings"]),
)
aws.lambda_.Permission(
    "api-may-call",
    action="lambda:InvokeFunction",
    function=function.name,
    principal="apigateway.amazonaws.com",
    source_arn=Output.concat(api.execution_arn, "/prod/GET/words"),
)

aws.cloudwatch.MetricAlarm(
    "alarm",
    comparison_operator="GreaterThanThreshold",
    evaluation_periods=1,
    metric_name="IteratorAge",
    namespace="AWS/Lambda",
    period=60,
    statistic="Maximum",
    threshold=1000,
    dimensions={"FunctionName": function.name},
    treat_missing_data="notBreaching",
    tags=TAGS,
)
aws.scheduler.Schedule(
    "schedule",
    schedule_expression="rate(2 days)" if OTHER else "rate(1 days)",
    flexible_time_window={"mode": "OFF"},
    target={"arn": function.arn, "role_arn": role.arn, "input": "{}"},
)
aws.sfn.StateMachine(
    "machine",
    role_arn=role.arn,
    definition='{"StartAt": "Nothing", "States": {"Nothing": {"Type": "Pass", "End": true}}}',
    tags=TAGS,
)

pulumi.export("url", stage.invoke_url)
pulumi.export("account", identity.account_id)
pulumi.export("where", f"{partition.partition}/{region.region}")
pulumi.export("secretArn", cluster.master_user_secrets[0].secret_arn)
pulumi.export("table", table.name)
pulumi.export("streamArn", table.stream_arn)
pulumi.export("function", function.name)
pulumi.export("api", api.id)
pulumi.export("bucket", bucket.id)
pulumi.export("mappingId", mapping.id)
pulumi.export("nested", {"list": [1, 2.5, "three"], "password": pulumi.Output.secret("hidden")})
pulumi.export("document", document.id)
