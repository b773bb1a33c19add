"""Makes the whole shop in an emulated account, and says how a stack adopts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox.brownfield import api, database, functions
from sandbox.brownfield.database import Rds, ShopDatabase
from sandbox.engine.aws import Aws

ENTITIES = Path(__file__).with_name("entities.toml")
ENTITY, TABLE = "orders", "shop-orders-v3"
MODULES = ("orders_read", "orders_write", "orders_read_v3", "orders_write_v3")  # of its functions
ROLES = ("legacyReads", "legacyWrites", "modernReads", "modernWrites")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What was made, by the names that a stack adopts it under."""

    database: ShopDatabase
    api_id: str

    def adoption(self) -> dict[str, Any]:
        """The setting `adopt` of a stack that migrates the shop's orders."""
        transport = {} if self.database.rds.has_data_api else {"transport": "mysql"}
        return {
            "cluster": {
                "arn": self.database.arn,
                "secretArn": self.database.secret_arn,
                "subnetIds": list(self.database.subnet_ids),
                "securityGroupId": self.database.client_group_id,
                **transport,
            },
            "api": {"id": self.api_id, "stage": api.STAGE},
            "entities": {
                ENTITY: {"table": TABLE, **dict(zip(ROLES, map(functions.function_name, MODULES), strict=True))}
            },
        }

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Shop:
        given: dict[str, Any] = {**document["database"]}
        given |= {"rds": Rds(given["rds"]), "subnet_ids": tuple(given["subnet_ids"])}
        made = ShopDatabase(**given)
        return cls(database=made, api_id=document["api_id"])


def make(account: Aws, rows: int, *, rds: Rds, authority: Path, javascript: bool = False) -> Shop:
    """Everything, with so many rows in a database of this kind, and the legacy writer in JavaScript or in Python.

    Args:
        authority: the file of the authority that signs the certificate of the sandbox's database.
    """
    made = database.make_database(account, rds, authority)
    database.fill(account, made, rows)
    functions.make_legacy(account, made, javascript=javascript)
    _make_table(account)
    functions.make_modern(account, TABLE)
    functions.wait_until_active(account, MODULES)
    return Shop(database=made, api_id=api.make_api(account))


def limit_functions(account: Aws, seconds: int) -> None:
    """Give its functions so many seconds for a request."""
    for module in MODULES:
        account.client("lambda").update_function_configuration(
            FunctionName=functions.function_name(module), Timeout=seconds
        )
    functions.wait_until_active(account, MODULES)


def _make_table(account: Aws) -> None:
    """The successor's table: no stream, an index by customer, and a time to live that no order has yet."""
    dynamodb = account.client("dynamodb")
    texts = ("pk", "customer_id", "placed_at")
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in texts],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_customer",
                "KeySchema": [
                    {"AttributeName": "customer_id", "KeyType": "HASH"},
                    {"AttributeName": "placed_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    dynamodb.update_time_to_live(
        TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
