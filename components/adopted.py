"""Looks up what a stack adopts, while a preview runs: a reference that leads nowhere is an error that names it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pulumi
import pulumi_aws as aws

from components import policies
from components.adoption import IAM_LOGIN, MYSQL, AdoptedApi, AdoptedCluster
from components.function import FunctionArgs, FunctionNetwork, FunctionReference
from components.settings import PROJECT, SettingsError
from functions.domain import names
from functions.domain.contract import ApiContract

Found = TypeVar("Found")
ENGINE, INSTANCE_ENGINE = "aurora-mysql", "mysql"
VIEW = "NEW_AND_OLD_IMAGES"
ONLY_REST = "only a REST API (v1) can be adopted; docs/adopt.md has the way round for HTTP APIs, function URLs and ALBs"
REGION = re.compile(r"arn:[^:]*:[^:]*:([^:]*):")


@dataclass(frozen=True, kw_only=True)
class ClusterReference:
    """A database as the parts of a stack need it, and what a function needs to send statements to it.

    Attributes:
        inside: the network of functions that connect to it.
        code: their archive, with PyMySQL and the authorities that its certificate is checked by.
        direct: whether all functions connect to it, instead of using its Data API.
        token_arn: the bridge's user as IAM names it, if it signs in with a token; else empty.
    """

    arn: pulumi.Input[str]
    secret_arn: pulumi.Input[str]
    host: pulumi.Input[str]
    port: pulumi.Input[int]
    inside: FunctionNetwork
    code: pulumi.Archive
    direct: bool = False
    token_arn: str = ""

    def rights(
        self, secret_arn: pulumi.Input[str], *, transactions: bool = False, bridge: bool = False
    ) -> list[dict[str, Any]]:
        """What a function needs that sends statements as a secret's user; `bridge`: whether that is the bridge's."""
        if not self.direct:
            return policies.sql(self.arn, secret_arn, transactions=transactions)
        return [policies.connect(self.token_arn) if bridge and self.token_arn else policies.read_secret(secret_arn)]

    def variables(
        self, secret_arn: pulumi.Input[str], bridge_secret_arn: pulumi.Input[str] | None = None
    ) -> dict[str, pulumi.Input[str]]:
        """Where such a function finds the database; the bridge's secret, if the function signs in as its user."""
        found: dict[str, pulumi.Input[str]] = {"CLUSTER_ARN": self.arn, "SECRET_ARN": secret_arn}
        if self.direct:
            found |= self.endpoint
        if self.token_arn and bridge_secret_arn is not None:
            found["TOKEN_SECRET_ARN"] = bridge_secret_arn
        return found

    @property
    def endpoint(self) -> dict[str, pulumi.Input[str]]:
        """Where a function connects."""
        port = pulumi.Output.from_input(self.port).apply(lambda number: str(int(number)))  # may have a fraction
        return {"DATABASE_HOST": self.host, "DATABASE_PORT": port}

    def placed(self, args: FunctionArgs) -> FunctionArgs:
        """The function's arguments, in the database's network if it connects."""
        return self.within(args) if self.direct else args

    def within(self, args: FunctionArgs) -> FunctionArgs:
        """The function's arguments, in the database's network."""
        return replace(args, network=self.inside, defaults=replace(args.defaults, code=self.code))


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


@dataclass(frozen=True, kw_only=True)
class _Database:
    """What AWS says of a cluster or an instance; `resource` is its name in rights to connect."""

    arn: str
    engine: str
    host: str
    port: int
    resource: str


def cluster(adopted: AdoptedCluster, region: str, code: pulumi.Archive) -> ClusterReference:
    """The cluster or the instance that the setting names.

    Args:
        code: the archive of functions that connect to it.

    Raises:
        SettingsError: it is in another region, is not there, or has another engine.
    """
    key = "cluster.arn"
    _same_region(key, adopted.arn, region)
    found = _instance(key, adopted) if adopted.is_instance else _cluster(key, adopted)
    if found.arn != adopted.arn:
        raise _error(key, f"expected what is there, {found.arn}, got {adopted.arn}")
    engine = INSTANCE_ENGINE if adopted.is_instance else ENGINE
    if found.engine != engine:
        hint = "; name the cluster's ARN" if found.engine == ENGINE else ""
        kind = "an instance" if adopted.is_instance else "a cluster"
        raise _error(key, f"expected {kind} of {engine}, got one of {found.engine}: {adopted.name}{hint}")
    _found("cluster.secretArn", adopted.secret_arn, lambda: aws.secretsmanager.get_secret(arn=adopted.secret_arn))
    return ClusterReference(
        arn=adopted.arn,
        secret_arn=adopted.secret_arn,
        host=adopted.host or found.host,
        port=adopted.port or found.port,
        inside=FunctionNetwork(subnet_ids=adopted.subnet_ids, security_group_id=adopted.security_group_id),
        code=code,
        direct=adopted.transport == MYSQL,
        token_arn=_token_arn(adopted, found) if adopted.authentication == IAM_LOGIN else "",
    )


def _cluster(key: str, adopted: AdoptedCluster) -> _Database:
    found = _found(key, adopted.arn, lambda: aws.rds.get_cluster(cluster_identifier=adopted.name))
    return _Database(
        arn=found.arn, engine=found.engine, host=found.endpoint, port=found.port, resource=found.cluster_resource_id
    )


def _instance(key: str, adopted: AdoptedCluster) -> _Database:
    found = _found(key, adopted.arn, lambda: aws.rds.get_instance(db_instance_identifier=adopted.name))
    return _Database(
        arn=found.db_instance_arn, engine=found.engine, host=found.address, port=found.port, resource=found.resource_id
    )


def _token_arn(adopted: AdoptedCluster, found: _Database) -> str:
    """The bridge's user as IAM names it, behind a proxy by the proxy's id."""
    resource = found.resource
    if names.PROXY.search(adopted.host):
        name, key = adopted.host.split(".")[0], "cluster.host"
        if ".endpoint." in adopted.host:
            raise _error(key, f"expected the proxy's own endpoint with authentication iam, got {adopted.host}")
        resource = _found(key, name, lambda: aws.rds.get_proxy(name=name)).arn.rpartition(":")[2]
    place = found.arn.split(":")
    return ":".join([*place[:2], "rds-db", *place[3:5], "dbuser", f"{resource}/{names.BRIDGE_USER}"])


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
