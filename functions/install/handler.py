"""Prepares the legacy databases: for the bridge its columns, tables and user, for copy and fence the triggers.

The runbook invokes it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from functions.aws import environment
from functions.aws.data_api import DataApi
from functions.bridge import stream_guard
from functions.bridge.stream_guard import Adoption
from functions.domain import names
from functions.domain.entities import Entity
from functions.install import control_row, mysql_user, online_ddl, schema_check, tables, tokens, triggers, uninstall

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
STRETCHES = 200  # of rows whose sequence numbers one call clears; it takes some seconds


class UnknownActionError(Exception):
    """The event names no action of this function, or no entity."""


class MappingMismatchError(Exception):
    """The tables are not as entities.toml says."""


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answers what was done, per entity; a failure is raised and reaches the invoker whole.

    The event is one of:
        `{"action": "install", "streams": {entity: ARN of the stream that the bridge follows}, "without": [entity],
            "block_writers": whether writers may be blocked}` notes the stream where Aurora knows none yet,
        `{"action": "adopt", "entity": name, "stream": ARN, "token": number, "progress": of the call before}`
            makes a new stream the known one, in several calls where the table is large,
        `{"action": "capture", "entity": name, "token": number}` adds the triggers of copy and fence, and connects the
            bridge,
        `{"action": "release", "entity": name, "token": number}` drops them, and disconnects the bridge,
        `{"action": "remove", "entity": name, "block_writers": likewise}` leaves no trace of the entity.

    `token` is the operator's fencing token; a call is refused when a higher one has acted.
    """
    action = event.get("action")
    if action == "install":
        without = event.get("without") or ()
        block = bool(event.get("block_writers"))
        return {"installed": install(environment.database(), event.get("streams") or {}, without, block_writers=block)}
    if action == "adopt":
        return _adopt(event)
    if action == "capture":
        return {"captured": _capture(environment.database(), _entity(event), _token(event))}
    if action == "release":
        return {"released": _release(environment.database(), _entity(event), _token(event))}
    if action == "remove":
        block = bool(event.get("block_writers"))
        return {"removed": uninstall.remove(environment.database(), _entity(event), block_writers=block)}
    raise UnknownActionError(f"action: expected 'install', 'adopt', 'capture', 'release' or 'remove', got {action!r}")


def _adopt(event: Mapping[str, Any]) -> dict[str, Any]:
    entity = _entity(event)
    adoption = Adoption(
        entity=entity,
        database=environment.database_as_bridge(entity.legacy.database),
        server=environment.database(),
        stream_arn=str(event["stream"]),
        token=_token(event),
    )
    progress = adoption.run(event.get("progress"), STRETCHES)
    return {"adopted": progress is None, "progress": progress}


def _capture(server: DataApi, entity: Entity, token: int) -> list[str]:
    made = triggers.install(server, entity, token)
    control_row.connect(server, entity, token)  # only now: until then legacy's writes would carry no epoch
    return made


def _release(server: DataApi, entity: Entity, token: int) -> list[str]:
    control_row.disconnect(server, entity, token)  # before the triggers go, for the same reason
    return triggers.remove(server, entity, token)


def _entity(event: Mapping[str, Any]) -> Entity:
    entities, name = environment.mapping(), str(event.get("entity"))
    if name not in entities:
        raise UnknownActionError(f"entity: expected one of {', '.join(entities)}, got {name!r}")
    return entities[name]


def _token(event: Mapping[str, Any]) -> int:
    return int(event.get("token", tokens.NO_TOKEN))


def _make_user(server: DataApi, grants: Sequence[str]) -> None:
    """Make the bridge's user. Behind a proxy it has a password also if it signs in with a token: the proxy uses it."""
    if environment.signs_in_by_token() and not names.PROXY.search(environment.variable("DATABASE_HOST")):
        for statement in mysql_user.by_token(grants):
            server.execute(statement)
        return
    secrets = mysql_user.Secret(boto3.Session().client("secretsmanager"), environment.variable("BRIDGE_SECRET_ARN"))
    mysql_user.ensure(server, secrets, grants)


def install(
    server: DataApi, followed: Mapping[str, str], without: Collection[str] = (), *, block_writers: bool = False
) -> dict[str, Any]:
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
        tables.prepare(server, entity, deadline, block_writers=block_writers)
        control_row.connect(server, entity)
        if followed.get(entity.name):
            stream_guard.confirm(server, entity, followed[entity.name])
    if not entities:
        return {}
    _make_user(server, [statement for entity in entities.values() for statement in tables.grants(entity)])
    logger.info("installed", entities=list(entities))
    return {name: {"user": names.BRIDGE_USER, "columns": list(tables.COLUMNS)} for name in entities}
