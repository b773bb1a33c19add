"""The stack's settings: the one place that reads Pulumi's configuration, and reports what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pulumi

from components import adoption, checks, quotas
from components.adoption import AdoptedSystem, AdoptionError, AdoptionKind
from components.checks import Flag, ListOf, Number, OnChange, OneOf, Pair, Setting, Tags, Text, Texts, setting
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
PRINCIPALS = Texts(
    r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+",
    "a list of the ARNs of IAM roles or users",
    "arn:aws:iam::111122223333:role/operators",
)
DAY = 86_400  # seconds; also how long a stream keeps a record


class SettingsError(pulumi.RunError):
    """The configuration cannot be used; `problems` has one line per mistake, each beginning with its key."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(["the stack's settings cannot be used:", *problems]))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a stack may choose; in Pulumi.<stack>.yaml the keys are camelCase. docs/settings.md is made from it.

    Attributes:
        entities: the mapping, whole and checked.
    """

    entities: mapping.Entities = field(repr=False)
    parts: tuple[str, ...] = setting(
        PARTS,
        ListOf(PARTS),
        "what to deploy; each part needs those before it",
        OnChange.PARTS,
        "the part's resources; the API is deployed again",
    )
    production: bool = setting(
        False,
        Flag(),
        "protects what holds data: deletion protection, final snapshot, Pulumi's `protect`; keeps backups and logs "
        "longer; the runbook asks for the stack's name",
        OnChange.UPDATE,
        "tables, bucket, cluster and log groups",
    )
    api_auth: str = setting(
        "AWS_IAM",
        OneOf(("AWS_IAM", "NONE")),
        "how clients sign; `NONE` leaves the API open, which the policy pack refuses in production",
        OnChange.UPDATE,
        "the methods; the API is deployed again",
    )
    table_prefix: str = setting(
        "",
        Text(r"[A-Za-z0-9_.-]{0,64}", "letters, digits, '_', '.' or '-', at most 64", "test-"),
        "put before the name of every entity's DynamoDB table, for several stacks in one account and region",
        OnChange.REPLACE,
        "every entity's table, **with its items**; refused in production",
    )
    entities_file: Path = setting(
        Path(ENTITIES),
        Text(r".+\.toml", "the path of a .toml file, from the program's folder", ENTITIES),
        "the mapping",
        OnChange.UPDATE,
        "the functions; an entity more or less creates or deletes its resources; another table name or key "
        "replaces the table **with its items**",
    )
    availability_zones: tuple[str, ...] = setting(
        (),
        Pair(
            r"[a-z]{2}(-[a-z]+)+-\d[a-z]",
            "two different zones, e.g. us-east-1a and us-east-1b",
            ("us-east-1a", "us-east-1b"),
        ),
        "two zones for the legacy cluster's subnets; Aurora Serverless v2 must be in both; choose them before the "
        "first `pulumi up`: later, AWS refuses the new subnets, which have the addresses of the old ones",
        OnChange.REPLACE,
        "the subnets; AWS refuses, so choose before the first `pulumi up`",
        shown="the region's first two",
    )
    api_resources_quota: int = setting(
        quotas.API_RESOURCES,
        Number(quotas.API_RESOURCES, 10_000),
        "resources that a REST API may have; raise it after AWS has raised yours",
        OnChange.NOTHING,
        unit="resources",
    )
    engine_version: str = setting(
        ENGINE_VERSION,
        Text(r"8\.0\.mysql_aurora\.3\.\d+\.\d+", f"a version such as {ENGINE_VERSION}", ENGINE_VERSION),
        "Aurora MySQL; `minCapacity` 0 needs 3.08 or newer",
        OnChange.UPDATE,
        "cluster and instance, which restart; in production in the maintenance window",
    )
    min_capacity: float = setting(
        0,
        Number(0, 256, step=0.5),
        "the least that Aurora scales down to; 0 lets it pause",
        OnChange.UPDATE,
        "the cluster, without a restart",
        unit="Aurora capacity units",
    )
    max_capacity: float = setting(
        16,
        Number(1, 256, step=0.5),
        "the most that Aurora scales up to; at least `minCapacity`",
        OnChange.UPDATE,
        "the cluster, without a restart",
        unit="Aurora capacity units",
    )
    auto_pause_seconds: int = setting(
        300,
        Number(300, DAY),
        "idle time until Aurora pauses; without effect unless `minCapacity` is 0",
        OnChange.UPDATE,
        "the cluster, without a restart",
        unit="seconds",
    )
    powertools_layer_arn: str = setting(
        POWERTOOLS_LAYER,
        Text(r"(arn:aws[a-z-]*:lambda:.+:layer:.+:\d+)?", "a layer version's ARN, or nothing", f"'{POWERTOOLS_LAYER}'"),
        "where the functions find Powertools; `{region}` in it is replaced, and nothing leaves the layer out",
        OnChange.UPDATE,
        "the functions",
        shown="the public layer for Python 3.13 on arm64",
    )
    database_ca_file: Path = setting(
        Path(AUTHORITIES),
        Text(r".+\.pem", "the path of a .pem file, from the program's folder", AUTHORITIES),
        "the authorities that Aurora's certificate is checked by; name a newer bundle where it lacks the region",
        OnChange.UPDATE,
        "the session function",
    )
    log_retention_days: int = setting(
        30,
        OneOf(RETENTION_DAYS),
        "how long every function's log is kept",
        OnChange.UPDATE,
        "the log groups; fewer days delete older lines",
        unit="days",
        shown=f"30, in production {PRODUCTION_RETENTION}",
    )
    alarm_topic_arn: str = setting(
        "",
        Text(
            r"(arn:aws[a-z-]*:sns:.+)?", "an SNS topic's ARN, or nothing", "arn:aws:sns:us-east-1:111122223333:alarms"
        ),
        "the SNS topic that receives the alarms; without one they are only visible in CloudWatch",
        OnChange.UPDATE,
        "the alarms",
    )
    bridge_batch_size: int = setting(
        1000, Number(1, 10_000), "records per invocation", OnChange.UPDATE, "the stream mappings", unit="records"
    )
    bridge_window_seconds: int = setting(
        0,
        Number(0, 300),
        "how long a batch may collect records ([costs](scaling.md#the-bridge-lag-against-calls))",
        OnChange.UPDATE,
        "the stream mappings",
        unit="seconds",
    )
    bridge_parallelization: int = setting(
        2,
        Number(1, 10),
        "batches of one shard at a time; records of one key stay in order "
        "([costs](scaling.md#the-bridge-lag-against-calls))",
        OnChange.UPDATE,
        "the stream mappings",
        unit="batches",
    )
    bridge_max_record_age_seconds: int = setting(
        DAY // 2,
        Number(60, DAY * 3 // 4),
        f"after this a record that keeps failing goes to the failure bucket; the stream itself drops it after {DAY}",
        OnChange.UPDATE,
        "the stream mappings and of the alarm on their lag",
        unit="seconds",
    )
    permissions_boundary_arn: str = setting(
        "",
        Text(
            r"(arn:aws[a-z-]*:iam::\d{12}:policy/.+)?",
            "an IAM policy's ARN, or nothing",
            "arn:aws:iam::111122223333:policy/streamback-boundary",
        ),
        "the policy that bounds what the functions' roles may do ([security.md](security.md))",
        OnChange.UPDATE,
        "the roles",
    )
    adopt: AdoptedSystem = setting(
        AdoptedSystem(),
        AdoptionKind(),
        "what exists already and is used as it is: cluster, API, functions, tables",
        OnChange.REPLACE,
        "what reads the part that the stack had made, which is deleted **with what it holds**; refused in production; "
        "adopt before the first `pulumi up`",
        shown="none",
    )
    adopted_check_minutes: int = setting(
        15,
        Number(0, 1440),
        "where an API or a table is adopted: how often a function looks whether another tool has changed it; 0 for "
        "never ([adopt.md](adopt.md#the-alarm))",
        OnChange.UPDATE,
        "the schedule and the alarms; 0 deletes them and the function",
        unit="minutes",
    )
    repository: str = setting(
        "",
        Text(r"([\w.-]+/[\w.-]+)?", "OWNER/NAME of a repository at GitHub, or nothing", "kitchen/recipes"),
        "the repository whose workflows preview and deploy the stack; makes their roles "
        "([security.md](security.md#the-roles))",
        OnChange.UPDATE,
        "the roles, by an administrator; the first value creates them, an empty one deletes them",
    )
    oidc_provider_arn: str = setting(
        "",
        Text(
            r"(arn:aws[a-z-]*:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com)?",
            "the ARN of the account's OIDC provider for GitHub, or nothing",
            "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
        ),
        "the account's provider, if it has one; without it the stack makes one",
        OnChange.PARTS,
        "the stack's own provider; the roles then trust this one",
    )
    operators: tuple[str, ...] = setting(
        (),
        PRINCIPALS,
        "who may take on the role for every command of the runbook; without any there is no such role",
        OnChange.UPDATE,
        "the role, by an administrator",
    )
    readers: tuple[str, ...] = setting(
        (),
        PRINCIPALS,
        "who may take on the role for commands that only read; without any there is no such role",
        OnChange.UPDATE,
        "the role, by an administrator",
    )
    state_bucket: str = setting(
        "",
        Text(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?", "the name of an S3 bucket, or nothing", "my-pulumi-state"),
        "the bucket of Pulumi's state, which the workflows' roles then may use",
        OnChange.UPDATE,
        "the workflows' roles, by an administrator",
    )
    state_key_arn: str = setting(
        "",
        Text(
            r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+)?",
            "the ARN of a KMS key, or nothing",
            "arn:aws:kms:us-east-1:111122223333:key/11112222-3333-4444-5555-666677778888",
        ),
        "the key of the secrets in Pulumi's state, which the workflows' roles then may use",
        OnChange.UPDATE,
        "the workflows' roles, by an administrator",
    )
    tags: Mapping[str, str] = setting(
        dict[str, str](),
        Tags(),
        "names and values for every resource",
        OnChange.UPDATE,
        "every resource that has tags",
        shown="none",
    )

    @staticmethod
    def load(folder: Path) -> Settings:
        """Read the running stack's configuration; `folder` is where the program and entities.toml are.

        Raises:
            SettingsError: with every mistake, else with every quota of AWS's that the stack would exceed.
        """
        config = pulumi.Config(PROJECT)
        given = {key: text for key in SETTINGS if (text := config.get(key)) is not None}
        settings = parse(given, folder, checks.unknown_keys(PROJECT, SETTINGS))
        if problems := quotas.problems(settings, pulumi.get_stack()):
            raise SettingsError(problems)
        return settings


# By key, in the order of the docs.
SETTINGS: Mapping[str, Setting] = {
    checks.camel(each.name): each.metadata["setting"] for each in fields(Settings) if "setting" in each.metadata
}


def parse(given: Mapping[str, str], folder: Path, unknown: tuple[str, ...] = ()) -> Settings:
    """Settings from configuration as Pulumi holds it: text, or JSON for what is not text.

    Raises:
        SettingsError: with every mistake, each naming its key, what was expected, and the next step.
    """
    problems = [_unknown(key) for key in unknown]
    values = {key: _value(key, text, problems) for key, text in given.items()}
    if not problems:
        problems += [*_order(values), *_capacity(values), *_delivery(values)]
    path = values["entitiesFile"] = folder / (values.get("entitiesFile") or ENTITIES)
    entities = _entities(path, problems)
    values["databaseCaFile"] = _authorities(folder / (values.get("databaseCaFile") or AUTHORITIES), problems)
    if entities is not None and not problems:
        problems += _adopted(values.get("adopt", AdoptedSystem()), entities, values.get("parts", PARTS))
    if problems or entities is None:
        raise SettingsError(problems)
    if values.get("production"):
        values.setdefault("logRetentionDays", PRODUCTION_RETENTION)
    return Settings(entities=entities, **{checks.snake(key): value for key, value in values.items()})


def _unknown(key: str) -> str:
    remedy = f"take it out with `pulumi config rm {PROJECT}:{key}`"
    return f"{PROJECT}:{key}: expected one of the settings {', '.join(SETTINGS)}; {remedy}"


def _value(key: str, text: str, problems: list[str]) -> Any:
    kind = SETTINGS[key].kind
    try:
        return kind.read(text)
    except AdoptionError as error:
        problems += [f"{PROJECT}:{key}.{problem}" for problem in error.problems]
        return None
    except (ValueError, KeyError):
        problems.append(_problem(key, kind.expected, repr(text)))
        return None


def _problem(key: str, expected: str, got: object, example: str = "") -> str:
    command = f"set {example}" if example else SETTINGS[key].kind.command(f"{PROJECT}:{key}")
    return f"{PROJECT}:{key}: expected {expected}, got {got}; set it as in `pulumi config {command}`"


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


def _adopted(adopted: AdoptedSystem, entities: mapping.Entities, parts: Collection[str]) -> list[str]:
    contracts = [name for name, entity in entities.items() if entity.contract]
    found = adoption.problems_with(adopted, entities, contracts, parts)
    return [f"{PROJECT}:adopt.{problem}; see docs/adopt.md" for problem in found]


def _delivery(values: Mapping[str, Any]) -> list[str]:
    """What is for the roles around a stack needs the repository that they are made for."""
    if values.get("repository"):
        return []
    keys = ("oidcProviderArn", "operators", "readers", "stateBucket", "stateKeyArn")
    given = [key for key in keys if values.get(key)]
    expected = "nothing, or `repository` beside it"
    return [_problem(key, expected, values[key], f"{PROJECT}:repository OWNER/NAME") for key in given]


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
