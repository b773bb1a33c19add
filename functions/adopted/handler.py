"""Looks at adopted systems every few minutes, and publishes how much another tool has changed in them.

The alarm on this metric says what to run. The function changes nothing, and is silent before `runbook adopt` and after
its undo.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from functions.adopted import checks
from functions.adopted.checks import EntityFunctions
from functions.adopted.journal import AdoptionRecords, AdoptionState
from functions.aws import environment, rest_api
from functions.aws.permissions import Permissions
from functions.aws.rest_api import ApiMethod

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.type_defs import StageResponseTypeDef
    from mypy_boto3_lambda import LambdaClient

# API Gateway and Lambda take few control calls a second in an account.
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=2, read_timeout=10)
METRIC = "AdoptedChanged"

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:  # noqa: ARG001  # Lambda's form
    """Takes {"stage": ARN, "entities": {NAME: {"reads", "writes", "table"}}}; answers what differs, by entity.

    `stage` is empty where no API is adopted, `table` where the table is not; `reads` and `writes` name the functions.
    An entity that is not adopted, or is being adopted now, is left out. An error is raised, for the alarm on errors.
    """
    records = AdoptionRecords(environment.dynamodb(), environment.variable("JOURNAL_TABLE"))
    stage = StageLook(event["stage"], tuple(event["entities"])) if event["stage"] else None
    found: dict[str, list[str]] = {}
    for name, given in event["entities"].items():
        before = records.read(name, api=stage is not None)
        if not before.adopted or before.busy:
            continue
        wrong = _differences(name, given, before, stage)
        if wrong and records.read(name, api=stage is not None) != before:
            continue  # `adopt` or its undo has begun since
        found[name] = wrong
        _publish(name, wrong)
    return found


@dataclass(frozen=True)
class StageLook:
    """The adopted API's stage, each part read once.

    Args:
        arn: `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE`.
        entities: of the stack, all.
    """

    arn: str
    entities: tuple[str, ...]

    def differences(self, entity: str, functions: EntityFunctions, noted: Mapping[str, str]) -> list[str]:
        """What differs of one entity; `noted` has the versions of its aliases."""
        contract = environment.mapping()[entity].contract
        assert contract is not None, "an entity with an adopted API has a contract"
        variables = self._stage.get("variables", {})
        integrations = checks.integrations(checks.routes(entity, contract), self._methods, variables)
        canary = self._stage.get("canarySettings")
        overrides = canary.get("stageVariableOverrides", {}) if canary else None
        return [
            *(f"{operation} → {function}" for operation, function in integrations.items()),
            *checks.lost_variables(entity, functions, variables),
            *checks.permissions(checks.calls(contract, functions), self._policies, self.arn),
            *checks.versions(noted, checks.aliases(functions.every, self._policies)),
            *(["a canary that is not streamback's"] if checks.others_canary(overrides, self.entities) else []),
        ]

    @property
    def _place(self) -> tuple[str, str]:
        """The ids of API and stage."""
        api, _, stage = self.arn.rpartition(":")[2].partition("/")
        return api, stage

    @cached_property
    def _stage(self) -> StageResponseTypeDef:
        api, stage = self._place
        return _gateway().get_stage(restApiId=api, stageName=stage)

    @cached_property
    def _methods(self) -> Mapping[str, ApiMethod]:
        return rest_api.deployed(_gateway(), *self._place)

    @cached_property
    def _policies(self) -> Permissions:
        return Permissions(_functions(), self.arn.split(":")[4])


def _differences(name: str, given: Mapping[str, Any], noted: AdoptionState, stage: StageLook | None) -> list[str]:
    found: list[str] = []
    if given["table"] and not noted.complete:
        view = checks.stream_view(environment.dynamodb(), given["table"])
        found += [f"stream of {given['table']}: {each}" for each in checks.stream(view)]
    if stage:
        functions = EntityFunctions(reads=tuple(given["reads"]), writes=tuple(given["writes"]))
        found += stage.differences(name, functions, noted.versions)
    return found


def _publish(entity: str, wrong: list[str]) -> None:
    if wrong:
        remedy = f"run `runbook adopt --entity {entity} --execute`"
        logger.warning("another tool has changed it", extra={"entity": entity, "changed": wrong, "remedy": remedy})
    dimensions = {"service": os.environ["POWERTOOLS_SERVICE_NAME"], "entity": entity}
    with single_metric(name=METRIC, unit=MetricUnit.Count, value=len(wrong), default_dimensions=dimensions):
        pass


@cache
def _gateway() -> APIGatewayClient:
    return boto3.Session().client("apigateway", config=CONFIG)


@cache
def _functions() -> LambdaClient:
    return boto3.Session().client("lambda", config=CONFIG)
