"""The shop's Aurora cluster and its rows, made by boto3 and SQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.engine.aws import ZONES, Aws

SCHEMA = Path(__file__).parent / "shop" / "schema.sql"
NETWORK, SUBNETS = "10.20.0.0/24", ("10.20.0.0/26", "10.20.0.64/26")
PORT = 3306
CLUSTER, ADMIN, VERSION = "shop", "shop_admin", "8.0.mysql_aurora.3.10.3"
DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
PLACES = "abcdef"  # of a number with so many digits
# Rows of years ago: every fourth has no note, and each customer has ten orders.
ROWS = f"""
INSERT INTO orders (order_id, customer_id, status, total_cents, reference, note, placed_at)
SELECT CONCAT('A-', LPAD(n, 8, '0')), CONCAT('customer-', n DIV 10), ELT(n % 3 + 1, 'open', 'paid', 'shipped'),
  100 + n % 5000, CONCAT('PO ', n), IF(n % 4 = 0, NULL, CONCAT('before-', n)),
  '2019-01-01 08:00:00' + INTERVAL n MINUTE
FROM (
  SELECT {" + ".join(f"{place}.d * {10**power}" for power, place in enumerate(PLACES))} AS n
  FROM {" JOIN ".join(f"({DIGITS}) {place}" for place in PLACES)}
) numbers
WHERE n < :count
"""  # noqa: S608  # constants
MOST_ROWS = 10 ** len(PLACES)


@dataclass(frozen=True, kw_only=True)
class ShopCluster:
    """How the shop's functions reach the cluster; subnets and group are of its VPC, for what connects to it."""

    arn: str
    secret_arn: str
    subnet_ids: tuple[str, ...]
    client_group_id: str


def make_cluster(account: Aws) -> ShopCluster:
    """A Serverless v2 cluster with the Data API on, in a VPC of its own."""
    subnets, database, clients = _network(account.client("ec2"))
    rds = account.client("rds")
    rds.create_db_subnet_group(DBSubnetGroupName=CLUSTER, DBSubnetGroupDescription="shop", SubnetIds=subnets)
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName=CLUSTER, DBParameterGroupFamily="aurora-mysql8.0", Description="shop"
    )
    trust = {"ParameterName": "log_bin_trust_function_creators", "ParameterValue": "1", "ApplyMethod": "immediate"}
    rds.modify_db_cluster_parameter_group(DBClusterParameterGroupName=CLUSTER, Parameters=[trust])
    cluster = rds.create_db_cluster(
        DBClusterIdentifier=CLUSTER,
        Engine="aurora-mysql",
        EngineVersion=VERSION,
        ServerlessV2ScalingConfiguration={"MinCapacity": 0.5, "MaxCapacity": 8},
        EnableHttpEndpoint=True,
        MasterUsername=ADMIN,
        ManageMasterUserPassword=True,
        DBSubnetGroupName=CLUSTER,
        DBClusterParameterGroupName=CLUSTER,
        VpcSecurityGroupIds=[database],
    )["DBCluster"]
    rds.create_db_instance(
        DBInstanceIdentifier=f"{CLUSTER}-1",
        DBClusterIdentifier=CLUSTER,
        DBInstanceClass="db.serverless",
        Engine="aurora-mysql",
    )
    secret = cluster["MasterUserSecret"]["SecretArn"]
    return ShopCluster(
        arn=cluster["DBClusterArn"], secret_arn=secret, subnet_ids=tuple(subnets), client_group_id=clients
    )


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


def fill(account: Aws, cluster: ShopCluster, rows: int) -> None:
    """Make database and table, and so many rows, MOST_ROWS at most."""
    data = account.client("rds-data")
    place = {"resourceArn": cluster.arn, "secretArn": cluster.secret_arn}
    for statement in SCHEMA.read_text(encoding="utf-8").split(";"):
        if statement.strip():
            data.execute_statement(**place, sql=statement)
    count = {"name": "count", "value": {"longValue": rows}}
    data.execute_statement(**place, database="shop", sql=ROWS, parameters=[count])
