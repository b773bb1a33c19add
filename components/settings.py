"""The stack's settings: the one place that reads Pulumi's configuration, and reports what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi

from components import checks, quotas
from components.checks import Flag, Kind, ListOf, Number, OneOf, Pair, Tags, Text
from functions.domain import entities as mapping

PROJECT = "streamback"
PARTS = ("legacy", "modern", "bridge")
ENTITIES = "entities.toml"
AUTHORITIES = "functions/install/rds-ca.pem"
# The 3.10 line is Aurora MySQL's long-term support release; pausing at zero capacity needs 3.08 or later.
ENGINE_VERSION = "8.0.mysql_aurora.3.10.3"
# AWS's public layer for python3.13 on arm64; the Powertools documentation lists its versions.
POWERTOOLS_LAYER = "arn:aws:lambda:{region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 3653)
PRODUCTION_RETENTION = 365  # days, where the setting is not given
DAY = 86_400  # seconds; also how long a stream keeps a record


class SettingsError(pulumi.RunError):
    """The configuration cannot be used; `problems` has one line per mistake, each beginning with its key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["the stack's settings cannot be used:", *problems]))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a stack may choose; in Pulumi.<stack>.yaml the keys are camelCase. `KINDS` has the range of each.

    Attributes:
        entities: the mapping, whole and checked.
        entities_file: where it stands; the key may give a path from the program's folder.
        parts: what to deploy, in the order legacy, modern, bridge; each needs those before it.
        production: protects what holds data: deletion protection, final snapshot, Pulumi's protect; keeps logs longer.
        api_auth: `AWS_IAM` or `NONE`.
        table_prefix: put before every DynamoDB entity table's name, for several stacks in one account.
        availability_zones: two, of the legacy cluster's subnets; without them the region's first two.
        api_resources_quota: how many resources AWS lets a REST API of this account have.
        min_capacity: Aurora capacity units, in halves; 0 lets it pause.
        max_capacity: Aurora capacity units, in halves.
        auto_pause_seconds: idle seconds until Aurora pauses; only with min_capacity 0.
        powertools_layer_arn: where the functions find Powertools; empty leaves the layer out.
        database_ca_file: the certificate authorities that Aurora's certificate is checked by; the key likewise.
        alarm_topic_arn: the SNS topic that receives the alarms; without one they only show in CloudWatch.
        bridge_window_seconds: how long a batch may gather.
        bridge_max_record_age_seconds: when a record that keeps failing goes to the failure bucket; well under the
            stream's own limit.
    """

    entities: mapping.Entities = field(repr=False)
    entities_file: Path = Path(ENTITIES)
    parts: tuple[str, ...] = PARTS
    production: bool = False
    api_auth: str = "AWS_IAM"
    table_prefix: str = ""
    availability_zones: tuple[str, ...] = ()
    api_resources_quota: int = quotas.API_RESOURCES
    engine_version: str = ENGINE_VERSION
    min_capacity: float = 0
    max_capacity: float = 16
    auto_pause_seconds: int = 300
    powertools_layer_arn: str = POWERTOOLS_LAYER
    database_ca_file: Path = Path(AUTHORITIES)
    log_retention_days: int = 30
    alarm_topic_arn: str = ""
    bridge_batch_size: int = 1000
    bridge_window_seconds: int = 0
    bridge_parallelization: int = 2
    bridge_max_record_age_seconds: int = DAY // 2
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @staticmethod
    def load(folder: Path) -> Settings:
        """Read the running stack's configuration; `folder` is where the program and entities.toml are.

        Raises:
            SettingsError: with every mistake, else with every quota of AWS's that the stack would exceed.
        """
        config = pulumi.Config(PROJECT)
        given = {key: text for key in KINDS if (text := config.get(key)) is not None}
        settings = parse(given, folder, checks.unknown_keys(PROJECT, KINDS))
        if problems := quotas.problems(settings, pulumi.get_stack()):
            raise SettingsError(problems)
        return settings


KINDS: Mapping[str, Kind] = {
    "parts": ListOf(PARTS),
    "production": Flag(),
    "apiAuth": OneOf(("AWS_IAM", "NONE")),
    "tablePrefix": Text(r"[A-Za-z0-9_.-]{0,64}", "letters, digits, '_', '.' or '-', at most 64"),
    "entitiesFile": Text(r".+\.toml", "the path of a .toml file, from the program's folder"),
    "availabilityZones": Pair(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "two different zones, e.g. us-east-1a and us-east-1b"),
    "apiResourcesQuota": Number(quotas.API_RESOURCES, 10_000),
    "engineVersion": Text(r"8\.0\.mysql_aurora\.3\.\d+\.\d+", f"a version such as {ENGINE_VERSION}"),
    "minCapacity": Number(0, 256, step=0.5),
    "maxCapacity": Number(1, 256, step=0.5),
    "autoPauseSeconds": Number(300, DAY),
    "powertoolsLayerArn": Text(r"(arn:aws[a-z-]*:lambda:.+:layer:.+:\d+)?", "a layer version's ARN, or nothing"),
    "databaseCaFile": Text(r".+\.pem", "the path of a .pem file, from the program's folder"),
    "logRetentionDays": OneOf(RETENTION_DAYS),
    "alarmTopicArn": Text(r"(arn:aws[a-z-]*:sns:.+)?", "an SNS topic's ARN, or nothing"),
    "bridgeBatchSize": Number(1, 10_000),
    "bridgeWindowSeconds": Number(0, 300),
    "bridgeParallelization": Number(1, 10),
    "bridgeMaxRecordAgeSeconds": Number(60, DAY * 3 // 4),
    "tags": Tags(),
}


def parse(given: Mapping[str, str], folder: Path, unknown: tuple[str, ...] = ()) -> Settings:
    """Settings from configuration as Pulumi holds it: text, or JSON for what is not text.

    Raises:
        SettingsError: with every mistake, each naming its key, what was expected, and the next step.
    """
    problems = [_unknown(key) for key in unknown]
    values = {key: _value(key, text, problems) for key, text in given.items()}
    if not problems:
        problems += [*_order(values), *_capacity(values)]
    path = values["entitiesFile"] = folder / (values.get("entitiesFile") or ENTITIES)
    entities = _entities(path, problems)
    values["databaseCaFile"] = _authorities(folder / (values.get("databaseCaFile") or AUTHORITIES), problems)
    if problems or entities is None:
        raise SettingsError(problems)
    if values.get("production"):
        values.setdefault("logRetentionDays", PRODUCTION_RETENTION)
    return Settings(entities=entities, **{checks.snake(key): value for key, value in values.items()})


def _unknown(key: str) -> str:
    remedy = f"take it out with `pulumi config rm {PROJECT}:{key}`"
    return f"{PROJECT}:{key}: expected one of the settings {', '.join(KINDS)}; {remedy}"


def _value(key: str, text: str, problems: list[str]) -> Any:
    try:
        return KINDS[key].read(text)
    except (ValueError, KeyError):
        problems.append(_problem(key, KINDS[key].expected, repr(text)))
        return None


def _problem(key: str, expected: str, got: object, example: str = "") -> str:
    command = f"pulumi config set {example or KINDS[key].command(f'{PROJECT}:{key}')}"
    return f"{PROJECT}:{key}: expected {expected}, got {got}; set it as in `{command}`"


def _order(values: Mapping[str, Any]) -> list[str]:
    parts: tuple[str, ...] = values.get("parts", PARTS)
    if parts == PARTS[: len(parts)]:
        return []
    missing = next(part for part in PARTS if part not in parts)
    example = f"--path '{PROJECT}:parts[{len(parts)}]' {missing}"
    return [_problem("parts", f"{', then '.join(PARTS)}, without a gap", " and ".join(parts), example)]


def _capacity(values: Mapping[str, Any]) -> list[str]:
    low, high = (values.get("minCapacity", Settings.min_capacity), values.get("maxCapacity", Settings.max_capacity))
    if low <= high:
        return []
    return [_problem("minCapacity", f"at most maxCapacity, {high}", low, f"{PROJECT}:minCapacity {high}")]


def _authorities(path: Path, problems: list[str]) -> Path:
    if not path.is_file():
        problems.append(_problem("databaseCaFile", "a file that exists", str(path)))
    return path


def _entities(path: Path, problems: list[str]) -> mapping.Entities | None:
    try:
        return mapping.load(path)
    except mapping.EntitiesError as error:
        remedy = f"correct {path.name}, or name another file with `pulumi config set {PROJECT}:entitiesFile FILE`"
        problems += [f"{PROJECT}:entitiesFile: {problem}; {remedy}" for problem in error.problems]
        return None
