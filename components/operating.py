"""What the operator's role may do with a stack: look, or look and act. The same list as docs/runbook.md, as rights."""

from __future__ import annotations

from components.deploying import (
    APIS,
    BUCKETS,
    CLUSTERS,
    ENTITY_TABLES,
    EVERY,
    EXECUTIONS,
    FUNCTIONS,
    LOG_GROUPS,
    MAPPINGS,
    MASTER_SECRETS,
    PASS_TO_SCHEDULER,
    ROLES,
    SCHEDULES,
    SECRETS,
    STATE_MACHINES,
    TABLES,
)
from components.rights import Right
from functions.domain import names

STREAMS = f"{ENTITY_TABLES}/stream/*"
ROUTES = "arn:{partition}:execute-api:{region}:{account}:*/" + f"{names.STAGE}/*"
DEPLOYMENTS = "arn:{partition}:apigateway:{region}::/restapis/*/deployments"

# For `status`, `preflight`, `copy status`, `quarantine list` and `history`. `verify` saves where it is: ACTING.
# The Data API has one action for reading and writing: this keeps no SQL of another program from writing to Aurora.
READING = (
    Right("apigateway:GET", APIS),
    Right("dynamodb:DescribeTable dynamodb:GetItem dynamodb:GetResourcePolicy dynamodb:Scan", (ENTITY_TABLES,)),
    Right("dynamodb:BatchGetItem dynamodb:GetItem dynamodb:Query", (TABLES,)),
    Right("lambda:GetFunctionConfiguration", (FUNCTIONS,)),
    Right("lambda:GetEventSourceMapping", (MAPPINGS,)),
    Right("lambda:GetAccountSettings cloudwatch:GetMetricStatistics", (EVERY,)),
    Right("scheduler:GetSchedule", (SCHEDULES,)),
    Right("states:DescribeExecution", (EXECUTIONS,)),
    Right("rds-data:ExecuteStatement rds:DescribeDBClusters", (CLUSTERS,)),
    Right("secretsmanager:GetSecretValue", (SECRETS, MASTER_SECRETS)),
    Right("s3:ListBucket", (BUCKETS,)),
    Right("s3:GetObject", (f"{BUCKETS}/*",)),
)
# What commands with --execute need beside that.
ACTING = (
    Right("apigateway:PATCH", APIS),
    Right("execute-api:Invoke", (ROUTES,)),
    Right(
        "dynamodb:BatchGetItem dynamodb:BatchWriteItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem",
        (ENTITY_TABLES,),
    ),
    # rollback --fence-modern: the table's policy refuses writers for a while, and is restored.
    Right("dynamodb:DeleteResourcePolicy dynamodb:PutResourcePolicy", (ENTITY_TABLES,)),
    Right("dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator", (STREAMS,)),
    Right("dynamodb:ConditionCheckItem dynamodb:DeleteItem dynamodb:PutItem dynamodb:UpdateItem", (TABLES,)),
    Right("cloudwatch:GetMetricData", (EVERY,)),
    Right("lambda:InvokeFunction", (FUNCTIONS,)),
    Right("lambda:UpdateEventSourceMapping", (MAPPINGS,)),
    Right("scheduler:UpdateSchedule", (SCHEDULES,)),
    Right("iam:PassRole", (ROLES,), condition=PASS_TO_SCHEDULER),  # an update sends the whole schedule
    Right("states:StartExecution", (STATE_MACHINES,)),
    Right("states:StopExecution", (EXECUTIONS,)),
    Right("rds-data:BeginTransaction rds-data:CommitTransaction rds-data:RollbackTransaction", (CLUSTERS,)),
    Right("s3:DeleteObject s3:PutObject", (f"{BUCKETS}/*",)),
)
# For a stack that adopts: what the team's own functions, API and tables need beside that.
ADOPTED_FUNCTIONS = "arn:{partition}:lambda:{region}:{account}:function:{function}"
STATEMENTS = "arn:{partition}:lambda:{region}:{account}:function:streamback-{stack}-statements-*"
BRIDGE_LOGINS = "arn:{partition}:rds-db:{region}:{account}:dbuser:*/" + names.BRIDGE_USER
PROXIES = "arn:{partition}:rds:{region}:{account}:db-proxy:*"  # AWS draws the id
ADOPTED_CLUSTER, ADOPTED_INSTANCE, ADOPTED_SECRET = ("{cluster}",), ("{instance}",), ("{secret}",)
ADOPTED_READING = (
    Right("lambda:GetAlias lambda:GetFunctionConfiguration lambda:GetPolicy", (FUNCTIONS, ADOPTED_FUNCTIONS)),
    Right("rds-data:ExecuteStatement rds:DescribeDBClusters", ADOPTED_CLUSTER),
    Right("rds:DescribeDBInstances", ADOPTED_INSTANCE),
    Right("lambda:InvokeFunction", (STATEMENTS,)),  # takes the statements where there is no Data API
    Right("secretsmanager:GetSecretValue", ADOPTED_SECRET),
)
ADOPTED_ACTING = (
    Right("apigateway:DELETE apigateway:POST", (DEPLOYMENTS, f"{DEPLOYMENTS}/*")),
    Right("lambda:AddPermission lambda:RemovePermission", (FUNCTIONS, ADOPTED_FUNCTIONS)),
    Right("lambda:InvokeFunction", (ADOPTED_FUNCTIONS,)),
    Right("lambda:ListEventSourceMappings", (EVERY,)),
    Right("dynamodb:UpdateTable", (ENTITY_TABLES,)),
    Right("rds-data:BeginTransaction rds-data:CommitTransaction rds-data:RollbackTransaction", ADOPTED_CLUSTER),
    Right("execute-api:Invoke", ("arn:{partition}:execute-api:{region}:{account}:*/*",)),
)
ADOPTED_BOUNDARY = (
    Right("lambda:InvokeFunction", (ADOPTED_FUNCTIONS,)),
    # of the function that checks what is adopted (components/adopted_alarms.py)
    Right("apigateway:GET", APIS),
    Right("dynamodb:DescribeTable", (ENTITY_TABLES,)),
    Right("lambda:GetAlias lambda:GetPolicy", (FUNCTIONS, ADOPTED_FUNCTIONS)),
    Right(
        "rds-data:BeginTransaction rds-data:CommitTransaction rds-data:ExecuteStatement rds-data:RollbackTransaction",
        ADOPTED_CLUSTER,
    ),
    Right("secretsmanager:GetSecretValue", ADOPTED_SECRET),
    Right("rds-db:connect", (BRIDGE_LOGINS,)),  # with `authentication: iam`; AWS draws the database's id
)
# What the roles `deploy` and `preview` look up, beside apigateway:GET, which both have.
ADOPTED_LOOKING_UP = (
    Right(
        "lambda:GetFunctionConfiguration",
        (ADOPTED_FUNCTIONS,),
        provider="lambda:GetFunction lambda:GetFunctionCodeSigningConfig lambda:ListVersionsByFunction",
    ),
    Right("rds:DescribeDBClusters", ADOPTED_CLUSTER, provider="rds:ListTagsForResource"),
    Right("rds:DescribeDBInstances", ADOPTED_INSTANCE, provider="rds:ListTagsForResource"),
    Right("", (PROXIES,), provider="rds:DescribeDBProxies"),  # of an RDS Proxy with `authentication: iam`
    Right("secretsmanager:DescribeSecret", ADOPTED_SECRET, provider="secretsmanager:GetResourcePolicy"),
    Right(
        "dynamodb:DescribeTable",
        (ENTITY_TABLES,),
        provider="dynamodb:DescribeContinuousBackups dynamodb:DescribeTimeToLive dynamodb:ListTagsOfResource",
    ),
)
# What a function's role may have at most, even if its policy says more.
BOUNDARY = (
    Right(
        "dynamodb:BatchGetItem dynamodb:ConditionCheckItem dynamodb:DeleteItem dynamodb:GetItem dynamodb:PutItem "
        "dynamodb:Scan dynamodb:UpdateItem",
        (TABLES, ENTITY_TABLES),
    ),
    Right("dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams", (STREAMS,)),
    Right("lambda:InvokeFunction", (FUNCTIONS,)),
    Right(
        "rds-data:BeginTransaction rds-data:CommitTransaction rds-data:ExecuteStatement rds-data:RollbackTransaction",
        (CLUSTERS,),
    ),
    Right("states:StartExecution", (STATE_MACHINES,)),
    Right("states:DescribeExecution states:StopExecution", (EXECUTIONS,)),
    Right("secretsmanager:GetSecretValue", (SECRETS, MASTER_SECRETS)),
    Right("secretsmanager:PutSecretValue", (SECRETS,)),
    Right("secretsmanager:GetRandomPassword", (EVERY,)),
    Right("logs:CreateLogStream logs:PutLogEvents", (LOG_GROUPS,)),
    Right("s3:PutObject", (f"{BUCKETS}/*",)),
    Right("s3:ListBucket", (BUCKETS,)),
    Right(
        "ec2:AssignPrivateIpAddresses ec2:CreateNetworkInterface ec2:DeleteNetworkInterface "
        "ec2:DescribeNetworkInterfaces ec2:DescribeSubnets ec2:UnassignPrivateIpAddresses",
        (EVERY,),
    ),
)
