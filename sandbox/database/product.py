"""Which database product stands in Aurora's place in a sandbox."""

from enum import StrEnum
from typing import Final

from sandbox.database.database_server import DatabaseServer
from sandbox.database.mariadb import MariaDB
from sandbox.database.mysql import MySQL
from sandbox.state import Folder, of_environment, read_json

VARIABLE = "STREAMBACK_DATABASE"  # names the product of a new sandbox


class Product(StrEnum):
    MARIADB = "mariadb"
    MYSQL = "mysql"

    @property
    def label(self) -> str:
        return SERVERS[self].title


SERVERS: Final[dict[Product, type[DatabaseServer]]] = {Product.MARIADB: MariaDB, Product.MYSQL: MySQL}


def default() -> Product:
    """The product of a sandbox for which none is chosen.

    Raises:
        SandboxError: the environment names another.
    """
    return of_environment(VARIABLE, Product.MARIADB)


def kept(folder: Folder) -> Product | None:
    """The product that the sandbox was brought up with; None where there is none."""
    name = read_json(folder.settings).get("database")
    return Product(name) if name else None


def server(folder: Folder) -> DatabaseServer:
    """The sandbox's database server."""
    return SERVERS[kept(folder) or Product.MARIADB](folder.database, folder.cache)
