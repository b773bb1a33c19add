"""The shop's Lambda functions, each with a role that has the rights it needs and no more."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.brownfield.database import ShopCluster
from sandbox.engine.aws import Aws

SOURCES = Path(__file__).parent / "shop"
SDK = Path(__file__).parent / "node" / "client-rds-data.js"
RUNTIME, NODE, TIMEOUT_SECONDS = "python3.12", "nodejs20.x", 30
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def make_legacy(account: Aws, cluster: ShopCluster, *, javascript: bool = False) -> None:
    """`shop-orders-read` and `shop-orders-write`, over the Data API; the writer in JavaScript, if asked for."""
    rights = [
        _allow(["rds-data:ExecuteStatement"], cluster.arn),
        _allow(["secretsmanager:GetSecretValue"], cluster.secret_arn),
    ]
    variables = {"CLUSTER_ARN": cluster.arn, "SECRET_ARN": cluster.secret_arn}
    _make(account, "orders_read", rights, variables)
    _make(account, "orders_write", rights, variables, javascript=javascript)


def make_modern(account: Aws, table: str) -> None:
    """`shop-orders-read-v3` and `shop-orders-write-v3`, over DynamoDB."""
    arn = account.arn("dynamodb", f"table/{table}")
    reading = [_allow(["dynamodb:GetItem"], arn), _allow(["dynamodb:Query"], f"{arn}/index/*")]
    writing = [_allow(["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"], arn)]
    _make(account, "orders_read_v3", reading, {"TABLE": table})
    _make(account, "orders_write_v3", writing, {"TABLE": table})


def wait_until_active(account: Aws, modules: Iterable[str]) -> None:
    """Until AWS has done what it does after the answer."""
    waiter = account.client("lambda").get_waiter("function_active_v2")
    for module in modules:
        waiter.wait(FunctionName=function_name(module), WaiterConfig={"Delay": 1})


def function_name(module: str) -> str:
    return f"shop-{module.replace('_', '-')}"


def _make(
    account: Aws,
    module: str,
    rights: Sequence[Mapping[str, Any]],
    variables: Mapping[str, str],
    *,
    javascript: bool = False,
) -> None:
    name = function_name(module)
    account.client("lambda").create_function(
        FunctionName=name,
        Runtime=NODE if javascript else RUNTIME,
        Handler=f"{module}.handler",
        Role=_role(account, name, rights),
        Code={
            "ZipFile": _archive_of_node(module) if javascript else _archive({f"{module}.py": SOURCES / f"{module}.py"})
        },
        Timeout=TIMEOUT_SECONDS,
        MemorySize=256,
        Environment={"Variables": dict(variables)},
    )


def _role(account: Aws, function: str, rights: Sequence[Mapping[str, Any]]) -> str:
    iam, name = account.client("iam"), f"{function}-role"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    logs = _allow(
        ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
        account.arn("logs", f"log-group:/aws/lambda/{function}:*"),
    )
    document = {"Version": "2012-10-17", "Statement": [logs, *rights]}
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=json.dumps(document))
    return arn


def _allow(actions: Sequence[str], resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _archive_of_node(module: str) -> bytes:
    """With what the host's Node.js lacks of Lambda's."""
    script = f"{module}.js"
    return _archive({script: SOURCES / script, "node_modules/@aws-sdk/client-rds-data/index.js": SDK})


def _archive(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            archive.write(source, name)
    return buffer.getvalue()
