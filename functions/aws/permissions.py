"""The rights of API Gateway to call functions that others have made. An alias has a policy of its own."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from functions.domain.contract import ApiOperation

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

ACTION = "lambda:InvokeFunction"
ACTIONS = frozenset({ACTION, "lambda:*", "*"})
SOURCE = "arnlike aws:sourcearn"
SERVICE = "apigateway.amazonaws.com"
PREFIX = "streamback-"  # of the statements that `runbook adopt` adds
PARAMETER = re.compile(r"\{[^{}]+\}")


def source_arn(stage_arn: str, operation: ApiOperation) -> str:
    """The narrowest source that fits a method: `*` stands for each parameter of its path.

    Args:
        stage_arn: `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE`.
    """
    return f"{stage_arn}/{operation.method}{PARAMETER.sub('*', operation.path)}"


def statement_id(entity: str, operation: ApiOperation, stage_arn: str) -> str:
    """The same for the same method, so that a repeated command adds no second one."""
    digest = hashlib.sha256(f"{stage_arn} {operation}".encode()).hexdigest()[:8]
    return f"{PREFIX}{re.sub(r'[^A-Za-z0-9_-]', '-', entity)[:60]}-{operation.method.lower()}-{digest}"


class Permissions:
    """The policies of functions, each read once."""

    def __init__(self, client: LambdaClient, account: str) -> None:
        self._client = client
        self._account = account
        self._read: dict[str, list[Mapping[str, Any]]] = {}

    def statements(self, function: str) -> list[Mapping[str, Any]]:
        """The statements of a function's policy; `function` is its name, with its alias."""
        if function not in self._read:
            self._read[function] = self._policy(function)
        return self._read[function]

    def allowed(self, function: str, source: str) -> bool:
        """Whether API Gateway may call the function for a source."""
        return any(self._allows(each, source) for each in self.statements(function))

    def add(self, function: str, identifier: str, source: str) -> None:
        """Let API Gateway call the function; a statement of the same id is replaced."""
        if any(each.get("Sid") == identifier for each in self.statements(function)):
            self.remove(function, identifier)
        self._read.pop(function, None)
        self._client.add_permission(
            **_place(function), StatementId=identifier, Action=ACTION, Principal=SERVICE, SourceArn=source
        )

    def remove(self, function: str, identifier: str) -> None:
        """Take a statement out; it may be gone already."""
        self._read.pop(function, None)
        try:
            self._client.remove_permission(**_place(function), StatementId=identifier)
        except self._client.exceptions.ResourceNotFoundException:
            return

    def version(self, function: str) -> str:
        """The version that the function's alias names; empty where the function, or its alias, is not there."""
        name, _, alias = function.partition(":")
        try:
            if alias:  # why not its configuration: that shows the environment, too
                return self._client.get_alias(FunctionName=name, Name=alias)["FunctionVersion"]
            return self._client.get_function_configuration(FunctionName=name).get("Version", "")
        except self._client.exceptions.ResourceNotFoundException:
            return ""

    def _policy(self, function: str) -> list[Mapping[str, Any]]:
        try:
            policy = json.loads(self._client.get_policy(**_place(function))["Policy"])
        except self._client.exceptions.ResourceNotFoundException:
            return []
        return [each for each in policy["Statement"] if str(each.get("Resource", "")).endswith(f":function:{function}")]

    def _allows(self, statement: Mapping[str, Any], source: str) -> bool:
        if statement.get("Effect") != "Allow" or statement.get("Action") not in ACTIONS:
            return False
        if statement.get("Principal") not in ("*", {"Service": SERVICE}, {"Service": "*"}):
            return False
        conditions = _conditions(statement)
        pattern = conditions.pop(SOURCE, "*")
        account = conditions.pop("stringequals aws:sourceaccount", self._account)
        return not conditions and account == self._account and fnmatch.fnmatchcase(source, pattern)


def source_of(statement: Mapping[str, Any]) -> str:
    """The sources that a statement allows; empty for all."""
    return _conditions(statement).get(SOURCE, "")


def _conditions(statement: Mapping[str, Any]) -> dict[str, str]:
    """The values by operator and key, as in `arnlike aws:sourcearn`."""
    given: Mapping[str, Mapping[str, Any]] = statement.get("Condition") or {}
    return {f"{operator} {key}".lower(): str(value) for operator, keys in given.items() for key, value in keys.items()}


def _place(function: str) -> dict[str, Any]:
    name, _, alias = function.partition(":")
    return {"FunctionName": name, **({"Qualifier": alias} if alias else {})}
