"""The only reader of the stack's configuration: checks every key and returns it frozen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pulumi

from functions.domain import entities as mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

PARTS = ("legacy", "modern", "bridge")
API_AUTH = ("AWS_IAM", "NONE")
ENGINE_VERSION = "8.0.mysql_aurora.3.10.3"  # the long-term-support line; min capacity 0 needs 3.08 or newer
POWERTOOLS_LAYER = "arn:aws:lambda:{region}:017000801446:layer:AWSLambdaPowertoolsPythonV3-python313-arm64:27"
RETENTION_DAYS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
STREAM_SECONDS = 24 * 3600  # how long a stream keeps a record
TABLE_PREFIX = re.compile(r"[A-Za-z0-9_.-]{0,100}")
VERSION = re.compile(r"8\.0\.mysql_aurora\.3\.\d+\.\d+")
LAYER = re.compile(r"(arn:aws[a-z-]*:lambda:(\{region\}|[a-z0-9-]+):\d{12}:layer:[A-Za-z0-9_-]+:\d+)?")


class SettingsError(pulumi.RunError):
    """A stack's configuration cannot be used; the text names the keys, what was expected and the next step."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a stack's configuration says. Keys are those of Pulumi.<stack>.yaml, in camelCase there.

    Attributes:
        parts: what to deploy, in the order legacy, modern, bridge; each needs those before it.
        production: protects what holds data: deletion protection, final snapshot, Pulumi's protect.
        api_auth: `AWS_IAM` or `NONE`.
        table_prefix: put before every DynamoDB entity table's name, for several stacks in one account.
        min_capacity: Aurora capacity units; 0 lets it pause.
        max_capacity: Aurora capacity units.
        auto_pause_seconds: idle seconds until Aurora pauses; only with min_capacity 0.
        bridge_window_seconds: how long a batch may gather.
        bridge_max_record_age_seconds: when a record that keeps failing goes to the failure bucket.
    """

    entities: mapping.Entities
    parts: frozenset[str] = frozenset(PARTS)
    production: bool = False
    api_auth: str = "AWS_IAM"
    table_prefix: str = ""
    entities_file: str = "entities.toml"
    engine_version: str = ENGINE_VERSION
    min_capacity: float = 0
    max_capacity: float = 16
    auto_pause_seconds: int = 300
    powertools_layer_arn: str = POWERTOOLS_LAYER
    log_retention_days: int = 30
    bridge_batch_size: int = 1000
    bridge_window_seconds: int = 1
    bridge_parallelization: int = 10
    bridge_max_record_age_seconds: int = 12 * 3600
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def load(cls, folder: Path) -> Settings:
        """Read the stack's configuration; `folder` is where the program and entities.toml are.

        Raises:
            SettingsError: with every mistake.
        """
        return parse(_Config(pulumi.Config("streamback")), folder)


class _Config:
    """Reads keys and collects what is wrong with them."""

    def __init__(self, config: Any) -> None:
        self._config = config
        self.problems: list[str] = []

    def problem(self, key: str, expected: str, value: object) -> None:
        self.problems.append(
            f"streamback:{key}: expected {expected}, got {value!r}. "
            f"Set it with `pulumi config set streamback:{key} VALUE`."
        )

    def text(self, key: str, default: str, fits: Callable[[str], bool], expected: str) -> str:
        value = self._config.get(key)
        if value is None:
            return default
        if not fits(value):
            self.problem(key, expected, value)
        return value

    def flag(self, key: str) -> bool:
        value = self._config.get(key)
        if value not in (None, "true", "false", True, False):
            self.problem(key, "true or false", value)
        return value in ("true", True)

    def number(self, key: str, default: float, low: float, high: float, *, whole: bool = True) -> Any:
        value = self._config.get(key)
        if value is None:
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high or (whole and number != int(number)):
            self.problem(key, f"a {'whole ' if whole else ''}number from {low:g} to {high:g}", value)
            return default
        return int(number) if whole else number

    def structure(self, key: str, kind: type, expected: str) -> Any:
        try:
            value = self._config.get_object(key)
        except (ValueError, TypeError):
            value = self._config.get(key)
        if value is not None and not isinstance(value, kind):
            self.problem(key, expected, value)
            return None
        return value


def parse(config: _Config, folder: Path) -> Settings:
    """Settings from a reader of keys."""
    entities_file = config.text("entitiesFile", "entities.toml", bool, "a path from the program's folder")
    entities = _entities(config, folder, entities_file)
    numbers = _numbers(config)
    settings = {
        "entities_file": entities_file,
        "parts": _parts(config),
        "production": config.flag("production"),
        "api_auth": config.text("apiAuth", "AWS_IAM", API_AUTH.__contains__, "AWS_IAM or NONE"),
        "table_prefix": config.text(
            "tablePrefix", "", lambda v: bool(TABLE_PREFIX.fullmatch(v)), "letters, digits, '_', '.' and '-'"
        ),
        "engine_version": config.text(
            "engineVersion",
            ENGINE_VERSION,
            lambda v: bool(VERSION.fullmatch(v)),
            f"a version like {ENGINE_VERSION}",
        ),
        "powertools_layer_arn": config.text(
            "powertoolsLayerArn",
            POWERTOOLS_LAYER,
            lambda v: bool(LAYER.fullmatch(v)),
            "a layer version's ARN, or nothing",
        ),
        "tags": _tags(config),
        **numbers,
    }
    if numbers["min_capacity"] > numbers["max_capacity"]:
        config.problem(
            "minCapacity", f"at most maxCapacity, {settings['max_capacity']:g}", settings["min_capacity"]
        )
    if config.problems or entities is None:
        raise SettingsError("\n".join(config.problems))
    return Settings(entities=entities, **cast("Any", settings))


def _numbers(config: _Config) -> dict[str, Any]:
    return {
        "min_capacity": config.number("minCapacity", 0, 0, 256, whole=False),
        "max_capacity": config.number("maxCapacity", 16, 1, 256, whole=False),
        "auto_pause_seconds": config.number("autoPauseSeconds", 300, 300, 86_400),
        "log_retention_days": _retention(config),
        "bridge_batch_size": config.number("bridgeBatchSize", 1000, 1, 10_000),
        "bridge_window_seconds": config.number("bridgeWindowSeconds", 1, 0, 300),
        "bridge_parallelization": config.number("bridgeParallelization", 10, 1, 10),
        "bridge_max_record_age_seconds": config.number(
            # Well under the stream's own limit, so that a record reaches the failure bucket before it is forgotten.
            "bridgeMaxRecordAgeSeconds",
            12 * 3600,
            60,
            STREAM_SECONDS * 3 // 4,
        ),
    }


def _retention(config: _Config) -> int:
    days = config.number("logRetentionDays", 30, 1, RETENTION_DAYS[-1])
    if days not in RETENTION_DAYS:
        config.problem("logRetentionDays", f"one of {', '.join(map(str, RETENTION_DAYS))}", days)
    return days


def _parts(config: _Config) -> frozenset[str]:
    expected = "[legacy], [legacy, modern] or [legacy, modern, bridge]"
    value = config.structure("parts", list, expected)
    if value is None:
        return frozenset(PARTS)
    if sorted(map(str, value)) not in [sorted(PARTS[:count]) for count in (1, 2, 3)]:
        config.problem("parts", expected, value)
    return frozenset(map(str, value))


def _tags(config: _Config) -> dict[str, str]:
    value = cast("dict[str, Any]", config.structure("tags", dict, "names and values") or {})
    return {str(name): str(each) for name, each in value.items()}


def _entities(config: _Config, folder: Path, name: str) -> mapping.Entities | None:
    try:
        return mapping.load(folder / name)
    except mapping.EntitiesError as error:
        config.problems += [f"{name}: {problem}" for problem in error.problems]
        return None
