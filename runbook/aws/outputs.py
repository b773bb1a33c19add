"""The outputs of a deployed stack as typed values: the target of a command and its entities."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from functions.domain import entities as mapping
from functions.domain import names
from runbook.errors import UsageError

REQUIRED = ("stack", "region", "parts", "apiUrl", "apiId", "stageName", "apiAuth", "mapping", "journalTable")


@dataclass(frozen=True, kw_only=True)
class EntityTarget:
    """The deployed resources of one entity; those of a part that is not deployed are empty."""

    name: str
    modern_table: str = ""
    stream_arn: str = ""
    read_function: str = ""
    write_function: str = ""
    bridge_function: str = ""
    bridge_mapping_id: str = ""
    legacy_read_function: str = ""
    legacy_write_function: str = ""
    legacy_write_timeout: str = ""  # seconds, of an adopted one
    copy_schedules: tuple[str, ...] = ()
    table_adopted: bool = False

    @property
    def reads_variable(self) -> str:
        """The stage variable that names the function behind this entity's public reads."""
        return names.reads_variable(self.name)

    @property
    def writes_variable(self) -> str:
        """The stage variable that names the function behind this entity's public writes."""
        return names.writes_variable(self.name)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A deployed stack, as its outputs describe it."""

    stack: str
    region: str
    production: bool
    parts: frozenset[str]
    api_url: str
    api_id: str
    stage_name: str
    api_auth: str
    journal_table: str
    mapping: mapping.Entities
    entities: Mapping[str, EntityTarget]
    api_adopted: bool = False
    cluster_arn: str = ""
    master_secret_arn: str = ""
    legacy_init_function: str = ""
    quarantine_table: str = ""
    bridge_secret_arn: str = ""
    bridge_install_function: str = ""
    session_function: str = ""
    transport: str = ""  # empty for the Data API
    statement_function: str = ""
    copy_function: str = ""
    range_machine_arn: str = ""
    gate_function: str = ""
    failure_bucket: str = ""
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)

    def entity(self, name: str | None) -> EntityTarget:
        """The entity called `name`; without a name, the only one there is.

        Raises:
            UsageError: when the name is unknown, or missing where there are several.
        """
        known = ", ".join(self.entities)
        if name is None and len(self.entities) == 1:
            return next(iter(self.entities.values()))
        if name is None:
            raise UsageError(f"this stack has several entities: {known}", "Say which one with --entity NAME.")
        if name not in self.entities:
            raise UsageError(f"--entity {name}: this stack has no such entity", f"It has: {known}.")
        return self.entities[name]

    def chosen(self, name: str | None) -> list[EntityTarget]:
        """The entity called `name`, or all of them without a name."""
        return [self.entity(name)] if name else list(self.entities.values())

    def several(self, given: list[str] | None) -> list[EntityTarget]:
        """The entities of these names, each once; all of them without a name."""
        return [self.entity(name) for name in dict.fromkeys(given or self.entities)]


def parse(raw: Mapping[str, Any], source: str) -> Target:
    """The target that a stack's outputs describe; `source` names them in errors."""
    missing = [key for key in REQUIRED if raw.get(key) in (None, "")]
    if missing:
        raise UsageError(
            f"{source}: these stack outputs are missing: {', '.join(missing)}",
            "Run `pulumi up` (or `sandbox up`) with this version of the program first.",
        )
    try:
        entities = mapping.parse(raw["mapping"])
    except mapping.EntitiesError as error:
        raise UsageError(f"{source}: its mapping is not valid: {error}", "Correct entities.toml, deploy.") from error
    deployed = cast("Mapping[str, Mapping[str, Any]]", raw.get("entities") or {})
    return _target(
        raw, entities, {name: _entity(name, {**_shared(raw), **deployed.get(name, {})}) for name in entities}
    )


def _shared(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The legacy functions that serve all entities; an entity has its own where they are adopted."""
    return {name: raw[name] for name in ("legacyReadFunction", "legacyWriteFunction") if raw.get(name)}


def _target(raw: Mapping[str, Any], entities: mapping.Entities, deployed: Mapping[str, EntityTarget]) -> Target:
    values = _texts(Target, raw)
    values |= {
        "production": bool(raw.get("production")),
        "api_adopted": bool(raw.get("apiAdopted")),
        "parts": frozenset(raw["parts"]),
        "api_url": values["api_url"].rstrip("/"),
        "mapping": entities,
        "entities": deployed,
    }
    values |= {name: values[name] or None for name in ("endpoint_url", "access_key_id", "secret_access_key")}
    return Target(**values)


def _entity(name: str, raw: Mapping[str, Any]) -> EntityTarget:
    values = _texts(EntityTarget, raw)
    values |= {"name": name, "copy_schedules": tuple(raw.get("copySchedules") or ())}
    values["table_adopted"] = bool(raw.get("tableAdopted"))
    return EntityTarget(**values)


def _texts(kind: type[Target | EntityTarget], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Each field's output as text: that of `api_url` is `apiUrl`; empty where there is none."""
    found: dict[str, Any] = {}
    for each in fields(kind):
        first, *rest = each.name.split("_")
        found[each.name] = str(raw.get(first + "".join(word.capitalize() for word in rest)) or "")
    return found
