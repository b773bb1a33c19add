"""What a stack adopts instead of creating it: references to systems that exist, read from the setting `adopt`.

Nothing that is named here is ever owned, changed or deleted by the stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

OWNER = r"(?P<region>[a-z0-9-]+):(?P<account>\d{12})"
CLUSTER = re.compile(rf"arn:aws[a-z-]*:rds:{OWNER}:(?P<kind>cluster|db):(?P<name>.+)")
DATA_API, MYSQL = "data-api", "mysql"  # how statements reach the database
SECRET_LOGIN, IAM_LOGIN = "secret", "iam"  # how the bridge's user signs in
HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")
PORTS = range(1, 65_536)
SECRET = re.compile(rf"arn:aws[a-z-]*:secretsmanager:{OWNER}:secret:.+")
SUBNET = re.compile(r"subnet-[0-9a-z]+")
GROUP = re.compile(r"sg-[0-9a-z]+")
FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_-]{1,128})?")  # with the alias that callers use
TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}")
API = re.compile(r"[a-z0-9]{5,20}")
STAGE = re.compile(r"[A-Za-z0-9_-]{1,128}")
PARTS = ("cluster", "api", "entities")
KEYS = ("arn", "secretArn", "subnetIds", "securityGroupId", "transport", "host", "port", "authentication")
EXAMPLE = '{"entities": {"chefs": {"table": "chef"}}}'


class AdoptionError(ValueError):
    """The setting cannot be used; `problems` has one line per mistake, each beginning with the place in the setting."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True)
class AdoptedCluster:
    """A cluster of Aurora MySQL, or an instance of RDS for MySQL.

    Attributes:
        transport: `data-api`, or `mysql` for functions in the database's network that connect to it.
        host, port: where these connect, as to an RDS Proxy; the database's own endpoint if empty and 0.
        authentication: how the bridge's user signs in with `mysql`: by its `secret`, or by a token of `iam`.
        secret_arn: of a user who may make triggers, tables and users.
        subnet_ids: of the cluster's VPC, for the function that connects to it.
        security_group_id: for that function; the cluster's own must let it in.
    """

    arn: str
    secret_arn: str
    subnet_ids: tuple[str, ...]
    security_group_id: str
    transport: str = DATA_API
    host: str = ""
    port: int = 0
    authentication: str = SECRET_LOGIN

    @property
    def name(self) -> str:
        return self.arn.split(":", 6)[6]

    @property
    def is_instance(self) -> bool:
        return ":db:" in self.arn


@dataclass(frozen=True, kw_only=True)
class AdoptedApi:
    """A REST API (v1) and the stage that clients call."""

    id: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class AdoptedEntity:
    """Functions by name, with an alias where callers use one, and the table; empty for what the stack creates.

    The functions of a system are adopted both or not at all.
    """

    table: str = ""
    legacy_reads: str = ""
    legacy_writes: str = ""
    modern_reads: str = ""
    modern_writes: str = ""


@dataclass(frozen=True, kw_only=True)
class AdoptedSystem:
    cluster: AdoptedCluster | None = None
    api: AdoptedApi | None = None
    entities: Mapping[str, AdoptedEntity] = field(default_factory=dict[str, AdoptedEntity])

    def __bool__(self) -> bool:
        return bool(self.cluster or self.api or self.entities)

    def entity(self, name: str) -> AdoptedEntity:
        return self.entities.get(name) or AdoptedEntity()

    @property
    def clusters(self) -> list[str]:
        return [self.cluster.arn] if self.cluster and not self.cluster.is_instance else []

    @property
    def instances(self) -> list[str]:
        return [self.cluster.arn] if self.cluster and self.cluster.is_instance else []

    @property
    def secrets(self) -> list[str]:
        return [self.cluster.secret_arn] if self.cluster else []

    @property
    def functions(self) -> list[str]:
        """The functions of all entities, each once; one that callers name by an alias with it and without."""
        named = [
            name
            for each in self.entities.values()
            for name in (each.legacy_reads, each.legacy_writes, each.modern_reads, each.modern_writes)
            if name
        ]
        return list(dict.fromkeys(form for name in named for form in (name, name.partition(":")[0])))


@dataclass(frozen=True)
class AdoptionKind:
    """The setting `adopt`: an object with any of cluster, api and entities."""

    expected: str = "an object with any of cluster, api and entities ([adopt.md](adopt.md))"

    def command(self, key: str) -> str:
        return f"set {key} '{EXAMPLE}'"

    def read(self, text: str) -> AdoptedSystem:
        """The references.

        Raises:
            ValueError: it is no JSON object; an AdoptionError names each mistake in one.
        """
        value: Any = json.loads(text)
        if not isinstance(value, Mapping):
            raise ValueError(text)  # noqa: TRY004  # a bad value, as every kind reports it
        problems: list[str] = []
        given = cast("Mapping[str, Any]", value)
        problems += [f"{name}: expected one of {', '.join(PARTS)}" for name in sorted(given.keys() - {*PARTS})]
        adopted = AdoptedSystem(
            cluster=_cluster(given["cluster"], problems) if "cluster" in given else None,
            api=_api(given["api"], problems) if "api" in given else None,
            entities=_entities(given.get("entities", {}), problems),
        )
        if problems:
            raise AdoptionError(problems)
        return adopted


@dataclass(frozen=True)
class _Place:
    """One object of the setting, whose texts are read by key."""

    path: str
    given: Mapping[str, Any]
    problems: list[str]

    @classmethod
    def of(cls, path: str, value: object, known: Iterable[str], problems: list[str]) -> _Place:
        given: Mapping[str, Any] = cast("Any", value) if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            problems.append(f"{path}: expected an object with {', '.join(known)}, got {value!r}")
        problems += [f"{path}.{name}: expected one of {', '.join(known)}" for name in sorted(given.keys() - {*known})]
        return cls(path, given, problems)

    def text(self, key: str, pattern: re.Pattern[str], expected: str, *, optional: bool = False) -> str:
        value = self.given.get(key, "")
        if (value == "" and optional) or (isinstance(value, str) and pattern.fullmatch(value)):
            return value
        self.problems.append(f"{self.path}.{key}: expected {expected}, got {value!r}")
        return ""

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """One of the known texts; the first by default."""
        value = self.given.get(key, known[0])
        if value not in known:
            self.problems.append(f"{self.path}.{key}: expected one of {', '.join(known)}, got {value!r}")
        return str(value)


def _cluster(value: object, problems: list[str]) -> AdoptedCluster:
    place = _Place.of("cluster", value, KEYS, problems)
    cluster = AdoptedCluster(
        arn=place.text("arn", CLUSTER, "the ARN of an Aurora cluster, or of an instance of RDS for MySQL"),
        secret_arn=place.text("secretArn", SECRET, "the ARN of a secret"),
        subnet_ids=_subnets(place),
        security_group_id=place.text("securityGroupId", GROUP, "a security group's id, e.g. sg-0a1b2c3d"),
        transport=place.choice("transport", (DATA_API, MYSQL)),
        host=place.text("host", HOST, "a host's name", optional=True),
        port=_port(place),
        authentication=place.choice("authentication", (SECRET_LOGIN, IAM_LOGIN)),
    )
    _same_account(cluster, problems)
    problems += _transport(cluster)
    return cluster


def _port(place: _Place) -> int:
    value = place.given.get("port", 0)
    if isinstance(value, (int, float)) and (value == 0 or value in PORTS):
        return int(value)
    place.problems.append(f"{place.path}.port: expected a port's number, got {value!r}")
    return 0


def _transport(cluster: AdoptedCluster) -> list[str]:
    """What needs functions that connect to the database."""
    if cluster.transport == MYSQL:
        return []
    found = ["cluster.transport: expected mysql, because RDS for MySQL has no Data API"] if cluster.is_instance else []
    given = {"host": cluster.host, "port": cluster.port, "authentication": cluster.authentication != SECRET_LOGIN}
    return [*found, *(f"cluster.{name}: needs transport mysql" for name, wanted in given.items() if wanted)]


def _same_account(cluster: AdoptedCluster, problems: list[str]) -> None:
    """The Data API takes a secret of the cluster's own account and region only, and so do the rights of functions."""
    arn, secret = CLUSTER.fullmatch(cluster.arn), SECRET.fullmatch(cluster.secret_arn)
    if not arn or not secret:
        return
    problems += [
        f"cluster.secretArn: expected a secret in the cluster's {part} {arn[part]}, got {secret[part]}: the Data API "
        f"takes no other; make one there with the same user and password"
        for part in ("account", "region")
        if arn[part] != secret[part]
    ]


def _subnets(place: _Place) -> tuple[str, ...]:
    value = place.given.get("subnetIds")
    items = cast("list[Any]", value) if isinstance(value, list) else []
    if items and all(isinstance(each, str) and SUBNET.fullmatch(each) for each in items):
        return tuple(items)
    place.problems.append(f"{place.path}.subnetIds: expected a list of ids such as subnet-0a1b2c3d, got {value!r}")
    return ()


def _api(value: object, problems: list[str]) -> AdoptedApi:
    place = _Place.of("api", value, ("id", "stage"), problems)
    return AdoptedApi(
        id=place.text(
            "id", API, "the id of a REST API (v1), e.g. a1b2c3d4e5; docs/adopt.md has the way round for others"
        ),
        stage=place.text("stage", STAGE, "the name of its stage"),
    )


def _entities(value: object, problems: list[str]) -> dict[str, AdoptedEntity]:
    if not isinstance(value, Mapping):
        problems.append(f"entities: expected an object by entity, got {value!r}")
        return {}
    return {name: _entity(name, each, problems) for name, each in cast("Mapping[str, Any]", value).items()}


def _entity(name: str, value: object, problems: list[str]) -> AdoptedEntity:
    keys = {_camel(each.name): each.name for each in fields(AdoptedEntity)}
    place = _Place.of(f"entities.{name}", value, tuple(keys), problems)
    texts = {
        attribute: place.text(key, *_expected(key), optional=key not in place.given) for key, attribute in keys.items()
    }
    for system in ("legacy", "modern"):
        reads, writes = texts[f"{system}_reads"], texts[f"{system}_writes"]
        if bool(reads) != bool(writes):
            missing = f"{system}{'Writes' if reads else 'Reads'}"
            problems.append(f"{place.path}.{missing}: expected a function's name, too: both are adopted, or none")
    return AdoptedEntity(**texts)


def _expected(key: str) -> tuple[re.Pattern[str], str]:
    if key == "table":
        return TABLE, "a DynamoDB table's name"
    return FUNCTION, "a function's name, or name:alias"


def _camel(name: str) -> str:
    return re.sub(r"_(.)", lambda part: part[1].upper(), name)


def problems_with(
    adopted: AdoptedSystem, entities: Collection[str], contracts: Collection[str], parts: Collection[str]
) -> list[str]:
    """What in the setting does not go with entities.toml, or with itself.

    Args:
        contracts: the entities that have an api of their own in entities.toml.
        parts: that are deployed.
    """
    found = [f"entities.{name}: entities.toml has no such entity" for name in adopted.entities if name not in entities]
    for name in entities:
        each = adopted.entity(name)
        found += _foreign(name, each, adopted, parts) if name in contracts else _own(name, each, adopted)
    if any(each.legacy_reads for each in adopted.entities.values()) and not adopted.cluster:
        found.append("cluster: expected the cluster that the adopted legacy functions work on")
    return list(dict.fromkeys(found))


def _foreign(name: str, each: AdoptedEntity, adopted: AdoptedSystem, parts: Collection[str]) -> list[str]:
    why = f"because entities.toml has [{name}.api]"
    names = {"legacy": each.legacy_reads, "modern": each.modern_reads}
    found = [
        f"entities.{name}: expected {system}Reads and {system}Writes, {why}: streamback's own functions speak its own "
        "API only"
        for system, given in names.items()
        if system in parts and not given
    ]
    return found if adopted.api else [*found, f"api: expected id and stage, {why}"]


def _own(name: str, each: AdoptedEntity, adopted: AdoptedSystem) -> list[str]:
    wanted = f"expected a table [{name}.api] in entities.toml"
    found = [f"api: {wanted}, which names the API's operations"] if adopted.api else []
    functions = each.legacy_reads or each.modern_reads
    return [*found, f"entities.{name}: {wanted}, which says how these functions are called"] if functions else found
