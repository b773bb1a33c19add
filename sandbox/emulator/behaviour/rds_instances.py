"""An RDS instance without a cluster: its managed master password, and no database that was not asked for.

MiniStack keeps a master password in Secrets Manager for clusters only, and gives every instance a database `mydb`. This
file can go when it does as AWS does.
"""

# pyright: basic
# MiniStack's inner parts have no types that a strict check could use.
import json
import uuid
from typing import Any, cast

from ministack.services import rds as service
from ministack.services import secretsmanager

from sandbox.emulator.patching import check_version, wrap

DONE = 200
INSTANCE, SECRET = "DBInstanceIdentifier", "MasterUserSecret"
MANAGE, PASSWORD, ROTATE = "ManageMasterUserPassword", "MasterUserPassword", "RotateMasterUserPassword"
NOT_BOTH = "You can't specify MasterUserPassword when RDS manages the master user password."
NOT_MANAGED = "You can only rotate the master user password when it's managed by RDS in AWS Secrets Manager."

rds = cast("Any", service)


def _creating(stock: Any) -> Any:
    def create(request: dict[str, Any]) -> Any:
        if rds._p(request, "DBClusterIdentifier"):
            return stock(request)
        managed = rds._p(request, MANAGE) == "true"
        if managed and rds._p(request, PASSWORD):
            return rds._error("InvalidParameterCombination", NOT_BOTH, 400)
        chosen = {PASSWORD: [rds._generate_master_user_password()]} if managed else {}
        answer = stock({**request, **chosen})
        if answer[0] != DONE:
            return answer
        instance = rds._instances[rds._p(request, INSTANCE)]
        instance["DBName"] = rds._p(request, "DBName")
        if managed:
            instance[SECRET] = _keep(instance, *chosen[PASSWORD])
        return rds._single_instance_response("CreateDBInstanceResponse", "CreateDBInstanceResult", instance)

    return create


def _keep(instance: dict[str, Any], password: str) -> Any:
    """The ARN of a new secret."""
    return secretsmanager.create_secret_in_process(f"rds!db-{uuid.uuid4()}", _login(instance, password))


def _modifying(stock: Any) -> Any:
    def modify(request: dict[str, Any]) -> Any:
        instance = rds._resolve_instance(rds._p(request, INSTANCE)) or {}
        arn = instance.get(SECRET)
        if arn and rds._p(request, PASSWORD):
            return rds._error("InvalidParameterCombination", NOT_BOTH, 400)
        if rds._p(request, ROTATE) != "true":
            return stock(request)
        if not arn:
            return rds._error("InvalidParameterCombination", NOT_MANAGED, 400)
        password = rds._generate_master_user_password()
        secretsmanager.put_secret_value_in_process(arn, _login(instance, password))
        return stock({**request, PASSWORD: [password]})

    return modify


def _deleting(stock: Any) -> Any:
    def delete(request: dict[str, Any]) -> Any:
        instance = rds._resolve_instance(rds._p(request, INSTANCE)) or {}
        answer = stock(request)
        if answer[0] == DONE and SECRET in instance:
            secretsmanager.delete_secret_in_process(instance[SECRET])
        return answer

    return delete


def _describing(stock: Any) -> Any:
    def describe(instance: dict[str, Any]) -> str:
        arn = instance.get(SECRET)
        status = f"<SecretArn>{arn}</SecretArn><SecretStatus>active</SecretStatus>"
        return f"{stock(instance)}<{SECRET}>{status}</{SECRET}>" if arn else stock(instance)

    return describe


def _login(instance: dict[str, Any], password: str) -> str:
    return json.dumps({"username": instance["MasterUsername"], "password": password})


def install() -> None:
    """Let instances be as on AWS."""
    check_version("behaviour/rds_instances")
    for action, make in (("Create", _creating), ("Modify", _modifying), ("Delete", _deleting)):
        name = f"{action}DBInstance"
        rds._ACTION_MAP[name] = make(rds._ACTION_MAP[name])
    wrap(rds, "_instance_xml", _describing)
