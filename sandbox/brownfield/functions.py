"""The shop's Lambda functions, each with a role that has the rights it needs and no more."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from sandbox.brownfield.database import ShopDatabase
from sandbox.engine.aws import Aws

SOURCES = Path(__file__).parent / "shop"
SDK = Path(__file__).parent / "node" / "client-rds-data.js"
CONNECTING = "orders_mysql.py"
TIMEOUT_SECONDS = 30
# why: AWS knows no narrower resource for these
IN_A_VPC = ("ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def make_legacy(account: Aws, database: ShopDatabase, *, javascript: bool = False) -> None:
    """`shop-orders-read` and `shop-orders-write`.

    They use the Data API if the database has it, and the writer may be in JavaScript then. Otherwise they connect.
    """
    secret = _allow(["secretsmanager:GetSecretValue"], database.secret_arn)
    if not database.rds.has_data_api:
        _make_connecting(account, database, secret)
        return
    rights = [_allow(["rds-data:ExecuteStatement"], database.arn), secret]
    variables = {"CLUSTER_ARN": database.arn, "SECRET_ARN": database.secret_arn}
    _make(account, "orders_read", rights, variables)
    _make(account, "orders_write", rights, variables, _javascript("orders_write") if javascript else None)


def _make_connecting(account: Aws, database: ShopDatabase, secret: Mapping[str, Any]) -> None:
    """Both from one file, in the database's VPC, with PyMySQL and the authority of its certificate in the archive."""
    archive = _archive({CONNECTING: SOURCES / CONNECTING, "database-ca.pem": Path(database.authority), **_pymysql()})
    variables = {"DATABASE_HOST": database.host, "DATABASE_PORT": str(database.port), "SECRET_ARN": database.secret_arn}
    network = {"SubnetIds": list(database.subnet_ids), "SecurityGroupIds": [database.client_group_id]}
    for module, handler in (("orders_read", "read"), ("orders_write", "write")):
        code = Code(archive, f"{Path(CONNECTING).stem}.{handler}")
        _make(account, module, [secret, _allow(IN_A_VPC, "*")], variables, code, VpcConfig=network)


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


@dataclass(frozen=True)
class Code:
    archive: bytes
    handler: str
    runtime: str = "python3.12"


def _python(module: str) -> Code:
    return Code(_archive({f"{module}.py": SOURCES / f"{module}.py"}), f"{module}.handler")


def _javascript(module: str) -> Code:
    """With what the host's Node.js lacks of Lambda's."""
    script = f"{module}.js"
    archive = _archive({script: SOURCES / script, "node_modules/@aws-sdk/client-rds-data/index.js": SDK})
    return Code(archive, f"{module}.handler", "nodejs20.x")


def _pymysql() -> dict[str, Path]:
    """The files of the library, by their names in an archive."""
    folder = Path(pymysql.__file__).parent
    return {str(file.relative_to(folder.parent)): file for file in sorted(folder.rglob("*.py"))}


def _make(
    account: Aws,
    module: str,
    rights: Sequence[Mapping[str, Any]],
    variables: Mapping[str, str],
    code: Code | None = None,
    **more: Any,
) -> None:
    name, code = function_name(module), code or _python(module)
    account.client("lambda").create_function(
        FunctionName=name,
        Runtime=code.runtime,
        Handler=code.handler,
        Role=_role(account, name, rights),
        Code={"ZipFile": code.archive},
        Timeout=TIMEOUT_SECONDS,
        MemorySize=256,
        Environment={"Variables": dict(variables)},
        **more,
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


def _archive(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            archive.write(source, name)
    return buffer.getvalue()
