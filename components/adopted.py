"""Looks up what a stack adopts, while a preview runs: a reference that leads nowhere is an error that names it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi_aws as aws

from components.adoption import AdoptedApi, AdoptedCluster
from components.function import FunctionNetwork, FunctionReference
from components.settings import PROJECT, SettingsError
from functions.domain.contract import ApiContract

if TYPE_CHECKING:
    import pulumi

Found = TypeVar("Found")
ENGINE = "aurora-mysql"
VIEW = "NEW_AND_OLD_IMAGES"
ONLY_REST = "only a REST API (v1) can be adopted; docs/adopt.md has the way round for HTTP APIs, function URLs and ALBs"
REGION = re.compile(r"arn:[^:]*:[^:]*:([^:]*):")


@dataclass(frozen=True, kw_only=True)
class ClusterReference:
    """A cluster as the parts of a stack need it."""

    arn: pulumi.Input[str]
    secret_arn: pulumi.Input[str]
    host: pulumi.Input[str]
    port: pulumi.Input[int]
    inside: FunctionNetwork


@dataclass(frozen=True, kw_only=True)
class TableReference:
    """A modern table as the parts of a stack need it; `stream_arn` is empty while an adopted one has no stream."""

    name: pulumi.Input[str]
    arn: pulumi.Input[str]
    stream_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ApiReference:
    """A REST API as the parts of a stack need it."""

    id: pulumi.Input[str]
    stage: str
    url: pulumi.Input[str]


def cluster(adopted: AdoptedCluster, region: str) -> ClusterReference:
    """The cluster that the setting names.

    Raises:
        SettingsError: it is in another region, is not there, or is not Aurora MySQL.
    """
    key = "cluster.arn"
    _same_region(key, adopted.arn, region)
    found = _found(key, adopted.arn, lambda: aws.rds.get_cluster(cluster_identifier=adopted.name))
    if found.arn != adopted.arn:
        raise _error(key, f"expected the cluster that is there, {found.arn}, got {adopted.arn}")
    if found.engine != ENGINE:
        raise _error(key, f"expected a cluster of {ENGINE}, got one of {found.engine}: {adopted.name}")
    _found("cluster.secretArn", adopted.secret_arn, lambda: aws.secretsmanager.get_secret(arn=adopted.secret_arn))
    return ClusterReference(
        arn=adopted.arn,
        secret_arn=adopted.secret_arn,
        host=found.endpoint,
        port=found.port,
        inside=FunctionNetwork(subnet_ids=adopted.subnet_ids, security_group_id=adopted.security_group_id),
    )


def function(key: str, name: str) -> FunctionReference:
    """The function that the setting names; its `name` has the alias.

    Args:
        key: its place in the setting.

    Raises:
        SettingsError: it is not there.
    """
    plain, _, alias = name.partition(":")
    found = _found(key, name, lambda: aws.lambda_.get_function(function_name=plain, qualifier=alias or None))
    arn = found.arn if not alias or found.arn.endswith(f":{alias}") else f"{found.arn}:{alias}"
    return FunctionReference(
        name=name, arn=arn, invoke_arn=found.qualified_invoke_arn, timeout=found.timeout, service=name
    )


def table(key: str, name: str, hash_key: str, *, streams: bool) -> TableReference:
    """The table that the setting names.

    Args:
        streams: whether it must have its stream already.

    Raises:
        SettingsError: it is not there, has another key, or no stream that the bridge can use.
    """
    found = _found(key, name, lambda: aws.dynamodb.get_table(name=name))
    kinds = {each.name: each.type for each in found.attributes}
    if found.hash_key != hash_key or found.range_key or kinds.get(hash_key) != "S":
        shown = ", ".join(f"{each} {kinds.get(each)}" for each in (found.hash_key, found.range_key) if each)
        raise _error(key, f"expected a table with the key {hash_key} S alone, as entities.toml says, got {shown}")
    if found.stream_enabled and found.stream_view_type != VIEW:
        raise _error(
            key,
            f"expected a stream of {VIEW}, got {found.stream_view_type} on {name}: its other readers must agree to the "
            "change; switch the stream off and on with that view",
        )
    if streams and not found.stream_enabled:
        raise _error(
            key,
            f"expected a stream on {name}: deploy without the part bridge, run `runbook adopt --execute`, then with it",
        )
    return TableReference(name=name, arn=found.arn, stream_arn=found.stream_arn if found.stream_enabled else "")


def api(adopted: AdoptedApi, contracts: dict[str, ApiContract], region: str, suffix: str) -> ApiReference:
    """The API that the setting names; it must have every operation of the contracts.

    Args:
        contracts: by entity.
        suffix: of AWS's host names.

    Raises:
        SettingsError: API or stage is not there, or an operation.
    """
    shown = f"{adopted.id}, stage {adopted.stage}"
    export = _found(
        "api",
        shown,
        lambda: aws.apigateway.get_export(rest_api_id=adopted.id, stage_name=adopted.stage, export_type="oas30"),
        f" ({ONLY_REST})",
    )
    paths: dict[str, Any] = json.loads(export.body).get("paths", {})
    for name, contract in contracts.items():
        for each in (*contract.reads, *contract.writes):
            if each.method.lower() not in paths.get(each.path, {}):
                problem = f"[{name}.api]: {each} is not a method that is deployed in the API {shown}"
                raise SettingsError([f"{PROJECT}:entitiesFile: {problem}"])
    return ApiReference(
        id=adopted.id, stage=adopted.stage, url=f"https://{adopted.id}.execute-api.{region}.{suffix}/{adopted.stage}"
    )


def _found(key: str, value: str, look: Callable[[], Found], hint: str = "") -> Found:
    try:
        return look()
    except Exception as error:  # why so wide: the SDK raises no narrower type
        raise _error(key, f"cannot be looked up: {value}: {error}{hint}") from error


def _same_region(key: str, arn: str, region: str) -> None:
    match = REGION.match(arn)
    if match and match[1] != region:
        raise _error(key, f"expected something in {region}, where the stack is, got {arn}")


def _error(key: str, problem: str) -> SettingsError:
    return SettingsError([f"{PROJECT}:adopt.{key}: {problem}"])
