"""What differs from how `runbook adopt` has left it, because another tool has deployed over it.

The runbook's checks and the function behind the alarm make the same comparisons. Each returns what differs, in words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from functions.aws import permissions as rights
from functions.aws.permissions import Permissions
from functions.aws.rest_api import ApiMethod, function_uri, is_variable
from functions.domain import names
from functions.domain.contract import ApiContract, ApiOperation

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

VIEW = "NEW_AND_OLD_IMAGES"
OFF = "off"


@dataclass(frozen=True, kw_only=True)
class EntityFunctions:
    """The functions that may answer an entity's requests, by the names in its stage variables; none is empty.

    Attributes:
        reads: legacy's and modern's.
        writes: likewise, and the gate.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.reads, *self.writes)))


def routes(entity: str, contract: ApiContract) -> Iterator[tuple[ApiOperation, str]]:
    """The entity's methods, each with the stage variable that names its function."""
    yield from ((each, names.reads_variable(entity)) for each in contract.reads)
    yield from ((each, names.writes_variable(entity)) for each in contract.writes)


def calls(contract: ApiContract, functions: EntityFunctions) -> Iterator[tuple[str, ApiOperation]]:
    """The functions that API Gateway must be able to call, each with a method."""
    for several, operations in ((functions.reads, contract.reads), (functions.writes, contract.writes)):
        yield from ((function, each) for function in several for each in operations)


def integrations(
    wanted: Iterable[tuple[ApiOperation, str]], methods: Mapping[str, ApiMethod], variables: Mapping[str, str]
) -> dict[str, str]:
    """The function of each method whose integration does not name its stage variable, by method.

    Args:
        wanted: from `routes`.
        methods: by `GET /path`.
        variables: the stage's.
    """
    wrong: dict[str, str] = {}
    for operation, variable in wanted:
        method = methods.get(str(operation))
        if method is None or not is_variable(method.uri, variable):
            wrong[str(operation)] = shown(method.uri, variables) if method else "no method"
    return wrong


def shown(uri: str, variables: Mapping[str, str]) -> str:
    """A URI as a person reads it: the function alone."""
    found = function_uri(uri, variables)
    return found.name if found else uri or "no function"


def lost_variables(entity: str, functions: EntityFunctions, variables: Mapping[str, str]) -> list[str]:
    """The stage variables that name none of the entity's functions: requests fail, or another function answers."""
    allowed = {names.reads_variable(entity): functions.reads, names.writes_variable(entity): functions.writes}
    return [
        f"stage variable {name}: {variables.get(name) or 'not set'}"
        for name, several in allowed.items()
        if variables.get(name) not in several
    ]


def permissions(wanted: Iterable[tuple[str, ApiOperation]], policies: Permissions, stage_arn: str) -> list[str]:
    """The calls that API Gateway may not make.

    Args:
        wanted: from `calls`.
        stage_arn: `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE`.
    """
    return [
        f"{function}: not for {operation}"
        for function, operation in wanted
        if not policies.allowed(function, rights.source_arn(stage_arn, operation))
    ]


def others_canary(overrides: Collection[str] | None, entities: Iterable[str]) -> bool:
    """Whether a stage has a canary of somebody else's: streamback's overrides variables of entities' reads.

    Args:
        overrides: the variables that the canary overrides; None where there is no canary.
        entities: of the stack, all.
    """
    return overrides is not None and not {names.reads_variable(each) for each in entities} & {*overrides}


def aliases(functions: Iterable[str], policies: Permissions) -> dict[str, str]:
    """The versions that functions have now, of those that callers name by an alias."""
    return {each: policies.version(each) for each in dict.fromkeys(functions) if ":" in each}


def versions(noted: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The aliases that have moved; one that was not noted has not."""
    return [
        f"{name}: version {version or 'gone'}, was {noted.get(name)}"
        for name, version in now.items()
        if noted.get(name, version) != version
    ]


def stream_view(dynamodb: DynamoDBClient, table: str) -> str:
    """What the table's stream shows; empty while it is off."""
    found = dynamodb.describe_table(TableName=table)["Table"].get("StreamSpecification", {})
    return found.get("StreamViewType", "") if found.get("StreamEnabled") else ""


def stream(view: str) -> list[str]:
    """What is wrong with a stream that shows `view`."""
    return [] if view == VIEW else [view or OFF]
