"""The shop's database and its rows, made by boto3 and SQL. Which kind of RDS it is can be chosen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pymysql

from sandbox.engine.aws import ZONES, Aws

SCHEMA = Path(__file__).parent / "shop" / "schema.sql"
NETWORK, SUBNETS = "10.20.0.0/24", ("10.20.0.0/26", "10.20.0.64/26")
PORT = 3306
NAME, ADMIN = "shop", "shop_admin"  # of the cluster or instance, its subnet group and its parameter group
AURORA = {"Engine": "aurora-mysql", "EngineVersion": "8.0.mysql_aurora.3.10.3"}
MYSQL = {"Engine": "mysql", "EngineVersion": "8.0.42", "AllocatedStorage": 20, "BackupRetentionPeriod": 7}
TRUST = {"ParameterName": "log_bin_trust_function_creators", "ParameterValue": "1", "ApplyMethod": "immediate"}
DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
PLACES = "abcdef"  # of a number with so many digits
# Rows of years ago: every fourth has no note, and each customer has ten orders.
ROWS = f"""
INSERT INTO shop.orders (order_id, customer_id, status, total_cents, reference, note, placed_at)
SELECT CONCAT('A-', LPAD(n, 8, '0')), CONCAT('customer-', n DIV 10), ELT(n % 3 + 1, 'open', 'paid', 'shipped'),
  100 + n % 5000, CONCAT('PO ', n), IF(n % 4 = 0, NULL, CONCAT('before-', n)),
  '2019-01-01 08:00:00' + INTERVAL n MINUTE
FROM (
  SELECT {" + ".join(f"{place}.d * {10**power}" for power, place in enumerate(PLACES))} AS n
  FROM {" JOIN ".join(f"({DIGITS}) {place}" for place in PLACES)}
) numbers
WHERE n < """  # noqa: S608  # constants
MOST_ROWS = 10 ** len(PLACES)


class Rds(StrEnum):
    """Which kind of RDS has the shop's rows: an Aurora cluster, or RDS for MySQL. Only the first has the Data API."""

    SERVERLESS = "serverless"
    PROVISIONED = "provisioned"
    INSTANCE = "instance"

    @property
    def has_data_api(self) -> bool:
        return self is Rds.SERVERLESS


@dataclass(frozen=True, kw_only=True)
class ShopDatabase:
    """How it is reached; subnets and group are of its VPC, for what connects to it.

    Args:
        authority: the file of the authority that signed the server's certificate.
    """

    rds: Rds
    arn: str
    secret_arn: str
    host: str
    port: int
    subnet_ids: tuple[str, ...]
    client_group_id: str
    authority: str

    def ask(self, account: Aws, sql: str) -> str:
        """Run a statement as the master user; the last cell of the first row, or nothing."""
        return self._by_data_api(account, sql) if self.rds.has_data_api else self._by_connection(account, sql)

    def _by_data_api(self, account: Aws, sql: str) -> str:
        place = {"resourceArn": self.arn, "secretArn": self.secret_arn}
        rows = account.client("rds-data").execute_statement(**place, sql=sql)["records"]
        return str(rows[0][-1]["stringValue"]) if rows else ""

    def _by_connection(self, account: Aws, sql: str) -> str:
        found = account.client("secretsmanager").get_secret_value(SecretId=self.secret_arn)
        login = json.loads(found["SecretString"])
        with (
            pymysql.connect(
                host=self.host,
                port=self.port,
                user=login["username"],
                password=login["password"],
                charset="utf8mb4",
                autocommit=True,
                ssl_ca=self.authority,
                ssl_verify_cert=True,
                ssl_verify_identity=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            row = cursor.fetchone()
            return str(row[-1]) if row else ""


def make_database(account: Aws, rds: Rds, authority: Path) -> ShopDatabase:
    """A server of this kind, in a VPC of its own, whose password RDS keeps in a secret."""
    client = account.client("rds")
    subnets, group, clients = _network(account.client("ec2"))
    client.create_db_subnet_group(DBSubnetGroupName=NAME, DBSubnetGroupDescription="shop", SubnetIds=subnets)
    place = {
        "MasterUsername": ADMIN,
        "ManageMasterUserPassword": True,
        "DBSubnetGroupName": NAME,
        "VpcSecurityGroupIds": [group],
    }
    made = _instance(client, place) if rds is Rds.INSTANCE else _cluster(client, rds, place)
    return ShopDatabase(
        rds=rds,
        arn=made.get("DBClusterArn") or made["DBInstanceArn"],
        secret_arn=made["MasterUserSecret"]["SecretArn"],
        host=made["Endpoint"] if "DBClusterArn" in made else made["Endpoint"]["Address"],
        port=made["Port"] if "DBClusterArn" in made else made["Endpoint"]["Port"],
        subnet_ids=tuple(subnets),
        client_group_id=clients,
        authority=str(authority),
    )


def _cluster(client: Any, rds: Rds, place: dict[str, Any]) -> dict[str, Any]:
    """An Aurora cluster: Serverless v2 with the Data API, or provisioned without it."""
    group = {"DBClusterParameterGroupName": NAME}
    client.create_db_cluster_parameter_group(**group, DBParameterGroupFamily="aurora-mysql8.0", Description="shop")
    client.modify_db_cluster_parameter_group(**group, Parameters=[TRUST])
    scaling = {"ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 8}, "EnableHttpEndpoint": True}
    serverless = rds is Rds.SERVERLESS
    made = client.create_db_cluster(
        DBClusterIdentifier=NAME, **AURORA, **group, **place, **(scaling if serverless else {})
    )["DBCluster"]
    client.create_db_instance(
        DBInstanceIdentifier=f"{NAME}-1",
        DBClusterIdentifier=NAME,
        DBInstanceClass="db.serverless" if serverless else "db.r6g.large",
        Engine=AURORA["Engine"],
    )
    return made


def _instance(client: Any, place: dict[str, Any]) -> dict[str, Any]:
    """An instance of RDS for MySQL."""
    group = {"DBParameterGroupName": NAME}
    client.create_db_parameter_group(**group, DBParameterGroupFamily="mysql8.0", Description="shop")
    client.modify_db_parameter_group(**group, Parameters=[TRUST])
    return client.create_db_instance(
        DBInstanceIdentifier=NAME, DBInstanceClass="db.m6g.large", **MYSQL, **group, **place
    )["DBInstance"]


def _network(ec2: Any) -> tuple[list[str], str, str]:
    """The subnets, the database's security group, and the one of those who may connect to it."""
    vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for block, zone in zip(SUBNETS, ZONES, strict=False)
    ]
    database, clients = (
        ec2.create_security_group(VpcId=vpc, GroupName=f"shop-{name}", Description=f"shop {name}")["GroupId"]
        for name in ("database", "clients")
    )
    ec2.authorize_security_group_ingress(
        GroupId=database,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": PORT, "ToPort": PORT, "UserIdGroupPairs": [{"GroupId": clients}]}
        ],
    )
    return subnets, database, clients


def fill(account: Aws, database: ShopDatabase, rows: int) -> None:
    """Make the schema and its tables, and so many rows, MOST_ROWS at most."""
    for statement in SCHEMA.read_text(encoding="utf-8").split(";"):
        if statement.strip():
            database.ask(account, statement)
    database.ask(account, f"{ROWS}{rows:d}")
