"""What the role that deploys may do: the actions that each type of the program's resources needs, on the stack's names.

`python -m components.access_policies deploy` prints the policies. A test deploys on the sandbox under them.
"""

from __future__ import annotations

from collections.abc import Mapping

from components.rights import Right

NAMED = "streamback-{stack}-*"  # what Pulumi calls the resources of a stack
FUNCTIONS = "arn:{partition}:lambda:{region}:{account}:function:" + NAMED
ROLES = "arn:{partition}:iam::{account}:role/" + NAMED
TABLES = "arn:{partition}:dynamodb:{region}:{account}:table/" + NAMED
ENTITY_TABLES = "arn:{partition}:dynamodb:{region}:{account}:table/{table}"
LOG_GROUPS = "arn:{partition}:logs:{region}:{account}:log-group:" + NAMED
ALARMS = "arn:{partition}:cloudwatch:{region}:{account}:alarm:" + NAMED
SCHEDULES = "arn:{partition}:scheduler:{region}:{account}:schedule/default/" + NAMED
SECRETS = "arn:{partition}:secretsmanager:{region}:{account}:secret:" + NAMED
MASTER_SECRETS = "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!cluster-*"  # RDS names it
BUCKETS = "arn:{partition}:s3:::" + NAMED
APIS = ("arn:{partition}:apigateway:{region}::/restapis", "arn:{partition}:apigateway:{region}::/restapis/*")
API_TAGS = "arn:{partition}:apigateway:{region}::/tags/*"
NETWORK = "arn:{partition}:ec2:{region}:{account}:"
MAPPINGS = "arn:{partition}:lambda:{region}:{account}:event-source-mapping:*"  # Lambda names it
LAYERS = "arn:{partition}:lambda:{region}:*:layer:*"  # of another account: Powertools is AWS's own
DATABASE = "arn:{partition}:rds:{region}:{account}:"
CLUSTERS, INSTANCES = f"{DATABASE}cluster:{NAMED}", f"{DATABASE}db:{NAMED}"
SUBNET_GROUPS, PARAMETER_GROUPS = f"{DATABASE}subgrp:{NAMED}", f"{DATABASE}cluster-pg:{NAMED}"
SNAPSHOTS = f"{DATABASE}cluster-snapshot:{NAMED}"
# Made by components/delivery.py. Their path keeps them out of ROLES: what deploys cannot change its own rights.
DELIVERY_PATH = "/streamback/{stack}/"
DELIVERY_ROLES = "arn:{partition}:iam::{account}:role" + DELIVERY_PATH + "*"
DELIVERY_POLICIES = "arn:{partition}:iam::{account}:policy" + DELIVERY_PATH + "*"
GITHUB = "token.actions.githubusercontent.com"
GITHUB_PROVIDER = "arn:{partition}:iam::{account}:oidc-provider/" + GITHUB
EVERY = "*"  # AWS knows no resource for these actions, or names it when the call is made
TAGGED = {"StringEquals": {"aws:ResourceTag/streamback:stack": "{stack}"}}

STATE_MACHINES = "arn:{partition}:states:{region}:{account}:stateMachine:" + NAMED
EXECUTIONS = "arn:{partition}:states:{region}:{account}:execution:" + NAMED

PASS_TO_LAMBDA = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
PASS_TO_STATES = {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
PASS_TO_SCHEDULER = {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
BOUNDED = {"StringEquals": {"iam:PermissionsBoundary": "{boundary}"}}

REST_API = "aws:apigateway/restApi:RestApi"  # the rest of the API's types need what this one does

# By type. `actions` are those that the sandbox sees too; `provider` those of pulumi-aws alone, most of them reads.
DEPLOYING: Mapping[str, tuple[Right, ...]] = {
    REST_API: (
        Right("apigateway:DELETE apigateway:GET apigateway:PATCH apigateway:POST apigateway:PUT", APIS),
        Right("apigateway:DELETE apigateway:GET apigateway:POST apigateway:PUT", (API_TAGS,)),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        Right(
            "logs:CreateLogGroup logs:DeleteLogGroup logs:PutRetentionPolicy logs:TagResource logs:UntagResource",
            (LOG_GROUPS,),
            provider="logs:ListTagsForResource",
        ),
        Right("", (EVERY,), provider="logs:DescribeLogGroups"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        Right(
            "cloudwatch:DeleteAlarms cloudwatch:PutMetricAlarm cloudwatch:TagResource cloudwatch:UntagResource",
            (ALARMS,),
            provider="cloudwatch:DescribeAlarms cloudwatch:ListTagsForResource",
        ),
    ),
    "aws:dynamodb/table:Table": (
        Right(
            "dynamodb:CreateTable dynamodb:DeleteTable dynamodb:TagResource dynamodb:UntagResource "
            "dynamodb:UpdateContinuousBackups",
            (TABLES, ENTITY_TABLES),
            provider="dynamodb:DescribeContinuousBackups dynamodb:DescribeTable "
            "dynamodb:DescribeTimeToLive dynamodb:ListTagsOfResource dynamodb:UpdateTable",
        ),
    ),
    "aws:ec2/vpc:Vpc": (
        Right("ec2:CreateVpc", (f"{NETWORK}vpc/*",)),
        Right("ec2:DeleteVpc ec2:ModifyVpcAttribute", (f"{NETWORK}vpc/*",), condition=TAGGED),
        Right("ec2:CreateTags ec2:DeleteTags", (f"{NETWORK}vpc/*", f"{NETWORK}subnet/*", f"{NETWORK}security-group/*")),
        Right(
            "ec2:DescribeRouteTables",
            (EVERY,),
            provider="ec2:DescribeAvailabilityZones ec2:DescribeNetworkAcls ec2:DescribeVpcAttribute ec2:DescribeVpcs",
        ),
    ),
    "aws:ec2/subnet:Subnet": (
        Right("ec2:CreateSubnet", (f"{NETWORK}vpc/*", f"{NETWORK}subnet/*")),
        Right("ec2:DeleteSubnet", (f"{NETWORK}subnet/*",), condition=TAGGED),
        Right("", (EVERY,), provider="ec2:DescribeSubnets"),
    ),
    "aws:ec2/securityGroup:SecurityGroup": (
        Right("ec2:CreateSecurityGroup", (f"{NETWORK}vpc/*", f"{NETWORK}security-group/*")),
        Right(
            "ec2:AuthorizeSecurityGroupEgress ec2:AuthorizeSecurityGroupIngress ec2:DeleteSecurityGroup "
            "ec2:RevokeSecurityGroupEgress",
            (f"{NETWORK}security-group/*",),
            provider="ec2:RevokeSecurityGroupIngress",
            condition=TAGGED,
        ),
        Right("ec2:DescribeSecurityGroups", (EVERY,), provider="ec2:DescribeNetworkInterfaces"),
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        Right("", (GITHUB_PROVIDER,), provider="iam:GetOpenIDConnectProvider"),
    ),
    "aws:iam/policy:Policy": (
        Right("", (DELIVERY_POLICIES,), provider="iam:GetPolicy iam:GetPolicyVersion iam:ListPolicyVersions"),
    ),
    "aws:iam/role:Role": (
        Right("iam:CreateRole", (ROLES,), condition=BOUNDED),
        Right("", (ROLES,), provider="iam:PutRolePermissionsBoundary", condition=BOUNDED),
        Right(
            "iam:DeleteRole iam:TagRole iam:UntagRole",
            (ROLES,),
            provider="iam:GetRole iam:ListAttachedRolePolicies iam:ListInstanceProfilesForRole iam:ListRolePolicies "
            "iam:UpdateAssumeRolePolicy",
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        Right("iam:DeleteRolePolicy iam:PutRolePolicy", (ROLES,), provider="iam:GetRolePolicy"),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (
        Right("", (DELIVERY_ROLES,), provider="iam:GetRole iam:ListAttachedRolePolicies iam:ListRolePolicies"),
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": (
        Right(
            "lambda:CreateEventSourceMapping lambda:DeleteEventSourceMapping lambda:UpdateEventSourceMapping",
            (EVERY,),
            condition={"ArnLike": {"lambda:FunctionArn": FUNCTIONS}},
        ),
        Right(
            "lambda:TagResource lambda:UntagResource",
            (MAPPINGS,),
            provider="lambda:GetEventSourceMapping lambda:ListTags",
        ),
    ),
    "aws:lambda/function:Function": (
        Right(
            "lambda:CreateFunction lambda:DeleteFunction lambda:GetFunctionConfiguration lambda:TagResource "
            "lambda:UntagResource lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration",
            (FUNCTIONS,),
            provider="lambda:GetFunction lambda:GetFunctionCodeSigningConfig lambda:ListTags "
            "lambda:ListVersionsByFunction",
        ),
        Right("", (LAYERS,), provider="lambda:GetLayerVersion"),
        Right("iam:PassRole", (ROLES,), condition=PASS_TO_LAMBDA),
    ),
    "aws:lambda/functionRecursionConfig:FunctionRecursionConfig": (
        Right("lambda:PutFunctionRecursionConfig", (FUNCTIONS,), provider="lambda:GetFunctionRecursionConfig"),
    ),
    "aws:lambda/permission:Permission": (
        Right("lambda:AddPermission lambda:RemovePermission", (FUNCTIONS,), provider="lambda:GetPolicy"),
    ),
    "aws:rds/cluster:Cluster": (
        Right(
            "rds:CreateDBCluster rds:DeleteDBCluster rds:ModifyDBCluster",
            (CLUSTERS, SUBNET_GROUPS, PARAMETER_GROUPS, SNAPSHOTS),
            provider="rds:CreateDBClusterSnapshot rds:DescribeDBClusters rds:DisableHttpEndpoint "
            "rds:EnableHttpEndpoint",
        ),
        Right(
            "rds:AddTagsToResource rds:RemoveTagsFromResource",
            (CLUSTERS, INSTANCES, SUBNET_GROUPS, PARAMETER_GROUPS),
            provider="rds:ListTagsForResource",
        ),
        # RDS makes the master user's secret with the rights of its caller.
        # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
        Right("", (MASTER_SECRETS,), provider="secretsmanager:CreateSecret secretsmanager:TagResource"),
        Right(
            "", (EVERY,), provider="kms:DescribeKey rds:DescribeGlobalClusters rds:DescribeOrderableDBInstanceOptions"
        ),
    ),
    "aws:rds/clusterInstance:ClusterInstance": (
        Right(
            "rds:CreateDBInstance rds:DeleteDBInstance",
            (INSTANCES, CLUSTERS, SUBNET_GROUPS),
            provider="rds:DescribeDBInstances rds:ModifyDBInstance",
        ),
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": (
        Right(
            "rds:CreateDBClusterParameterGroup rds:DeleteDBClusterParameterGroup rds:ModifyDBClusterParameterGroup",
            (PARAMETER_GROUPS,),
            provider="rds:DescribeDBClusterParameterGroups rds:DescribeDBClusterParameters",
        ),
    ),
    "aws:rds/subnetGroup:SubnetGroup": (
        Right(
            "rds:CreateDBSubnetGroup rds:DeleteDBSubnetGroup",
            (SUBNET_GROUPS,),
            provider="rds:DescribeDBSubnetGroups rds:ModifyDBSubnetGroup",
        ),
    ),
    "aws:s3/bucket:Bucket": (
        Right(
            "s3:CreateBucket s3:DeleteBucket s3:ListBucketVersions s3:PutBucketTagging",
            (BUCKETS,),
            provider="s3:GetAccelerateConfiguration s3:GetBucketAcl s3:GetBucketCORS s3:GetBucketLocation "
            "s3:GetBucketLogging s3:GetBucketObjectLockConfiguration s3:GetBucketPolicy s3:GetBucketRequestPayment "
            "s3:GetBucketTagging s3:GetBucketVersioning s3:GetBucketWebsite s3:GetLifecycleConfiguration "
            "s3:GetReplicationConfiguration s3:ListBucket s3:ListTagsForResource s3:TagResource s3:UntagResource",
        ),
        # force_destroy, outside production: the bucket's policy and Pulumi's protect keep the rest
        Right("", (f"{BUCKETS}/*",), provider="s3:DeleteObject s3:DeleteObjectVersion"),
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        Right("s3:PutBucketPublicAccessBlock", (BUCKETS,), provider="s3:GetBucketPublicAccessBlock"),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        Right("s3:PutEncryptionConfiguration", (BUCKETS,), provider="s3:GetEncryptionConfiguration"),
    ),
    "aws:scheduler/schedule:Schedule": (
        Right(
            "scheduler:CreateSchedule scheduler:DeleteSchedule",
            (SCHEDULES,),
            provider="scheduler:GetSchedule scheduler:UpdateSchedule",
        ),
        Right("iam:PassRole", (ROLES,), condition=PASS_TO_SCHEDULER),
    ),
    "aws:sfn/stateMachine:StateMachine": (
        Right(
            "states:CreateStateMachine states:DeleteStateMachine states:TagResource states:UntagResource",
            (STATE_MACHINES,),
            provider=(
                "states:DescribeStateMachine states:ListStateMachineVersions states:ListTagsForResource "
                "states:UpdateStateMachine"  # when a new version of the program has another definition
            ),
        ),
        Right("", (EVERY,), provider="states:ValidateStateMachineDefinition"),
        Right("iam:PassRole", (ROLES,), condition=PASS_TO_STATES),
    ),
    "aws:secretsmanager/secret:Secret": (
        Right(
            "secretsmanager:CreateSecret secretsmanager:DeleteSecret secretsmanager:TagResource "
            "secretsmanager:UntagResource",
            (SECRETS,),
            provider="secretsmanager:DescribeSecret secretsmanager:GetResourcePolicy secretsmanager:UpdateSecret",
        ),
    ),
}
