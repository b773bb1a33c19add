"""What the shop consists of, as text, to be compared before and after streamback was there."""

from __future__ import annotations

import json
from typing import Any

from sandbox.brownfield import api
from sandbox.brownfield.functions import function_name
from sandbox.brownfield.system import MODULES, TABLE, Shop
from sandbox.engine.aws import Aws

COUNTED = (
    "ItemCount",
    "TableSizeBytes",
    "IndexSizeBytes",
)  # of a table and its indexes: they follow from the shop's own writes
LEGACY = "SHOW CREATE TABLE shop.orders"
STREAMS = ("LatestStreamArn", "LatestStreamLabel")  # AWS goes on naming a stream that was switched off
EXPORT = {
    "exportType": "oas30",
    "parameters": {"extensions": "integrations,authorizers"},
    "accepts": "application/json",
}


def take(account: Aws, shop: Shop) -> dict[str, str]:
    """Each artefact by name: the exported API, its stage, its deployments, functions and their callers, both tables."""
    found: dict[str, Any] = {
        "table in Aurora": shop.database.ask(account, LEGACY),
        "table in DynamoDB": _table(account),
    }
    found |= {"api": _export(account, shop), "stage": _stage(account, shop), "deployments": _deployments(account, shop)}
    for module in MODULES:
        name = function_name(module)
        found |= {name: _function(account, name), f"callers of {name}": _callers(account, name)}
    return {name: value if isinstance(value, str) else _text(value) for name, value in found.items()}


def different(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The artefacts that are not the same text any more."""
    return [name for name in before if before[name] != after.get(name)]


def completed(before: dict[str, str]) -> dict[str, str]:
    """What is expected after `complete` and `adopt undo`: the API names the modern functions, which it may call.

    The stage's deployment is a new one then, and rights of the modern functions stay: none of these is in it.
    """
    legacy, modern = MODULES[:2], MODULES[2:]
    expected = {name: text for name, text in before.items() if name not in {"stage", "deployments"}}
    for old, new in zip(legacy, modern, strict=True):
        names = f"function:{function_name(old)}/", f"function:{function_name(new)}/"
        expected["api"] = expected["api"].replace(*names)
        del expected[f"callers of {function_name(new)}"]
    return expected


def _table(account: Aws) -> dict[str, Any]:
    found = account.client("dynamodb").describe_table(TableName=TABLE)["Table"]
    if not found.get("StreamSpecification", {}).get("StreamEnabled"):
        found.pop("StreamSpecification", None)  # AWS leaves it out of a table without a stream, the emulator does not
    indexes = [_without(each, COUNTED) for each in found.pop("GlobalSecondaryIndexes")]
    return {**_without(found, (*COUNTED, *STREAMS)), "GlobalSecondaryIndexes": indexes}


def _export(account: Aws, shop: Shop) -> str:
    gateway = account.client("apigateway")
    return gateway.get_export(restApiId=shop.api_id, stageName=api.STAGE, **EXPORT)["body"].read().decode()


def _stage(account: Aws, shop: Shop) -> dict[str, Any]:
    stage = account.client("apigateway").get_stage(restApiId=shop.api_id, stageName=api.STAGE)
    return _without(stage, ("ResponseMetadata", "lastUpdatedDate"))


def _deployments(account: Aws, shop: Shop) -> list[dict[str, Any]]:
    found = account.client("apigateway").get_deployments(restApiId=shop.api_id)["items"]
    return sorted(({"id": each["id"], "description": each.get("description", "")} for each in found), key=str)


def _function(account: Aws, name: str) -> dict[str, Any]:
    found = account.client("lambda").get_function_configuration(FunctionName=name)
    return _without(found, ("ResponseMetadata",))


def _callers(account: Aws, name: str) -> str:
    functions = account.client("lambda")
    try:
        return str(functions.get_policy(FunctionName=name)["Policy"])
    except functions.exceptions.ResourceNotFoundException:
        return ""


def _without(document: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def _text(document: Any) -> str:
    return json.dumps(document, sort_keys=True, default=str, indent=2)
