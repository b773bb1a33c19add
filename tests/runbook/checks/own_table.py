"""A legacy table of a test's own beside the sandbox's modern side, so that each check can be made red for real."""

from __future__ import annotations

import itertools
import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from functions.bridge import stream_guard
from functions.domain import names
from functions.install import tables
from runbook.aws import outputs as targets
from runbook.aws.clients import Clients
from runbook.checks import plans
from runbook.checks.check import Check
from runbook.checks.plans import CheckScope
from runbook.stack import Context
from sandbox.lifecycle import Sandbox

if TYPE_CHECKING:
    from pymysql import Connection

ENTITY = "chefs"
KEY = "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY"
NAMES = "cheffirst VARCHAR(255), cheflast VARCHAR(255)"
TABLE = f"CREATE TABLE chefs ({KEY}, {NAMES})"
NUMBERS = itertools.count(1)


class OwnTable:
    """Databases, users and secrets for one test; `tidy` removes them.

    Args:
        sandbox: the shared one.
        database: a connection as its root.
        clients: the operator's, shared since making them takes longer than a test.
    """

    def __init__(self, sandbox: Sandbox, database: Connection, clients: Clients) -> None:
        self.sandbox = sandbox
        self._clients = clients
        self._connection = database
        self._undo: list[str] = []

    def sql(self, *statements: str) -> None:
        """Run statements as root, with the own database in use where there is one."""
        with self._connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def raw(self, table: str = TABLE, *, prepared: bool = True, **changes: Any) -> dict[str, Any]:
        """Make the table in a new database; the stack's outputs, in which chefs is this table.

        Args:
            table: its DDL; it is called chefs.
            prepared: whether `runbook init` has seen it.
            changes: of the entity's mapping: `key_type`, `fields`.
        """
        name = f"preflight_{next(NUMBERS)}"
        self._undo += [f"DROP DATABASE {name}", f"REVOKE ALL ON {name}.* FROM {names.BRIDGE_USER}@'%'"]
        self.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4", f"USE {name}", table)
        self.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.* TO {names.BRIDGE_USER}@'%'")
        raw = json.loads(json.dumps(self.sandbox.outputs))
        mapped = raw["mapping"][ENTITY]
        mapped["legacy"] |= {"database": name, "table": "chefs", "key_type": changes.get("key_type", "integer")}
        mapped["fields"] |= changes.get("fields", {})
        if prepared:
            self._prepare(self._of(raw))
        return raw

    @staticmethod
    def _prepare(context: Context) -> None:
        entity, server = context.target.mapping[ENTITY], context.aurora.database()
        tables.prepare(server, entity, block_writers=True)  # a table that no check is about may have any engine
        stream_guard.confirm(server, entity, context.target.entities[ENTITY].stream_arn)

    def context(self, table: str = TABLE, **more: Any) -> Context:
        """The same as a context."""
        return self._of(self.raw(table, **more))

    def _of(self, raw: dict[str, Any]) -> Context:
        return Context(targets.parse(raw, "a test"), self._clients)

    def user(self, context: Context, grants: str = "ALL PRIVILEGES ON *.*", option: str = "WITH GRANT OPTION"):
        """The context with a new master user, whose sessions begin after the server's present settings."""
        name = f"preflight_{next(NUMBERS)}"
        self._undo.append(f"DROP USER {name}@'%'")
        self.sql(f"CREATE USER {name}@'%' IDENTIFIED BY 'secret'", f"GRANT {grants} TO {name}@'%' {option}")
        secret = self.sandbox.client("secretsmanager").create_secret(
            Name=f"{name}-{uuid.uuid4().hex[:6]}", SecretString=json.dumps({"username": name, "password": "secret"})
        )
        return aimed(context, master_secret_arn=secret["ARN"])

    def tidy(self) -> None:
        """Remove databases and users."""
        self.sql(*reversed(self._undo))


def aimed(context: Context, **changes: Any) -> Context:
    """The context of a target that differs."""
    return Context(replace(context.target, **changes), context.clients)


def entity_aimed(context: Context, **changes: Any) -> Context:
    """The context of a target whose chefs is deployed differently."""
    chefs = replace(context.target.entities[ENTITY], **changes)
    return aimed(context, entities={**context.target.entities, ENTITY: chefs})


def looked(context: Context, *, quick: bool = False) -> dict[str, Check]:
    """The checks of chefs by name."""
    return {
        each.name: each
        for each in plans.checks(context, context.target.entities[ENTITY], CheckScope.PREFLIGHT, quick=quick)
    }


def red(found: dict[str, Check]) -> list[str]:
    """The names of the checks that do not hold."""
    return [name for name, check in found.items() if not check.ok]
