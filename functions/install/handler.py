"""Prepares the legacy databases: for the bridge its columns, tables and user, for copy and fence the triggers.

The runbook invokes it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from functions.aws import environment
from functions.aws.data_api import DataApi
from functions.bridge import stream_guard
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import mysql_user, online_ddl, schema_check, tables, triggers, uninstall

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


class UnknownActionError(Exception):
    """The event names no action of this function, or no entity."""


class MappingMismatchError(Exception):
    """The tables are not as entities.toml says."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers what was done, per entity; a failure is raised and reaches the invoker whole.

    The event is one of:
        `{"action": "install", "streams": {entity: ARN of the stream that the bridge follows}, "without": [entity]}`,
        `{"action": "capture", "entity": name}` adds the triggers of copy and fence,
        `{"action": "release", "entity": name}` drops them,
        `{"action": "remove", "entity": name}` leaves no trace of the entity.
    """
    action = event.get("action")
    if action == "install":
        without = event.get("without") or ()
        return {"installed": install(environment.database(), event.get("streams") or {}, without)}
    if action == "capture":
        return {"captured": triggers.install(environment.database(), _entity(event))}
    if action == "release":
        return {"released": triggers.remove(environment.database(), _entity(event))}
    if action == "remove":
        return {"removed": uninstall.remove(environment.database(), _entity(event))}
    raise UnknownActionError(f"action: expected 'install', 'capture', 'release' or 'remove', got {action!r}")


def _entity(event: Mapping[str, Any]) -> Entity:
    entities, name = environment.mapping(), str(event.get("entity"))
    if name not in entities:
        raise UnknownActionError(f"entity: expected one of {', '.join(entities)}, got {name!r}")
    return entities[name]


def install(server: DataApi, followed: Mapping[str, str], without: Collection[str] = ()) -> dict[str, Any]:
    """Check every mapping, then change the databases, then make the user; leaves alone what is complete.

    Raises:
        MappingMismatchError: with every difference between entities.toml and the tables; nothing was changed.
    """
    entities = {name: entity for name, entity in environment.mapping().items() if name not in without}
    problems = [problem for entity in entities.values() for problem in schema_check.problems(server, entity)]
    if problems:
        raise MappingMismatchError("; ".join(problems))
    deadline = time.monotonic() + online_ddl.TIMEOUT_SECONDS  # of all of them together
    for entity in entities.values():
        tables.prepare(server, entity, deadline)
        if followed.get(entity.name):
            stream_guard.confirm(server, entity, followed[entity.name])
    if not entities:
        return {}
    secrets = mysql_user.Secret(boto3.Session().client("secretsmanager"), environment.variable("BRIDGE_SECRET_ARN"))
    mysql_user.ensure(server, secrets, [statement for e in entities.values() for statement in tables.grants(e)])
    logger.info("installed", entities=list(entities))
    return {name: {"user": names.BRIDGE_USER, "columns": list(tables.COLUMNS)} for name in entities}
