"""A cluster's and an instance's parameter group, which sets variables of its server.

On AWS a dynamic parameter holds for all sessions that begin afterwards, a static one from the next start of the server.
MiniStack only stores parameters. Here they are set after the call that changes them (prepared_databases.py), and the
server starts with them (sandbox/database). This file can go when MiniStack takes an external server and sets its
variables.
"""

# pyright: basic
# MiniStack and PyMySQL's inner parts have no types that a strict check could use.
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pymysql
from ministack.services import rds as service

UNKNOWN, STATIC = 1193, 1238  # MySQL's errors for a variable that it does not have, or reads at its start only
rds = cast("Any", service)


def of_cluster(cluster: Mapping[str, Any]) -> dict[str, str]:
    """What the cluster's group sets, by the variables' names."""
    return _values(rds._db_cluster_param_groups.get(cluster.get("DBClusterParameterGroup")))


def of_instance(instance: Mapping[str, Any]) -> dict[str, str]:
    """What the instance's group sets, by the variables' names."""
    return _values(rds._param_groups.get(instance["DBParameterGroups"][0]["DBParameterGroupName"]))


def _values(group: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: found["ParameterValue"] for name, found in (group or {}).get("Parameters", {}).items()}


class ServerVariables:
    """The variables that parameter groups have set.

    Args:
        folder: the server's, which reads `parameters.json` when it starts.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "parameters.json"
        self._set: dict[str, str] = {}
        self._defaults: dict[str, Any] = {}

    @property
    def chosen(self) -> Mapping[str, str]:
        """What was set last."""
        return self._set

    def set(self, cursor: Any, chosen: Mapping[str, str]) -> None:
        """Set each variable that has changed, as root; one that is no longer chosen gets its default back."""
        for name in self._set.keys() - chosen.keys():
            if name in self._defaults:
                self._assign(cursor, name, self._defaults.pop(name))
        for name, value in chosen.items():
            if self._set.get(name) != value:
                self._assign(cursor, name, int(value) if value.isdigit() else value)
        self._set = dict(chosen)
        self._file.write_text(json.dumps(self._set), encoding="utf-8")

    def _assign(self, cursor: Any, name: str, value: Any) -> None:
        try:
            cursor.execute(f"SELECT @@GLOBAL.`{name}`")
            (before,) = cursor.fetchone()
            cursor.execute(f"SET GLOBAL `{name}` = %s", (value,))
        except pymysql.err.MySQLError as error:
            if error.args[0] not in {UNKNOWN, STATIC}:
                raise
            logging.getLogger(__name__).warning("parameter %s has no effect now: %s", name, error.args[1])
        else:
            self._defaults.setdefault(name, before)
