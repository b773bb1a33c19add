"""What RDS makes inside a database: master user and first database, and the variables of its parameter group.

On AWS a new cluster or instance has them before a client can connect, and a changed password or parameter holds soon
after the call. MiniStack has no server to make them on. Here they are made when the call that asks for them has been
answered, on the sandbox's database, which every cluster and instance is. This file can go when MiniStack takes an
external server.
"""

# pyright: basic
# MiniStack and PyMySQL's inner parts have no types that a strict check could use.
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pymysql
from ministack.services import rds as service

from sandbox.emulator.behaviour import master_user
from sandbox.emulator.behaviour.connections import Connections, Login
from sandbox.emulator.behaviour.parameter_group import ServerVariables, of_cluster, of_instance
from sandbox.emulator.patching import check_version, wrap

ROOT = Login("root", "", "")
rds = cast("Any", service)


@dataclass(frozen=True)
class Wanted:
    """A cluster's or instance's master user and first database."""

    arn: str
    user: str
    password: str = field(repr=False)
    database: str

    @classmethod
    def of_cluster(cls, found: dict[str, Any]) -> "Wanted":
        password = found.get("_MasterUserPassword", "password")
        return cls(found["DBClusterArn"], found["MasterUsername"], password, found.get("DatabaseName") or "")

    @classmethod
    def of_instance(cls, found: dict[str, Any]) -> "Wanted":
        return cls(found["DBInstanceArn"], found["MasterUsername"], found["_MasterUserPassword"], found["DBName"])


class PreparedDatabases:
    """Makes on the server what the clusters and instances of an account have.

    Two of them that name the same master user have one user here, with the password of the one that was asked for last.

    Args:
        connections: to the server.
        variables: that server's.
    """

    def __init__(self, connections: Connections, variables: ServerVariables) -> None:
        self._connections = connections
        self._variables = variables
        self._made: dict[str, Wanted] = {}  # by ARN
        self._passwords: dict[str, str] = {}  # by user
        self._lock = threading.Lock()

    def prepare(self, cluster: dict[str, Any]) -> None:
        """Make what is missing for this cluster, and what its parameter group and those of others say.

        Raises:
            pymysql.err.MySQLError: the server is down.
        """
        wanted = Wanted.of_cluster(cluster)
        if self._made.get(wanted.arn) != wanted or self._passwords[wanted.user] != wanted.password:
            self._make([wanted])
        self._set_variables()

    def prepare_all(self) -> None:
        """The same for each cluster and instance that has changed. What a server that is down lacks is made later."""
        try:
            if changed := [wanted for wanted in _all_wanted() if self._made.get(wanted.arn) != wanted]:
                self._make(changed)
            self._set_variables()
        except pymysql.err.MySQLError as error:
            logging.getLogger(__name__).warning("made at the next call of RDS or the Data API: %s", error)

    def _make(self, changed: list[Wanted]) -> None:
        with self._lock, self._connections.use(ROOT) as connection, connection.cursor() as cursor:
            for wanted in changed:
                if wanted.database:
                    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{wanted.database}`")
                master_user.make(cursor, wanted.user, wanted.password)
                self._made[wanted.arn], self._passwords[wanted.user] = wanted, wanted.password

    def _set_variables(self) -> None:
        chosen = {name: value for one in _all_parameters() for name, value in one.items()}
        if self._variables.chosen == chosen:
            return
        with self._lock, self._connections.use(ROOT) as connection, connection.cursor() as cursor:
            self._variables.set(cursor, chosen)


def _instances() -> list[dict[str, Any]]:
    """Those of RDS for MySQL; an instance of a cluster has what the cluster has."""
    return [each for each in rds._instances.values() if each["Engine"] == "mysql" and not each["DBClusterIdentifier"]]


def _all_wanted() -> Iterator[Wanted]:
    yield from map(Wanted.of_cluster, rds._clusters.values())
    yield from map(Wanted.of_instance, _instances())


def _all_parameters() -> Iterator[dict[str, str]]:
    yield from map(of_instance, _instances())
    yield from map(of_cluster, rds._clusters.values())


def install(connections: Connections, folder: Path) -> PreparedDatabases:
    """Prepare after each call of RDS, before it is answered.

    Args:
        connections: to the server.
        folder: the server's.
    """
    check_version("behaviour/prepared_databases")
    prepared = PreparedDatabases(connections, ServerVariables(folder))

    def handling(stock: Any) -> Any:
        def handle(*request: Any) -> Any:
            answer = stock(*request)
            prepared.prepare_all()
            return answer

        return handle

    wrap(rds, "_handle_request_sync", handling)
    wrap(rds, "_rotate_instance_password", lambda _: lambda *_: None)  # the new one is made as any other
    return prepared
